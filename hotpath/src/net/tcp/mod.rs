//! TCP (RFC 9293): headers, connections, reassembly.
//!
//! Where a capture cannot tell what the receiver took, the rules are: the bytes that came first
//! win, a hole is waited for until the receiver acknowledges it or a bound is met, and no forged
//! segment may make the rest of a connection unreadable: a sender that repeats what its receiver
//! still waits for, and that was not surely delivered, is read from there on. Where the capture
//! lacks the acknowledgments, a segment forged ahead hides what it steps over, at most
//! [`MAX_AHEAD`] bytes.

mod connection;
mod header;
mod pending;
mod reassembly;
mod recent;
mod stream;
#[cfg(test)]
mod tests;

pub use connection::{Accepted, Connection};
pub use header::{Flags, PROTOCOL, Segment, parse};
pub use pending::{MAX_PENDING_BYTES, MAX_PENDING_SEGMENTS};
pub use stream::{CAUSE_NANOSECONDS, Counters, HOLE_NANOSECONDS, MAX_AHEAD};

/// How far `to` lies behind `from` (negative: before it) in sequence numbers, which wrap.
#[inline]
const fn distance(from: u32, to: u32) -> i32 {
    i32::from_ne_bytes(to.wrapping_sub(from).to_ne_bytes())
}

/// Bytes that all connections together may hold back. What a connection holds it gives back when
/// it delivers or finishes; a connection must therefore be finished before it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    used: usize,
    limit: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { used: 0, limit }
    }

    /// Bytes that are held back now.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// Is another size from now on.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    const fn has_room(&self, bytes: usize) -> bool {
        self.used.saturating_add(bytes) <= self.limit
    }

    fn take(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(bytes);
    }

    fn give(&mut self, bytes: usize) {
        debug_assert!(self.used >= bytes, "more is given back than was taken");
        self.used = self.used.saturating_sub(bytes);
    }
}
