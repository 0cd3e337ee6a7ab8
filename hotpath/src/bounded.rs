//! A hash table with a bound, in order of use.
//!
//! Entries live in numbered slots that never move; two chains of slot numbers run through them,
//! one in order of use and one of vacant slots. Every operation costs O(1), and hashes at most
//! once. The hash is keyed at random, so that a peer cannot aim keys at one bucket; the order of
//! entries and the numbers of slots depend only on the calls made, never on the hash.
// Every index in this file is a slot number that this file gave out.
#![allow(clippy::indexing_slicing, reason = "slot numbers are ours, never the wire's")]

use std::fmt;
use std::hash::Hash;
use std::mem;

use ahash::RandomState;
use hashbrown::HashTable;

/// No slot: the end of a chain.
const NONE: u32 = u32::MAX;

/// The most entries that slot numbers can tell apart.
const MAX_BOUND: usize = NONE as usize;

/// The links of one slot, apart from its entry so that moving an entry in the order of use
/// touches few cache lines.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The slot that was used next before this one.
    older: u32,
    /// The slot that was used next after this one; in the vacant chain, the next vacant one.
    newer: u32,
    /// The hash of the key.
    hash: u64,
}

/// What [`LruTable::touch_or_insert_with`] found or made.
#[derive(Debug)]
pub struct Entry<'a, K, V> {
    /// The number of the entry's slot, valid until the entry leaves the table.
    pub slot: u32,
    /// Its value.
    pub value: &'a mut V,
    /// The least recently used entry, if it had to go.
    pub evicted: Option<(K, V)>,
    /// Whether the entry is new.
    pub fresh: bool,
}

/// Holds at most `bound` entries; at the bound the least recently used one makes room.
pub struct LruTable<K, V> {
    hasher: RandomState,
    index: HashTable<u32>,
    entries: Vec<Option<(K, V)>>,
    nodes: Vec<Node>,
    oldest: u32,
    newest: u32,
    vacant: u32,
    bound: usize,
}

impl<K, V> LruTable<K, V> {
    /// An empty table for at most `bound` entries (at least 1, at most `u32::MAX`).
    /// Memory is taken as entries come.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            index: HashTable::new(),
            entries: Vec::new(),
            nodes: Vec::new(),
            oldest: NONE,
            newest: NONE,
            vacant: NONE,
            bound: bound.clamp(1, MAX_BOUND),
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The most entries there can be.
    #[must_use]
    pub const fn bound(&self) -> usize {
        self.bound
    }

    /// Has another bound (at least 1) from now on. What is beyond it stays until it is taken out.
    pub fn set_bound(&mut self, bound: usize) {
        self.bound = bound.clamp(1, MAX_BOUND);
    }

    /// The entry in `slot`. A slot is used again after its entry has left: who keeps the number
    /// compares the key.
    #[inline]
    pub fn slot(&mut self, slot: u32) -> Option<(&K, &mut V)> {
        let (key, value) = self.entries.get_mut(slot as usize)?.as_mut()?;
        Some((&*key, value))
    }

    /// Makes the entry in `slot` the last used one; false if there is none.
    #[inline]
    pub fn touch(&mut self, slot: u32) -> bool {
        if !matches!(self.entries.get(slot as usize), Some(Some(_))) {
            return false;
        }
        if slot != self.newest {
            self.unlink(slot);
            self.link_newest(slot);
        }
        true
    }

    /// The entry whose last use is longest ago.
    #[must_use]
    pub fn oldest(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// Takes out the entry whose last use is longest ago.
    pub fn pop_oldest(&mut self) -> Option<(K, V)> {
        self.remove_slot(self.oldest)
    }

    /// Takes out the entry in `slot`.
    pub fn remove_slot(&mut self, slot: u32) -> Option<(K, V)> {
        let entry = self.entries.get_mut(slot as usize)?.take()?;
        self.unindex(slot);
        self.unlink(slot);
        self.nodes[slot as usize].newer = self.vacant;
        self.vacant = slot;
        Some(entry)
    }

    /// All entries, least recently used first.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter { table: self, next: self.oldest }
    }

    /// Takes `slot` out of the hash index.
    fn unindex(&mut self, slot: u32) {
        let hash = self.nodes[slot as usize].hash;
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
    }

    /// Takes `slot` out of the order of use.
    fn unlink(&mut self, slot: u32) {
        let Node { older, newer, .. } = self.nodes[slot as usize];
        match older {
            NONE => self.oldest = newer,
            _ => self.nodes[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            _ => self.nodes[newer as usize].older = older,
        }
    }

    /// Puts `slot`, which is in no chain, at the end of the order of use.
    fn link_newest(&mut self, slot: u32) {
        let before = mem::replace(&mut self.newest, slot);
        match before {
            NONE => self.oldest = slot,
            _ => self.nodes[before as usize].newer = slot,
        }
        let node = &mut self.nodes[slot as usize];
        node.older = before;
        node.newer = NONE;
    }

    /// A slot without an entry, in no chain: a vacant one, or a new one.
    fn take_vacant(&mut self) -> u32 {
        if self.vacant == NONE {
            // Fits: there are at most `bound` slots, and `bound` fits 32 bits.
            let slot = self.entries.len() as u32;
            self.entries.push(None);
            self.nodes.push(Node { older: NONE, newer: NONE, hash: 0 });
            return slot;
        }
        let slot = self.vacant;
        self.vacant = self.nodes[slot as usize].newer;
        slot
    }
}

impl<K: Hash + Eq, V> LruTable<K, V> {
    /// The value of `key`; does not count as a use.
    #[inline]
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        let slot = self.find(self.hasher.hash_one(key), key)?;
        self.slot(slot).map(|(_, value)| value)
    }

    /// Finds the entry of `key`, or makes it with `make`, and makes it the last used one. At the
    /// bound a new entry takes the place of the least recently used one, which is handed back.
    #[inline]
    pub fn touch_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> Entry<'_, K, V> {
        let hash = self.hasher.hash_one(&key);
        if let Some(slot) = self.find(hash, &key) {
            self.touch(slot);
            let (_, value) = self.entries[slot as usize].get_or_insert_with(|| (key, make()));
            return Entry { slot, value, evicted: None, fresh: false };
        }
        // Made before anything is changed: a panic in `make` leaves the table whole.
        let entry = (key, make());
        let evicted = if self.len() < self.bound { None } else { self.pop_oldest() };
        let slot = self.take_vacant();
        self.nodes[slot as usize].hash = hash;
        self.link_newest(slot);
        let nodes = &self.nodes;
        self.index.insert_unique(hash, slot, |&other| nodes[other as usize].hash);
        let (_, value) = self.entries[slot as usize].insert(entry);
        Entry { slot, value, evicted, fresh: true }
    }

    /// Takes out the entry of `key`.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.find(self.hasher.hash_one(key), key)?;
        self.remove_slot(slot).map(|(_, value)| value)
    }

    /// The slot of `key`.
    #[inline]
    fn find(&self, hash: u64, key: &K) -> Option<u32> {
        let is_key = |&slot: &u32| {
            crate::meter::work(1);
            self.entries[slot as usize].as_ref().is_some_and(|(other, _)| other == key)
        };
        self.index.find(hash, is_key).copied()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for LruTable<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self).finish()
    }
}

/// Bytes that many holders share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    used: usize,
    limit: usize,
}

impl Room {
    /// Room for `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { used: 0, limit }
    }

    /// Bytes that are held now.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// Is another size from now on.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// A holder has `after` bytes instead of `before`; false if that is too much for all together,
    /// and the holder should let go of some.
    #[inline]
    pub const fn change(&mut self, before: usize, after: usize) -> bool {
        self.used = self.used.saturating_sub(before).saturating_add(after);
        after <= before || self.used <= self.limit
    }
}

/// The entries of an [`LruTable`], least recently used first.
pub struct Iter<'a, K, V> {
    table: &'a LruTable<K, V>,
    next: u32,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        let slot = self.next as usize;
        let (key, value) = self.table.entries.get(slot)?.as_ref()?;
        self.next = self.table.nodes[slot].newer;
        Some((key, value))
    }
}

impl<'a, K, V> IntoIterator for &'a LruTable<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::LruTable;

    fn contents<K: Copy, V: Copy>(table: &LruTable<K, V>) -> Vec<(K, V)> {
        table.iter().map(|(key, value)| (*key, *value)).collect()
    }

    #[test]
    fn evicts_the_least_recently_used_and_hands_it_back() {
        let mut table = LruTable::new(2);
        assert!(table.touch_or_insert_with('a', || 1).fresh);
        assert!(table.touch_or_insert_with('b', || 2).fresh);
        let again = table.touch_or_insert_with('a', || 9);
        assert_eq!((again.fresh, *again.value, again.evicted), (false, 1, None));
        let third = table.touch_or_insert_with('c', || 3);
        assert_eq!((third.fresh, third.evicted), (true, Some(('b', 2))));
        assert_eq!(contents(&table), [('a', 1), ('c', 3)]);
        assert_eq!(table.oldest(), Some((&'a', &1)));
    }

    #[test]
    fn get_does_not_touch_but_touch_does() {
        let mut table = LruTable::new(2);
        let first = table.touch_or_insert_with('a', || 1).slot;
        table.touch_or_insert_with('b', || 2);
        assert_eq!(table.get(&'a'), Some(&mut 1));
        assert_eq!(contents(&table), [('a', 1), ('b', 2)]);
        assert!(table.touch(first));
        assert_eq!(contents(&table), [('b', 2), ('a', 1)]);
    }

    #[test]
    fn slots_are_stable_and_used_again() {
        let mut table = LruTable::new(4);
        let slots: Vec<u32> =
            (0..4).map(|key| table.touch_or_insert_with(key, || key * 10).slot).collect();
        assert_eq!(slots, [0, 1, 2, 3]);
        assert_eq!(table.remove(&1), Some(10));
        assert_eq!(table.slot(1), None);
        assert!(!table.touch(1), "a vacant slot cannot be touched");
        assert_eq!(table.slot(2), Some((&2, &mut 20)));
        assert_eq!(table.touch_or_insert_with(7, || 70).slot, 1);
        let evicting = table.touch_or_insert_with(8, || 80);
        assert_eq!((evicting.slot, evicting.evicted), (0, Some((0, 0))));
        assert_eq!(table.slot(4), None);
        assert!(!table.touch(u32::MAX));
    }

    #[test]
    fn a_bound_of_zero_is_one() {
        let mut table = LruTable::new(0);
        assert_eq!((table.bound(), table.is_empty()), (1, true));
        table.touch_or_insert_with(1, || ());
        assert_eq!(table.touch_or_insert_with(2, || ()).evicted, Some((1, ())));
        assert_eq!(table.pop_oldest(), Some((2, ())));
        assert_eq!(table.pop_oldest(), None);
    }

    #[test]
    fn does_not_grow_beyond_its_bound() {
        let mut table = LruTable::new(100);
        for key in 0..100_000_u32 {
            table.touch_or_insert_with(key, || ());
        }
        assert_eq!((table.len(), table.entries.len(), table.nodes.len()), (100, 100, 100));
        assert!(table.index.capacity() <= 500, "tombstones must not make the index grow");
    }

    #[derive(Debug, Clone)]
    enum Call {
        Insert(u8),
        Get(u8),
        TouchSlot(u32),
        Remove(u8),
        PopOldest,
    }

    fn call() -> impl Strategy<Value = Call> {
        prop_oneof![
            4 => (0..24_u8).prop_map(Call::Insert),
            1 => (0..24_u8).prop_map(Call::Get),
            2 => (0..12_u32).prop_map(Call::TouchSlot),
            1 => (0..24_u8).prop_map(Call::Remove),
            1 => Just(Call::PopOldest),
        ]
    }

    /// The same table, slow and plain: oldest first.
    #[derive(Default)]
    struct Model {
        entries: VecDeque<(u8, usize)>,
    }

    impl Model {
        fn remove(&mut self, key: u8) -> Option<(u8, usize)> {
            let place = self.entries.iter().position(|entry| entry.0 == key)?;
            self.entries.remove(place)
        }

        fn touch(&mut self, key: u8) -> bool {
            let found = self.remove(key);
            self.entries.extend(found);
            found.is_some()
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_model(
            bound in 1..12_usize,
            calls in prop::collection::vec(call(), 0..200),
        ) {
            let mut table = LruTable::new(bound);
            let mut twin = LruTable::new(bound);
            let mut model = Model::default();
            for (step, call) in calls.into_iter().enumerate() {
                match call {
                    Call::Insert(key) => {
                        let known = model.touch(key);
                        let mut evicted = None;
                        if !known {
                            if model.entries.len() == bound {
                                evicted = model.entries.pop_front();
                            }
                            model.entries.push_back((key, step));
                        }
                        let entry = table.touch_or_insert_with(key, || step);
                        prop_assert_eq!(entry.fresh, !known);
                        prop_assert_eq!(entry.evicted, evicted);
                        let newest = (key, *entry.value);
                        prop_assert_eq!(Some(&newest), model.entries.back());
                        let slot = entry.slot;
                        prop_assert_eq!(twin.touch_or_insert_with(key, || step).slot, slot);
                        prop_assert_eq!(table.slot(slot).map(|(found, _)| *found), Some(key));
                    }
                    Call::Get(key) => {
                        let value = model.entries.iter().find(|entry| entry.0 == key);
                        prop_assert_eq!(table.get(&key).copied(), value.map(|entry| entry.1));
                    }
                    Call::TouchSlot(slot) => {
                        let key = table.slot(slot).map(|(key, _)| *key);
                        let touched = key.is_some_and(|key| model.touch(key));
                        prop_assert_eq!(table.touch(slot), touched);
                        prop_assert_eq!(twin.touch(slot), touched);
                    }
                    Call::Remove(key) => {
                        let removed = model.remove(key).map(|entry| entry.1);
                        prop_assert_eq!(table.remove(&key), removed);
                        prop_assert_eq!(twin.remove(&key), removed);
                    }
                    Call::PopOldest => {
                        let popped = model.entries.pop_front();
                        prop_assert_eq!(table.pop_oldest(), popped);
                        prop_assert_eq!(twin.pop_oldest(), popped);
                    }
                }
                prop_assert_eq!(table.len(), model.entries.len());
                prop_assert!(table.len() <= bound && table.entries.len() <= bound);
                prop_assert_eq!(&contents(&table), &Vec::from(model.entries.clone()));
            }
        }
    }
}
