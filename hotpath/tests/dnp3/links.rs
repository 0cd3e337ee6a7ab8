//! What link layers say to each other.

use hotpath::protocols::Party::{self, Client, Server};
use hotpath::words::{Activity, NoticeKind, Role};

use crate::recorder::{Flow, MASTER, OUTSTATION, frame};

/// A frame of the master, or of the outstation.
fn link(from: Party, control: u8) -> Vec<u8> {
    match from {
        Client => frame(0x80 | control, OUTSTATION, MASTER, &[]),
        Server => frame(control, MASTER, OUTSTATION, &[]),
    }
}

#[test]
fn requests_and_their_answers() {
    for (asks, asked, answered, status, activity) in [
        (0x40, 0x100, 0x00, 0, Activity::Session), // reset link states: acknowledged
        (0x41, 0x101, 0x00, 0, Activity::Control), // reset user process
        (0x72, 0x102, 0x01, 0x8001, Activity::Session), // test link states: refused
        (0x49, 0x109, 0x0B, 0, Activity::Session), // request link status: its status
        (0x49, 0x109, 0x0F, 0x800F, Activity::Session), // not supported
    ] {
        for (from, to) in [(Client, Server), (Server, Client)] {
            let mut flow = Flow::tcp();
            flow.feed(from, &link(from, asks)).feed(to, &link(to, answered));
            assert_eq!(flow.functions(), [asked, asked]);
            let told = &flow.out.said;
            assert_eq!((told[0].role, told[1].role), (Role::Request, Role::Response));
            assert_eq!((told[0].unit, told[1].unit), (10, 10), "the outstation's address");
            assert_eq!((told[1].reply_to, told[1].status), (Some(1), status));
            assert_eq!((told[0].activity, told[1].activity), (activity, activity));
            assert_eq!(flow.expire(i64::MAX).kinds(), []);
        }
    }
}

#[test]
fn what_nobody_was_heard_to_ask() {
    let mut flow = Flow::tcp();
    flow.feed(Server, &link(Server, 0x00)).feed(Server, &link(Server, 0x0B));
    assert_eq!((flow.functions(), flow.kinds()), (vec![0x110, 0x11B], vec![]));
}

#[test]
fn a_link_that_does_not_answer() {
    let mut flow = Flow::tcp();
    flow.feed(Client, &link(Client, 0x49)).expire(i64::MAX);
    assert_eq!(flow.kinds(), [NoticeKind::UnansweredRequest]);
}

#[test]
fn confirmed_user_data() {
    let mut flow = Flow::tcp();
    let user = [0xC0, 0xC1, 13];
    flow.feed(Client, &frame(0xF3, OUTSTATION, MASTER, &user)).feed(Server, &link(Server, 0x00));
    assert_eq!((flow.functions(), flow.kinds()), (vec![13, 0x110], vec![]));
}

#[test]
fn user_data_without_any() {
    let mut flow = Flow::tcp();
    flow.feed(Client, &link(Client, 0x44));
    assert_eq!((flow.functions(), flow.kinds()), (vec![], vec![NoticeKind::MalformedPdu]));
}
