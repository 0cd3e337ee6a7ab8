//! Control packets as bytes, and flows of them.

use hotpath::protocols::Transport;
use hotpath::protocols::mqtt::PROTOCOL;

use crate::common::{Flow, Said};

pub const PINGREQ: [u8; 2] = [0xC0, 0];
pub const PINGRESP: [u8; 2] = [0xD0, 0];
/// Accepted, by a broker of up to MQTT 3.1.1, and by one of 5.0.
pub const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];
pub const ACCEPTED_5: [u8; 5] = [0x20, 3, 0, 0, 0];

/// A packet with this first byte and body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let more = if left >= 128 { 0x80 } else { 0 };
        bytes.push((left % 128) as u8 | more);
        left /= 128;
        if left == 0 {
            break;
        }
    }
    [bytes, body.to_vec()].concat()
}

/// A string with its length.
pub fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// A CONNECT of the client "c" with keep alive 60, up to its client identifier.
pub fn connect(level: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    let name = if level & 0x7F == 3 { "MQIsdp" } else { "MQTT" };
    let properties: &[u8] = if level & 0x7F == 5 { &[0] } else { &[] };
    let head = [&text(name)[..], &[level, flags, 0, 60], properties, &text("c"), rest];
    packet(0x10, &head.concat())
}

/// A PUBLISH up to MQTT 3.1.1; the identifier is left out at quality of service 0.
pub fn publish(flags: u8, topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes();
    let id: &[u8] = if flags & 6 == 0 { &[] } else { &id };
    packet(0x30 | flags, &[&text(topic)[..], id, payload].concat())
}

/// A PUBLISH of MQTT 5.0, of quality of service 0.
pub fn publish_5(topic: &str, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = [properties.len() as u8];
    packet(0x30, &[&text(topic)[..], &length, properties, payload].concat())
}

pub fn flow() -> Flow {
    let mut flow = Flow::of(&PROTOCOL, Transport::Tcp);
    flow.most = 8_192;
    flow
}

/// A flow in which a client of this level was accepted.
pub fn session(level: u8) -> Flow {
    use hotpath::protocols::Party::{Client, Server};
    let mut flow = flow();
    flow.feed(Client, &connect(level, 2, &[]));
    flow.feed(Server, if level == 5 { &ACCEPTED_5 } else { &ACCEPTED });
    assert_eq!((flow.functions(), flow.kinds()), (vec![1, 2], vec![]));
    flow
}

/// What was said last.
pub fn last(flow: &Flow) -> &Said {
    flow.out.said.last().expect("something was said")
}

/// Its names, where it has one.
pub fn names(said: &Said) -> Vec<&str> {
    said.names.iter().map(|name| name.as_deref().unwrap_or("-")).collect()
}
