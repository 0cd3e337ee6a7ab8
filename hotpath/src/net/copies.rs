//! Copies: the same packet, seen again where a mirror port watches more than one port that it
//! crosses. The same are all bytes but for what routers change, TTL and header checksum.
//!
//! Bytes are compared, never only their hashes, so that nothing is taken for a copy that is none;
//! what no longer is in the bounded memory is taken for none. The hash is keyed, so that nobody
//! can drive a packet out of its place. Costs O(bytes) for a packet.

use ahash::RandomState;

use super::Vlan;

/// A copy comes within this, in nanoseconds of capture time.
pub const WINDOW: u64 = 5_000_000;

/// Copies of one packet; more of the same are a flood, and count as packets.
pub const MOST_COPIES: u8 = 8;

/// Packets that are remembered, a power of two …
const PLACES: usize = 2_048;

/// … and their bytes: those of 20 ms at 100 Mbit/s. Both fit the cache beside all else.
const ROOM: usize = 256 << 10;

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    time: i64,
    /// Counted from the first byte that was ever written.
    start: u64,
    length: u32,
    vlan: Vlan,
    tunnels: u8,
    copies: u8,
}

/// The last packets.
pub struct Copies {
    hasher: RandomState,
    /// A part of the hash of each packet: looked at for every frame, and so kept apart and small.
    tags: Vec<u32>,
    seen: Vec<Seen>,
    /// A ring; no packet lies across its end.
    bytes: Vec<u8>,
    written: u64,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            tags: vec![0; PLACES],
            seen: vec![Seen::default(); PLACES],
            bytes: vec![0; ROOM],
            written: 0,
        }
    }
}

impl Copies {
    /// Forgets all packets.
    pub fn clear(&mut self) {
        self.seen.fill(Seen::default());
    }

    /// Takes the bytes of an IP packet out of so many `tunnels`: the VLAN of the one that it is a
    /// copy of, or `None` and it is remembered.
    #[inline]
    pub fn take(&mut self, packet: &[u8], vlan: Vlan, tunnels: u8, time: i64) -> Option<Vlan> {
        let essence = essence(packet)?;
        let hash = self.hash(&essence);
        let (place, tag) = (hash as usize & (PLACES - 1), (hash >> 32) as u32);
        let known = std::mem::replace(self.tags.get_mut(place)?, tag);
        if known == tag {
            let copied = self.copied(place, packet, essence, tunnels, time);
            if copied.is_some() {
                return copied;
            }
        }
        let start = self.write(packet)?;
        let length = packet.len() as u32;
        *self.seen.get_mut(place)? = Seen { time, start, length, vlan, tunnels, copies: 0 };
        None
    }

    /// The VLAN of the packet at a place, if this one is a copy of it.
    #[cold]
    fn copied(
        &mut self,
        place: usize,
        packet: &[u8],
        essence: Essence<'_>,
        tunnels: u8,
        time: i64,
    ) -> Option<Vlan> {
        let seen = *self.seen.get(place)?;
        let is_copy = seen.length as usize == packet.len()
            && seen.tunnels == tunnels
            && seen.copies < MOST_COPIES
            && seen.time.abs_diff(time) <= WINDOW
            && self.bytes_of(&seen).and_then(self::essence) == Some(essence);
        if !is_copy {
            return None;
        }
        self.seen.get_mut(place)?.copies += 1;
        Some(seen.vlan)
    }

    /// Of the parts that differ between packets of one conversation; what it leaves out only
    /// lets packets share a place.
    #[inline]
    fn hash(&self, (head, rest): &Essence<'_>) -> u64 {
        let transport = if head[0] >> 4 == 4 { 8 } else { 28 };
        let first = head.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let word = |at: usize| {
            rest.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_le_bytes(*word))
        };
        let (addresses, second) = (word(transport - 8), word(transport));
        self.hasher.hash_one((first, addresses, second, word(transport + 8)))
    }

    /// The bytes of a packet that was remembered, unless others were written over them.
    fn bytes_of(&self, seen: &Seen) -> Option<&[u8]> {
        if self.written.saturating_sub(seen.start) > ROOM as u64 {
            return None;
        }
        let from = seen.start as usize % ROOM;
        self.bytes.get(from..from + seen.length as usize)
    }

    /// Where it was written; `None` if it is longer than all the room.
    #[inline]
    fn write(&mut self, packet: &[u8]) -> Option<u64> {
        let mut from = self.written as usize % ROOM;
        if from + packet.len() > ROOM {
            self.written += (ROOM - from) as u64;
            from = 0;
        }
        let start = self.written;
        self.bytes.get_mut(from..from + packet.len())?.copy_from_slice(packet);
        self.written += packet.len() as u64;
        Some(start)
    }
}

/// A packet without what routers change: TTL and checksum of IPv4, hop limit of IPv6.
type Essence<'a> = ([u8; 12], &'a [u8]);

#[inline]
fn essence(packet: &[u8]) -> Option<Essence<'_>> {
    let (head, rest) = packet.split_first_chunk::<12>()?;
    let mut head = *head;
    if head[0] >> 4 == 4 {
        (head[8], head[10], head[11]) = (0, 0, 0);
    } else {
        head[7] = 0;
    }
    Some((head, rest))
}

#[cfg(test)]
mod tests {
    use super::{Copies, MOST_COPIES, PLACES, ROOM, WINDOW};
    use crate::net::Vlan;

    const TIME: i64 = 1_700_000_000_000_000_000;
    const LATEST: i64 = TIME.saturating_add_unsigned(WINDOW);

    /// TCP over IPv4 of `length` bytes: identification, TTL, checksum.
    fn ipv4(id: u16, ttl: u8, checksum: u8, length: u16) -> Vec<u8> {
        let mut bytes = vec![0x45, 0x00];
        bytes.extend(length.to_be_bytes());
        bytes.extend(id.to_be_bytes());
        bytes.extend([0x40, 0x00, ttl, 6, checksum, checksum, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.resize(usize::from(length), 0xAB);
        bytes
    }

    fn take(copies: &mut Copies, bytes: &[u8], time: i64) -> bool {
        copies.take(bytes, Vlan(5), 0, time) == Some(Vlan(5))
    }

    #[test]
    fn what_routers_change_makes_no_difference() {
        let mut copies = Copies::default();
        assert!(!take(&mut copies, &ipv4(7, 64, 1, 60), TIME));
        assert!(take(&mut copies, &ipv4(7, 63, 2, 60), TIME));
        assert!(take(&mut copies, &ipv4(7, 1, 9, 60), LATEST));
        assert!(!take(&mut copies, &ipv4(7, 64, 1, 60), LATEST + 1), "too late");
        let mut ipv6 = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
        ipv6.resize(60, 0xFD);
        assert!(!take(&mut copies, &ipv6, TIME));
        ipv6[7] = 63;
        assert!(take(&mut copies, &ipv6, TIME));
    }

    #[test]
    fn every_other_byte_makes_one() {
        let mut copies = Copies::default();
        for bytes in [ipv4(0, 64, 0, 80), [&[0x60; 8][..], &[0xFD; 80]].concat()] {
            let is_v4 = bytes[0] == 0x45;
            for place in 0..bytes.len() {
                copies.clear();
                assert!(!take(&mut copies, &bytes, TIME));
                let mut changed = bytes.clone();
                changed[place] ^= 1;
                let is_copy = take(&mut copies, &changed, TIME);
                let is_routers = if is_v4 { matches!(place, 8 | 10 | 11) } else { place == 7 };
                assert_eq!(is_copy, is_routers, "byte {place}");
            }
        }
        assert!(!take(&mut copies, &ipv4(0, 64, 0, 81), TIME), "longer");
    }

    #[test]
    fn what_came_through_a_tunnel_is_no_copy_of_what_did_not() {
        let mut copies = Copies::default();
        let bytes = ipv4(7, 64, 1, 60);
        assert_eq!(copies.take(&bytes, Vlan(5), 0, TIME), None);
        assert_eq!(copies.take(&bytes, Vlan(6), 1, TIME), None);
        assert_eq!(copies.take(&bytes, Vlan(7), 1, TIME), Some(Vlan(6)));
    }

    #[test]
    fn more_than_some_copies_are_packets() {
        let mut copies = Copies::default();
        let taken: Vec<bool> =
            (0..20).map(|_| take(&mut copies, &ipv4(7, 64, 1, 60), TIME)).collect();
        let most = usize::from(MOST_COPIES);
        assert!(
            taken
                .iter()
                .enumerate()
                .all(|(place, is_copy)| { *is_copy == (place % (most + 1) != 0) })
        );
    }

    #[test]
    fn time_may_be_a_little_out_of_order_and_far_off() {
        let mut copies = Copies::default();
        assert!(!take(&mut copies, &ipv4(7, 64, 1, 60), TIME));
        assert!(take(&mut copies, &ipv4(7, 64, 1, 60), TIME - 1000));
        for time in [i64::MIN, i64::MAX, 0] {
            assert!(!take(&mut copies, &ipv4(7, 64, 1, 60), time));
        }
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_no_copy() {
        let mut copies = Copies::default();
        let first = ipv4(7, 64, 1, 1500);
        assert!(!take(&mut copies, &first, TIME));
        for id in 0..400 {
            assert!(!take(&mut copies, &ipv4(1000 + id, 64, 1, 1499), TIME));
        }
        assert!(!take(&mut copies, &first, TIME), "written over");
        assert!(take(&mut copies, &first, TIME));
        for length in [0, 11, 12, 20, 65_535] {
            let bytes = vec![0x45; length];
            assert!(!take(&mut copies, &bytes, TIME));
            assert_eq!(take(&mut copies, &bytes, TIME), length >= 12);
        }
        assert!(!take(&mut copies, &vec![0x45; ROOM + 1], TIME));
        assert_eq!((copies.seen.len(), copies.bytes.len()), (PLACES, ROOM));
    }
}
