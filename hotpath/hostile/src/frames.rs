//! Frames as fuzzers see them: a list in bytes, of which every sequence of bytes is one.
//!
//! Each frame has a head of four bytes (how, wait, length), and as many bytes as the length says,
//! or as there are.

use hotpath::source::LinkType;

/// Length of a frame's head.
const HEAD: usize = 4;

const SECOND: i64 = 1_000_000_000;

/// A frame of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Bits 0 to 2: the link type; 3: the snap length cut it; 4: a batch ends after it;
    /// 5: it goes the other way.
    pub how: u8,
    /// How long after the one before; see [`Listed::wait`].
    pub wait: u8,
    /// Its bytes as they stand in the list.
    pub data: Vec<u8>,
}

impl Listed {
    /// An Ethernet frame a millisecond after the one before.
    #[must_use]
    pub const fn ethernet(data: Vec<u8>) -> Self {
        Self { how: 0, wait: 1, data }
    }

    /// The link type.
    #[must_use]
    pub const fn link(&self) -> LinkType {
        match self.how & 7 {
            3 => LinkType::RawIp,
            4 => LinkType::LinuxSll,
            5 => LinkType::LinuxSll2,
            6 => LinkType::Null,
            7 => LinkType::Other(147),
            _ => LinkType::Ethernet,
        }
    }

    /// Bytes that the snap length cut off.
    #[must_use]
    pub const fn cut(&self) -> u32 {
        if self.how & 8 == 0 { 0 } else { 7 }
    }

    /// Whether a batch ends after it.
    #[must_use]
    pub const fn ends_batch(&self) -> bool {
        self.how & 16 != 0
    }

    /// Nanoseconds after the one before: milliseconds, seconds, hours, or back in time.
    #[must_use]
    pub fn wait(&self) -> i64 {
        let wait = i64::from(self.wait);
        match wait {
            0..200 => wait * 1_000_000,
            200..240 => (wait - 199) * SECOND / 2,
            240..248 => (wait - 239) * 600 * SECOND,
            _ => (247 - wait) * SECOND / 2,
        }
    }

    /// Its bytes on the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.data.clone();
        if self.how & 32 != 0 && self.link() == LinkType::Ethernet {
            turn(&mut bytes);
        }
        bytes
    }
}

/// Sends an Ethernet frame the other way: addresses and ports change places.
pub fn turn(frame: &mut [u8]) {
    swap(frame, 0, 6, 6);
    let (addresses, ports) = match frame.get(12..15) {
        Some([8, 0, version]) => ((26, 4), 14 + usize::from(version & 15) * 4),
        Some([0x86, 0xDD, _]) => ((22, 16), 54),
        _ => return,
    };
    swap(frame, addresses.0, addresses.0 + addresses.1, addresses.1);
    swap(frame, ports, ports + 2, 2);
}

fn swap(frame: &mut [u8], one: usize, other: usize, length: usize) {
    if other + length <= frame.len() && one + length <= other {
        let (head, tail) = frame.split_at_mut(other);
        head[one..one + length].swap_with_slice(&mut tail[..length]);
    }
}

/// The frames of a list.
#[must_use]
pub fn read(mut list: &[u8]) -> Vec<Listed> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = list.split_at_checked(HEAD) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])).min(rest.len());
        let (data, rest) = rest.split_at(length);
        frames.push(Listed { how: head[0], wait: head[1], data: data.to_vec() });
        list = rest;
    }
    frames
}

/// The list of frames; of each at most 65,535 bytes.
#[must_use]
pub fn write(frames: &[Listed]) -> Vec<u8> {
    let mut list = Vec::new();
    for frame in frames {
        let data = &frame.data[..frame.data.len().min(0xFFFF)];
        list.extend([frame.how, frame.wait]);
        list.extend((data.len() as u16).to_be_bytes());
        list.extend(data);
    }
    list
}
