//! Which MAC and TTL each endpoint uses, which MAC ARP claims for it, and what of it is news.

use crate::bounded::LruTable;
use crate::net::{Address, Arp, Mac, Vlan};
use crate::words::Sighted;

/// Bindings of one endpoint that are told within a second; an honest one has one or two.
const MOST_IN_SECOND: usize = 4;

/// Who asked for whom by ARP: so many are kept in mind.
const MAX_ASKED: usize = 4_096;

/// How long an ARP request may be answered, in nanoseconds: hosts ask again after a second.
const ANSWERED_WITHIN: i64 = 2_000_000_000;

const KNOWN: u64 = 1 << 63;
const TTL_SHIFT: u32 = 48;
const HOW_SHIFT: u32 = 56;

/// A MAC as a number, 0 where the link has none.
pub(super) fn number(mac: Option<Mac>) -> u64 {
    mac.map_or(0, |[a, b, c, d, e, f]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

/// Whether a binding is worth a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It is as before, or was told in this second.
    Nothing,
    /// It is new, changed, or claimed.
    Row,
    /// So many bindings of this endpoint were told in this second that there is no room for it.
    TooMuch,
}

/// What was told of an endpoint.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    /// The MAC that ARP claimed last, with [`KNOWN`].
    claimed: u64,
    /// The TTLs that were told, a bit each.
    ttls: [u64; 4],
    second: i64,
    count: usize,
    written: [u64; MOST_IN_SECOND],
}

/// How the TTL of a frame stands to those before it in its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hops {
    /// The same.
    Same,
    /// There was none: it is news if no other flow of the endpoint has it.
    First,
    /// Another one.
    Changed,
}

impl Told {
    fn ttl(&mut self, ttl: u8) -> Option<(&mut u64, u64)> {
        self.ttls.get_mut(usize::from(ttl >> 6)).map(|bits| (bits, 1 << (ttl & 63)))
    }

    fn has_told_ttl(&mut self, ttl: u8) -> bool {
        self.ttl(ttl).is_some_and(|(bits, bit)| *bits & bit != 0)
    }

    fn tell(&mut self, binding: u64, second: i64) -> News {
        if self.second != second {
            (self.second, self.count) = (second, 0);
        }
        if self.written.iter().take(self.count).any(|one| *one == binding) {
            return News::Nothing;
        }
        let Some(place) = self.written.get_mut(self.count) else { return News::TooMuch };
        *place = binding;
        self.count += 1;
        News::Row
    }
}

/// All endpoints, by id.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    /// The MACs in use, with [`KNOWN`]: looked at for every frame, and so kept apart and small.
    used: Vec<u64>,
    told: Vec<Told>,
}

impl Bindings {
    /// Nothing is known of any endpoint.
    pub(super) fn clear(&mut self) {
        self.used.clear();
        self.told.clear();
    }

    /// Nothing is known of an endpoint.
    pub(super) fn forget(&mut self, endpoint: u32) {
        let place = endpoint as usize;
        if let (Some(used), Some(told)) = (self.used.get_mut(place), self.told.get_mut(place)) {
            (*used, *told) = (0, Told::default());
        }
    }

    /// An endpoint sends with a MAC and TTL.
    #[inline]
    pub(super) fn take(
        &mut self,
        endpoint: u32,
        mac: u64,
        ttl: u8,
        hops: Hops,
        second: i64,
    ) -> News {
        let is_known = self.used.get(endpoint as usize) == Some(&(KNOWN | mac));
        if is_known && hops == Hops::Same {
            return News::Nothing;
        }
        self.change(endpoint, mac, ttl, hops, second)
    }

    #[cold]
    fn change(&mut self, endpoint: u32, mac: u64, ttl: u8, hops: Hops, second: i64) -> News {
        let Some((used, told)) = self.reach(endpoint) else { return News::Nothing };
        let is_known = *used == KNOWN | mac;
        if is_known && hops == Hops::First && told.has_told_ttl(ttl) {
            return News::Nothing;
        }
        let news = told.tell(KNOWN | (u64::from(ttl) << TTL_SHIFT) | mac, second);
        if news == News::Row {
            *used = KNOWN | mac; // Otherwise it is still news in the next second.
            if let Some((bits, bit)) = told.ttl(ttl) {
                *bits |= bit;
            }
        }
        news
    }

    /// ARP claims a MAC for an endpoint.
    pub(super) fn claim(&mut self, endpoint: u32, mac: u64, how: Sighted, second: i64) -> News {
        let Some((used, told)) = self.reach(endpoint) else { return News::Nothing };
        let contradicts = *used != 0 && *used != KNOWN | mac;
        if contradicts {
            *used = 0; // Whether it is still in use is news.
        }
        let is_unasked = matches!(how, Sighted::Unasked | Sighted::Announcement);
        let is_change = told.claimed != KNOWN | mac;
        if !(contradicts || is_unasked || is_change) {
            return News::Nothing;
        }
        let news = told.tell(KNOWN | ((how as u64) << HOW_SHIFT) | mac, second);
        if news == News::Row {
            told.claimed = KNOWN | mac;
        }
        news
    }

    /// The places of an endpoint; of nobody there are none.
    fn reach(&mut self, endpoint: u32) -> Option<(&mut u64, &mut Told)> {
        let place = endpoint as usize;
        if place == 0 {
            return None;
        }
        if place >= self.used.len() {
            self.used.resize(place + 1, 0);
            self.told.resize(place + 1, Told::default());
        }
        self.used.get_mut(place).zip(self.told.get_mut(place))
    }
}

/// Who asked by ARP for whom, and when.
pub(super) struct Asked(LruTable<(Vlan, Address, Address), i64>);

impl Default for Asked {
    fn default() -> Self {
        Self(LruTable::new(MAX_ASKED))
    }
}

impl Asked {
    /// What an ARP message says of its sender.
    pub(super) fn take(&mut self, vlan: Vlan, arp: &Arp, time: i64) -> Sighted {
        const REQUEST: u16 = 1;
        if arp.sender_ip == arp.target_ip {
            return Sighted::Announcement;
        }
        if arp.operation == REQUEST {
            *self.0.touch_or_insert_with((vlan, arp.sender_ip, arp.target_ip), || time).value =
                time;
            return Sighted::Request;
        }
        let asked = self.0.get(&(vlan, arp.target_ip, arp.sender_ip));
        let is_answer = asked.is_some_and(|asked| time.saturating_sub(*asked) <= ANSWERED_WITHIN);
        if is_answer { Sighted::Reply } else { Sighted::Unasked }
    }
}
