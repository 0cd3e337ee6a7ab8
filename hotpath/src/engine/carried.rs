//! Packets that carry others, and packets that come again.

use super::Engine;
use super::packets::{Passage, Weight, carrier_code};
use crate::bytes::Cursor;
use crate::flows::FlowKey;
use crate::net::tunnels::{self, Tunnel};
use crate::net::{Arrival, Body, IpPacket, Packet, Unwrapped, Vlan, tcp, udp};
use crate::table::Carrier;

/// Code of the first encapsulation among carriers.
const TUNNEL: u32 = 0x4_0000;

impl Engine {
    /// Counts the encapsulations that were taken off since `before`.
    pub(super) fn count_encapsulated(&mut self, now: Unwrapped, before: Unwrapped) {
        for kind in now.since(before) {
            if let Some(count) = self.health.encapsulated.get_mut(kind as usize) {
                *count += 1;
            }
        }
    }

    /// Counts a packet that was seen before, in `vlan`.
    pub(super) fn copy(&mut self, vlan: Vlan, packet: &Packet<'_>, ip: &IpPacket<'_>) {
        self.health.copies += 1;
        let mut cursor = Cursor::new(ip.payload);
        let has_ports = matches!(ip.protocol, tcp::PROTOCOL | udp::PROTOCOL);
        let (code, source, target) = match (tunnels::of(ip), cursor.u16_be(), cursor.u16_be()) {
            (Ok(Some(tunnel)), ..) => (tunnel_code(&tunnel), 0, 0),
            (_, Ok(source), Ok(target)) if has_ports => (u32::from(ip.protocol), source, target),
            _ => (u32::from(ip.protocol), 0, 0),
        };
        let code = carrier_code(code, packet);
        let (key, _) = FlowKey::new(vlan, (ip.source, source), (ip.target, target), code);
        self.flows.count_copy(&key);
    }

    /// Whether a packet carries another one, which is then judged in its place.
    pub(super) fn is_tunnel(
        &mut self,
        packet: &Packet<'_>,
        ip: &IpPacket<'_>,
        weight: Weight,
        carried: u64,
        now: Arrival,
    ) -> bool {
        let tunnel = match tunnels::of(ip) {
            Ok(Some(tunnel)) => tunnel,
            Ok(None) => return false,
            Err(malformed) => {
                self.malformed(malformed, now);
                return false;
            }
        };
        let inner = packet.unwrapped.through(tunnel.kind).and_then(|unwrapped| {
            self.count_encapsulated(unwrapped, packet.unwrapped);
            Ok((unwrapped, tunnel.open(unwrapped)?))
        });
        match inner {
            Ok((_, inner)) if inner.source_mac.is_none() && is_opaque(&inner) => return false,
            Ok((unwrapped, inner)) => {
                self.carrying(packet, ip, &tunnel, weight, now);
                self.count_encapsulated(inner.unwrapped, unwrapped);
                self.unwrapped(&inner, Weight::of(tunnel.length), carried, now);
            }
            Err(malformed) => {
                self.carrying(packet, ip, &tunnel, weight, now);
                self.malformed(malformed, now);
            }
        }
        true
    }

    /// The ends of a tunnel converse too, without saying anything of their own.
    fn carrying(
        &mut self,
        packet: &Packet<'_>,
        ip: &IpPacket<'_>,
        tunnel: &Tunnel<'_>,
        weight: Weight,
        now: Arrival,
    ) {
        let passage = Passage {
            packet,
            source: (ip.source, 0),
            target: (ip.target, 0),
            ttl: ip.ttl,
            weight,
            carrier: Carrier::Network,
            code: tunnel_code(tunnel),
        };
        self.datagram(&passage, || tunnel.kind.name().to_owned(), &[], now);
    }
}

const fn tunnel_code(tunnel: &Tunnel<'_>) -> u32 {
    TUNNEL | tunnel.kind as u32
}

const fn is_opaque(packet: &Packet<'_>) -> bool {
    matches!(packet.body, Body::Other { .. })
}
