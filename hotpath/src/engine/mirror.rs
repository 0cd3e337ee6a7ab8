//! What a mirror port delivers more than once: copies, and their VLANs.

use crate::bounded::LruTable;
use crate::flows::FlowKey;
use crate::net::copies::Copies;
use crate::net::{IpPacket, Packet, Vlan};

/// Pairs of addresses whose packets are seen in two VLANs.
const MAX_PAIRS: usize = 4_096;

/// How long such a pair is kept in mind after the last copy, in nanoseconds.
const KEPT: u64 = 60_000_000_000;

/// Where the packets of a pair of addresses are first seen, and when a copy last showed it.
#[derive(Debug, Clone, Copy)]
struct Elsewhere {
    vlan: Vlan,
    shown: i64,
}

/// What is to be done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is judged, in this VLAN.
    First(Vlan),
    /// It was judged, in this VLAN.
    Copy(Vlan),
}

/// Tells copies apart.
///
/// Where a packet crosses from one VLAN to another, both directions of a conversation are first
/// seen in different ones. So that they stay one conversation, a VLAN in which copies are seen
/// stands, between the same two addresses, for the one in which they were seen first.
pub(super) struct Mirror {
    copies: Copies,
    elsewhere: LruTable<FlowKey, Elsewhere>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { copies: Copies::default(), elsewhere: LruTable::new(MAX_PAIRS) }
    }
}

impl Mirror {
    /// Time begins anew: nothing was seen.
    pub(super) fn clear(&mut self) {
        self.copies.clear();
        self.elsewhere = LruTable::new(MAX_PAIRS);
    }

    /// Takes a packet as it stands in a frame.
    #[inline]
    pub(super) fn take(&mut self, packet: &Packet<'_>, ip: &IpPacket<'_>, time: i64) -> Sight {
        let tunnels = packet.unwrapped.tunnels();
        let vlan =
            if self.elsewhere.is_empty() { packet.vlan } else { self.find(packet, ip, time) };
        match self.copies.take(ip.bytes, vlan, tunnels, time) {
            None => Sight::First(vlan),
            Some(first) => {
                if first != packet.vlan {
                    let entry = Elsewhere { vlan: first, shown: time };
                    *self.elsewhere.touch_or_insert_with(pair(packet, ip), || entry).value = entry;
                }
                Sight::Copy(first)
            }
        }
    }

    /// The VLAN that a packet's own one stands for.
    #[cold]
    fn find(&mut self, packet: &Packet<'_>, ip: &IpPacket<'_>, time: i64) -> Vlan {
        let key = pair(packet, ip);
        match self.elsewhere.get(&key).copied() {
            Some(entry) if entry.shown.abs_diff(time) <= KEPT => entry.vlan,
            Some(_) => {
                self.elsewhere.remove(&key);
                packet.vlan
            }
            None => packet.vlan,
        }
    }
}

fn pair(packet: &Packet<'_>, ip: &IpPacket<'_>) -> FlowKey {
    let tunnels = u32::from(packet.unwrapped.tunnels());
    FlowKey::new(packet.vlan, (ip.source, 0), (ip.target, 0), tunnels).0
}
