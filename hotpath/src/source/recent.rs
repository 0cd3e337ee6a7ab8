//! The last frames of a live source, in memory: what evidence is cut from.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Frame, LinkType, Source, SourceHealth};

/// What a kept frame costs beside its bytes.
const FRAME_COST: usize = 96;

#[derive(Debug, Clone)]
struct Kept {
    number: u64,
    time: i64,
    link: LinkType,
    interface: u32,
    original_length: u32,
    data: Arc<[u8]>,
}

impl Kept {
    fn cost(&self) -> usize {
        self.data.len().saturating_add(FRAME_COST)
    }
}

/// The last frames, within a bound of bytes. What is pinned stays when others go, within the same
/// bound once more.
#[derive(Debug, Default)]
pub struct Recent {
    bound: usize,
    frames: VecDeque<Kept>,
    bytes: usize,
    pinned: BTreeMap<u64, Kept>,
    pinned_bytes: usize,
}

impl Recent {
    /// Keeps at most `bound` bytes of frames, and as many of pinned ones.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { bound, ..Self::default() }
    }

    /// Forgets all: another session begins.
    pub fn clear(&mut self) {
        *self = Self::new(self.bound);
    }

    /// Keeps at most `bound` bytes from now on; the oldest frames go.
    pub fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
        self.make_room();
        self.frames.shrink_to_fit();
    }

    /// Bytes that are kept.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a frame; the oldest go. Frames come in ascending order.
    pub fn keep(&mut self, frame: &Frame<'_>) {
        let Frame { number, time, link, interface, data, original_length } = *frame;
        let kept = Kept { number, time, link, interface, original_length, data: data.into() };
        self.bytes = self.bytes.saturating_add(kept.cost());
        self.frames.push_back(kept);
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.bytes > self.bound {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.cost());
        }
    }

    /// Pins frames and so many before and after each, as far as they are still here; returns how
    /// many of `numbers` are (or were pinned before).
    pub fn pin(&mut self, numbers: &[u64], context: u64) -> usize {
        let mut found: usize = 0;
        for number in numbers {
            let first = number.saturating_sub(context);
            let last = number.saturating_add(context);
            let start = self.frames.partition_point(|kept| kept.number < first);
            for kept in self.frames.range(start..).take_while(|kept| kept.number <= last) {
                let cost = kept.cost();
                if self.pinned.contains_key(&kept.number)
                    || self.pinned_bytes.saturating_add(cost) > self.bound
                {
                    continue;
                }
                self.pinned_bytes = self.pinned_bytes.saturating_add(cost);
                self.pinned.insert(kept.number, kept.clone());
            }
            found = found.saturating_add(usize::from(self.pinned.contains_key(number)));
        }
        found
    }

    /// Lets go of all pinned frames.
    pub fn unpin(&mut self) {
        self.pinned.clear();
        self.pinned_bytes = 0;
    }

    /// All frames that are still here, as a source; later ones are not in it.
    #[must_use]
    pub fn source(&self) -> RecentFrames {
        let oldest = self.frames.front().map_or(u64::MAX, |kept| kept.number);
        let pinned = self.pinned.range(..oldest).map(|(_, kept)| kept.clone());
        RecentFrames {
            frames: pinned.chain(self.frames.iter().cloned()).collect(),
            next: 0,
            health: SourceHealth::default(),
        }
    }
}

/// The frames of a [`Recent`] at one moment; their bytes are shared, not copied.
#[derive(Debug)]
pub struct RecentFrames {
    frames: Vec<Kept>,
    next: usize,
    health: SourceHealth,
}

impl Source for RecentFrames {
    fn next_frame(&mut self) -> Option<Frame<'_>> {
        let kept = self.frames.get(self.next)?;
        self.next = self.next.saturating_add(1);
        self.health.frames = self.health.frames.saturating_add(1);
        self.health.bytes = self.health.bytes.saturating_add(kept.data.len() as u64);
        Some(Frame {
            number: kept.number,
            time: kept.time,
            link: kept.link,
            interface: kept.interface,
            data: &kept.data,
            original_length: kept.original_length,
        })
    }

    fn health(&self) -> &SourceHealth {
        &self.health
    }
}

#[cfg(test)]
mod tests {
    use super::{FRAME_COST, Recent};
    use crate::source::{Frame, LinkType, Source};

    fn frame(number: u64) -> Frame<'static> {
        let link = LinkType::Ethernet;
        Frame { number, time: 7, link, interface: 0, data: &[1, 2, 3, 4], original_length: 9 }
    }

    fn numbers(recent: &Recent) -> Vec<u64> {
        let mut source = recent.source();
        std::iter::from_fn(|| source.next_frame().map(|frame| frame.number)).collect()
    }

    fn filled(count: u64) -> Recent {
        let mut recent = Recent::new(10 * (FRAME_COST + 4));
        (1..=count).for_each(|number| recent.keep(&frame(number)));
        recent
    }

    #[test]
    fn the_oldest_go_first() {
        assert_eq!(numbers(&filled(3)), [1, 2, 3]);
        assert_eq!(numbers(&filled(25)), (16..=25).collect::<Vec<_>>());
        assert_eq!(filled(25).source().next_frame(), Some(frame(16)));
    }

    #[test]
    fn what_is_pinned_stays() {
        let mut recent = filled(10);
        assert_eq!(recent.pin(&[2, 5, 99], 1), 2);
        (11..=40).for_each(|number| recent.keep(&frame(number)));
        assert_eq!(
            numbers(&recent),
            [1, 2, 3, 4, 5, 6].into_iter().chain(31..=40).collect::<Vec<_>>()
        );
        assert_eq!(recent.pin(&[2, 7], 3), 1, "2 was pinned before, 7 is gone");
        recent.unpin();
        assert_eq!(numbers(&recent), (31..=40).collect::<Vec<_>>());
    }

    #[test]
    fn pinning_is_bounded_too() {
        let mut recent = filled(10);
        assert_eq!(recent.pin(&[5], u64::MAX), 1);
        (11..=30).for_each(|number| recent.keep(&frame(number)));
        assert_eq!(recent.pin(&(21..=30).collect::<Vec<_>>(), 0), 0);
        assert_eq!(numbers(&recent).len(), 20);
        recent.clear();
        assert_eq!(numbers(&recent), []);
    }
}
