//! Where frames begin and end, over TCP and UDP, in good order and after damage.

use hotpath::protocols::{Party, Transport};
use hotpath::words::NoticeKind;

use crate::recorder::{Flow, MASTER, OUTSTATION, answered, asked, frame, segments};

use Party::{Client, Server};

/// A read of class 0 with this sequence number.
fn read(sequence: u8) -> Vec<u8> {
    asked(&[0xC0 | sequence, 1, 60, 1, 6])
}

/// Feeds a master's stream whole, and split at every offset; the messages may not differ.
fn stream(bytes: &[u8]) -> Flow {
    let mut whole = Flow::tcp();
    whole.feed(Client, bytes).flush(Client);
    for cut in 1..bytes.len() {
        let mut split = Flow::tcp();
        split.feed(Client, &bytes[..cut]).feed(Client, &bytes[cut..]).flush(Client);
        assert_eq!(split.out.said, whole.out.said, "split at {cut}");
    }
    let mut single = Flow::tcp();
    for byte in bytes {
        single.feed(Client, &[*byte]);
    }
    single.flush(Client);
    assert_eq!(single.out.said, whole.out.said, "byte by byte");
    whole
}

#[test]
fn a_frame_by_the_book() {
    // A request for the status of a link: octets and CRC as in published captures.
    let bytes = [0x05, 0x64, 0x05, 0xC9, 0x03, 0x00, 0x04, 0x00, 0xBD, 0x71];
    assert_eq!(frame(0xC9, 3, 4, &[]), bytes);
    let flow = stream(&bytes);
    assert_eq!((flow.functions(), flow.kinds()), (vec![0x109], vec![]));
    assert_eq!((flow.out.said[0].unit, flow.out.said[0].length), (3, 10));
}

#[test]
fn several_frames_in_a_segment() {
    let flow = stream(&[read(1), read(2), read(3)].concat());
    assert_eq!((flow.functions(), flow.kinds()), (vec![1, 1, 1], vec![]));
}

#[test]
fn a_request_is_told_with_its_last_byte() {
    let bytes = read(1);
    let mut flow = Flow::tcp();
    for byte in &bytes[..bytes.len() - 1] {
        flow.feed(Client, &[*byte]);
        assert_eq!(flow.out.said, []);
    }
    flow.feed(Client, &bytes[bytes.len() - 1..]);
    assert_eq!(flow.out.said.len(), 1);
    assert_eq!(flow.out.said[0].length as usize, bytes.len());
}

#[test]
fn garbage_before_between_and_after() {
    let garbage: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC],
        &[0x05],
        &[0x64, 0x05, 0x05],
        &[0x05, 0x64, 0x04, 0xC4, 0x0A, 0x00, 0x01, 0x00],
        &[0x05, 0x64, 0x05, 0xC4, 0x0A, 0x00, 0x01, 0x00, 0x00, 0x00],
    ];
    for junk in garbage {
        let flow = stream(&[&read(1)[..], junk, &read(2), junk, &read(3), junk].concat());
        assert_eq!(flow.functions(), [1, 1, 1], "{junk:02x?}");
        assert!(!flow.kinds().is_empty(), "{junk:02x?}");
        let first = stream(&[junk, &read(2)[..]].concat());
        assert_eq!(first.functions(), [1], "{junk:02x?} first");
    }
}

#[test]
fn each_wrong_byte_costs_its_frame_only() {
    let good = asked(&[0xC2, 2, 80, 1, 0, 7, 7, 0]);
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 0x10;
        let flow = stream(&[read(1), bad, read(3)].concat());
        assert_eq!(flow.functions(), [1, 1], "byte {place}");
        let kinds = flow.kinds();
        let expected = if place < 2 { NoticeKind::MalformedPdu } else { NoticeKind::BadChecksum };
        assert_eq!(kinds.first(), Some(&expected), "byte {place}");
    }
}

#[test]
fn a_frame_that_was_cut_does_not_cost_the_next() {
    let long = asked(&[&[0xC1, 2, 34, 1, 0, 0, 9][..], &[7; 20]].concat());
    for cut in 10..long.len() {
        let flow = stream(&[&long[..cut], &read(2), &read(3), &read(4)].concat());
        assert_eq!(flow.functions(), [1, 1, 1], "cut at {cut}");
        assert_eq!(flow.kinds(), [NoticeKind::BadChecksum], "cut at {cut}");
    }
}

#[test]
fn the_stream_ends_inside_a_frame() {
    let mut flow = Flow::tcp();
    flow.feed(Client, &read(1)[..12]).flush(Client);
    assert_eq!((flow.functions(), flow.kinds()), (vec![], vec![NoticeKind::Gap]));
}

#[test]
fn after_a_gap() {
    let answer = answered(&[&[0xC2, 129, 0, 0, 30, 2, 0, 0, 9][..], &[1; 30]].concat());
    for cut in 1..answer.len() {
        let mut flow = Flow::tcp();
        flow.feed(Client, &read(1)).feed(Server, &answered(&[0xC1, 129, 0, 0])).gap(Server);
        flow.feed(Server, &answer[cut..]);
        flow.feed(Client, &read(3)).feed(Server, &answered(&[0xC3, 129, 0, 0]));
        assert_eq!(flow.functions(), [1, 1, 1, 1], "cut at {cut}");
        assert_eq!(flow.last().reply_to, Some(3));
        assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::Gap), "nobody's fault");
    }
    let mut flow = Flow::tcp();
    flow.gap(Client).feed(Client, &read(1));
    assert_eq!((flow.functions(), flow.kinds()), (vec![1], vec![]), "a frame begins there");
}

#[test]
fn datagrams() {
    let mut flow = Flow::new(Transport::Udp);
    flow.datagram(Client, &[read(1), read(2)].concat());
    flow.datagram(Server, &answered(&[0xC1, 129, 0, 0]));
    assert_eq!((flow.functions(), flow.kinds()), (vec![1, 1, 1], vec![]));
    for bad in [&read(1)[..11], b"\x05\x64\x05", b"what is this?", &[0x05]] {
        let mut flow = Flow::new(Transport::Udp);
        flow.datagram(Client, bad).datagram(Client, &read(2));
        assert_eq!(flow.functions(), [1], "{bad:02x?}");
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "{bad:02x?}");
    }
}

// --- fragments in several segments ----------------------------------------------------------------

/// A response with 60 analog inputs, which takes several frames.
fn long_answer() -> Vec<u8> {
    let values: Vec<u8> = (0..60_u16).flat_map(u16::to_le_bytes).collect();
    [&[0xC1, 129, 0, 0, 30, 4, 0, 0, 59][..], &values].concat()
}

#[test]
fn a_fragment_of_several_segments() {
    for (first, size) in [(0, 30), (62, 40), (63, 100), (5, 1)] {
        let frames = segments(&long_answer(), first, size);
        let mut flow = Flow::tcp();
        flow.feed(Client, &read(1)).feed(Server, &frames.concat());
        assert_eq!(flow.kinds(), [], "from {first} by {size}");
        let told = flow.last();
        assert_eq!(told.objects, [("analog-input", 0, 60, hotpath::words::Access::Read, 0)]);
        let raw: Vec<u64> = told.values.iter().map(|value| value.3).collect();
        assert_eq!(raw, (0..60).collect::<Vec<_>>());
        assert_eq!(told.length as usize, frames.concat().len());
    }
}

#[test]
fn a_segment_that_was_sent_twice_is_taken_once() {
    let mut frames = segments(&long_answer(), 0, 40);
    frames.insert(2, frames[1].clone());
    let mut flow = Flow::tcp();
    flow.feed(Client, &read(1)).feed(Server, &frames.concat());
    assert_eq!((flow.last().values.len(), flow.kinds()), (60, vec![]));
}

#[test]
fn a_segment_that_is_missing() {
    for missing in 0..4 {
        let mut frames = segments(&long_answer(), 0, 40);
        assert_eq!(frames.len(), 4);
        frames.remove(missing);
        let mut flow = Flow::tcp();
        flow.feed(Client, &read(1)).feed(Server, &frames.concat());
        assert_eq!(flow.functions(), [1], "without segment {missing}");
        flow.feed(Client, &read(2)).feed(Server, &answered(&[0xC2, 129, 0, 0]));
        assert_eq!(flow.functions(), [1, 1, 1]);
        assert!(!flow.kinds().is_empty());
        assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::FragmentsIncomplete));
    }
}

#[test]
fn a_fragment_that_never_ends_is_given_up() {
    let mut flow = Flow::tcp();
    for number in 0..80_u8 {
        let head = if number == 0 { 0x40 } else { number & 0x3F };
        let user = [&[head][..], &[0x55; 249]].concat();
        flow.feed(Server, &frame(0x44, MASTER, OUTSTATION, &user));
    }
    assert_eq!(flow.functions(), []);
    assert!(flow.kinds().contains(&NoticeKind::MalformedPdu));
}

#[test]
fn fragments_of_several_stations_at_once() {
    let frames = segments(&long_answer(), 0, 80);
    let other = |bytes: &[u8]| {
        let user: Vec<u8> =
            bytes[10..].chunks(18).flat_map(|it| it[..it.len() - 2].to_vec()).collect();
        frame(0x44, MASTER, 11, &user)
    };
    let mut flow = Flow::tcp();
    flow.feed(Server, &frames[0]).feed(Server, &other(&frames[0]));
    flow.feed(Server, &frames[1]).feed(Server, &other(&frames[1]));
    assert_eq!(flow.kinds(), []);
    assert_eq!(
        flow.out.said.iter().map(|it| (it.unit, it.values.len())).collect::<Vec<_>>(),
        [(10, 60), (11, 60)]
    );
    let mut flow = Flow::tcp();
    for station in 0..5 {
        flow.feed(Server, &frame(0x44, MASTER, station, &[0x40, 1, 2]));
    }
    assert_eq!(flow.kinds(), [NoticeKind::TableFull]);
}
