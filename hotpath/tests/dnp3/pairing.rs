//! Responses and the requests that they answer.

use hotpath::protocols::Party::{Client, Server};
use hotpath::words::{Access, NoticeKind, Role};

use crate::recorder::{Flow, MASTER, frame};

const SECOND: i64 = 1_000_000_000;

#[test]
fn by_sequence_number() {
    let mut flow = Flow::tcp();
    flow.ask(&[0xC1, 1, 60, 2, 6]).ask(&[0xC2, 13]);
    flow.answer(&[0xC2, 129, 0, 0]).answer(&[0xC1, 129, 0, 0]);
    let replies: Vec<_> = flow.out.said.iter().map(|it| (it.function, it.reply_to)).collect();
    assert_eq!(replies, [(1, None), (13, None), (13, Some(2)), (1, Some(1))]);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn by_station() {
    let mut flow = Flow::tcp();
    for station in [20, 21] {
        flow.feed(Client, &frame(0xC4, station, MASTER, &[0xC0, 0xC1, 13]));
    }
    flow.feed(Server, &frame(0x44, MASTER, 21, &[0xC0, 0xC1, 129, 0, 0]));
    assert_eq!((flow.last().unit, flow.last().reply_to), (21, Some(2)));
    flow.expire(i64::MAX);
    assert_eq!(flow.kinds(), [NoticeKind::UnansweredRequest], "station 20 is silent");
}

#[test]
fn several_fragments_answer_one_request() {
    let mut flow = Flow::tcp();
    flow.ask(&[0xCF, 1, 60, 1, 6]);
    flow.answer(&[0xAF, 129, 0, 0, 30, 4, 0, 0, 0, 7, 0]); // first, confirmed
    flow.ask(&[0xCF, 0]);
    flow.answer(&[0x20, 129, 0, 0, 30, 4, 0, 1, 1, 8, 0]); // neither first nor last
    flow.ask(&[0xC0, 0]);
    flow.answer(&[0x41, 129, 0, 0, 30, 4, 0, 2, 2, 9, 0]); // the last
    let told: Vec<_> = (flow.out.said.iter())
        .map(|it| (it.role, it.function, it.reply_to, it.values.len()))
        .collect();
    assert_eq!(
        told,
        [
            (Role::Request, 1, None, 0),
            (Role::Response, 1, Some(1), 1),
            (Role::Response, 0, Some(2), 0), // a confirmation answers what it confirms
            (Role::Response, 1, Some(1), 1),
            (Role::Response, 0, Some(4), 0),
            (Role::Response, 1, Some(1), 1),
        ]
    );
    flow.answer(&[0x42, 129, 0, 0]);
    assert_eq!((flow.last().function, flow.last().reply_to), (129, None), "nothing goes on");
    assert_eq!(flow.expire(i64::MAX).kinds(), []);
}

#[test]
fn unsolicited_responses_are_confirmed() {
    let mut flow = Flow::tcp();
    flow.answer(&[0xF3, 130, 0, 0, 2, 1, 0x17, 1, 4, 0x81]);
    assert_eq!((flow.last().role, flow.last().unit), (Role::Report, 10));
    assert_eq!(flow.last().objects, [("binary-input", 4, 1, Access::Report, 0)]);
    flow.ask(&[0xC3, 0]);
    assert_eq!(flow.last().reply_to, None, "that confirms a solicited response");
    flow.ask(&[0xD3, 0]);
    assert_eq!(flow.last().reply_to, Some(1));
    assert_eq!(flow.expire(i64::MAX).kinds(), []);
}

#[test]
fn answers_that_nobody_asked_for() {
    let mut flow = Flow::tcp();
    flow.answer(&[0xC9, 129, 0, 0]);
    assert_eq!((flow.functions(), flow.kinds()), (vec![129], vec![]), "the start may lie before");
    flow.ask(&[0xC1, 13]).answer(&[0xC1, 129, 0, 0]).answer(&[0xC9, 129, 0, 0]);
    assert_eq!(flow.kinds(), [NoticeKind::UnaskedResponse]);
}

#[test]
fn answers_that_come_twice() {
    let confirmed = [0xE1, 129, 0, 0, 30, 4, 0, 0, 0, 7, 0];
    let mut flow = Flow::tcp();
    flow.ask(&[0xC1, 1, 60, 2, 6]).answer(&confirmed).answer(&confirmed);
    assert_eq!(flow.functions(), [1, 1, 1]);
    assert_eq!((flow.last().reply_to, flow.kinds()), (None, vec![]), "sent again to be confirmed");
    let other = [0xE1, 129, 0, 0, 30, 4, 0, 0, 0, 8, 0];
    flow.answer(&other);
    assert_eq!(flow.kinds(), [NoticeKind::UnaskedResponse]);
    assert!(flow.out.noticed[0].detail.contains("another answer"));
}

#[test]
fn a_response_inherits_a_bounded_number_of_objects() {
    let indexes: Vec<u8> = (0..100).map(|place| place * 2).collect();
    let mut flow = Flow::tcp();
    flow.ask(&[&[0xC1, 7, 20, 0, 0x17, 100][..], &indexes].concat()).answer(&[0xC1, 129, 0, 0]);
    let counts: Vec<usize> = flow.out.said.iter().map(|said| said.objects.len()).collect();
    assert_eq!((counts, flow.kinds()), (vec![100, 64], vec![]));
}

#[test]
fn a_request_that_waits_too_long() {
    let mut flow = Flow::tcp();
    flow.at(SECOND).ask(&[0xC1, 13]).expire(3 * SECOND);
    assert_eq!(flow.kinds(), []);
    flow.expire(6 * SECOND);
    assert_eq!(flow.kinds(), [NoticeKind::UnansweredRequest]);
}

#[test]
fn a_broadcast_owes_no_answer() {
    for everybody in [0xFFFD, 0xFFFE, 0xFFFF] {
        let mut flow = Flow::tcp();
        flow.feed(
            Client,
            &frame(0xC4, everybody, MASTER, &[0xC0, 0xC1, 2, 50, 1, 7, 1, 0, 0, 0, 0, 0, 0]),
        );
        flow.expire(i64::MAX);
        assert_eq!((flow.functions(), flow.kinds()), (vec![2], vec![]));
        assert_eq!(flow.last().unit, u32::from(everybody));
    }
}

#[test]
fn after_a_gap_silence_is_no_fault() {
    let mut flow = Flow::tcp();
    flow.ask(&[0xC1, 13]).gap(Server);
    flow.answer(&[0xC5, 129, 0, 0]).expire(i64::MAX);
    assert_eq!((flow.functions(), flow.kinds()), (vec![13, 129], vec![]));
}
