//! Where packets begin and end: segments, garbage, gaps, large ones.

use hotpath::protocols::Party::{Client, Server};
use hotpath::words::NoticeKind;

use crate::packets::{
    ACCEPTED, PINGREQ, connect, flow, last, names, packet, publish, session, text,
};

fn stream() -> Vec<u8> {
    let subscribe = packet(0x82, &[&[0, 3][..], &text("a/#"), &[1], &text("b"), &[0]].concat());
    [
        connect(4, 0xC2, &[text("u"), text("p")].concat()),
        publish(3, "a/level", 4, b"21.5"),
        subscribe,
        publish(0, "long", 0, &[b'x'; 300]),
        PINGREQ.to_vec(),
    ]
    .concat()
}

#[test]
fn split_at_every_offset() {
    let bytes = stream();
    let mut whole = flow();
    whole.feed(Client, &bytes);
    assert_eq!(whole.functions(), [1, 3, 8, 3, 12]);
    assert_eq!(whole.out.said[3].length, 309);
    for cut in 1..bytes.len() {
        let mut split = flow();
        split.feed(Client, &bytes[..cut]).feed(Client, &bytes[cut..]);
        assert_eq!(split.out.said, whole.out.said, "cut at {cut}");
        assert_eq!(split.kinds(), []);
    }
}

#[test]
fn headers_that_cannot_be_right() {
    for (bad, detail) in [
        (&[0x00_u8, 4][..], "the packet type is 0, which is reserved"),
        (&[0x30, 0x80, 0x80, 0x80, 0x80], "the remaining length takes more than four bytes"),
        (&[0xC0, 1, 7], "a PINGREQ or PINGRESP has a body"),
    ] {
        let mut flow = session(4);
        flow.feed(Client, bad).feed(Client, &[publish(0, "t", 0, b"1"), PINGREQ.to_vec()].concat());
        assert_eq!(flow.functions(), [1, 2, 3, 12], "{bad:02x?}");
        assert_eq!(flow.out.noticed[0].detail, detail);
    }
}

#[test]
fn decoding_goes_on_behind_garbage() {
    let garbage = [0x00, 0x40, 0x02, 0x00, 0x01, 0xFF, 0xC0, 0x00, 0xFF, 0x10, 0x0C, 0x00, 0x04];
    for tail in [PINGREQ.to_vec(), connect(4, 2, &[])] {
        let mut flow = session(4);
        flow.feed(Client, &[&garbage[..], &publish(0, "t", 0, b"1"), &tail].concat());
        assert_eq!(flow.functions()[2..], [3, u32::from(tail[0] >> 4)]);
        assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::MalformedPdu));
    }
}

#[test]
fn the_last_packet_behind_garbage_needs_no_other_one() {
    let mut flow = session(4);
    flow.feed(Client, &[&[0x00, 0xFF][..], &publish(0, "t", 0, b"1")].concat());
    assert_eq!(flow.functions(), [1, 2]);
    flow.flush(Client);
    assert_eq!(flow.functions(), [1, 2, 3]);
}

#[test]
fn a_gap_costs_no_more_than_the_packet_in_it() {
    let bytes = publish(2, "a/level", 4, b"21.5");
    for cut in 1..bytes.len() {
        let mut flow = session(4);
        flow.gap(Client);
        flow.feed(Client, &[&bytes[cut..], &publish(0, "t", 0, b"1"), &PINGREQ].concat());
        assert_eq!(flow.functions()[2..], [3, 12], "cut at {cut}");
        assert_eq!(names(&flow.out.said[2]), ["t"]);
        assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::Gap), "cut at {cut}");
    }
    let mut flow = session(4);
    flow.gap(Client).feed(Client, &PINGREQ);
    assert_eq!((flow.functions(), flow.kinds()), (vec![1, 2, 12], vec![]), "whole segments");
}

#[test]
fn large_packets_are_told_by_their_beginning() {
    let payload = vec![b'7'; 100_000];
    let bytes = [publish(2, "image", 4, &payload), PINGREQ.to_vec()].concat();
    let mut whole = session(4);
    whole.feed(Client, &bytes);
    assert_eq!(whole.functions()[2..], [3, 12]);
    assert_eq!((whole.out.said[2].length, whole.out.said[2].values.len()), (100_013, 0));
    for size in [1, 700, 1460, 8_191, 8_192, 8_193, 50_000] {
        let mut split = session(4);
        for segment in bytes.chunks(size) {
            split.feed(Client, segment);
        }
        assert_eq!(split.out.said, whole.out.said, "segments of {size}");
        assert_eq!(split.kinds(), []);
    }
    let mut flow = session(4);
    flow.feed(Client, &bytes[..20_000]).gap(Client).feed(Client, &publish(0, "t", 0, b"1"));
    assert_eq!(names(last(&flow)), ["t"], "a gap in it");
    let mut flow = session(4);
    flow.feed(Client, &bytes[..20_000]).flush(Client);
    assert_eq!(flow.functions()[2..], [3]);
}

#[test]
fn of_large_packets_what_fits_is_told() {
    let filter = [text(&"f".repeat(96)), vec![1]].concat();
    let subscribe = packet(0x82, &[&[0, 3][..], &filter.repeat(500)].concat());
    let mut flow = session(4);
    flow.feed(Client, &subscribe).feed(Client, &PINGREQ);
    assert_eq!(flow.functions()[2..], [8, 12]);
    assert_eq!(flow.out.said[2].objects.len(), (8_192 - 6) / 99);
    flow.feed(Client, &publish(0, &"t".repeat(8_200), 0, b"1"));
    assert!(last(&flow).objects.is_empty(), "not even its topic fits");
    let will = [text("w"), text(&"m".repeat(20_000)), text("u")].concat();
    flow.feed(Client, &connect(4, 0x86, &will)).feed(Server, &ACCEPTED);
    assert_eq!(last(&flow).function, 2);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn what_is_cut_off_is_not_in_the_capture() {
    let mut flow = session(4);
    flow.feed(Client, &publish(0, "t", 0, b"123456")[..9]).flush(Client);
    assert_eq!((flow.functions(), flow.kinds()), (vec![1, 2], vec![NoticeKind::Gap]));
}
