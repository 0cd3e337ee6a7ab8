//! Sources of frames: capture files, and what is kept of a live one.
//!
//! Live interfaces are listened to by a crate of their own, since that takes unsafe code.

use std::fmt;

pub mod evidence;
pub mod file;
mod gzip;
mod pcap;
mod pcapng;
pub mod recent;
pub mod steps;
mod stream;
mod zstd;

/// What the bytes of a frame begin with: the pcap link types that are understood.
/// Numbers: <https://www.tcpdump.org/linktypes.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkType {
    /// BSD loopback: address family in the capturing host's byte order (0), or big-endian (108).
    Null,
    /// Ethernet (1).
    Ethernet,
    /// Raw IPv4 or IPv6 (12, 14, 101, 228, 229).
    RawIp,
    /// Linux cooked v1 (113).
    LinuxSll,
    /// Linux cooked v2 (276).
    LinuxSll2,
    /// Any other link type, by number: counted, not decoded.
    Other(u16),
}

impl LinkType {
    /// The link type of a number in a capture file.
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        match number {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            // 12 and 14 are what operating systems call 101 in memory; old files have them too.
            12 | 14 | 101 | 228 | 229 => Self::RawIp,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            other => Self::Other(other),
        }
    }
}

/// One captured link-layer frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Counted from 1 in capture order, as in Wireshark.
    pub number: u64,
    /// Nanoseconds since the epoch, capture time.
    pub time: i64,
    /// What `data` begins with.
    pub link: LinkType,
    /// Which interface of the capture it came from.
    pub interface: u32,
    /// The captured bytes.
    pub data: &'a [u8],
    /// The length on the wire; larger than `data.len()` where a snap length cut the frame.
    pub original_length: u32,
}

/// Damage inside a capture: everything before it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Offset of the damaged record in the (decompressed) stream, in bytes.
    pub offset: u64,
    /// What is wrong, in words.
    pub what: &'static str,
}

/// What a source can tell of itself at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceHealth {
    /// Frames yielded.
    pub frames: u64,
    /// Captured bytes yielded.
    pub bytes: u64,
    /// Frames that a snap length cut.
    pub snapped: u64,
    /// Records or blocks that were passed over without a frame.
    pub skipped: u64,
    /// Bytes of the file read so far (compressed, for a progress bar).
    pub read: u64,
    /// Damage that was met; reading may have gone on after it.
    pub damages: Vec<Damage>,
}

/// Why a source cannot be read at all: the user's fault, one clear line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    /// The file or interface.
    pub name: String,
    /// Offset in bytes where it went wrong.
    pub offset: u64,
    /// What is wrong, in words.
    pub what: String,
}

impl fmt::Display for SourceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} (at byte {})", self.name, self.what, self.offset)
    }
}

impl std::error::Error for SourceError {}

/// Yields frames in capture order.
pub trait Source: Send {
    /// The next frame, or `None` at the end. Damage ends or thins the stream and is told by
    /// [`Source::health`]; it is never an error here.
    fn next_frame(&mut self) -> Option<Frame<'_>>;

    /// Counters so far.
    fn health(&self) -> &SourceHealth;
}
