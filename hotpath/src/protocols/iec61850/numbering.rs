//! Whether what a publisher numbers follows from what came before.
//!
//! On one link nothing overtakes: numbers that run back without a pause, or one number with two
//! contents, mean that two speak under one name. What is heard twice within milliseconds is a
//! copy of the mirror port or of a redundant network, and no news.

use std::collections::VecDeque;

use crate::protocols::{Emit, Party, Told};
use crate::words::NoticeKind;

/// Copies of one frame come within this, in nanoseconds.
const COPY_WITHIN: i64 = 5_000_000;
/// Messages that a copy may lag behind.
const RECENT: usize = 8;
/// Publishers of one conversation that are told apart; beyond it they take turns.
const MOST: usize = 64;

/// What a message says of its place, and which one it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// Changes of state (GOOSE), else 0.
    pub(super) state: u32,
    /// Messages since then, or samples.
    pub(super) number: u32,
    /// Of the data.
    pub(super) digest: u64,
    /// The message.
    pub(super) told: Told,
}

impl Mark {
    /// Nanoseconds since another one.
    pub(super) const fn since(&self, other: &Self) -> i64 {
        self.told.time.saturating_sub(other.told.time)
    }

    const fn is_copy(&self, other: &Self) -> bool {
        self.state == other.state
            && self.number == other.number
            && self.digest == other.digest
            && self.since(other) <= COPY_WITHIN
    }
}

/// A rule of order: what is wrong with the second mark after the first, where `pace` is how many
/// nanoseconds it took of late from one to the next.
pub(super) type Rule = fn(last: &Mark, mark: &Mark, pace: i64) -> Option<&'static str>;

/// The last messages of one publisher.
#[derive(Debug, Default)]
struct Line {
    name: Box<str>,
    /// The oldest first, at most [`RECENT`].
    recent: VecDeque<Mark>,
    /// Nanoseconds from one to the next of late.
    pace: i64,
}

impl Line {
    /// Takes the next message in. What is wrong, and the message that it does not follow from.
    fn follow(&mut self, mark: Mark, rule: Rule) -> Option<(&'static str, Told)> {
        if self.recent.iter().any(|one| mark.is_copy(one)) {
            return None;
        }
        let last = self.recent.back().copied();
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(mark);
        let last = last?;
        if let Some(detail) = rule(&last, &mark, self.pace) {
            return Some((detail, last.told));
        }
        let elapsed = mark.since(&last).max(0);
        let smoothed = (self.pace / 8).saturating_mul(7) + elapsed / 8;
        self.pace = if self.pace == 0 { elapsed } else { smoothed };
        None
    }
}

/// The publishers of one conversation.
#[derive(Debug)]
pub(super) struct Numbering {
    lines: Vec<Line>,
    /// Who is asked for first: publishers come in turn.
    next: usize,
    hasher: ahash::RandomState,
}

impl Numbering {
    pub(super) fn new() -> Self {
        Self { lines: Vec::new(), next: 0, hasher: ahash::RandomState::new() }
    }

    /// Something that stands for `bytes`, while this flow lasts.
    pub(super) fn digest(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash_one(bytes)
    }

    /// Takes in what `name` says next, and tells both messages where one does not follow from the
    /// other: which of them is false is not known. Whether the name was never heard before.
    pub(super) fn follow(
        &mut self,
        (from, name): (Party, &str),
        mark: Mark,
        rule: Rule,
        out: &mut dyn Emit,
    ) -> bool {
        let (place, is_new) = self.find(name);
        self.next = (place + 1) % self.lines.len().max(1);
        let wrong = self.lines.get_mut(place).and_then(|line| line.follow(mark, rule));
        if let Some((detail, last)) = wrong {
            out.notice(from, NoticeKind::OutOfSequence, detail, Some(last));
            out.notice(from, NoticeKind::OutOfSequence, detail, Some(mark.told));
        }
        is_new
    }

    /// The place of a publisher's line, and whether it is a new one.
    fn find(&mut self, name: &str) -> (usize, bool) {
        let (before, after) = self.lines.split_at(self.next.min(self.lines.len()));
        let is_it = |line: &Line| &*line.name == name;
        let found = after.iter().position(is_it).map(|place| before.len() + place);
        if let Some(place) = found.or_else(|| before.iter().position(is_it)) {
            return (place, false);
        }
        let line = Line { name: Box::from(name), ..Line::default() };
        if self.lines.len() < MOST {
            self.lines.push(line);
            return (self.lines.len() - 1, true);
        }
        let place = self.next % MOST;
        if let Some(old) = self.lines.get_mut(place) {
            *old = line;
        }
        (place, true)
    }

    /// Frames are missing: nothing that was heard before says what has to follow.
    pub(super) fn forget(&mut self) {
        for line in &mut self.lines {
            line.recent.clear();
        }
    }
}
