//! Send and receive sequence numbers.

use hotpath::protocols::Party::{Client, Server};
use hotpath::words::NoticeKind;

use crate::apdus::{STARTDT, STARTDT_CON, ack, asdu, flow, info};
use crate::common::Flow;

fn point(send: u16, receive: u16) -> Vec<u8> {
    info(send, receive, &asdu(1, 3, 9, &[1]))
}

fn command(send: u16, receive: u16) -> Vec<u8> {
    info(send, receive, &asdu(106, 3, 0, &[1, 0]))
}

/// A flow in which numbers up to 3 were sent by the server, and 1 by the client.
fn counted() -> Flow {
    let mut flow = flow();
    flow.feed(Client, &STARTDT).feed(Server, &STARTDT_CON);
    for number in 0..3 {
        flow.feed(Server, &point(number, 0));
    }
    flow.feed(Client, &command(0, 3)).feed(Client, &ack(3));
    assert_eq!(flow.kinds(), []);
    flow
}

fn broken(flow: &Flow) -> Vec<&str> {
    assert!(flow.kinds().iter().all(|kind| *kind == NoticeKind::OutOfSequence));
    flow.out.noticed.iter().map(|it| &*it.detail).collect()
}

#[test]
fn a_removed_frame_shows_once() {
    let mut flow = counted();
    flow.feed(Server, &point(4, 1)).feed(Server, &point(5, 1));
    assert_eq!(broken(&flow), ["send sequence number 4 where 3 was expected"]);
}

#[test]
fn a_repeated_frame_shows_once() {
    let mut flow = counted();
    flow.feed(Server, &point(1, 0)).feed(Server, &point(3, 1)).feed(Server, &point(4, 1));
    let expected = "send sequence number 1, which was used before, where 3 was expected";
    assert_eq!(broken(&flow), [expected]);
}

#[test]
fn who_starts_again_is_told_once() {
    let mut flow = counted();
    for number in 0..3 {
        flow.feed(Server, &point(number, 1));
    }
    let expected = "send sequence number 0, which was used before, where 3 was expected";
    assert_eq!(broken(&flow), [expected]);
}

#[test]
fn swapped_frames_show() {
    let mut flow = counted();
    flow.feed(Server, &point(4, 1)).feed(Server, &point(3, 1)).feed(Server, &point(5, 1));
    let (jumps, repeats) = (
        "send sequence number 4 where 3 was expected",
        "send sequence number 3, which was used before, where 5 was expected",
    );
    assert_eq!(broken(&flow), [jumps, repeats]);
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    let mut flow = counted();
    flow.feed(Client, &ack(4));
    let expected = "receive sequence number 4 acknowledges frames that were never sent: at most 3 was expected";
    assert_eq!(broken(&flow), [expected]);
    flow.feed(Client, &ack(3));
    assert_eq!(flow.kinds().len(), 1, "a forged one is not believed");
}

#[test]
fn what_was_acknowledged_stays_so() {
    let mut flow = counted();
    flow.feed(Client, &ack(1));
    let expected =
        "receive sequence number 1 takes back what was acknowledged: at least 3 was expected";
    assert_eq!(broken(&flow), [expected]);
}

#[test]
fn numbers_go_around() {
    let mut flow = flow();
    for number in [32_766, 32_767, 0, 1] {
        flow.feed(Server, &point(number, 0)).feed(Client, &ack((number + 1) % 32_768));
    }
    assert_eq!(flow.kinds(), []);
}

#[test]
fn a_gap_and_the_start_of_a_capture_excuse() {
    let mut flow = flow();
    flow.feed(Server, &point(700, 30)).feed(Client, &command(31, 701));
    assert_eq!(flow.kinds(), [], "in the middle of a connection");
    flow.gap(Server).feed(Client, &ack(720)).feed(Server, &point(725, 32));
    assert_eq!(flow.kinds(), [], "frames of the server are not in the capture");
    flow.feed(Server, &point(727, 32));
    assert_eq!(broken(&flow), ["send sequence number 727 where 726 was expected"]);
}
