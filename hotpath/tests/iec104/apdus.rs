//! APDUs as bytes, and flows of them.

use hotpath::protocols::Transport;
use hotpath::protocols::iec104::PROTOCOL;

use crate::common::Flow;

pub const STARTDT: [u8; 6] = [0x68, 4, 0x07, 0, 0, 0];
pub const STARTDT_CON: [u8; 6] = [0x68, 4, 0x0B, 0, 0, 0];
pub const STOPDT: [u8; 6] = [0x68, 4, 0x13, 0, 0, 0];
pub const STOPDT_CON: [u8; 6] = [0x68, 4, 0x23, 0, 0, 0];
pub const TESTFR: [u8; 6] = [0x68, 4, 0x43, 0, 0, 0];
pub const TESTFR_CON: [u8; 6] = [0x68, 4, 0x83, 0, 0, 0];

/// An I frame.
pub fn info(send: u16, receive: u16, asdu: &[u8]) -> Vec<u8> {
    let ([s0, s1], [r0, r1]) = ((send << 1).to_le_bytes(), (receive << 1).to_le_bytes());
    [&[0x68, asdu.len() as u8 + 4, s0, s1, r0, r1], asdu].concat()
}

/// An S frame.
pub fn ack(receive: u16) -> Vec<u8> {
    let [low, high] = (receive << 1).to_le_bytes();
    vec![0x68, 4, 1, 0, low, high]
}

/// An ASDU of one object of common address 7, sent without originator.
pub fn asdu(type_id: u8, cause: u8, address: u16, element: &[u8]) -> Vec<u8> {
    let [low, high] = address.to_le_bytes();
    [&[type_id, 1, cause, 0, 7, 0, low, high, 0], element].concat()
}

pub fn flow() -> Flow {
    Flow::of(&PROTOCOL, Transport::Tcp)
}
