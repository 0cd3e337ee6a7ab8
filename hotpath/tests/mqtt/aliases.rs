//! Topic aliases of MQTT 5.0.

use hotpath::protocols::Party::{Client, Server};
use hotpath::words::{Access, NoticeKind};

use crate::packets::{connect, flow, last, names, publish_5, session};

const ONE: [u8; 3] = [0x23, 0, 1];

#[test]
fn a_number_stands_for_a_topic_in_its_direction() {
    let mut flow = session(5);
    flow.feed(Client, &publish_5("a", &ONE, b"1")).feed(Client, &publish_5("", &ONE, b"2"));
    assert_eq!(names(last(&flow)), ["a"]);
    flow.feed(Server, &publish_5("", &ONE, b"2"));
    assert_eq!(last(&flow).objects, [("topic-alias", 1, 1, Access::Report, 0)]);
    flow.feed(Server, &publish_5("b", &ONE, b"2")).feed(Server, &publish_5("", &ONE, b"2"));
    assert_eq!(names(last(&flow)), ["b"]);
    flow.feed(Client, &publish_5("c", &ONE, b"2")).feed(Client, &publish_5("", &ONE, b"2"));
    assert_eq!(names(last(&flow)), ["c"], "given anew");
    assert_eq!(flow.kinds(), []);
}

#[test]
fn a_gap_and_a_new_session_forget_them() {
    let mut flow = session(5);
    flow.feed(Client, &publish_5("a", &ONE, b"1")).feed(Server, &publish_5("b", &ONE, b"1"));
    flow.gap(Client);
    flow.feed(Client, &publish_5("", &ONE, b"2"));
    assert_eq!(last(&flow).objects[0].0, "topic-alias");
    flow.feed(Server, &publish_5("", &ONE, b"2"));
    assert_eq!(names(last(&flow)), ["b"]);
    flow.feed(Client, &connect(5, 2, &[])).feed(Server, &publish_5("", &ONE, b"2"));
    assert_eq!(last(&flow).objects[0].0, "topic-alias");
}

#[test]
fn too_many_are_said_once() {
    let mut flow = session(5);
    for alias in 1..=600_u16 {
        let [high, low] = alias.to_be_bytes();
        flow.feed(Client, &publish_5("t", &[0x23, high, low], b"1"));
    }
    assert_eq!(flow.kinds(), [NoticeKind::TableFull]);
    flow.feed(Client, &publish_5("", &[0x23, 0x02, 0x58], b"1"));
    assert_eq!(last(&flow).objects[0], ("topic-alias", 600, 1, Access::Report, 0));
}

#[test]
fn older_levels_have_none() {
    let mut flow = flow();
    flow.feed(Client, &connect(4, 2, &[])).feed(Client, &[0x30, 2, 0, 0]);
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
}
