//! S7comm-plus at the level of functions.

use hotpath::protocols::Party;
use hotpath::words::{Access, Activity, NoticeKind, Role};

use crate::recorder::{Flow, connection, tsdu};

use Party::{Client, Server};

/// A PDU with its trailer.
pub fn pdu(version: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = (body.len() as u16).to_be_bytes();
    tsdu(&[&[0x72, version, high, low], body, &[0x72, version, 0, 0]].concat())
}

/// A request: function, sequence, session, transport flags.
pub fn request(function: u16, sequence: u16, body: &[u8]) -> Vec<u8> {
    let [f1, f2] = function.to_be_bytes();
    let [s1, s2] = sequence.to_be_bytes();
    [&[0x31, 0, 0, f1, f2, 0, 0, s1, s2, 0, 0, 3, 0xBE, 0x34], body].concat()
}

pub fn response(function: u16, sequence: u16, body: &[u8]) -> Vec<u8> {
    let [f1, f2] = function.to_be_bytes();
    let [s1, s2] = sequence.to_be_bytes();
    [&[0x32, 0, 0, f1, f2, 0, 0, s1, s2, 0x34], body].concat()
}

#[test]
fn a_session() {
    let mut flow = Flow::plus();
    flow.feed(Client, &connection(0xE0, &[6, 0], b"SIMATIC-ROOT-HMI"));
    assert_eq!(flow.last().objects[0].1, "SIMATIC-ROOT-HMI");
    flow.feed(Server, &connection(0xD0, &[6, 0], b"SIMATIC-ROOT-HMI"));
    flow.feed(Client, &pdu(1, &request(0x04CA, 1, &[0; 20])));
    let identity = b"\0\x15\x1b1;6ES7 211-1BE30-0XB0 ;V3.0\x82";
    flow.feed(Server, &pdu(1, &response(0x04CA, 1, identity)));
    assert_eq!(flow.functions(), [0x2E0, 0x2E0, 0x4CA, 0x4CA]);
    assert_eq!((flow.last().reply_to, flow.last().status), (Some(3), 0));
    let facts =
        [("vendor", "Siemens"), ("product-code", "6ES7 211-1BE30-0XB0"), ("revision", "V3.0")];
    assert_eq!(flow.out.facts, facts.map(|(key, value)| (key, value.to_owned())));
    flow.feed(Client, &pdu(2, &request(0x054C, 2, &[0; 20])));
    assert_eq!((flow.last().activity, flow.last().subfunction), (Activity::Read, 2));
    flow.feed(Server, &pdu(2, &response(0x054C, 2, &[0x82, 0x11])));
    assert_eq!(flow.last().status, 0x111, "what it returned");
    assert_eq!(flow.kinds(), []);
}

#[test]
fn protection_is_the_subfunction() {
    let mut flow = Flow::plus();
    let digest = [&[32][..], &[7; 32]].concat();
    flow.feed(Client, &pdu(3, &[&digest[..], &request(0x04F2, 1, &[])].concat()));
    assert_eq!((flow.last().function, flow.last().subfunction), (0x4F2, 0x103));
    flow.feed(Client, &pdu(3, &request(0x04F2, 2, &[])));
    assert_eq!(flow.last().subfunction, 3);
    flow.feed(Client, &tsdu(b"\x17\x03\x03\0\x05abcde"));
    assert_eq!((flow.last().function, flow.last().role), (0x1_0002, Role::Report));
    assert_eq!(flow.kinds(), []);
}

#[test]
fn a_variable_is_named() {
    let mut flow = Flow::plus();
    // Object 52, one attribute: 2167, the operating state.
    let body = [0, 0, 0, 52, 1, 0x90, 0x77, 0, 8, 1];
    flow.feed(Client, &pdu(2, &request(0x04F2, 1, &body)));
    let attribute = ("attribute", "52:2167".to_owned(), 1, Access::Write, 0);
    assert_eq!(flow.last().objects, [attribute]);
    flow.feed(Server, &pdu(2, &response(0x04F2, 1, &[0])));
    assert_eq!(flow.last().objects.len(), 1);
}

#[test]
fn a_request_may_say_that_nobody_answers_it() {
    for (flags, kinds) in [(0x74, vec![]), (0x34, vec![NoticeKind::UnansweredRequest])] {
        let mut asked = request(0x04F2, 1, &[]);
        asked[13] = flags;
        let mut flow = Flow::plus();
        flow.feed(Client, &pdu(2, &asked)).expire(6_000_000_000);
        assert_eq!((flow.functions(), flow.kinds()), (vec![0x4F2], kinds));
    }
}

#[test]
fn reports_and_other_operations() {
    let mut flow = Flow::plus();
    flow.feed(Server, &pdu(2, &[0x33, 0, 0, 0, 1]));
    assert_eq!((flow.last().function, flow.last().role), (0x1_0000, Role::Report));
    flow.feed(Server, &tsdu(&[0x72, 0xFE, 0, 2, 1, 2]));
    assert_eq!(flow.last().function, 0x1_0001);
    flow.feed(Server, &pdu(2, &[0x44, 1]));
    assert_eq!(flow.last().function, 0x1_0144);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn a_pdu_over_several_tsdus_is_one_message() {
    let mut flow = Flow::plus();
    flow.feed(Client, &pdu(2, &request(0x04BB, 1, &[])));
    let first = response(0x04BB, 1, &[0; 40]);
    flow.feed(Server, &tsdu(&[&[0x72, 2, 0, first.len() as u8], &first[..]].concat()));
    flow.feed(Server, &tsdu(&[0x72, 2, 0, 3, 1, 2, 3]));
    flow.feed(Server, &pdu(2, &[1, 2, 3]));
    assert_eq!(flow.functions(), [0x4BB, 0x4BB]);
    flow.feed(Server, &pdu(2, &[0x33, 0, 0, 0, 1]));
    assert_eq!(flow.functions().len(), 3);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn what_is_broken() {
    for broken in
        [&b"\x72"[..], b"\x72\x02\0\x09\x31", b"\x72\x02\0\0", b"\x72\x02\0\x05\x31\0\0\x04\xCA"]
    {
        let mut flow = Flow::plus();
        flow.feed(Client, &pdu(1, &request(0x04CA, 1, &[])));
        flow.feed(Client, &tsdu(broken));
        assert_eq!((flow.functions().len(), flow.kinds()), (1, vec![NoticeKind::MalformedPdu]));
    }
    let mut flow = Flow::plus();
    flow.feed(Client, &pdu(1, &request(0x04CA, 1, &[])));
    flow.feed(Client, &tsdu(b"\x32\x01\0\0\0\x01\0\0\0\0"));
    assert_eq!(flow.kinds(), [NoticeKind::ForeignProtocol]);
}
