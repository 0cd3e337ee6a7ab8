//! Which response answers which request, and what is said of those that answer none.

use hotpath::protocols::Party;
use hotpath::protocols::pairing::{MAX_WAITING, PATIENCE, REUSE};
use hotpath::words::{NoticeKind, ValueKind};

use crate::recorder::{Flow, adu};

use Party::{Client, Server};

fn read(address: u8, count: u8) -> [u8; 5] {
    [0x03, 0x00, address, 0x00, count]
}

/// A flow in which a first request was answered, so that nothing is excused any more.
fn settled() -> Flow {
    let mut flow = Flow::tcp();
    flow.feed(Client, &adu(1, 1, &read(0, 1))).feed(Server, &adu(1, 1, &[0x03, 2, 0, 0]));
    flow
}

#[test]
fn out_of_order_by_transaction() {
    let mut flow = Flow::tcp();
    flow.feed(Client, &[adu(1, 1, &read(10, 1)), adu(2, 1, &read(20, 1))].concat());
    flow.feed(Server, &adu(2, 1, &[0x03, 2, 0, 7])).feed(Server, &adu(1, 1, &[0x03, 2, 0, 8]));
    let replies: Vec<_> = flow.out.said.iter().map(|said| said.reply_to).collect();
    assert_eq!(replies, [None, None, Some(2), Some(1)]);
    assert_eq!(flow.out.said[2].objects[0].1, 20);
    assert_eq!(flow.out.said[2].values, [(0, 0, ValueKind::Unsigned, 7)]);
}

#[test]
fn in_order_under_one_transaction() {
    let mut flow = Flow::tcp();
    flow.feed(Client, &[adu(0, 1, &read(10, 1)), adu(0, 1, &read(20, 1))].concat());
    flow.feed(Server, &adu(0, 1, &[0x03, 2, 0, 7])).feed(Server, &adu(0, 1, &[0x03, 2, 0, 8]));
    assert_eq!(flow.out.said[2].objects[0].1, 10);
    assert_eq!(flow.out.said[3].objects[0].1, 20);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn under_one_transaction_the_request_that_fits_is_taken() {
    let mut flow = Flow::tcp();
    flow.feed(Client, &[adu(0, 1, &read(10, 1)), adu(0, 1, &read(20, 2))].concat());
    flow.feed(Server, &adu(0, 1, &[0x03, 4, 0, 7, 0, 8]));
    assert_eq!(flow.out.said[2].reply_to, Some(2));
}

#[test]
fn a_transaction_used_again_gives_up_the_first() {
    let mut flow = settled();
    flow.at(0).feed(Client, &adu(0, 1, &read(10, 1)));
    flow.at(REUSE).feed(Client, &adu(0, 1, &read(20, 1)));
    flow.feed(Server, &adu(0, 1, &[0x03, 2, 0, 7]));
    assert_eq!(flow.kinds(), [NoticeKind::UnansweredRequest]);
    assert_eq!(flow.out.noticed[0].of.map(|told| told.id), Some(3));
    assert_eq!(flow.out.said[4].reply_to, Some(4));
}

#[test]
fn another_function_unit_or_transaction_is_unasked() {
    for (transaction, unit, pdu) in
        [(2, 1, [0x04, 2, 0, 0]), (2, 9, [0x03, 2, 0, 0]), (7, 1, [0x03, 2, 0, 0])]
    {
        let mut flow = settled();
        flow.feed(Client, &adu(2, 1, &read(10, 1)));
        flow.feed(Server, &adu(transaction, unit, &pdu));
        let answer = &flow.out.said[3];
        assert_eq!(
            (answer.reply_to, &answer.objects[..], &answer.values[..]),
            (None, &[][..], &[][..])
        );
        assert_eq!(flow.kinds(), [NoticeKind::UnaskedResponse]);
        flow.feed(Server, &adu(2, 1, &[0x03, 2, 0, 0]));
        assert_eq!(flow.out.said[4].reply_to, Some(3), "the request still waits");
    }
}

#[test]
fn a_response_is_asked_for_once() {
    let mut flow = settled();
    flow.feed(Server, &adu(1, 1, &[0x03, 2, 0, 0]));
    assert_eq!(flow.kinds(), [NoticeKind::UnaskedResponse]);
}

#[test]
fn an_unasked_echo_names_its_own_object() {
    let mut flow = settled();
    flow.feed(Server, &adu(9, 1, &[0x06, 0, 5, 0, 7]));
    assert_eq!(flow.out.said[2].objects[0].1, 5);
    assert_eq!(flow.out.said[2].values, [(0, 0, ValueKind::Unsigned, 7)]);
}

#[test]
fn responses_in_the_middle_of_a_flow_are_excused() {
    let mut flow = Flow::tcp();
    flow.feed(Server, &adu(7, 1, &[0x03, 2, 0, 0])).feed(Server, &adu(8, 1, &[0x03, 2, 0, 0]));
    assert_eq!((flow.out.said.len(), flow.kinds()), (2, vec![]));
    flow.feed(Client, &adu(9, 1, &read(0, 1))).feed(Server, &adu(9, 1, &[0x03, 2, 0, 0]));
    flow.feed(Server, &adu(8, 1, &[0x03, 2, 0, 0]));
    assert_eq!(flow.kinds(), [NoticeKind::UnaskedResponse], "requests are seen by now");
}

#[test]
fn a_gap_excuses_both_parties() {
    let mut flow = settled();
    flow.feed(Client, &adu(2, 1, &read(10, 1))).feed(Client, &adu(3, 1, &read(20, 1)));
    flow.gap(Client);
    flow.feed(Server, &adu(2, 1, &[0x03, 2, 0, 7]));
    assert_eq!(flow.out.said[4].reply_to, Some(3), "what waited can still be answered");
    flow.feed(Server, &adu(50, 1, &[0x03, 2, 0, 7]));
    flow.expire(i64::MAX);
    assert_eq!(flow.kinds(), [], "neither the lost request nor the lost answer is a fault");
}

#[test]
fn patience_ends() {
    let mut flow = settled();
    flow.at(1_000).feed(Client, &adu(2, 1, &read(10, 1)));
    flow.expire(PATIENCE + 999);
    assert_eq!(flow.kinds(), []);
    flow.expire(PATIENCE + 1_000).expire(i64::MAX);
    assert_eq!(flow.kinds(), [NoticeKind::UnansweredRequest]);
    let told = flow.out.noticed[0].of.expect("it is dated");
    assert_eq!((told.id, told.frame, told.time), (3, 3, 1_000));
    flow.feed(Server, &adu(2, 1, &[0x03, 2, 0, 7]));
    assert_eq!(flow.kinds()[1..], [NoticeKind::UnaskedResponse], "too late");
}

#[test]
fn the_table_is_bounded() {
    let mut flow = settled();
    for transaction in 0..MAX_WAITING as u16 + 3 {
        flow.feed(Client, &adu(100 + transaction, 1, &read(0, 1)));
    }
    assert_eq!(flow.kinds(), [NoticeKind::UnansweredRequest; 3]);
    let given_up: Vec<_> = flow.out.noticed.iter().map(|it| it.of.map(|told| told.id)).collect();
    assert_eq!(given_up, [Some(3), Some(4), Some(5)], "the oldest first");
}

#[test]
fn a_response_of_another_size_has_no_values() {
    let mut flow = settled();
    flow.feed(Client, &adu(2, 1, &read(10, 3))).feed(Server, &adu(2, 1, &[0x03, 2, 0, 7]));
    assert_eq!((flow.out.said[3].reply_to, flow.out.said[3].values.len()), (Some(3), 0));
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
}

/// What is said of a second answer.
fn said_of_another(answer: &[u8], after: i64) -> Vec<String> {
    let mut flow = settled();
    flow.at(0).feed(Client, &adu(2, 1, &read(10, 1))).feed(Server, &adu(2, 1, &[0x03, 2, 0, 7]));
    flow.at(after).feed(Server, &adu(2, 1, answer));
    assert_eq!(flow.kinds(), [NoticeKind::UnaskedResponse]);
    flow.out.noticed.iter().map(|noticed| noticed.detail.clone()).collect()
}

#[test]
fn a_second_answer_is_told_from_one_that_nobody_asked_for() {
    let before = "the request was answered before, with";
    assert_eq!(said_of_another(&[0x03, 2, 0, 9], 1), [format!("{before} another answer")]);
    assert_eq!(said_of_another(&[0x03, 2, 0, 7], 1), [format!("{before} the same answer")]);
    let unasked = ["no request of this transaction, unit and function waits"];
    assert_eq!(said_of_another(&[0x03, 2, 0, 9], PATIENCE), unasked);
}
