//! TPKT and COTP: parts, gaps, garbage, and where segments end.

use hotpath::protocols::Party;
use hotpath::words::NoticeKind;

use crate::recorder::{Flow, answer, connection, job, part, tpkt, tsdu};

use Party::{Client, Server};

/// A setup with its reference as length of its queue, so that each is told apart.
fn setup(reference: u16) -> Vec<u8> {
    job(reference, &[0xF0, 0, 0, 1, 0, 1, 1, 0xE0], &[])
}

/// The bytes of a setup's TSDU.
fn bare(reference: u16) -> Vec<u8> {
    setup(reference)[7..].to_vec()
}

/// Feeds a client's stream whole, and split at every offset; the messages may not differ.
fn stream(bytes: &[u8]) -> Flow {
    let mut whole = Flow::s7();
    whole.feed(Client, bytes).flush(Client);
    for cut in 1..bytes.len() {
        let mut split = Flow::s7();
        split.feed(Client, &bytes[..cut]).feed(Client, &bytes[cut..]).flush(Client);
        assert_eq!(split.out.said, whole.out.said, "split at {cut}");
    }
    let mut single = Flow::s7();
    for byte in bytes {
        single.feed(Client, &[*byte]);
    }
    single.flush(Client);
    assert_eq!(single.out.said, whole.out.said, "byte by byte");
    whole
}

#[test]
fn several_in_a_segment() {
    let start = connection(0xE0, &[1, 0], &[1, 2]);
    let flow = stream(&[start, setup(1), setup(2)].concat());
    assert_eq!((flow.functions(), flow.kinds()), (vec![0x2E0, 0xF0, 0xF0], vec![]));
}

#[test]
fn parts_of_a_tsdu() {
    let whole = bare(1);
    for cut in 1..whole.len() {
        let bytes = [part(&whole[..cut], false), part(&whole[cut..], true)].concat();
        let mut flow = Flow::s7();
        flow.feed(Client, &bytes);
        assert_eq!((flow.functions(), flow.kinds()), (vec![0xF0], vec![]), "cut at {cut}");
        assert_eq!(flow.last().length as usize, bytes.len());
    }
    let bytes: Vec<u8> = whole.iter().flat_map(|byte| part(&[*byte], false)).collect();
    let flow = stream(&[bytes, part(&[], true), setup(2)].concat());
    assert_eq!((flow.functions(), flow.kinds()), (vec![0xF0, 0xF0], vec![]));
}

#[test]
fn empty_parts_say_nothing() {
    let flow = stream(&[part(&[], false), setup(1), part(&[], true), setup(2)].concat());
    assert_eq!((flow.functions(), flow.kinds()), (vec![0xF0, 0xF0], vec![]));
}

#[test]
fn parts_that_never_end() {
    let flow = stream(&[setup(1), part(b"\x32\x01", false), connection(0xE0, &[1], &[2])].concat());
    assert_eq!(flow.functions(), [0xF0, 0x2E0]);
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
    let flow = stream(&[setup(1), part(b"\x32\x01", false)].concat());
    assert_eq!((flow.functions(), flow.kinds()), (vec![0xF0], vec![NoticeKind::Gap]));
}

#[test]
fn a_capture_that_begins_amid_a_tsdu() {
    let flow = stream(&[part(b"rest of something", true), setup(1)].concat());
    assert_eq!((flow.functions(), flow.kinds()), (vec![0xF0], vec![NoticeKind::Gap]));
    let flow = stream(&[part(b"rest", false), part(b"of it", true), setup(1)].concat());
    assert_eq!((flow.functions(), flow.kinds()), (vec![0xF0], vec![NoticeKind::Gap]));
}

#[test]
fn garbage_before_and_between() {
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[3, 0, 0, 6, 1, 2], &[3, 1, 0, 30], &[0; 9]] {
        let flow = stream(&[garbage, &setup(1), garbage, &setup(2)].concat());
        assert_eq!(flow.functions(), [0xF0, 0xF0], "{garbage:02x?}");
        assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::MalformedPdu));
        assert!(!flow.kinds().is_empty());
    }
}

#[test]
fn packets_that_are_broken_inside() {
    for broken in [
        tpkt(&[2, 0x99, 0x80]),                    // no TPDU of class 0
        tpkt(&[9, 0xF0, 0x80]),                    // a header longer than the packet
        tpkt(&[8, 0xE0, 0, 0, 0, 1, 0, 0xC1, 9]),  // a parameter that ends too early
        tsdu(b"\x32\x01\0\0\0\x01\0\x08"),         // a PDU that ends in its header
        tsdu(b"\x32\x01\0\0\0\x01\0\x08\0\0\xF0"), // and one that ends in its parameters
    ] {
        let flow = stream(&[setup(1), broken.clone(), setup(2)].concat());
        assert_eq!(flow.functions(), [0xF0, 0xF0], "{broken:02x?}");
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
    }
    let flow = stream(&[setup(1), tsdu(&[&bare(2)[..], &[0]].concat())].concat());
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "longer than its header claims");
    assert_eq!(flow.functions(), [0xF0, 0xF0]);
}

#[test]
fn something_else_above_the_transport() {
    let flow = stream(&[setup(1), tsdu(b"\x72\x01\0\0"), setup(2)].concat());
    assert_eq!(
        (flow.functions(), flow.kinds()),
        (vec![0xF0; 2], vec![NoticeKind::ForeignProtocol])
    );
}

#[test]
fn a_kind_that_is_not_known_is_a_message() {
    let flow = stream(&tsdu(b"\x32\x05\0\0\0\x01\0\0\0\0"));
    assert_eq!((flow.functions(), flow.kinds()), (vec![0x305], vec![]));
}

#[test]
fn a_gap_costs_what_it_touches() {
    let bytes = [setup(1), setup(2)].concat();
    for lost in 1..setup(1).len() {
        let mut flow = Flow::s7();
        flow.feed(Client, &setup(9)).gap(Client).feed(Client, &bytes[lost..]).flush(Client);
        assert_eq!(flow.functions(), [0xF0; 2], "{lost} bytes lost");
    }
    let mut flow = Flow::s7();
    flow.feed(Client, &setup(1)).gap(Server);
    flow.feed(Server, &answer(7, &[4, 1], &[0xFF, 4, 0, 8, 1]));
    assert_eq!(flow.kinds(), [], "its request may lie in the gap");
    flow.expire(i64::MAX);
    assert_eq!(flow.kinds(), [], "and so may the answer");
}
