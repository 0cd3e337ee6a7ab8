//! Interning: every distinct thing that was said gets a small integer.
//!
//! Ids that were learned are permanent; all others are provisional, under a quota per client and
//! in total, and are retired when long unused. What goes beyond a quota is not dropped but told
//! more coarsely: a scan costs its own quota and blinds nothing.

use std::hash::Hash;

use ahash::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::meter;
use crate::net::{Address, Vlan};
use crate::protocols::Transport;
use crate::words::{Access, Activity, Role};

/// The id that means nothing, nobody, or one of the others beyond a quota.
pub const NONE: u32 = 0;

/// At most this many ranges stand in an object set; beyond it, only the types do.
pub const MAX_OBJECT_RANGES: usize = 8;

/// How many neighbouring addresses of a dense object type get their ids together.
pub const PAGE: u64 = 64;

/// Added to an owner: may use the eighth that is kept back for coarse spellings when all is full.
pub const RESERVE: u32 = 1 << 31;

/// Owner of what is said by those who have no endpoint id because there was no room for one.
pub const OTHERS: u32 = RESERVE >> 1;

/// Owner of what is permanent from the start and never refused. Only for what is finite by itself,
/// such as the names that specifications give.
pub const ALWAYS: u32 = u32::MAX;

/// Who is to blame for what `client` says.
#[must_use]
pub const fn blamed(client: u32) -> u32 {
    if client == NONE { OTHERS } else { client }
}

/// How many bytes of a text are kept.
pub const MAX_TEXT_LENGTH: usize = 256;

/// Bounds of the dictionaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries in all.
    pub total: u32,
    /// Provisional entries for which one client is to blame; nobody ([`NONE`]) may use all.
    pub per_client: u32,
}

/// A dictionary is at its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

#[derive(Debug)]
struct Entry<K> {
    key: K,
    hash: u64,
    owner: u32,
    used: i64,
    permanent: bool,
}

/// One dictionary: distinct keys to dense ids from 1.
#[derive(Debug)]
pub struct Dictionary<K> {
    hasher: RandomState,
    ids: HashTable<u32>,
    entries: Vec<Option<Entry<K>>>,
    free: Vec<u32>,
    defined: Vec<u32>,
    retired: Vec<u32>,
    owned: hashbrown::HashMap<u32, u32, RandomState>,
    provisional: u32,
    has_refused: bool,
    limits: Limits,
}

impl<K: Hash + Eq + Clone> Dictionary<K> {
    /// An empty dictionary.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            hasher: RandomState::new(),
            ids: HashTable::new(),
            entries: vec![None],
            free: Vec::new(),
            defined: Vec::new(),
            retired: Vec::new(),
            owned: hashbrown::HashMap::with_hasher(RandomState::new()),
            provisional: 0,
            has_refused: false,
            limits,
        }
    }

    /// The id of `key`, which `owner` (an endpoint, or [`NONE`]) says at second `now`.
    ///
    /// # Errors
    /// [`Full`] if it is new and a quota is used up.
    #[inline]
    pub fn intern(&mut self, key: &K, owner: u32, now: i64) -> Result<u32, Full> {
        let hash = self.hasher.hash_one(key);
        if let Some(id) = self.find(hash, key) {
            if let Some(Some(entry)) = self.entries.get_mut(id as usize) {
                entry.used = now;
            }
            return Ok(id);
        }
        self.define(key.clone(), hash, owner, now)
    }

    /// The id of `key` if it has one; its time of use stays.
    #[must_use]
    pub fn lookup(&self, key: &K) -> Option<u32> {
        self.find(self.hasher.hash_one(key), key)
    }

    /// What an id stands for.
    #[must_use]
    pub fn key(&self, id: u32) -> Option<&K> {
        self.entries.get(id as usize)?.as_ref().map(|entry| &entry.key)
    }

    /// The largest id so far, plus one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every key that is defined now, with its id.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &K)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(id, entry)| entry.as_ref().map(|entry| (id as u32, &entry.key)))
    }

    /// Whether nothing was ever defined.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.len() <= 1
    }

    /// Ids defined since the last call.
    pub fn take_defined(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.defined)
    }

    /// Ids retired since the last call.
    pub fn take_retired(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.retired)
    }

    /// Whether provisional entries fill more than half of the bound, or a quota refused one.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.has_refused || self.provisional > self.limits.total / 2
    }

    /// Whether a quota refused an entry since room was made last.
    #[must_use]
    pub const fn has_refused(&self) -> bool {
        self.has_refused
    }

    /// An entry is still in use at second `now`, though nobody says it again.
    pub fn touch(&mut self, id: u32, now: i64) {
        if let Some(Some(entry)) = self.entries.get_mut(id as usize) {
            entry.used = now;
        }
    }

    /// Marks ids as learned. Unknown ids are passed over.
    pub fn keep(&mut self, ids: &[u32]) {
        for &id in ids {
            if let Some(Some(entry)) = self.entries.get_mut(id as usize) {
                if !entry.permanent {
                    entry.permanent = true;
                    let owner = entry.owner;
                    self.release(owner);
                }
            }
        }
    }

    /// Has other bounds from now on. What is beyond them stays until it is retired.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Retires provisional entries that were last used before second `before`, unless `held`.
    /// What was used in the future, before time ran back, counts as used at second `now`.
    pub fn retire(&mut self, before: i64, now: i64, held: impl Fn(u32) -> bool) {
        meter::work(self.entries.len());
        for index in 1..self.entries.len() {
            let Some(slot) = self.entries.get_mut(index) else { continue };
            let id = index as u32;
            if let Some(entry) = slot {
                entry.used = entry.used.min(now);
            }
            let stale = slot.as_ref().is_some_and(|entry| !entry.permanent && entry.used < before);
            if !stale || held(id) {
                continue;
            }
            let Some(entry) = slot.take() else { continue };
            if let Ok(found) = self.ids.find_entry(entry.hash, |&other| other == id) {
                found.remove();
            }
            self.release(entry.owner);
            self.has_refused = false;
            self.retired.push(id);
            self.free.push(id);
        }
    }

    #[inline]
    fn find(&self, hash: u64, key: &K) -> Option<u32> {
        let entries = &self.entries;
        self.ids
            .find(hash, |&id| {
                meter::work(1);
                matches!(entries.get(id as usize), Some(Some(entry)) if entry.key == *key)
            })
            .copied()
    }

    #[cold]
    fn define(&mut self, key: K, hash: u64, owner: u32, now: i64) -> Result<u32, Full> {
        let reserve = if owner & RESERVE == 0 { 0 } else { self.limits.total / 8 };
        let bound = self.limits.total.saturating_add(reserve);
        let used = (self.entries.len() - 1).saturating_sub(self.free.len());
        let count = self.owned.get(&owner).copied().unwrap_or(0);
        let permanent = owner == ALWAYS;
        let is_full = used >= bound as usize;
        if !permanent && (is_full || (owner != NONE && count >= self.limits.per_client)) {
            self.has_refused = true;
            return Err(Full);
        }
        let entry = Some(Entry { key, hash, owner, used: now, permanent });
        let id = self.free.pop().unwrap_or(self.entries.len() as u32);
        if let Some(slot) = self.entries.get_mut(id as usize) {
            *slot = entry;
        } else {
            self.entries.push(entry);
        }
        let entries = &self.entries;
        self.ids.insert_unique(hash, id, |&other| {
            entries.get(other as usize).and_then(Option::as_ref).map_or(0, |entry| entry.hash)
        });
        if !permanent {
            *self.owned.entry(owner).or_insert(0) += 1;
            self.provisional += 1;
        }
        self.defined.push(id);
        Ok(id)
    }

    fn release(&mut self, owner: u32) {
        self.provisional = self.provisional.saturating_sub(1);
        if let Some(count) = self.owned.get_mut(&owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.owned.remove(&owner);
            }
        }
    }
}

/// An address that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Its VLAN.
    pub vlan: Vlan,
    /// Its address.
    pub address: Address,
}

/// How a conversation is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Carrier {
    /// TCP.
    Tcp = 0,
    /// UDP.
    Udp = 1,
    /// Another protocol on IP, or ARP.
    Network = 2,
    /// Directly on the link layer.
    Link = 3,
}

impl From<Transport> for Carrier {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self::Tcp,
            Transport::Udp => Self::Udp,
            Transport::Link => Self::Link,
        }
    }
}

/// Client, server, protocol, server port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// Endpoint id of the client, or the sender.
    pub client: u32,
    /// Endpoint id of the server, or the group.
    pub server: u32,
    /// Text id of the protocol's name.
    pub protocol: u32,
    /// How it is carried.
    pub carrier: Carrier,
    /// The server's port, APPID or frame id.
    pub port: u16,
}

/// A range of objects inside a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    /// Object type of the protocol.
    pub kind: u16,
    /// How it is touched.
    pub access: Access,
    /// First address.
    pub address: u64,
    /// How many; 0 where the symbol names the type only.
    pub count: u32,
    /// Text id of a name.
    pub name: u32,
}

/// The ordered ranges of a symbol.
pub type ObjectSet = SmallVec<[Range; 2]>;

/// A message's identity without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// Conversation id.
    pub conversation: u32,
    /// Whether the client says it.
    pub from_client: bool,
    /// Request, response or report.
    pub role: Role,
    /// What it does.
    pub activity: Activity,
    /// Status code; 0 for success.
    pub status: u16,
    /// Function code.
    pub function: u32,
    /// Sub-function.
    pub subfunction: u32,
    /// Unit.
    pub unit: u32,
    /// Id of its object set.
    pub objects: u32,
    /// Whether a quota took its unit and objects away.
    pub coarse: bool,
}

/// Neighbouring process variables: one page of a dense type, or a single point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page {
    /// Endpoint id of the server.
    pub server: u32,
    /// Text id of the protocol.
    pub protocol: u32,
    /// Unit.
    pub unit: u32,
    /// Object type.
    pub kind: u16,
    /// Whether [`PAGE`] addresses stand in it, or one.
    pub dense: bool,
    /// First address.
    pub address: u64,
    /// Text id of a name.
    pub name: u32,
}

#[cfg(test)]
mod tests {
    use super::{ALWAYS, Dictionary, Full, Limits, NONE, RESERVE};

    fn dictionary(total: u32, per_client: u32) -> Dictionary<&'static str> {
        Dictionary::new(Limits { total, per_client })
    }

    #[test]
    fn gives_dense_ids_from_one() {
        let mut words = dictionary(10, 10);
        assert_eq!(words.intern(&"a", NONE, 0), Ok(1));
        assert_eq!(words.intern(&"b", NONE, 0), Ok(2));
        assert_eq!(words.intern(&"a", NONE, 5), Ok(1));
        assert_eq!(words.take_defined(), [1, 2]);
        assert_eq!(words.take_defined(), [0_u32; 0]);
        assert_eq!(words.key(2), Some(&"b"));
        assert_eq!(words.key(0), None);
        assert_eq!(words.lookup(&"c"), None);
    }

    #[test]
    fn a_client_uses_up_its_own_quota_only() {
        let mut words = dictionary(10, 2);
        assert_eq!(words.intern(&"a", 7, 0), Ok(1));
        assert_eq!(words.intern(&"b", 7, 0), Ok(2));
        assert_eq!(words.intern(&"c", 7, 0), Err(Full));
        assert_eq!(words.intern(&"c", 8, 0), Ok(3));
        assert_eq!(words.intern(&"a", 7, 0), Ok(1), "what is known stays known");
        words.keep(&[1]);
        assert_eq!(words.intern(&"d", 7, 0), Ok(4), "what is learned costs no quota");
    }

    #[test]
    fn the_total_holds_whoever_asks() {
        let mut words = dictionary(2, 2);
        assert_eq!(words.intern(&"a", 1, 0), Ok(1));
        assert_eq!(words.intern(&"b", 2, 0), Ok(2));
        assert_eq!(words.intern(&"c", 3, 0), Err(Full));
    }

    #[test]
    fn retires_what_is_old_and_not_learned() {
        let mut words = dictionary(3, 3);
        assert_eq!(words.intern(&"old", 1, 10), Ok(1));
        assert_eq!(words.intern(&"learned", 1, 10), Ok(2));
        assert_eq!(words.intern(&"young", 1, 50), Ok(3));
        words.keep(&[2, 99]);
        words.retire(50, 60, |_| false);
        assert_eq!(words.take_retired(), [1]);
        assert_eq!(words.lookup(&"old"), None);
        assert_eq!(words.lookup(&"learned"), Some(2));
        assert_eq!(words.intern(&"new", 1, 60), Ok(1), "a retired id is used again");
        assert_eq!(words.key(1), Some(&"new"));
    }

    #[test]
    fn what_was_used_in_the_future_ages_from_now_on() {
        let mut words = dictionary(3, 3);
        assert_eq!(words.intern(&"tomorrow", 1, 90_000), Ok(1));
        words.retire(50, 100, |_| false);
        assert_eq!(words.lookup(&"tomorrow"), Some(1));
        words.retire(101, 200, |_| false);
        assert_eq!(words.lookup(&"tomorrow"), None);
    }

    #[test]
    fn what_is_finite_by_itself_is_never_refused_nor_retired() {
        let mut words = dictionary(1, 1);
        assert_eq!(words.intern(&"a", 1, 0), Ok(1));
        assert_eq!(words.intern(&"b", 2 | RESERVE, 0), Err(Full));
        assert_eq!(words.intern(&"c", ALWAYS, 0), Ok(2));
        words.retire(10, 10, |_| false);
        assert_eq!((words.lookup(&"a"), words.lookup(&"c")), (None, Some(2)));
    }

    #[test]
    fn a_refusal_presses_until_something_was_retired() {
        let mut words = dictionary(100, 1);
        assert_eq!(words.intern(&"a", 1, 0), Ok(1));
        assert!(!words.is_pressed());
        assert_eq!(words.intern(&"b", 1, 0), Err(Full));
        assert!(words.is_pressed(), "one client's full quota is worth a census");
        words.retire(10, 10, |_| false);
        assert!(!words.is_pressed());
        assert_eq!(words.intern(&"b", 1, 0), Ok(1));
    }

    #[test]
    fn says_when_it_is_pressed() {
        let mut words = dictionary(4, 4);
        for word in ["a", "b"] {
            assert!(words.intern(&word, 1, 0).is_ok());
        }
        assert!(!words.is_pressed());
        assert!(words.intern(&"c", 1, 0).is_ok());
        assert!(words.is_pressed());
        words.keep(&[1]);
        assert!(!words.is_pressed());
    }
}
