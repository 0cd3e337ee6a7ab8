//! One direction of a connection: what was delivered, what is held, what is missing.

use super::pending::Pending;
use super::recent::Recent;
use super::{Budget, Flags, Segment, distance};
use crate::net::{Arrival, Receiver, Side};

/// Farther from the expected number than this, a segment belongs to a stream that was lost from
/// sight, or is forged.
pub const MAX_AHEAD: u32 = 4 * 1024 * 1024;
/// How long what was captured before its cause is held back, in capture time: mirror ports mix
/// the two directions by some microseconds, merged taps by milliseconds.
pub const CAUSE_NANOSECONDS: i64 = 50_000_000;
/// Segments that may be held back so.
const MAX_BLOCKED_SEGMENTS: usize = 16;
/// How long a hole is waited for, in capture time.
pub const HOLE_NANOSECONDS: i64 = 3_000_000_000;

/// What a stream knows; bits of [`Stream::marks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks(u8);

impl Marks {
    /// `next` is valid.
    pub(super) const KNOWN: u8 = 1;
    /// `next` was taken from a segment without data, which may have been a keep-alive.
    pub(super) const TENTATIVE: u8 = 2;
    /// `acked` is valid.
    pub(super) const ACKED: u8 = 4;
    /// `initial` is valid.
    pub(super) const SYN: u8 = 8;
    /// `fin` is valid.
    pub(super) const FIN: u8 = 16;
    /// The FIN was reached: the stream is whole.
    pub(super) const FINISHED: u8 = 32;
    /// There is a hole before what is held, acknowledged, or finished; or the stream is blocked.
    pub(super) const WAITING: u8 = 64;
    /// What is next acknowledges bytes of the other side that may yet come; `blocked_until` is
    /// valid.
    pub(super) const BLOCKED: u8 = 128;

    #[inline]
    pub(super) const fn has(self, marks: u8) -> bool {
        self.0 & marks != 0
    }

    pub(super) const fn set(&mut self, marks: u8) {
        self.0 |= marks;
    }

    pub(super) const fn clear(&mut self, marks: u8) {
        self.0 &= !marks;
    }
}

/// What was counted in one direction since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Segments.
    pub frames: u32,
    /// Segments that repeat bytes, in whole or in part.
    pub retransmissions: u32,
    /// Holes that were given up.
    pub gaps: u32,
    /// Keep-alives (RFC 9293 section 3.8.4).
    pub keep_alives: u32,
    /// Payload bytes as captured, repeated ones included.
    pub bytes: u64,
}

/// Where a segment stands to what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Within reach of the expected number, or the first that is seen.
    Near,
    /// Out of reach, but where the other side expects it: the stream goes on there.
    Elsewhere,
    /// Out of reach.
    Nowhere,
}

/// What handling a segment needs beside the stream.
pub(super) struct Context<'a, R> {
    pub(super) side: Side,
    pub(super) now: Arrival,
    pub(super) budget: &'a mut Budget,
    pub(super) receiver: &'a mut R,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) next: u32,
    /// The last number that the other side said it expects.
    pub(super) acked: u32,
    pub(super) initial: u32,
    pub(super) fin: u32,
    /// Numbers, from and to (equal for none), behind bytes that were delivered and contradicted:
    /// if those were forged, so was what follows them.
    pub(super) contradicted: (u32, u32),
    /// Numbers, from and to (equal for none), of the hole that was given up last.
    pub(super) hole: (u32, u32),
    pub(super) blocked_until: u32,
    pub(super) waiting_since: i64,
    pub(super) marks: Marks,
    pub(super) pending: Option<Box<Pending>>,
    pub(super) recent: Option<Box<Recent>>,
    pub(super) counters: Counters,
}

impl Stream {
    /// Whether a segment of plain data with this number needs nothing but delivery.
    #[inline]
    pub(super) const fn is_smooth(&self, sequence: u32) -> bool {
        const LOOKED_AT: u8 =
            Marks::KNOWN | Marks::TENTATIVE | Marks::FIN | Marks::FINISHED | Marks::WAITING;
        self.marks.0 & LOOKED_AT == Marks::KNOWN && self.next == sequence
    }

    /// Delivers bytes that are next, and that came with the frame `now`.
    #[inline]
    pub(super) fn deliver<R: Receiver>(
        &mut self,
        bytes: &[u8],
        side: Side,
        now: Arrival,
        receiver: &mut R,
    ) {
        receiver.data(side, bytes, now.frame, now);
        self.delivered(bytes);
    }

    #[inline]
    pub(super) fn delivered(&mut self, bytes: &[u8]) {
        self.recent.get_or_insert_default().push(self.next, bytes);
        self.next = self.next.wrapping_add(bytes.len() as u32);
    }

    /// Whether the other side acknowledges bytes that were not delivered.
    #[inline]
    pub(super) const fn lacks(&self, acknowledgment: u32) -> bool {
        self.marks.has(Marks::KNOWN) && distance(self.next, acknowledgment) > 0
    }

    /// Whether there is a hole before this number that the other side acknowledged, so that it is
    /// given up as soon as a segment comes from behind it.
    pub(super) fn gives_up_before(&self, sequence: u32) -> bool {
        self.marks.has(Marks::ACKED)
            && self.lacks(self.acked)
            && self.past(sequence).is_some_and(|past| past < 0)
    }

    /// Notes what the other side expects next.
    #[inline]
    pub(super) const fn note_acknowledgment(&mut self, acknowledgment: u32) {
        self.acked = acknowledgment;
        self.marks.set(Marks::ACKED);
    }

    /// Whether the other side said before that it has more than it says now. What a side expects
    /// never goes back (RFC 9293 section 3.4); what is out of reach is of another connection.
    pub(super) const fn had_acknowledged_more(&self, acknowledgment: u32) -> bool {
        let back = distance(acknowledgment, self.acked);
        self.marks.has(Marks::ACKED) && back > 0 && back.unsigned_abs() <= MAX_AHEAD
    }

    /// Whether the other side has all that a segment carries, and it was delivered before or
    /// fills the hole that was given up last.
    pub(super) fn is_of_the_past(&self, segment: &Segment<'_>) -> bool {
        let span = (segment.payload.len() as u32).saturating_add(segment.missing);
        let (start, end) = (segment.sequence, segment.sequence.wrapping_add(span));
        let unbroken = self.recent.as_ref().map_or(0, |recent| recent.unbroken());
        let behind = usize::try_from(distance(start, self.next)).ok();
        let (hole, within) =
            (self.hole.1.wrapping_sub(self.hole.0), start.wrapping_sub(self.hole.0));
        let was_missing = within < hole && span <= hole - within;
        span > 0
            && self.marks.has(Marks::KNOWN)
            && self.marks.has(Marks::ACKED)
            && distance(end, self.acked) >= 0
            && distance(end, self.next) >= 0
            && (behind.is_some_and(|behind| behind <= unbroken) || was_missing)
    }

    pub(super) const fn is_known(&self) -> bool {
        self.marks.has(Marks::KNOWN)
    }

    pub(super) const fn has_synchronised(&self) -> bool {
        self.marks.has(Marks::SYN)
    }

    pub(super) const fn has_fin(&self) -> bool {
        self.marks.has(Marks::FIN | Marks::FINISHED)
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.marks.has(Marks::FINISHED)
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.marks.has(Marks::WAITING)
    }

    pub(super) const fn holds_segments(&self) -> bool {
        self.pending.is_some()
    }

    /// The number that the other side must reach before this one goes on, if it is held back.
    pub(super) fn blocked_until(&self) -> Option<u32> {
        self.marks.has(Marks::BLOCKED).then_some(self.blocked_until)
    }

    /// Whether it has been held back for too long.
    pub(super) const fn is_blocked_too_long(&self, now: i64) -> bool {
        self.marks.has(Marks::BLOCKED) && now.saturating_sub(self.waiting_since) > CAUSE_NANOSECONDS
    }

    /// Whether one more segment may be held back.
    pub(super) fn may_block(&self, bytes: usize, budget: &Budget) -> bool {
        let held = self.pending.as_ref().map_or(0, |pending| pending.len());
        self.is_known()
            && !self.is_finished()
            && held < MAX_BLOCKED_SEGMENTS
            && budget.has_room(bytes.saturating_add(MAX_BLOCKED_SEGMENTS * 64))
    }

    /// Holds back what comes next until the other side has reached `number`.
    pub(super) fn block_until(&mut self, number: u32, now: Arrival) {
        if !self.marks.has(Marks::BLOCKED) {
            self.marks.set(Marks::BLOCKED | Marks::WAITING);
            self.blocked_until = number;
            self.waiting_since = now.time;
        } else if distance(self.blocked_until, number) > 0 {
            self.blocked_until = number;
        }
    }

    /// Whether the SYN with this number is the one that began the stream.
    pub(super) const fn began_at(&self, initial: u32) -> bool {
        self.marks.has(Marks::SYN) && self.initial == initial
    }

    /// How far the expected number is past `sequence`, if known.
    pub(super) fn past(&self, sequence: u32) -> Option<i32> {
        self.is_known().then(|| distance(sequence, self.next))
    }

    /// How far `sequence` is from what is expected next, by this side or by its peer.
    pub(super) fn offset_of(&self, sequence: u32) -> Option<i32> {
        let expected = if self.marks.has(Marks::KNOWN) {
            self.next
        } else if self.marks.has(Marks::ACKED) {
            self.acked
        } else {
            return None;
        };
        Some(distance(expected, sequence))
    }

    /// Whether an acknowledgment answers the SYN (and what came with it).
    pub(super) const fn synchronised_up_to(&self, acknowledgment: u32) -> bool {
        self.marks.has(Marks::SYN)
            && distance(self.initial, acknowledgment) > 0
            && distance(acknowledgment, self.next) >= 0
    }

    /// Begins the stream with a SYN. A SYN that comes late leaves what is known as it is.
    pub(super) const fn begin(&mut self, initial: u32) {
        self.initial = initial;
        self.marks.set(Marks::SYN);
        self.expect(initial.wrapping_add(1));
    }

    /// Takes the next number from what is seen, if nothing better is known.
    pub(super) const fn expect(&mut self, next: u32) {
        if !self.marks.has(Marks::KNOWN) {
            self.next = next;
            self.marks.set(Marks::KNOWN);
        }
    }

    pub(super) fn place(&self, sequence: u32) -> Place {
        let near = |number| distance(number, sequence).unsigned_abs() <= MAX_AHEAD;
        if !self.is_known() || near(self.next) {
            Place::Near
        } else if !self.marks.has(Marks::ACKED) || near(self.acked) {
            Place::Elsewhere
        } else {
            Place::Nowhere
        }
    }

    /// Whether a segment would bring bytes (or a FIN) that were not seen.
    pub(super) fn would_advance(&self, segment: &Segment<'_>) -> bool {
        let span = (segment.payload.len() as u32).saturating_add(segment.missing);
        let fin = u32::from(segment.flags.has(Flags::FIN));
        let end = segment.sequence.wrapping_add(span).wrapping_add(fin);
        if !self.is_known() || self.place(segment.sequence) == Place::Elsewhere {
            return span + fin > 0;
        }
        !self.is_finished() && distance(self.next, end) > 0 && span + fin > 0
    }

    /// Whether the other side's acknowledgment is one that could be true.
    pub(super) const fn could_have_sent(&self, acknowledgment: u32) -> bool {
        self.marks.has(Marks::KNOWN)
            && distance(self.next, acknowledgment).unsigned_abs() <= MAX_AHEAD
    }

    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        self.pending.as_ref().is_none_or(|pending| pending.is_sound(self.next))
    }
}
