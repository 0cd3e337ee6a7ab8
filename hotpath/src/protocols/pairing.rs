//! Requests that wait for their answers: the same for every protocol that asks and answers.
//!
//! A key (transaction, unit, invoke id: whatever the protocol echoes) may be used by several
//! requests at once; they are answered in their order. What can be known of an answer depends on
//! what was captured, so an answer without its request is [`Answer::Unasked`] only if the request
//! would have been seen: from a gap (and from the start, which may lie amid a flow) until the
//! first answer to a request that was seen since, it is [`Answer::Unknown`].

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::{Emit, Object, Party, Told};
use crate::words::{Access, NoticeKind};

/// Most requests of one flow that wait at once.
pub const MAX_WAITING: usize = 64;

/// How long a request waits, in nanoseconds of capture time.
pub const PATIENCE: i64 = 5_000_000_000;

/// A request whose key is used again after this many nanoseconds was given up by its client:
/// what is sent in one go comes closer together, and timeouts of clients are longer.
pub const REUSE: i64 = 400_000_000;

/// Answers of one flow that are kept, to tell a second answer to one request from the first.
pub const MAX_ANSWERED: usize = 2;

/// Bytes of each that are kept.
const MAX_KEPT: usize = 256;

/// An [`Object`] that owns its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedObject {
    /// See [`Object::kind`].
    pub kind: u16,
    /// See [`Object::address`].
    pub address: u64,
    /// See [`Object::count`].
    pub count: u32,
    /// See [`Object::access`].
    pub access: Access,
    /// See [`Object::name`].
    pub name: Option<Box<str>>,
}

impl OwnedObject {
    /// The object again, as an answer with this status tells it.
    #[must_use]
    pub fn borrow(&self, status: u16) -> Object<'_> {
        Object {
            kind: self.kind,
            address: self.address,
            count: self.count,
            access: self.access,
            status,
            name: self.name.as_deref(),
        }
    }
}

impl From<&Object<'_>> for OwnedObject {
    fn from(object: &Object<'_>) -> Self {
        Self {
            kind: object.kind,
            address: object.address,
            count: object.count,
            access: object.access,
            name: object.name.map(Box::from),
        }
    }
}

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The request as it was told.
    pub told: Told,
    /// Who asked.
    pub from: Party,
    /// Its function.
    pub function: u32,
    /// Its sub-function.
    pub subfunction: u32,
    /// Its objects, which the answer inherits.
    pub objects: SmallVec<[OwnedObject; 2]>,
    /// Whether the protocol owes an answer; the absence of one that is not owed is no notice.
    pub owed: bool,
}

/// What an answer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This request.
    To(Pending),
    /// None, though its request would have been seen.
    Unasked,
    /// Cannot be known: its request may lie before the capture or in a gap.
    Unknown,
}

#[derive(Debug)]
struct Waiting {
    key: u64,
    epoch: u32,
    pending: Pending,
}

/// An answer that found its request.
#[derive(Debug, Default)]
struct Answered {
    key: u64,
    time: i64,
    bytes: Vec<u8>,
}

/// How an answer that nobody waits for stands to the one that its request had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It says the same.
    Same,
    /// It says something else.
    Other,
}

impl Again {
    /// What is said of such an answer.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Same => "the request was answered before, with the same answer",
            Self::Other => "the request was answered before, with another answer",
        }
    }
}

/// The requests of one flow that wait, oldest first; never more than [`MAX_WAITING`].
#[derive(Debug)]
pub struct Pairing {
    waiting: VecDeque<Waiting>,
    /// The last answers, oldest first; never more than [`MAX_ANSWERED`].
    answered: VecDeque<Answered>,
    /// Counts gaps: what was asked in an earlier one says nothing about the present one.
    epoch: u32,
    /// Whether answers to unseen requests may still come.
    blind: bool,
}

impl Default for Pairing {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), answered: VecDeque::new(), epoch: 0, blind: true }
    }
}

impl Pairing {
    /// How many requests wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A request was told. Gives up, with a notice, a request of the same key that its client
    /// must have given up, and the oldest where the table is full.
    pub fn ask(&mut self, key: u64, request: Pending, out: &mut dyn Emit) {
        let stale = request.told.time.saturating_sub(REUSE);
        while let Some(place) = self
            .waiting
            .iter()
            .position(|waiting| waiting.key == key && waiting.pending.told.time <= stale)
        {
            self.give_up(place, "asked again under the same transaction", out);
        }
        if self.waiting.len() >= MAX_WAITING {
            self.give_up(0, "too many requests wait", out);
        }
        self.waiting.push_back(Waiting { key, epoch: self.epoch, pending: request });
    }

    /// An answer came. Takes the oldest request of this key that `fits` it.
    pub fn answer(&mut self, key: u64, fits: impl Fn(&Pending) -> bool) -> Answer {
        let place = self.waiting.iter().position(|it| it.key == key && fits(&it.pending));
        match place.and_then(|place| self.waiting.remove(place)) {
            Some(waiting) => {
                self.blind &= waiting.epoch != self.epoch;
                Answer::To(waiting.pending)
            }
            None if self.blind => Answer::Unknown,
            None => Answer::Unasked,
        }
    }

    /// Keeps what was answered under this key.
    pub fn keep(&mut self, key: u64, bytes: &[u8], time: i64) {
        let full = self.answered.len() >= MAX_ANSWERED;
        let mut last = if full { self.answered.pop_front() } else { None }.unwrap_or_default();
        (last.key, last.time) = (key, time);
        last.bytes.clear();
        last.bytes.extend_from_slice(bytes.get(..MAX_KEPT).unwrap_or(bytes));
        self.answered.push_back(last);
    }

    /// Whether an answer that nobody waits for is another one to what was answered of late.
    #[must_use]
    pub fn again(&self, key: u64, bytes: &[u8], time: i64) -> Option<Again> {
        let is_recent = |it: &&Answered| time.saturating_sub(it.time) < PATIENCE;
        let before = self.answered.iter().rev().filter(is_recent).find(|it| it.key == key)?;
        let bytes = bytes.get(..MAX_KEPT).unwrap_or(bytes);
        Some(if before.bytes == bytes { Again::Same } else { Again::Other })
    }

    /// Bytes of either party are missing: what waits may still be answered, but silence is no
    /// fault, and answers to unseen requests are none.
    pub fn gap(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.blind = true;
        self.answered.clear();
        for waiting in &mut self.waiting {
            waiting.pending.owed = false;
        }
    }

    /// Gives up, with a notice each, what has waited longer than [`PATIENCE`] at `now`;
    /// `i64::MAX` gives up all.
    pub fn expire(&mut self, now: i64, out: &mut dyn Emit) {
        let detail = if now == i64::MAX {
            "the flow ended without an answer"
        } else {
            "no answer within five seconds"
        };
        while let Some(oldest) = self.waiting.front() {
            if now != i64::MAX && now.saturating_sub(oldest.pending.told.time) < PATIENCE {
                return;
            }
            self.give_up(0, detail, out);
        }
    }

    fn give_up(&mut self, place: usize, detail: &str, out: &mut dyn Emit) {
        if let Some(Waiting { pending, .. }) = self.waiting.remove(place) {
            if pending.owed {
                let told = Some(pending.told);
                out.notice(pending.from, NoticeKind::UnansweredRequest, detail, told);
            }
        }
    }
}
