//! Whether what a publisher numbers follows from what came before.
//!
//! On one link nothing overtakes: numbers that run back without a pause, or one number with two
//! contents, mean that two speak under one name. What is heard twice within milliseconds is a
//! copy of the mirror port or of a redundant network, and no news.

use crate::words::NoticeKind;

/// Copies of one frame come within this, in nanoseconds.
const COPY_WITHIN: i64 = 5_000_000;
/// Messages that a copy may lag behind.
const RECENT: usize = 8;
/// Publishers of one conversation that are told apart; beyond it they take turns.
const MOST: usize = 64;

/// What a message says of its place, and when it was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// Changes of state (GOOSE), else 0.
    pub(super) state: u32,
    /// Messages since then, or samples.
    pub(super) number: u32,
    /// Of the data.
    pub(super) digest: u64,
    /// Nanoseconds.
    pub(super) time: i64,
}

/// What is wrong with the place of a message.
pub(super) type Wrong = (NoticeKind, &'static str);

/// A rule of order: what is wrong with the second mark after the first.
pub(super) type Rule = fn(last: &Mark, mark: &Mark, pace: i64) -> Option<Wrong>;

/// The last messages of one publisher.
#[derive(Debug, Default)]
struct Line {
    name: Box<str>,
    recent: [Mark; RECENT],
    /// How many were heard, until all of `recent` are.
    heard: usize,
    /// Place of the last one in `recent`.
    last: usize,
    /// Nanoseconds from one to the next of late.
    pace: i64,
}

impl Line {
    fn follow(&mut self, mark: Mark, rule: Rule) -> Option<Wrong> {
        let is_copy = |one: &Mark| {
            let age = mark.time.saturating_sub(one.time);
            (Mark { time: mark.time, ..*one }) == mark && age <= COPY_WITHIN
        };
        if self.recent.iter().take(self.heard).any(is_copy) {
            return None;
        }
        let last = self.recent.get(self.last).copied().filter(|_| self.heard > 0);
        self.last = (self.last + usize::from(self.heard > 0)) % RECENT;
        self.heard = (self.heard + 1).min(RECENT);
        if let Some(place) = self.recent.get_mut(self.last) {
            *place = mark;
        }
        let last = last?;
        let wrong = rule(&last, &mark, self.pace);
        if wrong.is_none() {
            let elapsed = mark.time.saturating_sub(last.time).max(0);
            let is_first = self.pace == 0;
            self.pace =
                if is_first { elapsed } else { (self.pace / 8).saturating_mul(7) + elapsed / 8 };
        }
        wrong
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

    /// Takes in what `name` says next; whether it was never heard before, and what is wrong.
    pub(super) fn follow(&mut self, name: &str, mark: Mark, rule: Rule) -> (bool, Option<Wrong>) {
        let (before, after) = self.lines.split_at(self.next.min(self.lines.len()));
        let is_it = |line: &Line| &*line.name == name;
        let found = after.iter().position(is_it).map(|place| before.len() + place);
        let place = found.or_else(|| before.iter().position(is_it));
        let is_new = place.is_none();
        let place = place.unwrap_or_else(|| {
            let line = Line { name: Box::from(name), ..Line::default() };
            if self.lines.len() < MOST {
                self.lines.push(line);
                return self.lines.len() - 1;
            }
            let place = self.next % MOST;
            if let Some(old) = self.lines.get_mut(place) {
                *old = line;
            }
            place
        });
        self.next = (place + 1) % self.lines.len().max(1);
        (is_new, self.lines.get_mut(place).and_then(|line| line.follow(mark, rule)))
    }

    /// Frames are missing: nothing that was heard before says what has to follow.
    pub(super) fn forget(&mut self) {
        for line in &mut self.lines {
            line.heard = 0;
        }
    }
}
