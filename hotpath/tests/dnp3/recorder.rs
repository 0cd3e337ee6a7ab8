//! Flows of DNP3, and its frames.

use hotpath::protocols::Party::{Client, Server};
use hotpath::protocols::Transport;
use hotpath::protocols::dnp3::PROTOCOL;

pub use crate::common::{Carried, Flow, Said, Touched};

/// The link address of the outstation, and of the master.
pub const OUTSTATION: u16 = 10;
pub const MASTER: u16 = 1;

impl Flow {
    pub fn new(transport: Transport) -> Self {
        Self::of(&PROTOCOL, transport)
    }

    pub fn tcp() -> Self {
        Self::new(Transport::Tcp)
    }

    /// A fragment of the master, in one frame.
    pub fn ask(&mut self, fragment: &[u8]) -> &mut Self {
        self.feed(Client, &asked(fragment))
    }

    /// A fragment of the outstation, in one frame.
    pub fn answer(&mut self, fragment: &[u8]) -> &mut Self {
        self.feed(Server, &answered(fragment))
    }

    /// The last message.
    pub fn last(&self) -> &Said {
        self.out.said.last().expect("something was said")
    }
}

/// The CRC of a block; computed bit by bit, unlike the decoder's.
pub fn crc(bytes: &[u8]) -> [u8; 2] {
    let mut crc = 0_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA6BC } else { crc >> 1 };
        }
    }
    (!crc).to_le_bytes()
}

/// A link frame.
pub fn frame(control: u8, destination: u16, source: u16, user: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x05, 0x64, user.len() as u8 + 5, control];
    bytes.extend(destination.to_le_bytes());
    bytes.extend(source.to_le_bytes());
    bytes.extend(crc(&bytes));
    for block in user.chunks(16) {
        bytes.extend(block);
        bytes.extend(crc(block));
    }
    bytes
}

/// A fragment of the master in one frame: DIR, PRM, unconfirmed user data.
pub fn asked(fragment: &[u8]) -> Vec<u8> {
    frame(0xC4, OUTSTATION, MASTER, &[&[0xC0], fragment].concat())
}

/// A fragment of the outstation in one frame.
pub fn answered(fragment: &[u8]) -> Vec<u8> {
    frame(0x44, MASTER, OUTSTATION, &[&[0xC0], fragment].concat())
}

/// A fragment of the outstation in as many frames as it takes, the first segment numbered.
pub fn segments(fragment: &[u8], first: u8, size: usize) -> Vec<Vec<u8>> {
    let count = fragment.len().div_ceil(size);
    (fragment.chunks(size).enumerate())
        .map(|(place, segment)| {
            let flags =
                if place == 0 { 0x40 } else { 0 } | if place + 1 == count { 0x80 } else { 0 };
            let head = flags | ((first + place as u8) & 0x3F);
            frame(0x44, MASTER, OUTSTATION, &[&[head], segment].concat())
        })
        .collect()
}
