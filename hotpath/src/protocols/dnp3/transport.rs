//! The transport function: application fragments out of the segments of link frames.
//!
//! IEEE 1815-2012, clause 8. The first byte of a frame's user data says whether its segment is the
//! first (FIR) and the last (FIN) of a fragment, and numbers it modulo 64.

use std::collections::VecDeque;

use super::link::Ends;
use crate::protocols::Party;
use crate::words::NoticeKind;

/// Most bytes of a fragment: eight times what an outstation may send unless a master is set to
/// take more (clause 4.2.2.1.2: 2048).
const MAX_FRAGMENT: usize = 16_384;
/// Most fragments of one flow that are put together at once.
const MAX_ASSEMBLIES: usize = 4;

const FIN: u8 = 0x80;
const FIR: u8 = 0x40;
const SEQUENCE: u8 = 0x3F;

/// What is said of a fragment that is given up.
type Fault = (NoticeKind, &'static str);

const INCOMPLETE: Fault =
    (NoticeKind::FragmentsIncomplete, "a fragment's segments do not follow each other");
const HEADLESS: Fault =
    (NoticeKind::FragmentsIncomplete, "a segment of a fragment whose beginning is missing");
const LONG: Fault = (NoticeKind::MalformedPdu, "a fragment of more than 16384 bytes");
const FULL: Fault = (NoticeKind::TableFull, "fragments of too many stations at once");

/// A fragment, and the bytes of the frames that carried it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) length: usize,
}

#[derive(Debug)]
struct Assembly {
    from: Party,
    ends: Ends,
    /// The number of the last segment, and where it begins.
    sequence: u8,
    last: usize,
    bytes: Vec<u8>,
    length: usize,
}

/// The fragments of one flow that are being put together, oldest first.
#[derive(Debug, Default)]
pub(super) struct Assemblies {
    waiting: VecDeque<Assembly>,
    /// The last fragment of several segments that became whole.
    whole: Vec<u8>,
}

impl Assemblies {
    /// Takes in the user data of a frame of `size` bytes. Returns the fragment that it completes,
    /// and what is wrong with one that will never be.
    pub(super) fn add<'a>(
        &'a mut self,
        from: Party,
        ends: Ends,
        user: &'a [u8],
        size: usize,
    ) -> (Option<Whole<'a>>, Option<Fault>) {
        let Some((&head, segment)) = user.split_first() else {
            return (None, Some((NoticeKind::MalformedPdu, "a frame for user data without any")));
        };
        let place = self.waiting.iter().position(|one| one.from == from && one.ends == ends);
        if head & FIR != 0 {
            let fault = place.map(|place| self.drop(place, INCOMPLETE));
            if head & FIN != 0 {
                return (Some(Whole { bytes: segment, length: size }), fault);
            }
            let fault = fault
                .or_else(|| (self.waiting.len() >= MAX_ASSEMBLIES).then(|| self.drop(0, FULL)));
            let (sequence, bytes) = (head & SEQUENCE, segment.to_vec());
            self.waiting.push_back(Assembly { from, ends, sequence, last: 0, bytes, length: size });
            return (None, fault);
        }
        let Some((place, one)) = place.and_then(|at| Some((at, self.waiting.get_mut(at)?))) else {
            return (None, Some(HEADLESS));
        };
        // A frame that was sent twice is taken once (clause 8.2.2.3).
        if head & SEQUENCE == one.sequence && one.bytes.get(one.last..) == Some(segment) {
            return (None, None);
        }
        if head & SEQUENCE != one.sequence.wrapping_add(1) & SEQUENCE {
            return (None, Some(self.drop(place, INCOMPLETE)));
        }
        if one.bytes.len() + segment.len() > MAX_FRAGMENT {
            return (None, Some(self.drop(place, LONG)));
        }
        (one.sequence, one.last) = (head & SEQUENCE, one.bytes.len());
        one.bytes.extend_from_slice(segment);
        one.length += size;
        if head & FIN == 0 {
            return (None, None);
        }
        let length = one.length;
        self.whole = self.waiting.remove(place).map(|one| one.bytes).unwrap_or_default();
        (Some(Whole { bytes: &self.whole, length }), None)
    }

    fn drop(&mut self, place: usize, fault: Fault) -> Fault {
        self.waiting.remove(place);
        fault
    }

    /// Segments of `from` are missing: what waits for them will never be whole.
    pub(super) fn gap(&mut self, from: Party) {
        self.waiting.retain(|one| one.from != from);
    }
}
