//! Which acknowledgement answers what.

use hotpath::protocols::Party::{Client, Server};
use hotpath::protocols::pairing::PATIENCE;
use hotpath::words::{NoticeKind, Role};

use crate::packets::{PINGREQ, PINGRESP, connect, flow, last, names, packet, publish, session};

/// What each message but the first two answers.
fn replies(flow: &crate::common::Flow) -> Vec<Option<u64>> {
    flow.out.said[2..].iter().map(|said| said.reply_to).collect()
}

#[test]
fn at_least_once() {
    let mut flow = session(4);
    flow.feed(Client, &publish(2, "a", 1, b"1")).feed(Client, &publish(2, "b", 2, b"1"));
    flow.feed(Server, &publish(2, "c", 1, b"1"));
    flow.feed(Server, &[0x40, 2, 0, 2]).feed(Server, &[0x40, 2, 0, 1]);
    flow.feed(Client, &[0x40, 2, 0, 1]);
    assert_eq!(replies(&flow), [None, None, None, Some(4), Some(3), Some(5)]);
    assert!(flow.out.said[5..].iter().all(|said| said.objects.is_empty()));
    assert_eq!(flow.kinds(), []);
}

#[test]
fn exactly_once() {
    let mut flow = session(4);
    flow.feed(Client, &publish(4, "a", 7, b"1")).feed(Server, &[0x50, 2, 0, 7]);
    flow.feed(Client, &[0x62, 2, 0, 7]).feed(Server, &[0x70, 2, 0, 7]);
    assert_eq!(replies(&flow), [None, Some(3), None, Some(5)]);
    let roles: Vec<_> = flow.out.said[2..].iter().map(|said| said.role).collect();
    assert_eq!(roles, [Role::Report, Role::Response, Role::Request, Role::Response]);
}

#[test]
fn a_refusal_names_what_was_refused() {
    let mut flow = session(5);
    flow.feed(Client, &packet(0x32, &[0, 1, b't', 0, 7, 0, b'1']));
    flow.feed(Server, &[0x40, 3, 0, 7, 0x87]);
    assert_eq!((last(&flow).status, names(last(&flow))), (0x87, vec!["t"]));
}

#[test]
fn acknowledgements_may_be_late_or_of_another_connection() {
    let mut flow = session(4);
    flow.feed(Client, &publish(2, "a", 1, b"1")).feed(Server, &[0x40, 2, 0, 9]);
    for id in 1..200_u16 {
        flow.feed(Client, &publish(2, "a", id, b"1"));
    }
    flow.at(PATIENCE * 2).expire(PATIENCE * 2).expire(i64::MAX);
    flow.feed(Server, &[0x70, 2, 0, 3]).feed(Server, &[0x90, 3, 0, 3, 0]);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn the_broker_owes_an_answer() {
    let mut flow = flow();
    flow.at(1_000).feed(Client, &connect(4, 2, &[]));
    flow.expire(PATIENCE + 1_000);
    assert_eq!(flow.kinds(), [NoticeKind::UnansweredRequest]);
    let mut flow = session(4);
    flow.feed(Client, &PINGREQ).expire(i64::MAX);
    assert_eq!(flow.kinds(), [NoticeKind::UnansweredRequest]);
    assert_eq!(flow.out.noticed[0].of.map(|told| told.id), Some(3));
}

#[test]
fn answers_that_nobody_asked_for() {
    let mut flow = session(4);
    flow.feed(Server, &PINGRESP);
    assert_eq!(flow.kinds(), [NoticeKind::UnaskedResponse]);
    let mut flow = crate::packets::flow();
    flow.feed(Server, &PINGRESP);
    assert_eq!(flow.kinds(), [], "the question may lie before the capture");
    let mut flow = session(4);
    flow.gap(Client).feed(Server, &PINGRESP).expire(i64::MAX);
    assert_eq!(flow.kinds(), [], "or in a gap");
}
