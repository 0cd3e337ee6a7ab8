//! Segments that came before their turn.

use std::collections::VecDeque;

use crate::meter;
use crate::net::Arrival;

/// Bytes that one stream may hold back.
pub const MAX_PENDING_BYTES: usize = 256 * 1024;
/// Segments that one stream may hold back.
pub const MAX_PENDING_SEGMENTS: usize = 128;
/// What a held segment costs beside its bytes.
const CHUNK_COST: usize = 64;

/// Consecutive bytes of a stream, and how many after them the snap length cut off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) sequence: u32,
    pub(super) bytes: &'a [u8],
    pub(super) lost: u32,
}

impl<'a> Piece<'a> {
    pub(super) fn span(&self) -> u32 {
        (self.bytes.len() as u32).saturating_add(self.lost)
    }

    /// The part from `from` to `to`, counted from its start.
    fn part(&self, from: u32, to: u32) -> Piece<'a> {
        let length = self.bytes.len();
        let (begin, end) = (from as usize, to as usize);
        let bytes = self.bytes.get(begin.min(length)..end.min(length)).unwrap_or_default();
        let lost = to.saturating_sub(from).saturating_sub(bytes.len() as u32);
        Piece { sequence: self.sequence.wrapping_add(from), bytes, lost }
    }

    /// The part from `from` on.
    pub(super) fn after(&self, from: u32) -> Piece<'a> {
        self.part(from, self.span())
    }
}

/// A piece that is held.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) sequence: u32,
    pub(super) lost: u32,
    pub(super) carried: Arrival,
    pub(super) bytes: Box<[u8]>,
}

impl Chunk {
    fn span(&self) -> u32 {
        (self.bytes.len() as u32).saturating_add(self.lost)
    }

    const fn cost(&self) -> usize {
        self.bytes.len() + CHUNK_COST
    }
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Inserted {
    /// What the new bytes cost; 0 if all were there.
    pub(super) cost: usize,
    /// Some of it was there.
    pub(super) overlaps: bool,
    /// And said something else.
    pub(super) disagrees: bool,
}

/// Held pieces in stream order, without overlaps.
#[derive(Debug, Default)]
pub(super) struct Pending {
    chunks: VecDeque<Chunk>,
    cost: usize,
}

impl Pending {
    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    /// What `piece` costs if all of it is new.
    pub(super) const fn cost_of(piece: &Piece<'_>) -> usize {
        piece.bytes.len() + CHUNK_COST
    }

    /// Whether `piece` would exceed the bounds of a stream.
    pub(super) fn is_full_for(&self, piece: &Piece<'_>) -> bool {
        self.chunks.len() >= MAX_PENDING_SEGMENTS
            || self.cost.saturating_add(Self::cost_of(piece)) > MAX_PENDING_BYTES
    }

    pub(super) fn front(&self) -> Option<&Chunk> {
        self.chunks.front()
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// The number behind the last chunk.
    pub(super) fn end(&self) -> Option<u32> {
        self.chunks.back().map(|chunk| chunk.sequence.wrapping_add(chunk.span()))
    }

    /// Takes the first chunk, and what it had cost.
    pub(super) fn pop(&mut self) -> Option<(Chunk, usize)> {
        let chunk = self.chunks.pop_front()?;
        let cost = chunk.cost();
        self.cost = self.cost.saturating_sub(cost);
        Some((chunk, cost))
    }

    /// Adds what is new of `piece`; what was there first stays. `next` is the number that the
    /// stream waits for; nothing held lies before it.
    /// A piece that spans many held ones is split; at most twice the bound are ever held, and
    /// what is beyond that is left out as if it had not been captured.
    pub(super) fn insert(&mut self, next: u32, piece: Piece<'_>, carried: Arrival) -> Inserted {
        let mut inserted = Inserted::default();
        let start = piece.sequence.wrapping_sub(next);
        let span = piece.span();
        let mut done = 0_u32;
        // Most pieces come in order among themselves: look from the end for their place.
        let mut index = self.chunks.len();
        while index > 0
            && self.chunks.get(index - 1).is_some_and(|chunk| {
                chunk.sequence.wrapping_sub(next).saturating_add(chunk.span()) > start
            })
        {
            meter::work(1);
            index -= 1;
        }
        while done < span {
            meter::work(1);
            let at = start.saturating_add(done);
            let held = self.chunks.get(index).map(|chunk| {
                let from = chunk.sequence.wrapping_sub(next);
                (from, from.saturating_add(chunk.span()))
            });
            match held {
                Some((from, to)) if from <= at => {
                    let until = to.saturating_sub(start).min(span);
                    inserted.overlaps = true;
                    if let Some(chunk) = self.chunks.get(index) {
                        let theirs = chunk.bytes.get((at - from) as usize..).unwrap_or_default();
                        let ours = piece.part(done, until).bytes;
                        inserted.disagrees |= ours.iter().zip(theirs).any(|(a, b)| a != b);
                    }
                    done = until.max(done);
                    index += 1;
                }
                _ => {
                    let until = held.map_or(span, |(from, _)| from.saturating_sub(start).min(span));
                    if self.chunks.len() < 2 * MAX_PENDING_SEGMENTS {
                        inserted.cost += self.put(index, &piece.part(done, until), carried);
                        index += 1;
                    }
                    done = until;
                }
            }
        }
        inserted
    }

    fn put(&mut self, index: usize, piece: &Piece<'_>, carried: Arrival) -> usize {
        let chunk = Chunk {
            sequence: piece.sequence,
            lost: piece.lost,
            carried,
            bytes: Box::from(piece.bytes),
        };
        let cost = chunk.cost();
        self.cost += cost;
        self.chunks.insert(index, chunk);
        cost
    }

    /// Whether the chunks are in order and apart, as every method leaves them.
    #[cfg(test)]
    pub(super) fn is_sound(&self, next: u32) -> bool {
        let mut end = 0;
        !self.chunks.is_empty()
            && self.chunks.iter().all(|chunk| {
                let from = i64::from(super::distance(next, chunk.sequence));
                let sound = from >= end && chunk.span() > 0;
                end = from + i64::from(chunk.span());
                sound
            })
            && self.cost == self.chunks.iter().map(Chunk::cost).sum::<usize>()
    }
}
