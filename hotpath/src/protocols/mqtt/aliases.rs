//! Topic aliases (MQTT 5.0, 3.3.2.3.4): numbers that stand for topics, on one connection, in one
//! direction.

use std::collections::BTreeMap;

use crate::table::MAX_TEXT_LENGTH;

/// Aliases of one direction that are kept.
const MAX_ALIASES: usize = 512;

/// There is no room for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The topics that one party has given numbers.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    topics: BTreeMap<u16, Box<str>>,
}

impl Aliases {
    /// Whatever numbers meant before, they do not any more.
    pub(super) fn forget(&mut self) {
        self.topics.clear();
    }

    /// A number stands for a topic from now on.
    ///
    /// # Errors
    /// [`Full`] if it is one too many; it stands for nothing then.
    pub(super) fn define(&mut self, alias: u16, topic: &str) -> Result<(), Full> {
        if self.topics.len() >= MAX_ALIASES && !self.topics.contains_key(&alias) {
            return Err(Full);
        }
        // What is longer than texts are kept is cut there anyhow.
        let mut end = topic.len().min(MAX_TEXT_LENGTH);
        while !topic.is_char_boundary(end) {
            end -= 1;
        }
        let kept = topic.get(..end).unwrap_or_default();
        if self.topics.get(&alias).is_none_or(|known| **known != *kept) {
            self.topics.insert(alias, Box::from(kept));
        }
        Ok(())
    }

    /// What a number stands for.
    pub(super) fn topic(&self, alias: u16) -> Option<&str> {
        self.topics.get(&alias).map(|topic| &**topic)
    }
}

#[cfg(test)]
mod tests {
    use super::{Aliases, Full, MAX_ALIASES};

    #[test]
    fn aliases_are_bounded_and_may_be_given_anew() {
        let mut aliases = Aliases::default();
        for alias in 1..=MAX_ALIASES as u16 {
            assert_eq!(aliases.define(alias, "a"), Ok(()));
        }
        assert_eq!(aliases.define(0xFFFF, "b"), Err(Full));
        assert_eq!(aliases.define(1, &"ä".repeat(200)), Ok(()));
        assert_eq!(aliases.topic(1).map(str::len), Some(256));
        assert_eq!(aliases.topic(0xFFFF), None);
        aliases.forget();
        assert_eq!(aliases.topic(1), None);
    }
}
