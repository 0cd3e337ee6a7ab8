//! Reassembly of IP fragments: RFC 791 section 3.2, RFC 8200 section 4.5, RFC 5722.
//!
//! Overlaps are judged as receivers do. IPv4: what repeats the same bytes is fine, and where
//! bytes disagree the first ones win, with a notice. IPv6: an exact repetition is fine, and any
//! other overlap drops the whole packet, with a notice. Everything is bounded by [`Limits`].

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::{Address, Arrival, IpPacket, Malformed, Vlan, ip};
use crate::meter;
use crate::words::NoticeKind;

mod assembly;
#[cfg(test)]
mod tests;

use assembly::{Added, Assembly};

/// The longest payload that a packet can have.
const MAX_PACKET: u32 = 65_535;

/// Bounds of the reassembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Packets that are put together at one time.
    pub packets: usize,
    /// Bytes that all of them hold.
    pub bytes: usize,
    /// Fragments of one packet; an Ethernet needs 46 for the longest.
    pub fragments: usize,
    /// How long a packet is waited for, in nanoseconds of capture time.
    pub wait: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { packets: 1024, bytes: 4 * 1024 * 1024, fragments: 128, wait: 30_000_000_000 }
    }
}

/// A packet that was put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    source: Address,
    target: Address,
    ttl: u8,
    protocol: u8,
    bytes: Vec<u8>,
    missing: u32,
    /// The frame of the fragment that came first.
    pub first: Arrival,
    /// How many fragments made it up, repeated ones not counted.
    pub fragments: usize,
}

impl Datagram {
    /// The whole packet, as if it had come in one frame. `missing` counts from the first byte
    /// that the snap length cut, whichever fragment it was cut from.
    ///
    /// # Errors
    /// [`Malformed`] if extension headers inside it cannot be right.
    pub fn packet(&self) -> Result<IpPacket<'_>, Malformed> {
        let mut packet = IpPacket {
            source: self.source,
            target: self.target,
            ttl: self.ttl,
            protocol: self.protocol,
            fragment: None,
            payload: &self.bytes,
            missing: self.missing,
            bytes: &[],
        };
        ip::skip_extensions(&mut packet)?;
        if packet.fragment.is_some() {
            return Err(Malformed("IPv6 fragment of a fragment"));
        }
        Ok(packet)
    }
}

/// What went wrong with the fragments of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Which rule was broken.
    pub kind: NoticeKind,
    /// What is wrong, in words.
    pub detail: &'static str,
    /// VLAN of the packet.
    pub vlan: Vlan,
    /// Its sender.
    pub source: Address,
    /// Its receiver.
    pub target: Address,
    /// The fragment of it that came first.
    pub first: Arrival,
}

/// What makes fragments one packet. IPv6 leaves the protocol out (RFC 8200 section 4.5): only
/// that of the first fragment counts there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    vlan: Vlan,
    tunnels: u8,
    source: Address,
    target: Address,
    protocol: u8,
    id: u32,
}

/// Puts fragments together.
#[derive(Debug)]
pub struct Fragments {
    limits: Limits,
    assemblies: HashMap<Key, Assembly, ahash::RandomState>,
    /// In the order of their first fragments. Entries whose first fragment is not the one in the
    /// table are of packets that are done.
    order: VecDeque<(Key, Arrival)>,
    bytes: usize,
}

impl Fragments {
    /// Nothing is held yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, assemblies: HashMap::default(), order: VecDeque::new(), bytes: 0 }
    }

    /// Packets of which some fragments are held.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.assemblies.len()
    }

    /// Bytes that are held, with what it costs to hold them.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a fragment, and gives the whole packet if this was the last that it lacked. A packet
    /// that is no fragment gives nothing. What came through another number of `tunnels` is another
    /// packet. What went wrong is added to `troubles`: at most one for the fragment, and one for
    /// each packet that is given up.
    pub fn accept(
        &mut self,
        vlan: Vlan,
        tunnels: u8,
        packet: &IpPacket<'_>,
        now: Arrival,
        troubles: &mut Vec<Trouble>,
    ) -> Option<Datagram> {
        let fragment = packet.fragment?;
        self.expire(now.time, troubles);
        let key = Key {
            vlan,
            tunnels,
            source: packet.source,
            target: packet.target,
            protocol: if matches!(packet.source, Address::V6(_)) { 0 } else { packet.protocol },
            id: fragment.id,
        };
        let length = (packet.payload.len() as u32).saturating_add(packet.missing);
        let end = fragment.offset.saturating_add(length);
        let wrong = if end > MAX_PACKET {
            Some("a fragment that reaches beyond the longest packet")
        } else if length == 0 {
            Some("a fragment without payload")
        } else if fragment.more && length % 8 != 0 {
            Some("a fragment in the middle whose length is no multiple of 8")
        } else {
            None
        };
        if let Some(detail) = wrong {
            troubles.push(trouble(&key, NoticeKind::MalformedHeader, detail, now));
            return None;
        }
        if !self.assemblies.contains_key(&key) {
            self.begin(key, now, troubles);
        }
        self.add(&key, packet, now, troubles)
    }

    /// Gives up packets that were waited for too long.
    pub fn expire(&mut self, now: i64, troubles: &mut Vec<Trouble>) {
        while let Some((key, first)) = self.order.front().copied() {
            let is_held = self.is_held(&key, first);
            if is_held && now.saturating_sub(first.time) <= self.limits.wait {
                break;
            }
            self.order.pop_front();
            if is_held {
                let detail = "fragments that never became a packet";
                self.give_up(&key, NoticeKind::FragmentsIncomplete, detail, troubles);
            }
        }
    }

    /// Gives up all that is held: the capture ended.
    pub fn finish(&mut self, troubles: &mut Vec<Trouble>) {
        while self.give_up_oldest("fragments that never became a packet", troubles) {}
    }

    fn is_held(&self, key: &Key, first: Arrival) -> bool {
        self.assemblies.get(key).is_some_and(|assembly| assembly.first == first)
    }

    fn begin(&mut self, key: Key, now: Arrival, troubles: &mut Vec<Trouble>) {
        while self.assemblies.len() >= self.limits.packets.max(1) {
            self.make_room(troubles);
        }
        // Packets that are done leave their places behind; sweeping when they outnumber those
        // that are held costs a constant for each packet.
        if self.order.len() >= 2 * self.assemblies.len() + 64 {
            let assemblies = &self.assemblies;
            meter::work(self.order.len());
            self.order.retain(|(key, first)| {
                assemblies.get(key).is_some_and(|assembly| assembly.first == *first)
            });
        }
        let assembly = Assembly::new(now);
        self.bytes += assembly.cost();
        self.assemblies.insert(key, assembly);
        self.order.push_back((key, now));
    }

    fn add(
        &mut self,
        key: &Key,
        packet: &IpPacket<'_>,
        now: Arrival,
        troubles: &mut Vec<Trouble>,
    ) -> Option<Datagram> {
        let assembly = self.assemblies.get_mut(key)?;
        let before = assembly.cost();
        let is_v6 = matches!(packet.source, Address::V6(_));
        let added = assembly.add(packet, is_v6, self.limits.fragments);
        self.bytes = self.bytes.saturating_sub(before) + assembly.cost();
        let first = assembly.first;
        let whole = assembly.is_whole();
        if let Added::Wrong(kind, detail) = added {
            troubles.push(Trouble { first, ..trouble(key, kind, detail, now) });
        }
        if whole {
            let assembly = self.assemblies.remove(key)?;
            self.bytes = self.bytes.saturating_sub(assembly.cost());
            let (bytes, missing) = assembly.assemble();
            return Some(Datagram {
                source: packet.source,
                target: packet.target,
                ttl: assembly.ttl,
                protocol: assembly.protocol,
                bytes,
                missing,
                first,
                fragments: assembly.fragments(),
            });
        }
        while self.bytes > self.limits.bytes && !self.assemblies.is_empty() {
            self.make_room(troubles);
        }
        None
    }

    fn make_room(&mut self, troubles: &mut Vec<Trouble>) {
        while let Some((key, first)) = self.order.pop_front() {
            if self.is_held(&key, first) {
                let detail = "no room for fragments: those of the oldest packet are given up";
                return self.give_up(&key, NoticeKind::TableFull, detail, troubles);
            }
        }
    }

    fn give_up_oldest(&mut self, detail: &'static str, troubles: &mut Vec<Trouble>) -> bool {
        let Some((key, first)) = self.order.pop_front() else { return false };
        if self.is_held(&key, first) {
            self.give_up(&key, NoticeKind::FragmentsIncomplete, detail, troubles);
        }
        true
    }

    /// Forgets a packet; one that was dropped before was told then.
    fn give_up(
        &mut self,
        key: &Key,
        kind: NoticeKind,
        detail: &'static str,
        troubles: &mut Vec<Trouble>,
    ) {
        if let Some(assembly) = self.assemblies.remove(key) {
            self.bytes = self.bytes.saturating_sub(assembly.cost());
            if !assembly.is_dropped() {
                troubles.push(trouble(key, kind, detail, assembly.first));
            }
        }
    }
}

const fn trouble(key: &Key, kind: NoticeKind, detail: &'static str, first: Arrival) -> Trouble {
    Trouble { kind, detail, vlan: key.vlan, source: key.source, target: key.target, first }
}
