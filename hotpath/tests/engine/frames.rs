//! Frames, byte by byte.

/// An end of a flow: the last octet of its address in 10.0.0.0/24, and its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    pub address: [u8; 4],
    pub port: u16,
}

pub const fn host(last: u8, port: u16) -> Host {
    Host { address: [10, 0, 0, last], port }
}

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

fn mac(address: [u8; 4]) -> [u8; 6] {
    let [a, b, c, d] = address;
    [0x02, 0x00, a, b, c, d]
}

/// Ethernet: receiver, sender, type, payload.
pub fn ethernet(from: [u8; 4], to: [u8; 4], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let head = [&mac(to)[..], &mac(from)[..], &ether_type.to_be_bytes()[..]];
    [&head.concat()[..], payload].concat()
}

/// IPv4 around a whole payload.
pub fn ip(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    fragment(from, to, protocol, (0, 0, false), payload)
}

/// IPv4 around a piece of a payload: identification, offset in bytes, whether more follows.
pub fn fragment(
    from: [u8; 4],
    to: [u8; 4],
    protocol: u8,
    (id, offset, more): (u16, u16, bool),
    payload: &[u8],
) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let place = (offset / 8) | if more { 0x2000 } else { 0 };
    let head = [
        &[0x45, 0x00][..], // version 4, five words; no service
        &length.to_be_bytes(),
        &id.to_be_bytes(),
        &place.to_be_bytes(),
        &[64, protocol, 0x00, 0x00], // TTL, protocol, no checksum
        &from,
        &to,
    ];
    ethernet(from, to, 0x0800, &[&head.concat()[..], payload].concat())
}

/// A TCP header and its payload.
pub fn segment(from: Host, to: Host, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let head = [
        &from.port.to_be_bytes()[..],
        &to.port.to_be_bytes(),
        &seq.to_be_bytes(),
        &ack.to_be_bytes(),
        &[0x50, flags, 0xFF, 0xFF], // five words; window
        &[0x00; 4],                 // no checksum, not urgent
    ];
    [&head.concat()[..], payload].concat()
}

/// A TCP segment in a frame.
pub fn tcp(from: Host, to: Host, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    ip(from.address, to.address, 6, &segment(from, to, seq, ack, flags, payload))
}

/// A UDP datagram in a frame.
pub fn udp(from: Host, to: Host, payload: &[u8]) -> Vec<u8> {
    let head = [from.port, to.port, (8 + payload.len()) as u16, 0].map(u16::to_be_bytes);
    ip(from.address, to.address, 17, &[&head.concat()[..], payload].concat())
}

/// An ARP reply: `sender` says that it has the MAC of `owner`.
pub fn arp(sender: [u8; 4], owner: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let body = [
        &[0, 1, 8, 0, 6, 4, 0, 2][..], // Ethernet, IPv4, lengths, reply
        &mac(owner),
        &sender,
        &mac(target),
        &target,
    ];
    ethernet(owner, target, 0x0806, &body.concat())
}

/// Read holding registers (3): ten from `address` on.
pub fn ask(transaction: u16, address: u16) -> Vec<u8> {
    adu(transaction, 1, &[&[3][..], &address.to_be_bytes(), &[0, 10]].concat())
}

/// Its answer.
pub fn answer(transaction: u16) -> Vec<u8> {
    adu(transaction, 1, &[&[3, 20][..], &[0xAB; 20]].concat())
}

/// MBAP header around a PDU.
pub fn adu(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = (1 + pdu.len()) as u16;
    let head = [&transaction.to_be_bytes()[..], &[0, 0], &length.to_be_bytes(), &[unit]];
    [&head.concat()[..], pdu].concat()
}
