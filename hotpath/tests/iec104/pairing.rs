//! Which confirmation, termination or report answers what.

use hotpath::protocols::Party::{Client, Server};
use hotpath::protocols::pairing::PATIENCE;
use hotpath::words::{Access, Activity, NoticeKind, Role};

use crate::apdus::{TESTFR, TESTFR_CON, asdu, flow, info};
use crate::common::Flow;

/// ASDUs of both parties, with numbers that go on.
struct Talk {
    flow: Flow,
    sent: [u16; 2],
}

impl Talk {
    fn new() -> Self {
        let mut talk = Self { flow: flow(), sent: [0, 0] };
        talk.client(&asdu(104, 6, 0, &[0xAA, 0x55])).server(&asdu(104, 7, 0, &[0xAA, 0x55]));
        talk
    }

    fn client(&mut self, asdu: &[u8]) -> &mut Self {
        let [client, server] = self.sent;
        self.flow.feed(Client, &info(client, server, asdu));
        self.sent[0] += 1;
        self
    }

    fn server(&mut self, asdu: &[u8]) -> &mut Self {
        let [client, server] = self.sent;
        self.flow.feed(Server, &info(server, client, asdu));
        self.sent[1] += 1;
        self
    }

    /// What each message but the first two answers.
    fn replies(&self) -> Vec<Option<u64>> {
        self.flow.out.said[2..].iter().map(|said| said.reply_to).collect()
    }
}

#[test]
fn select_execute_and_terminate() {
    let mut talk = Talk::new();
    talk.client(&asdu(45, 6, 9, &[0x81])).server(&asdu(45, 7, 9, &[0x81]));
    talk.client(&asdu(45, 6, 9, &[0x01])).server(&asdu(45, 7, 9, &[0x01]));
    talk.server(&asdu(45, 10, 9, &[0x01]));
    assert_eq!(talk.replies(), [None, Some(3), None, Some(5), Some(5)]);
    talk.flow.expire(i64::MAX);
    assert_eq!(talk.flow.kinds(), []);
}

#[test]
fn deactivation() {
    let mut talk = Talk::new();
    talk.client(&asdu(45, 6, 9, &[0x81])).server(&asdu(45, 7, 9, &[0x81]));
    talk.client(&asdu(45, 8, 9, &[0x81])).server(&asdu(45, 9, 9, &[0x81]));
    assert_eq!(talk.replies(), [None, Some(3), None, Some(5)]);
    assert_eq!(talk.flow.kinds(), []);
}

#[test]
fn refusals_are_status() {
    for (cause, status) in
        [(0x47, 0x40), (0x6C, 44), (0x6D, 45), (0x6E, 46), (0x6F, 47), (0x2F, 47)]
    {
        let mut talk = Talk::new();
        talk.client(&asdu(50, 6, 9, &[0, 0, 0, 0, 0]));
        talk.server(&asdu(50, cause, 9, &[0, 0, 0, 0, 0]));
        let answer = &talk.flow.out.said[3];
        assert_eq!(
            (answer.role, answer.status, answer.reply_to),
            (Role::Response, status, Some(3))
        );
        assert_eq!(answer.objects, [("float-set-point", 9, 1, Access::Write, status)]);
        talk.flow.expire(i64::MAX);
        assert_eq!(talk.flow.kinds(), [], "no termination follows");
    }
}

#[test]
fn what_is_confirmed_must_fit() {
    for answer in [
        asdu(46, 7, 9, &[0x01]),
        asdu(45, 7, 8, &[0x01]),
        asdu(45, 7, 9, &[0x81]),
        asdu(45, 9, 9, &[0x01]),
        [&[45, 1, 7, 0, 8, 0, 9, 0, 0, 1][..]].concat(),
    ] {
        let mut talk = Talk::new();
        talk.client(&asdu(45, 6, 9, &[0x01])).server(&answer);
        assert_eq!(talk.flow.kinds(), [NoticeKind::UnaskedResponse], "{answer:02x?}");
        talk.server(&asdu(45, 7, 9, &[0x01]));
        assert_eq!(talk.flow.out.said[4].reply_to, Some(3), "the command still waits");
    }
}

#[test]
fn a_second_confirmation_is_told_from_one_that_nobody_asked_for() {
    for (second, detail) in [
        (7, "the request was answered before, with the same answer"),
        (0x47, "the request was answered before, with another answer"),
    ] {
        let mut talk = Talk::new();
        talk.client(&asdu(45, 6, 9, &[0x01])).server(&asdu(45, 7, 9, &[0x01]));
        talk.server(&asdu(45, second, 9, &[0x01]));
        assert_eq!(talk.flow.kinds(), [NoticeKind::UnaskedResponse]);
        assert_eq!(talk.flow.out.noticed[0].detail, detail);
    }
}

#[test]
fn a_station_may_refuse_twice() {
    let mut talk = Talk::new();
    talk.client(&asdu(45, 6, 9, &[0x01])).server(&asdu(45, 0x47, 9, &[0x01]));
    talk.server(&asdu(45, 0x6F, 9, &[0x01]));
    assert_eq!(talk.replies(), [None, Some(3), Some(3)]);
    assert_eq!(talk.flow.kinds(), []);
    talk.server(&asdu(45, 7, 9, &[0x01]));
    assert_eq!(
        talk.flow.out.noticed[0].detail,
        "the request was answered before, with another answer"
    );
}

#[test]
fn a_command_without_confirmation() {
    let mut talk = Talk::new();
    talk.flow.at(1_000);
    talk.client(&asdu(45, 6, 9, &[0x01]));
    talk.flow.expire(PATIENCE + 1_000);
    assert_eq!(talk.flow.kinds(), [NoticeKind::UnansweredRequest]);
    assert_eq!(talk.flow.out.noticed[0].of.map(|told| told.id), Some(3));
}

#[test]
fn an_interrogation_of_one_station_and_of_all() {
    let mut talk = Talk::new();
    talk.client(&asdu(100, 6, 0, &[20])).server(&asdu(100, 7, 0, &[20]));
    talk.server(&asdu(1, 20, 5, &[1])).server(&asdu(100, 10, 0, &[20]));
    assert_eq!(talk.replies(), [None, Some(3), None, Some(3)]);
    assert_eq!(talk.flow.out.said[4].role, Role::Report);

    let to = |station: u8, cause: u8, high: u8| [100, 1, cause, 0, station, high, 0, 0, 0, 20];
    let mut talk = Talk::new();
    talk.client(&to(0xFF, 6, 0xFF)).server(&to(1, 7, 0)).server(&to(2, 7, 0));
    talk.server(&to(1, 10, 0)).server(&to(2, 10, 0));
    assert_eq!(talk.replies(), [None, Some(3), Some(3), Some(3), Some(3)]);
    talk.flow.expire(i64::MAX);
    assert_eq!(talk.flow.kinds(), [], "each station answers");

    let mut talk = Talk::new();
    talk.client(&to(1, 6, 0)).server(&to(1, 7, 0)).server(&to(2, 7, 0));
    assert_eq!(talk.flow.kinds(), [NoticeKind::UnaskedResponse], "this one was not asked");
}

#[test]
fn a_read_is_answered_by_its_object() {
    let mut talk = Talk::new();
    talk.client(&asdu(102, 5, 9, &[]));
    talk.server(&asdu(1, 3, 9, &[1])).server(&asdu(13, 5, 9, &[0, 0, 0, 0, 0]));
    let answer = &talk.flow.out.said[4];
    assert_eq!((answer.role, answer.activity), (Role::Response, Activity::Read));
    assert_eq!(talk.replies(), [None, None, Some(3)]);
    talk.client(&asdu(102, 5, 8, &[])).server(&asdu(102, 0x6F, 8, &[]));
    assert_eq!((talk.flow.out.said[6].status, talk.replies()[4]), (47, Some(6)));
    assert_eq!(talk.flow.kinds(), []);
}

#[test]
fn a_read_may_be_confirmed_before_it_is_answered() {
    let mut talk = Talk::new();
    talk.client(&asdu(102, 5, 9, &[])).server(&asdu(102, 7, 9, &[]));
    talk.server(&asdu(13, 5, 9, &[0, 0, 0, 0, 0]));
    assert_eq!(talk.replies(), [None, Some(3), Some(3)]);
    talk.flow.expire(i64::MAX);
    assert_eq!(talk.flow.kinds(), []);
}

#[test]
fn a_gap_excuses_both() {
    let mut talk = Talk::new();
    talk.client(&asdu(45, 6, 9, &[0x01]));
    talk.flow.gap(Client);
    talk.server(&asdu(46, 7, 9, &[0x01]));
    talk.flow.expire(i64::MAX);
    assert_eq!(talk.flow.kinds(), []);
}

#[test]
fn confirmations_in_the_middle_of_a_flow_are_excused() {
    let mut flow = flow();
    flow.feed(Server, &info(0, 0, &asdu(45, 7, 9, &[1]))).feed(Client, &TESTFR_CON);
    assert_eq!(flow.kinds(), []);
    flow.feed(Client, &TESTFR).feed(Server, &TESTFR_CON).feed(Server, &TESTFR_CON);
    assert_eq!(flow.kinds(), [NoticeKind::UnaskedResponse]);
}
