//! Puts the segments of one direction in order.

use super::pending::{Pending, Piece};
use super::stream::{Context, HOLE_NANOSECONDS, MAX_AHEAD, Marks, Place, Stream};
use super::{Flags, Segment, distance};
use crate::net::{Arrival, Receiver};
use crate::words::NoticeKind;

/// No frame has more; an original length that claims more is wrong.
const MAX_LOST: u32 = 1024 * 1024;

impl Stream {
    /// Takes a segment that has data, a FIN or nothing. `sequence` is the number of its first
    /// byte, which is one more than its own after a SYN.
    pub(super) fn receive<R: Receiver>(
        &mut self,
        sequence: u32,
        segment: &Segment<'_>,
        context: &mut Context<'_, R>,
    ) {
        let before = self.next;
        let lost = segment.missing.min(MAX_LOST);
        let piece = Piece { sequence, bytes: segment.payload, lost };
        let fin = segment.flags.has(Flags::FIN);
        if self.marks.has(Marks::KNOWN) {
            self.find_again(&piece, fin, context);
        } else if !self.pick_up(&piece, fin) {
            return;
        }
        if self.is_finished() {
            self.repeat_after_end(&piece, fin, context);
            return;
        }
        self.note_end(&piece, fin);
        self.take(piece, fin, context);
        self.drain(context);
        self.settle(before, context.now);
    }

    /// What comes after a FIN repeats bytes from before it; else that FIN was forged.
    fn repeat_after_end<R: Receiver>(
        &mut self,
        piece: &Piece<'_>,
        fin: bool,
        context: &mut Context<'_, R>,
    ) {
        let behind = distance(piece.sequence, self.next).unsigned_abs();
        if piece.span() > 0 && distance(self.next, piece.sequence) < 0 {
            self.compare(piece, behind.saturating_sub(1).min(piece.span()), context);
        }
        let repeats = u32::from(piece.span() > 0 || fin);
        self.counters.retransmissions = self.counters.retransmissions.saturating_add(repeats);
    }

    /// Notes a FIN. Where a side says more after its FIN, the data are believed: a forged FIN
    /// must not end what is read.
    fn note_end(&mut self, piece: &Piece<'_>, fin: bool) {
        let end = piece.sequence.wrapping_add(piece.span());
        if piece.span() > 0 && self.marks.has(Marks::FIN) && distance(self.fin, end) > 0 {
            self.marks.clear(Marks::FIN);
        }
        let held = self.pending.as_ref().and_then(|pending| pending.end());
        let is_last = held.is_none_or(|held| distance(held, end) >= 0);
        if fin && is_last && end.wrapping_sub(self.next) <= MAX_AHEAD {
            self.fin = end;
            self.marks.set(Marks::FIN);
        }
    }

    /// Starts in the middle. A single byte, or a number without data, may be a keep-alive: then
    /// the data go on one number later.
    fn pick_up(&mut self, piece: &Piece<'_>, fin: bool) -> bool {
        self.expect(piece.sequence);
        match piece.span() {
            0 if !fin => self.marks.set(Marks::TENTATIVE),
            1 if !fin => {
                self.next = piece.sequence.wrapping_add(1);
                self.counters.keep_alives = self.counters.keep_alives.saturating_add(1);
                return false;
            }
            _ => {}
        }
        true
    }

    /// Moves to where the stream goes on, if that is not where it was expected.
    fn find_again<R: Receiver>(
        &mut self,
        piece: &Piece<'_>,
        fin: bool,
        context: &mut Context<'_, R>,
    ) {
        let sequence = piece.sequence;
        let ahead = distance(self.next, sequence);
        if self.marks.has(Marks::TENTATIVE) && ahead == 1 {
            self.next = sequence;
        }
        if piece.span() == 0 && !fin {
            return;
        }
        self.marks.clear(Marks::TENTATIVE);
        let goes_back = ahead < 0 && self.is_in_doubt(sequence) && self.is_awaited(sequence);
        if goes_back || self.place(sequence) == Place::Elsewhere {
            self.restart_at(sequence, u64::try_from(ahead).unwrap_or(0), context);
        }
    }

    /// Whether what was delivered says nothing certain of this number, which lies before `next`.
    /// Without this rule one segment forged ahead would silence all that follow.
    fn is_in_doubt(&self, sequence: u32) -> bool {
        let behind = distance(sequence, self.next).unsigned_abs();
        let behind = behind.saturating_sub(u32::from(self.is_finished()));
        let unbroken = self.recent.as_ref().map_or(0, |recent| recent.unbroken());
        let (from, to) = self.contradicted;
        let is_contradicted = distance(from, sequence) >= 0 && distance(sequence, to) > 0;
        behind as usize > unbroken || is_contradicted
    }

    fn restart_at<R: Receiver>(&mut self, sequence: u32, lost: u64, context: &mut Context<'_, R>) {
        if let Some(pending) = self.pending.take() {
            context.budget.give(pending.cost());
        }
        self.marks.clear(Marks::FIN | Marks::FINISHED | Marks::WAITING | Marks::BLOCKED);
        self.next = sequence;
        self.tell_gap(lost, context);
    }

    fn tell_gap<R: Receiver>(&mut self, lost: u64, context: &mut Context<'_, R>) {
        self.counters.gaps = self.counters.gaps.saturating_add(1);
        self.contradicted = (self.next, self.next);
        if let Some(recent) = &mut self.recent {
            recent.clear();
        }
        context.receiver.gap(context.side, lost, context.now);
    }

    /// Sorts a piece by its place: behind, next, or ahead of its turn.
    fn take<R: Receiver>(&mut self, mut piece: Piece<'_>, fin: bool, context: &mut Context<'_, R>) {
        let ahead = distance(self.next, piece.sequence);
        if ahead == -1 && piece.span() <= 1 && !fin {
            self.counters.keep_alives = self.counters.keep_alives.saturating_add(1);
            return;
        }
        if piece.span() == 0 {
            return;
        }
        let is_acked_ahead = self.marks.has(Marks::ACKED)
            && (1..=MAX_AHEAD).contains(&self.acked.wrapping_sub(self.next));
        if ahead > 0 && is_acked_ahead {
            let is_nearer = distance(self.acked, piece.sequence) > 0;
            self.give_up_to(if is_nearer { self.acked } else { piece.sequence }, context);
        }
        let ahead = distance(self.next, piece.sequence);
        if ahead < 0 {
            let overlap = ahead.unsigned_abs().min(piece.span());
            self.counters.retransmissions = self.counters.retransmissions.saturating_add(1);
            self.compare(&piece, overlap, context);
            piece = piece.after(overlap);
            if piece.span() == 0 {
                return;
            }
        }
        if distance(self.next, piece.sequence) > 0 {
            self.hold(piece, context);
        } else if self.pending.is_some() || self.marks.has(Marks::BLOCKED) {
            self.insert(piece, context);
        } else {
            self.deliver_piece(&piece, context);
        }
    }

    fn compare<R: Receiver>(
        &mut self,
        piece: &Piece<'_>,
        overlap: u32,
        context: &mut Context<'_, R>,
    ) {
        let repeated = piece.bytes.get(..overlap as usize).unwrap_or(piece.bytes);
        let end = piece.sequence.wrapping_add(repeated.len() as u32);
        let behind = distance(end, self.next).unsigned_abs() as usize;
        let behind = behind.saturating_sub(usize::from(self.is_finished()));
        if self.recent.as_ref().is_some_and(|recent| recent.disagrees(end, behind, repeated)) {
            disagree(context);
            if self.is_awaited(piece.sequence) {
                // If the first bytes were forged, the sender goes on before `next`.
                self.contradicted = (piece.sequence.wrapping_add(overlap), self.next);
            }
        }
    }

    /// Whether the other side has yet to acknowledge the byte of this number.
    const fn is_awaited(&self, sequence: u32) -> bool {
        self.marks.has(Marks::ACKED) && distance(self.acked, sequence) >= 0
    }

    fn deliver_piece<R: Receiver>(&mut self, piece: &Piece<'_>, context: &mut Context<'_, R>) {
        if !piece.bytes.is_empty() {
            self.deliver(piece.bytes, context.side, context.now, context.receiver);
        }
        self.lose(piece.lost, context);
    }

    /// Steps over `count` bytes that the capture does not hold.
    fn lose<R: Receiver>(&mut self, count: u32, context: &mut Context<'_, R>) {
        if count == 0 {
            return;
        }
        let end = self.next.wrapping_add(count);
        self.hole = (self.next, end);
        self.next = end;
        self.tell_gap(u64::from(count), context);
    }

    /// Keeps a piece until its turn, within the bounds; at a bound holes are given up.
    fn hold<R: Receiver>(&mut self, piece: Piece<'_>, context: &mut Context<'_, R>) {
        let cost = Pending::cost_of(&piece);
        if !context.budget.has_room(cost) {
            let detail = "no room to hold segments that came before their turn";
            context.receiver.notice(NoticeKind::TableFull, context.side, detail, context.now);
        }
        loop {
            let pending = self.pending.get_or_insert_default();
            if context.budget.has_room(cost) && !pending.is_full_for(&piece) {
                return self.insert(piece, context);
            }
            let front = pending.front().map(|chunk| chunk.sequence);
            let until = front.filter(|front| distance(*front, piece.sequence) > 0);
            self.give_up_to(until.unwrap_or(piece.sequence), context);
            let ahead = distance(self.next, piece.sequence);
            if ahead <= 0 {
                let rest = piece.after(ahead.unsigned_abs().min(piece.span()));
                if rest.span() > 0 {
                    self.insert(rest, context);
                }
                return;
            }
        }
    }

    fn insert<R: Receiver>(&mut self, piece: Piece<'_>, context: &mut Context<'_, R>) {
        let pending = self.pending.get_or_insert_default();
        let inserted = pending.insert(self.next, piece, context.now);
        context.budget.take(inserted.cost);
        self.counters.retransmissions =
            self.counters.retransmissions.saturating_add(u32::from(inserted.overlaps));
        if inserted.disagrees {
            disagree(context);
        }
    }

    /// Delivers what is held and next, and reaches the FIN.
    fn drain<R: Receiver>(&mut self, context: &mut Context<'_, R>) {
        if self.marks.has(Marks::BLOCKED) {
            return;
        }
        while let Some(pending) = &mut self.pending {
            if pending.front().is_some_and(|chunk| distance(self.next, chunk.sequence) > 0) {
                break;
            }
            let Some((chunk, cost)) = pending.pop() else {
                self.pending = None;
                break;
            };
            context.budget.give(cost);
            if !chunk.bytes.is_empty() {
                let frame = chunk.carried.frame;
                context.receiver.data(context.side, &chunk.bytes, frame, context.now);
                self.delivered(&chunk.bytes);
            }
            self.lose(chunk.lost, context);
        }
        if self.marks.has(Marks::FIN) && !self.is_finished() && self.next == self.fin {
            self.marks.set(Marks::FINISHED);
            self.next = self.next.wrapping_add(1);
        }
    }

    /// The nearest number behind the hole at `next`, if there is a hole.
    fn hole_end(&self) -> Option<u32> {
        let front =
            self.pending.as_ref().and_then(|pending| pending.front()).map(|chunk| chunk.sequence);
        let fin = self.marks.has(Marks::FIN).then_some(self.fin);
        let acked = self.marks.has(Marks::ACKED).then_some(self.acked);
        [front, fin, acked]
            .into_iter()
            .flatten()
            .filter(|number| (1..=MAX_AHEAD).contains(&number.wrapping_sub(self.next)))
            .min_by_key(|number| distance(self.next, *number))
    }

    /// Delivers up to `number`; what is missing before it is given up.
    pub(super) fn give_up_to<R: Receiver>(&mut self, number: u32, context: &mut Context<'_, R>) {
        let before = self.next;
        if distance(self.next, number) > 0 {
            self.marks.clear(Marks::BLOCKED);
            self.drain(context);
        }
        while distance(self.next, number) > 0 {
            if self.is_finished() {
                // The receiver took more than the FIN: that FIN was not the sender's.
                self.marks.clear(Marks::FIN | Marks::FINISHED);
            }
            let nearest = self.hole_end().filter(|end| distance(*end, number) > 0);
            let count = distance(self.next, nearest.unwrap_or(number)).unsigned_abs();
            self.lose(count, context);
            self.drain(context);
        }
        self.settle(before, context.now);
    }

    /// Starts, goes on or stops waiting for a hole to be filled. As long as the stream moves, a
    /// hole ahead of it is not overdue.
    pub(super) fn settle(&mut self, before: u32, now: Arrival) {
        if self.marks.has(Marks::BLOCKED) {
            return;
        }
        if !self.marks.has(Marks::KNOWN) || self.hole_end().is_none() {
            self.marks.clear(Marks::WAITING);
        } else if !self.is_waiting() || self.next != before {
            self.marks.set(Marks::WAITING);
            self.waiting_since = now.time;
        }
    }

    /// Delivers what was held back.
    pub(super) fn unblock<R: Receiver>(&mut self, context: &mut Context<'_, R>) {
        let before = self.next;
        self.marks.clear(Marks::BLOCKED);
        self.drain(context);
        self.settle(before, context.now);
    }

    /// As [`Stream::settle`] where nothing moved.
    pub(super) fn settle_in_place(&mut self, now: Arrival) {
        self.settle(self.next, now);
    }

    /// Gives up a hole that was waited for too long.
    pub(super) fn expire<R: Receiver>(&mut self, context: &mut Context<'_, R>) {
        let overdue = |since: i64| context.now.time.saturating_sub(since) > HOLE_NANOSECONDS;
        if !self.is_waiting() || self.marks.has(Marks::BLOCKED) || !overdue(self.waiting_since) {
            return;
        }
        while let Some(end) = self.hole_end() {
            self.give_up_to(end, context);
            let front = self.pending.as_ref().and_then(|pending| pending.front());
            let Some(since) = front.map(|chunk| chunk.carried.time) else { break };
            self.waiting_since = since;
            if context.now.time.saturating_sub(since) <= HOLE_NANOSECONDS {
                break;
            }
        }
    }

    /// Delivers all that is held; the holes in it are given up.
    pub(super) fn flush<R: Receiver>(&mut self, context: &mut Context<'_, R>) {
        if self.is_waiting() {
            while let Some(end) = self.hole_end() {
                self.give_up_to(end, context);
            }
        }
        if let Some(pending) = self.pending.take() {
            context.budget.give(pending.cost());
        }
    }
}

fn disagree<R: Receiver>(context: &mut Context<'_, R>) {
    let detail = "a segment repeats bytes of the stream and says something else";
    context.receiver.notice(NoticeKind::OverlapDisagrees, context.side, detail, context.now);
}
