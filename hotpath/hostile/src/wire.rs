//! Frames of attackers, byte by byte.

use crate::frames::Listed;

/// An IPv4 address and a port.
pub type Socket = ([u8; 4], u16);

/// Ethernet between two who are told by their IPv4 addresses.
#[must_use]
pub fn ethernet(from: [u8; 4], to: [u8; 4], head: &[u8], payload: &[u8]) -> Listed {
    let mac = |address: [u8; 4]| [&[2, 0][..], &address].concat();
    Listed::ethernet([&mac(to)[..], &mac(from), head, payload].concat())
}

/// IPv4 around a piece of a payload: identification, offset in bytes, whether more follows.
#[must_use]
pub fn fragment(
    from: [u8; 4],
    to: [u8; 4],
    protocol: u8,
    (id, offset, more): (u16, u16, bool),
    payload: &[u8],
) -> Listed {
    let place = (offset / 8) | if more { 0x2000 } else { 0 };
    let head = [
        &[0x45, 0][..],
        &((20 + payload.len()) as u16).to_be_bytes(),
        &id.to_be_bytes(),
        &place.to_be_bytes(),
        &[64, protocol, 0, 0],
        &from,
        &to,
    ];
    ethernet(from, to, &[8, 0], &[&head.concat()[..], payload].concat())
}

/// A TCP segment: sequence, acknowledgment, flags.
#[must_use]
pub fn tcp(
    from: Socket,
    to: Socket,
    (sequence, acknowledgment, flags): (u32, u32, u8),
    payload: &[u8],
) -> Listed {
    let head = [
        &from.1.to_be_bytes()[..],
        &to.1.to_be_bytes(),
        &sequence.to_be_bytes(),
        &acknowledgment.to_be_bytes(),
        &[0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0],
        payload,
    ];
    fragment(from.0, to.0, 6, (0, 0, false), &head.concat())
}

/// A UDP datagram.
#[must_use]
pub fn udp(from: Socket, to: Socket, payload: &[u8]) -> Listed {
    let head = [from.1, to.1, 8 + payload.len() as u16, 0].map(u16::to_be_bytes).concat();
    fragment(from.0, to.0, 17, (0, 0, false), &[&head, payload].concat())
}

/// An MBAP header around a PDU.
#[must_use]
pub fn adu(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let head = [transaction, 0, 1 + pdu.len() as u16].map(u16::to_be_bytes).concat();
    [&head[..], &[unit], pdu].concat()
}
