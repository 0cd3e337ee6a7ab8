//! Where APDUs begin and end: segments, garbage, gaps.

use hotpath::protocols::Party::{Client, Server};
use hotpath::words::{NoticeKind, Role};

use crate::apdus::{STARTDT, STARTDT_CON, STOPDT, STOPDT_CON, TESTFR, TESTFR_CON};
use crate::apdus::{ack, asdu, flow, info};

fn point(number: u16) -> Vec<u8> {
    info(number, 0, &asdu(1, 3, number, &[1]))
}

#[test]
fn unnumbered_functions() {
    let mut flow = flow();
    for (act, con) in [(STARTDT, STARTDT_CON), (STOPDT, STOPDT_CON), (TESTFR, TESTFR_CON)] {
        flow.feed(Client, &act).feed(Server, &con);
    }
    flow.feed(Server, &TESTFR).feed(Client, &TESTFR_CON);
    let said: Vec<_> =
        flow.out.said.iter().map(|it| (it.from, it.role, it.function, it.reply_to)).collect();
    let pair = |from: hotpath::protocols::Party, function, id| {
        [(from, Role::Request, function, None), (from.other(), Role::Response, function, Some(id))]
    };
    let expected = [
        pair(Client, 0x107, 1),
        pair(Client, 0x113, 3),
        pair(Client, 0x143, 5),
        pair(Server, 0x143, 7),
    ];
    assert_eq!(said, expected.concat());
    assert_eq!(flow.kinds(), []);
}

#[test]
fn several_in_a_segment_and_s_frames_are_no_messages() {
    let mut flow = flow();
    flow.feed(Server, &[STARTDT_CON.to_vec(), point(0), ack(0), point(1)].concat());
    assert_eq!(flow.functions(), [0x107, 1, 1]);
    assert_eq!(flow.out.said[1].length, 16);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn split_at_every_offset() {
    let bytes = [STARTDT.to_vec(), point(0), ack(0), point(1), TESTFR.to_vec()].concat();
    let mut whole = flow();
    whole.feed(Client, &bytes);
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
        (&[0x67_u8, 4, 7, 0, 0, 0][..], "the start octet is not 68H"),
        (&[0x68, 3, 7, 0, 0, 0], "the length octet is outside 4 to 253"),
        (&[0x68, 254, 0, 0, 0, 0], "the length octet is outside 4 to 253"),
        (&[0x68, 4, 0x0F, 0, 0, 0], "the control field is none of the standard's"),
        (&[0x68, 4, 7, 0, 1, 0], "the control field is none of the standard's"),
        (&[0x68, 5, 7, 0, 0, 0, 0], "the control field is none of the standard's"),
        (&[0x68, 4, 1, 1, 0, 0], "the control field is none of the standard's"),
        (&[0x68, 14, 0, 0, 1, 0], "the control field is none of the standard's"),
    ] {
        let mut flow = flow();
        flow.feed(Client, &STARTDT).feed(Client, bad).feed(Client, &TESTFR);
        assert_eq!(flow.functions(), [0x107, 0x143], "{bad:02x?}");
        assert_eq!(flow.kinds()[0], NoticeKind::MalformedPdu);
        assert_eq!(flow.out.noticed[0].detail, detail);
    }
}

#[test]
fn decoding_goes_on_behind_garbage() {
    let garbage = [0x68, 0x68, 0, 0x68, 4, 9, 0x68, 14, 0, 0, 0, 0, 200, 1, 3, 0];
    let mut flow = flow();
    flow.feed(Server, &[&[0xFF][..], &garbage, &point(5), &point(6)].concat());
    assert_eq!(flow.functions(), [1, 1]);
    assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::MalformedPdu));
}

#[test]
fn a_gap_costs_no_more_than_the_apdu_in_it() {
    let bytes = point(5);
    for cut in 1..bytes.len() {
        let mut flow = flow();
        flow.feed(Server, &point(4)).gap(Server);
        flow.feed(Server, &[&bytes[cut..], &point(6)].concat());
        assert_eq!(flow.out.said.len(), 2, "cut at {cut}");
        assert_eq!(flow.out.said[1].objects[0].1, 6);
        assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::Gap), "cut at {cut}");
    }
    let mut flow = flow();
    flow.feed(Server, &point(4)).gap(Server).feed(Server, &point(9));
    assert_eq!((flow.out.said.len(), flow.kinds()), (2, vec![]), "whole segments were lost");
}

#[test]
fn the_start_of_a_capture_lies_anywhere() {
    let mut flow = flow();
    flow.feed(Server, &[&point(70)[5..], &point(71)].concat());
    assert_eq!(flow.out.said.len(), 1);
    assert_eq!(flow.out.said[0].objects[0].1, 71);
}

#[test]
fn what_is_cut_off_is_not_in_the_capture() {
    let mut flow = flow();
    flow.feed(Server, &point(0)).feed(Server, &point(1)[..9]).flush(Server);
    assert_eq!((flow.out.said.len(), &flow.kinds()[..]), (1, &[NoticeKind::Gap][..]));
}
