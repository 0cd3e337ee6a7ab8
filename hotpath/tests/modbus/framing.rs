//! Where PDUs begin and end, over TCP, UDP and in RTU frames, in good order and after damage.

use hotpath::protocols::{Party, Transport};
use hotpath::words::NoticeKind;

use crate::recorder::{Flow, adu, rtu};

use Party::{Client, Server};

const READ: [u8; 5] = [0x03, 0x00, 0x10, 0x00, 0x02];
const READ_ANSWER: [u8; 6] = [0x03, 0x04, 0x00, 0x01, 0x00, 0x02];

/// Feeds a client's stream whole, and split at every offset; the messages may not differ.
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

/// The units of the messages: each PDU of a test has its own.
fn units(flow: &Flow) -> Vec<u32> {
    flow.out.said.iter().map(|said| said.unit).collect()
}

#[test]
fn several_adus_in_a_segment() {
    let bytes = [adu(1, 1, &READ), adu(2, 2, &[0x11]), adu(3, 3, &READ)].concat();
    let flow = stream(&bytes);
    assert_eq!((units(&flow), flow.kinds()), (vec![1, 2, 3], vec![]));
}

#[test]
fn a_request_is_told_with_its_last_byte() {
    let bytes = adu(1, 1, &READ);
    let mut flow = Flow::tcp();
    for byte in &bytes[..bytes.len() - 1] {
        flow.feed(Client, &[*byte]);
        assert_eq!(flow.out.said, []);
    }
    flow.feed(Client, &bytes[bytes.len() - 1..]);
    assert_eq!(flow.out.said.len(), 1);
}

#[test]
fn a_scan_over_all_functions() {
    let body = [0x00, 0x00, 0x00, 0x00];
    for length in 0..=body.len() {
        let mut bytes = Vec::new();
        for code in 1..=127 {
            bytes.extend(adu(0, code, &[&[code][..], &body[..length]].concat()));
        }
        let flow = stream(&bytes);
        assert_eq!(flow.functions(), (1..=127).collect::<Vec<_>>(), "{length} zero bytes");
        assert_eq!(units(&flow), (1..=127).collect::<Vec<_>>());
    }
}

#[test]
fn each_request_of_a_scan_is_paired() {
    let mut flow = Flow::tcp();
    for code in 1..=127 {
        flow.feed(Client, &adu(0, 1, &[code, 0, 0, 0, 0]));
        flow.feed(Server, &adu(0, 1, &[code | 0x80, 1]));
    }
    assert_eq!(flow.out.said.len(), 254);
    for pair in flow.out.said.chunks(2) {
        assert_eq!(pair[0].function, pair[1].function);
        assert!(pair[1].reply_to.is_some(), "function {}", pair[0].function);
    }
}

#[test]
fn a_length_too_small_for_the_function() {
    let mut short = adu(1, 1, &[0x10, 0, 1, 0, 2, 4, 0, 10, 1, 2]);
    short[5] = 7; // claims six bytes of PDU, four registers' bytes remain
    let flow = stream(&[short, adu(2, 2, &READ), adu(3, 3, &READ)].concat());
    assert_eq!(units(&flow), [1, 2, 3]);
    assert_eq!(flow.out.said[0].objects, [], "its body does not fit");
    assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::MalformedPdu));
}

#[test]
fn a_length_too_large_for_the_function() {
    for more in 1..=40 {
        let mut long = adu(1, 1, &READ);
        long[5] += more; // reaches into, or beyond, the next PDUs
        let bytes = [long, adu(2, 2, &READ), adu(3, 3, &READ), adu(4, 4, &READ)].concat();
        let flow = stream(&bytes);
        assert_eq!(units(&flow), [1, 2, 3, 4], "{more} bytes more");
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
    }
}

#[test]
fn trailing_bytes_are_passed_over() {
    for trailing in 1..=40 {
        let pdu = [&READ[..], &vec![0; trailing]].concat();
        let bytes = [adu(1, 1, &pdu), adu(2, 2, &READ), adu(3, 3, &READ)].concat();
        let flow = stream(&bytes);
        assert_eq!(units(&flow), [1, 2, 3], "{trailing} zero bytes");
        assert_eq!(flow.out.said[0].objects.len(), 1, "what it asks for is told");
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
    }
}

#[test]
fn lengths_that_never_fit_leave_the_functions_length() {
    // Each header claims 136 bytes; each PDU is a write of one coil in twelve bytes.
    let one = [0x00, 0x01, 0x00, 0x00, 0x00, 0x88, 0x04, 0x05, 0x07, 0x08, 0x09, 0x10];
    let flow = stream(&[&one.repeat(40)[..], &adu(9, 9, &READ)].concat());
    assert!(units(&flow).iter().filter(|unit| **unit == 4).count() >= 28);
    assert_eq!(units(&flow).last(), Some(&9));
}

#[test]
fn headers_that_cannot_be() {
    let garbage: &[&[u8]] = &[
        &[0x00, 0x01, 0x00, 0x01, 0x00, 0x06, 0x01, 0x03, 0, 0, 0, 1], // protocol identifier
        &[0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x01, 0x03],             // length 1
        &[0x00, 0x01, 0x00, 0x00, 0x00, 0xFF, 0x01, 0x03, 0, 0, 0, 1], // length 255
        &[0x00, 0x01, 0x00, 0x00, 0x80, 0x00, 0x01, 0x03],             // length 32768
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC],       // TLS
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for junk in garbage {
        let bytes = [&adu(1, 1, &READ)[..], junk, &adu(2, 2, &READ), &adu(3, 3, &READ)].concat();
        let flow = stream(&bytes);
        assert_eq!(units(&flow), [1, 2, 3], "{junk:02x?}");
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
        let first = stream(&[junk, &adu(2, 2, &READ)[..]].concat());
        assert_eq!(units(&first), [2], "{junk:02x?} first");
    }
}

#[test]
fn the_stream_ends_inside_a_pdu() {
    let bytes = adu(1, 1, &READ);
    let mut flow = Flow::tcp();
    flow.feed(Client, &bytes[..9]).flush(Client);
    assert_eq!((flow.out.said.len(), flow.kinds()), (0, vec![NoticeKind::Gap]));
}

#[test]
fn after_a_gap() {
    let answer = adu(2, 1, &[&[0x03, 200][..], &[0x00; 200]].concat());
    for cut in 1..answer.len() {
        let mut flow = Flow::tcp();
        flow.feed(Client, &adu(1, 1, &READ)).feed(Server, &adu(1, 1, &READ_ANSWER)).gap(Server);
        flow.feed(Server, &answer[cut..]);
        flow.feed(Client, &adu(3, 1, &READ)).feed(Server, &adu(3, 1, &READ_ANSWER));
        assert_eq!(flow.out.said.len(), 4, "cut at {cut}");
        assert_eq!(flow.out.said[3].reply_to, Some(3));
        assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::Gap), "nobody's fault");
    }
    let mut flow = Flow::tcp();
    flow.gap(Client).feed(Client, &adu(1, 1, &READ));
    assert_eq!((flow.out.said.len(), flow.kinds()), (1, vec![]), "a PDU begins there");
}

#[test]
fn an_unknown_function_between_holes() {
    let unknown = adu(1, 1, &[0x41, 1, 2, 3]);
    let mut flow = Flow::tcp();
    flow.gap(Client).feed(Client, &unknown);
    assert_eq!(flow.functions(), [], "a header alone is little after a hole");
    flow.gap(Client);
    assert_eq!((flow.functions(), flow.kinds()), (vec![0x41], vec![]), "but it fills the space");
    flow.feed(Client, &unknown).feed(Client, &adu(2, 1, &READ));
    assert_eq!((flow.functions(), flow.kinds()), (vec![0x41, 0x41, 3], vec![]), "or is followed");
    flow.gap(Client).feed(Client, &unknown[..9]).gap(Client);
    assert_eq!((flow.functions().len(), flow.kinds()), (3, vec![NoticeKind::Gap]));
}

#[test]
fn several_adus_in_a_datagram() {
    let mut flow = Flow::new(Transport::Udp);
    flow.datagram(Client, &[adu(1, 1, &READ), adu(2, 1, &[0x11])].concat());
    flow.datagram(Server, &adu(1, 1, &READ_ANSWER));
    assert_eq!(flow.functions(), [3, 17, 3]);
    assert_eq!((flow.out.said[2].reply_to, flow.kinds()), (Some(1), vec![]));
}

#[test]
fn a_datagram_says_nothing_of_the_next() {
    let good = adu(2, 2, &READ);
    let cut = &adu(1, 1, &READ)[..10];
    let mut long = adu(1, 1, &READ);
    long[5] = 200;
    for bad in [cut, &long, b"\x01\x02\x03", b"what is this?", &[0; 7]] {
        let mut flow = Flow::new(Transport::Udp);
        flow.datagram(Client, bad).datagram(Client, &good);
        assert_eq!(units(&flow).last(), Some(&2), "{bad:02x?}");
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "{bad:02x?}");
    }
}

#[test]
fn rtu_frames() {
    let (question, answer) = (rtu(17, &READ), rtu(17, &READ_ANSWER));
    for cut in 1..question.len() {
        let mut flow = Flow::tcp();
        flow.feed(Client, &question[..cut]).feed(Client, &question[cut..]);
        flow.feed(Server, &answer);
        flow.feed(Client, &rtu(17, &[0x06, 0, 1, 0, 3])).feed(Server, &rtu(17, &[0x86, 2]));
        assert_eq!(flow.functions(), [3, 3, 6, 6], "split at {cut}");
        assert_eq!(flow.out.said[1].values.len(), 2);
        assert_eq!((flow.out.said[3].status, flow.out.said[3].reply_to), (2, Some(3)));
        assert_eq!((flow.kinds(), flow.out.said[0].length), (vec![], 8));
    }
}

#[test]
fn rtu_functions_of_open_length() {
    for pdu in [&[0x08, 0, 0, 1, 2, 3, 4][..], &[0x41, 9, 8, 7], &[0x2B, 0x0D, 1, 2], &[90, 0, 2]] {
        let bytes = [rtu(1, &READ), rtu(2, pdu), rtu(3, &READ)].concat();
        let flow = stream(&bytes);
        assert_eq!((units(&flow), flow.kinds()), (vec![1, 2, 3], vec![]), "{pdu:02x?}");
    }
}

#[test]
fn rtu_frames_are_found_again_after_damage() {
    for place in 0..8 {
        let mut bad = rtu(2, &READ);
        bad[place] ^= 0x11;
        let bytes = [rtu(1, &READ), bad, rtu(3, &READ), rtu(4, &READ).repeat(32)].concat();
        let flow = stream(&bytes);
        assert_eq!(units(&flow)[..3], [1, 3, 4], "byte {place}");
        assert_eq!(flow.kinds().first(), Some(&NoticeKind::BadChecksum), "byte {place}");
    }
}

#[test]
fn a_broadcast_owes_no_answer() {
    let mut flow = Flow::tcp();
    flow.feed(Client, &rtu(0, &[0x06, 0, 1, 0, 3])).expire(i64::MAX);
    assert_eq!((flow.functions(), flow.kinds()), (vec![6], vec![]));
}

/// Whoever sends one frame of the other framing must not make all that follows unread.
#[test]
fn the_framing_is_found_again() {
    let read = |unit| [unit, 3, 0, 0, 0, 1];
    let mbap: Vec<u8> = (1..6).flat_map(|unit| adu(7, unit, &read(unit)[1..])).collect();
    let serial: Vec<u8> = (1..6).flat_map(|unit| rtu(unit, &read(unit)[1..])).collect();
    for garbage in [&[][..], &[0xFF], &[0xFF; 40]] {
        for (forged, real) in [(rtu(9, &[7]), &mbap), (adu(7, 9, &[7]), &serial)] {
            for stride in [1, 3, 1000] {
                let mut flow = Flow::tcp();
                let bytes = [&forged[..], garbage, real].concat();
                bytes.chunks(stride).for_each(|piece| {
                    flow.feed(Party::Client, piece);
                });
                flow.flush(Party::Client);
                let units: Vec<u32> = flow.out.said.iter().map(|said| said.unit).collect();
                assert_eq!(units, [9, 1, 2, 3, 4, 5], "{stride} {garbage:?}");
            }
        }
    }
}
