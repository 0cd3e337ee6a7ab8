//! Flows of Modbus, and its ADUs.

use hotpath::protocols::Transport;
use hotpath::protocols::modbus::PROTOCOL;

pub use crate::common::{Carried, Flow, Said};

impl Flow {
    pub fn new(transport: Transport) -> Self {
        Self::of(&PROTOCOL, transport)
    }

    pub fn tcp() -> Self {
        Self::new(Transport::Tcp)
    }
}

/// An MBAP header and a PDU.
pub fn adu(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let [high, low] = (pdu.len() as u16 + 1).to_be_bytes();
    let [first, second] = transaction.to_be_bytes();
    [&[first, second, 0, 0, high, low, unit], pdu].concat()
}

/// An RTU frame; the CRC is computed bit by bit, unlike the decoder's.
pub fn rtu(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let body = [&[unit], pdu].concat();
    let mut crc = 0xFFFF_u16;
    for byte in &body {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
        }
    }
    [body, crc.to_le_bytes().to_vec()].concat()
}
