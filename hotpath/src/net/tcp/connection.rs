//! Both directions of a connection, and what became of it.

use super::stream::{Context, Counters, Place, Stream};
use super::{Budget, Flags, Segment};
use crate::net::{Arrival, Receiver, Side};
use crate::words::{ConnectionState, NoticeKind};

/// What is said of a segment that its sender can no longer have sent.
const STALE: &str = "a segment of the past: its bytes were acknowledged before, and it acknowledges less than its sender had since";
/// A SYN whose number lies this little before what its side went on to say is a late one.
const LATE_SYN: i32 = 0xFFFF;
/// How far from the expected number a reset may be. RFC 5961 wants the exact number; the capture
/// may have lost some.
const RESET_REACH: u32 = 0xFFFF;

/// Whether a segment belonged to the connection or began a new one between the same ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It belongs to the connection.
    Continued,
    /// It began a new connection; all that was held of the old one was delivered before.
    Reborn,
}

/// A TCP connection as a passive observer sees it.
///
/// What is given to the [`Receiver`] keeps the order of causes: bytes that the sender of other
/// bytes had acknowledged are delivered, or given up as a gap, before those. Holes are given up
/// when the receiver acknowledges them, at the bounds [`super::MAX_PENDING_BYTES`],
/// [`super::MAX_PENDING_SEGMENTS`] and the [`Budget`], after [`super::HOLE_NANOSECONDS`] without
/// progress, and at the end. Captures of two mirrored directions often have an acknowledgment
/// just before the bytes it acknowledges: with nothing held beyond them, an acknowledgment alone
/// is only remembered, and data that it comes with are held back until those bytes come, their
/// sender goes on without them, or [`super::CAUSE_NANOSECONDS`] pass.
///
/// [`ConnectionState::Attempted`] always begins a new connection. A segment other than SYN and
/// RST without ACK is ignored, as its receiver does (RFC 9293 section 3.10.7.4).
#[derive(Debug, Default)]
pub struct Connection {
    first: Stream,
    second: Stream,
    state: Option<ConnectionState>,
    initiator: Option<Side>,
    server: Option<Side>,
    reset_by: Option<Side>,
}

impl Connection {
    /// A connection of which nothing was seen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next segment, sent by `side`, in capture order.
    #[inline]
    pub fn accept<R: Receiver>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        now: Arrival,
        budget: &mut Budget,
        receiver: &mut R,
    ) -> Accepted {
        const LOOKED_AT: u8 = Flags::FIN.0 | Flags::SYN.0 | Flags::RST.0 | Flags::ACK.0;
        let is_open = self.state == Some(ConnectionState::Open);
        let (me, peer) = self.both(side);
        me.counters.frames = me.counters.frames.saturating_add(1);
        me.counters.bytes = me.counters.bytes.saturating_add(segment.payload.len() as u64);
        if is_open
            && segment.flags.0 & LOOKED_AT == Flags::ACK.0
            && segment.missing == 0
            && me.is_smooth(segment.sequence)
            && !peer.lacks(segment.acknowledgment)
            && !peer.is_waiting()
        {
            peer.note_acknowledgment(segment.acknowledgment);
            if !segment.payload.is_empty() {
                me.deliver(segment.payload, side, now, receiver);
            }
            return Accepted::Continued;
        }
        self.accept_with_care(side, segment, now, budget, receiver)
    }

    /// Who accepted the connection: the sender of the SYN-ACK, or the receiver of the SYN once
    /// data flowed. `None` before, and where the handshake was not seen.
    #[must_use]
    pub const fn server(&self) -> Option<Side> {
        self.server
    }

    /// Who asked for the connection, where the handshake was seen.
    #[must_use]
    pub const fn initiator(&self) -> Option<Side> {
        self.initiator
    }

    /// The last state that was told, if any.
    #[must_use]
    pub const fn state(&self) -> Option<ConnectionState> {
        self.state
    }

    /// Whether a hole is waited for, so that [`Connection::expire`] may have something to do.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.first.is_waiting() || self.second.is_waiting()
    }

    /// Gives up holes that were waited for too long.
    pub fn expire<R: Receiver>(&mut self, now: Arrival, budget: &mut Budget, receiver: &mut R) {
        for side in [Side::First, Side::Second] {
            if self.both(side).0.is_blocked_too_long(now.time) {
                self.release(side, now, budget, receiver);
            }
            let context = &mut Context { side, now, budget, receiver };
            self.both(side).0.expire(context);
        }
        self.unblock(now, budget, receiver);
        self.close_if_finished(now, receiver);
    }

    /// Delivers all that is held and gives the budget back. Nothing is told of the state: the
    /// capture ended, not the connection.
    pub fn finish<R: Receiver>(&mut self, now: Arrival, budget: &mut Budget, receiver: &mut R) {
        for side in [Side::First, Side::Second] {
            self.release(side, now, budget, receiver);
        }
        for side in [Side::First, Side::Second] {
            let context = &mut Context { side, now, budget, receiver };
            self.both(side).0.flush(context);
        }
        self.close_if_finished(now, receiver);
    }

    /// As [`Connection::finish`], for a connection that is forgotten after long silence: it is
    /// told as closed unless its end was told before.
    pub fn forget<R: Receiver>(&mut self, now: Arrival, budget: &mut Budget, receiver: &mut R) {
        self.finish(now, budget, receiver);
        if !self.has_ended() && self.state.is_some() {
            self.enter(ConnectionState::Closed, now, receiver);
        }
    }

    /// The counters of one direction since the last call.
    pub fn take_counters(&mut self, side: Side) -> Counters {
        std::mem::take(&mut self.both(side).0.counters)
    }

    #[inline]
    const fn both(&mut self, side: Side) -> (&mut Stream, &mut Stream) {
        match side {
            Side::First => (&mut self.first, &mut self.second),
            Side::Second => (&mut self.second, &mut self.first),
        }
    }

    const fn has_ended(&self) -> bool {
        use ConnectionState::{Closed, Refused, Reset};
        matches!(self.state, Some(Closed | Refused | Reset))
    }

    fn enter<R: Receiver>(&mut self, state: ConnectionState, now: Arrival, receiver: &mut R) {
        if self.state != Some(state) {
            self.state = Some(state);
            receiver.state(state, now);
        }
    }

    #[cold]
    #[inline(never)]
    fn accept_with_care<R: Receiver>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        now: Arrival,
        budget: &mut Budget,
        receiver: &mut R,
    ) -> Accepted {
        self.expire(now, budget, receiver);
        let mut accepted = Accepted::Continued;
        if segment.flags.has(Flags::RST) {
            self.reset(side, segment, now, budget, receiver);
        } else if segment.flags.has(Flags::SYN) {
            accepted = self.synchronise(side, segment, now, budget, receiver);
        } else if segment.flags.has(Flags::ACK) {
            self.converse(side, segment, now, budget, receiver);
        } else {
            let detail = "a segment without ACK, which no receiver takes";
            receiver.notice(NoticeKind::MalformedHeader, side, detail, now);
        }
        self.close_if_finished(now, receiver);
        accepted
    }

    /// A segment with ACK, and neither SYN nor RST.
    fn converse<R: Receiver>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        now: Arrival,
        budget: &mut Budget,
        receiver: &mut R,
    ) {
        let acknowledgment = segment.acknowledgment;
        let (me, peer) = self.both(side);
        if peer.blocked_until().is_some() && me.past(segment.sequence).is_some_and(|past| past < 0)
        {
            // This side went on: the bytes that the other one acknowledged will not come.
            self.release(side.other(), now, budget, receiver);
        }
        let (me, peer) = self.both(side);
        let place = me.place(segment.sequence);
        let carries =
            !segment.payload.is_empty() || segment.missing > 0 || segment.flags.has(Flags::FIN);
        if carries
            && place == Place::Near
            && peer.lacks(acknowledgment)
            && peer.could_have_sent(acknowledgment)
            && !peer.holds_segments()
            && !me.gives_up_before(segment.sequence)
            && me.may_block(segment.payload.len(), budget)
        {
            me.block_until(acknowledgment, now);
        } else if place != Place::Nowhere
            && (carries || peer.holds_segments())
            && peer.could_have_sent(acknowledgment)
        {
            let side = side.other();
            peer.give_up_to(acknowledgment, &mut Context { side, now, budget, receiver });
            self.release(side.other(), now, budget, receiver);
        }
        let (me, peer) = self.both(side);
        if peer.had_acknowledged_more(acknowledgment) && me.is_of_the_past(segment) {
            receiver.notice(NoticeKind::StaleSegment, side, STALE, now);
        } else {
            peer.note_acknowledgment(acknowledgment);
        }
        peer.settle_in_place(now);
        if place == Place::Nowhere {
            if carries {
                let detail = "a segment far from what its receiver expects";
                receiver.notice(NoticeKind::MalformedHeader, side, detail, now);
            }
            return;
        }
        self.open_if_it_shows(side, segment, now, receiver);
        let context = &mut Context { side, now, budget, receiver };
        self.both(side).0.receive(segment.sequence, segment, context);
        self.unblock(now, budget, receiver);
    }

    /// Gives up what `side` is held back for, and delivers it.
    fn release<R: Receiver>(
        &mut self,
        side: Side,
        now: Arrival,
        budget: &mut Budget,
        receiver: &mut R,
    ) {
        let (me, peer) = self.both(side);
        if let Some(number) = me.blocked_until() {
            let other = side.other();
            peer.give_up_to(number, &mut Context { side: other, now, budget, receiver });
            me.unblock(&mut Context { side, now, budget, receiver });
        }
    }

    /// Delivers what was held back and need not be any more; each side may free the other.
    fn unblock<R: Receiver>(&mut self, now: Arrival, budget: &mut Budget, receiver: &mut R) {
        for side in [Side::First, Side::Second, Side::First] {
            let (me, peer) = self.both(side);
            if me.blocked_until().is_some_and(|number| !peer.lacks(number)) {
                me.unblock(&mut Context { side, now, budget, receiver });
            }
        }
    }

    /// Data show an open connection, and so does the end of a handshake. After a reset only data
    /// of the side that is said to have reset show that it had not: others may have been on
    /// their way.
    fn open_if_it_shows<R: Receiver>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        now: Arrival,
        receiver: &mut R,
    ) {
        use ConnectionState::{Attempted, Open, Reset};
        let (me, peer) = self.both(side);
        let advances = me.would_advance(segment);
        let handshake = me.has_synchronised() && peer.has_synchronised();
        let opens = match self.state {
            Some(Open) => false,
            Some(Attempted) => advances || handshake,
            Some(Reset) => advances && self.reset_by == Some(side),
            _ => advances,
        };
        if opens {
            if self.server.is_none() {
                self.server = self.initiator.map(Side::other);
            }
            self.enter(Open, now, receiver);
        }
    }

    fn synchronise<R: Receiver>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        now: Arrival,
        budget: &mut Budget,
        receiver: &mut R,
    ) -> Accepted {
        if segment.flags.has(Flags::FIN) {
            let detail = "a segment with both SYN and FIN";
            receiver.notice(NoticeKind::MalformedHeader, side, detail, now);
            return Accepted::Continued;
        }
        let answers = segment.flags.has(Flags::ACK);
        let mut accepted = Accepted::Continued;
        // In a simultaneous open the SYN comes again in the SYN-ACK.
        let is_repeated = !answers || self.server == Some(side);
        let (me, _) = self.both(side);
        if me.began_at(segment.sequence) {
            let retransmissions = &mut me.counters.retransmissions;
            *retransmissions = retransmissions.saturating_add(u32::from(is_repeated));
        } else if !self.fits(side, segment) {
            self.end(now, budget, receiver);
            accepted = Accepted::Reborn;
        }
        self.both(side).0.begin(segment.sequence);
        let asker = if answers { side.other() } else { side };
        self.initiator = self.initiator.or(Some(asker));
        if answers {
            self.server = self.server.or(self.initiator.map(Side::other));
            let (_, peer) = self.both(side);
            peer.expect(segment.acknowledgment);
            peer.note_acknowledgment(segment.acknowledgment);
        }
        if self.state.is_none() {
            self.enter(ConnectionState::Attempted, now, receiver);
        }
        if !segment.payload.is_empty() || segment.missing > 0 {
            let context = &mut Context { side, now, budget, receiver };
            let sequence = segment.sequence.wrapping_add(1);
            self.both(side).0.receive(sequence, segment, context);
        }
        accepted
    }

    /// Whether a SYN that was not seen before can belong to the connection as it is known.
    fn fits(&mut self, side: Side, segment: &Segment<'_>) -> bool {
        if self.state.is_none() {
            return true;
        }
        if self.has_ended() {
            return false;
        }
        let answers = segment.flags.has(Flags::ACK);
        let is_open = self.state == Some(ConnectionState::Open);
        let (me, peer) = self.both(side);
        if me.has_synchronised() {
            return false;
        }
        if let Some(past) = me.past(segment.sequence) {
            return (1..=LATE_SYN).contains(&past);
        }
        if answers {
            peer.past(segment.acknowledgment).is_none_or(|past| (0..=LATE_SYN).contains(&past))
        } else {
            peer.has_synchronised() && !is_open
        }
    }

    /// Ends what was seen so that a new connection can begin.
    fn end<R: Receiver>(&mut self, now: Arrival, budget: &mut Budget, receiver: &mut R) {
        self.forget(now, budget, receiver);
        let counters = (self.first.counters, self.second.counters);
        *self = Self::new();
        (self.first.counters, self.second.counters) = counters;
    }

    /// A reset ends the connection if its number is within [`RESET_REACH`] of what is expected,
    /// or nothing is known of its sender; one that answers a SYN must acknowledge it. Anything
    /// else is what a blind attacker sends.
    fn reset<R: Receiver>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        now: Arrival,
        budget: &mut Budget,
        receiver: &mut R,
    ) {
        use ConnectionState::{Attempted, Closed, Refused, Reset};
        let (me, peer) = self.both(side);
        let refuses = !me.has_synchronised() && peer.has_synchronised() && !me.is_known();
        let believed = if refuses {
            segment.flags.has(Flags::ACK) && peer.synchronised_up_to(segment.acknowledgment)
        } else {
            let offset = me.offset_of(segment.sequence);
            offset.is_none_or(|offset| offset.unsigned_abs() <= RESET_REACH)
        };
        if !believed {
            let detail = "a reset far from what its receiver expects";
            receiver.notice(NoticeKind::MalformedHeader, side, detail, now);
            return;
        }
        let half_closed = me.has_fin() || peer.has_fin();
        if self.state.is_none() || self.has_ended() {
            return;
        }
        let is_refusal = refuses && self.state == Some(Attempted);
        self.finish(now, budget, receiver);
        self.reset_by = Some(side);
        if !self.has_ended() {
            let state = match (is_refusal, half_closed) {
                (true, _) => Refused,
                (false, true) => Closed,
                (false, false) => Reset,
            };
            self.enter(state, now, receiver);
        }
    }

    fn close_if_finished<R: Receiver>(&mut self, now: Arrival, receiver: &mut R) {
        if self.first.is_finished()
            && self.second.is_finished()
            && self.state.is_some()
            && !self.has_ended()
        {
            self.enter(ConnectionState::Closed, now, receiver);
        }
    }

    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        self.first.is_sound() && self.second.is_sound()
    }
}
