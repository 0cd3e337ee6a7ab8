//! The fragments of one packet.

use crate::meter;
use crate::net::{Arrival, IpPacket};
use crate::words::NoticeKind;

/// What a packet costs beside the bytes of its fragments, and what each fragment does.
const ASSEMBLY_COST: usize = 256;
const PIECE_COST: usize = 64;

/// A range of the payload that is held, without overlaps. `bytes` may end early, where the snap
/// length cut.
#[derive(Debug)]
struct Piece {
    from: u32,
    to: u32,
    bytes: Box<[u8]>,
}

/// Whether a fragment was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It was, or it repeats what was there, or its packet was dropped before.
    Quietly,
    /// It broke a rule.
    Wrong(NoticeKind, &'static str),
}

#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) first: Arrival,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    /// In order, apart from each other.
    pieces: Vec<Piece>,
    /// Where the payload ends, once the last fragment came.
    end: Option<u32>,
    taken: usize,
    covered: u32,
    cost: usize,
    dropped: bool,
}

impl Assembly {
    pub(super) const fn new(first: Arrival) -> Self {
        Self {
            first,
            ttl: 0,
            protocol: 0,
            pieces: Vec::new(),
            end: None,
            taken: 0,
            covered: 0,
            cost: ASSEMBLY_COST,
            dropped: false,
        }
    }

    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    pub(super) const fn fragments(&self) -> usize {
        self.taken
    }

    /// Whether the packet was given up, and its fragments are ignored until it is forgotten.
    pub(super) const fn is_dropped(&self) -> bool {
        self.dropped
    }

    pub(super) fn is_whole(&self) -> bool {
        !self.dropped && self.end == Some(self.covered)
    }

    /// Takes a fragment whose place was checked: not empty, within the longest packet.
    pub(super) fn add(&mut self, packet: &IpPacket<'_>, is_v6: bool, most: usize) -> Added {
        let Some(fragment) = packet.fragment else { return Added::Quietly };
        if self.dropped {
            return Added::Quietly;
        }
        let from = fragment.offset;
        let to = from.saturating_add(packet.payload.len() as u32).saturating_add(packet.missing);
        let reached = self.pieces.last().map_or(0, |piece| piece.to);
        let fits = match self.end {
            Some(end) => to <= end && (fragment.more || to == end),
            None => fragment.more || to >= reached,
        };
        if !fits {
            // Which end is the true one cannot be told.
            self.drop_all();
            let detail = "fragments disagree on where their packet ends";
            return Added::Wrong(NoticeKind::OverlapDisagrees, detail);
        }
        if self.taken >= most {
            self.drop_all();
            return Added::Wrong(NoticeKind::TableFull, "a packet in too many fragments");
        }
        let index = self.pieces.partition_point(|piece| piece.to <= from);
        let overlaps = self.pieces.get(index).is_some_and(|piece| piece.from < to);
        let wrong = if overlaps {
            let is_same =
                self.pieces.get(index).is_some_and(|piece| piece.from == from && piece.to == to);
            let disagrees = self.disagrees(index, from, packet.payload);
            if is_v6 && (disagrees || !is_same) {
                self.drop_all();
                let detail = "overlapping IPv6 fragments: the packet is dropped";
                return Added::Wrong(NoticeKind::OverlapDisagrees, detail);
            }
            disagrees
        } else {
            false
        };
        self.taken += usize::from(self.fill(index, from, to, packet.payload));
        if !fragment.more {
            self.end = Some(to);
        }
        if from == 0 && self.ttl == 0 {
            (self.ttl, self.protocol) = (packet.ttl, packet.protocol);
        }
        if wrong {
            let detail = "a fragment overlaps another and says something else";
            return Added::Wrong(NoticeKind::OverlapDisagrees, detail);
        }
        Added::Quietly
    }

    /// Whether `bytes` from `from` on differ from what is held, from the piece `index` on.
    fn disagrees(&self, index: usize, from: u32, bytes: &[u8]) -> bool {
        let rest = self.pieces.get(index..).unwrap_or_default();
        let to = from.saturating_add(bytes.len() as u32);
        rest.iter().take_while(|piece| piece.from < to).any(|piece| {
            meter::work(1);
            let theirs = piece.bytes.get(from.saturating_sub(piece.from) as usize..);
            let ours = bytes.get(piece.from.saturating_sub(from) as usize..);
            theirs.unwrap_or_default().iter().zip(ours.unwrap_or_default()).any(|(a, b)| a != b)
        })
    }

    /// Holds what is new from `from` to `to`, and says whether anything was.
    fn fill(&mut self, mut index: usize, from: u32, to: u32, bytes: &[u8]) -> bool {
        let before = self.covered;
        let mut at = from;
        while at < to {
            meter::work(1);
            let held = self.pieces.get(index).map(|piece| (piece.from, piece.to));
            match held {
                Some((begin, end)) if begin <= at => at = end.max(at),
                _ => {
                    let until = held.map_or(to, |(begin, _)| begin.min(to));
                    let part = |place: u32| (place.saturating_sub(from) as usize).min(bytes.len());
                    let bytes = bytes.get(part(at)..part(until)).unwrap_or_default();
                    self.cost += bytes.len() + PIECE_COST;
                    self.covered = self.covered.saturating_add(until.saturating_sub(at));
                    self.pieces.insert(index, Piece { from: at, to: until, bytes: bytes.into() });
                    at = until;
                }
            }
            index += 1;
        }
        self.covered != before
    }

    fn drop_all(&mut self) {
        self.pieces = Vec::new();
        self.cost = ASSEMBLY_COST;
        self.dropped = true;
    }

    /// The payload as far as it was captured without a hole, and how much follows after.
    pub(super) fn assemble(&self) -> (Vec<u8>, u32) {
        let total = self.end.unwrap_or(self.covered);
        let mut payload = Vec::with_capacity(total as usize);
        for piece in &self.pieces {
            payload.extend_from_slice(&piece.bytes);
            if piece.bytes.len() < piece.to.saturating_sub(piece.from) as usize {
                break;
            }
        }
        let missing = total.saturating_sub(payload.len() as u32);
        (payload, missing)
    }
}
