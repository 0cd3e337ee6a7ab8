//! Each frame finds its flow.

use super::Engine;
use super::bindings::{Hops, News, number};
use super::mirror::Sight;
use crate::columns::SightingRow;
use crate::flows::{Flow, FlowKey};
use crate::net::fragments::Trouble;
use crate::net::tcp::{self, Connection};
use crate::net::{Address, Arp, Arrival, Body, IpPacket, Packet, Side, Unwrapped, Vlan, udp};
use crate::protocols::on_link;
use crate::scribe::Scribe;
use crate::table::{Carrier, Endpoint, NONE};
use crate::talk::{End, Listener, Talk, Volume};
use crate::words::Sighted;

/// Code of ARP among carriers.
const ARP: u32 = 0x3_0000;

/// Codes of `EtherTypes` among carriers.
const LINK: u32 = 0x1_0000;

/// One direction of a frame between two ends.
pub(super) struct Passage<'a> {
    pub(super) packet: &'a Packet<'a>,
    pub(super) source: (Address, u16),
    pub(super) target: (Address, u16),
    pub(super) ttl: u8,
    pub(super) weight: Weight,
    pub(super) carrier: Carrier,
    pub(super) code: u32,
}

/// What a packet came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    frames: u32,
    bytes: u64,
}

impl Passage<'_> {
    /// The `EtherType`, if this is directly on the link layer.
    fn ether_type(&self) -> Option<u16> {
        self.code.checked_sub(LINK).and_then(|code| u16::try_from(code).ok())
    }
}

impl Weight {
    pub(super) const fn of(length: u32) -> Self {
        Self { frames: 1, bytes: length as u64 }
    }
}

impl Engine {
    pub(super) fn packet(&mut self, packet: &Packet<'_>, length: u32, now: Arrival) {
        if !packet.unwrapped.is_empty() {
            self.count_encapsulated(packet.unwrapped, Unwrapped::default());
        }
        self.unwrapped(packet, Weight::of(length), now.frame, now);
    }

    pub(super) fn unwrapped(
        &mut self,
        packet: &Packet<'_>,
        weight: Weight,
        carried: u64,
        now: Arrival,
    ) {
        match &packet.body {
            Body::Ip(ip) => self.ip(packet, ip, weight, carried, now),
            Body::Arp(arp) => self.arp(packet, arp, weight, now),
            Body::Other { ether_type, payload } => {
                self.link(packet, *ether_type, payload, weight, now);
            }
        }
    }

    fn link(
        &mut self,
        packet: &Packet<'_>,
        ether_type: u16,
        payload: &[u8],
        weight: Weight,
        now: Arrival,
    ) {
        let (Some(source), Some(target)) = (packet.source_mac, packet.target_mac) else {
            self.health.unknown_link_frames += 1;
            return;
        };
        let spoken = on_link(ether_type);
        let port = spoken.map_or(0, |(_, link)| (link.port)(ether_type, payload));
        let passage = Passage {
            packet,
            source: (Address::Mac(source), 0),
            target: (Address::Mac(target), port),
            ttl: 0,
            weight,
            carrier: Carrier::Link,
            // Below 0x600 it is the length of an LLC frame.
            code: LINK | if ether_type < 0x600 { 0 } else { u32::from(ether_type) },
        };
        let name = || match ether_type {
            0..0x600 => "llc".to_owned(),
            _ => format!("ethertype-{ether_type:#06x}"),
        };
        self.pass(&passage, name, now, |flow, side, _, scribe| {
            if packet.is_cut && spoken.is_some() {
                flow.talk.gap(side, scribe, now);
            } else {
                flow.talk.hear(side, payload, now.frame, scribe, now);
            }
        });
    }

    fn arp(&mut self, packet: &Packet<'_>, arp: &Arp, weight: Weight, now: Arrival) {
        if arp.sender_ip == Address::V4([0; 4]) {
            return; // A probe (RFC 5227) binds nothing.
        }
        let sender = self.endpoint(packet.vlan, arp.sender_ip, NONE, now);
        let how = self.asked.take(packet.vlan, arp, now.time);
        let mac = number(Some(arp.sender_mac));
        let news = self.bindings.claim(sender, mac, how, self.scribe.second);
        self.sight(news, SightingRow { ttl: 0, arp: how as u8, ..row(sender, mac, now) }, now);
        if how == Sighted::Announcement {
            return; // It asks nobody.
        }
        let passage = Passage {
            packet,
            source: (arp.sender_ip, 0),
            target: (arp.target_ip, 0),
            ttl: 0,
            weight,
            carrier: Carrier::Network,
            code: ARP,
        };
        self.datagram(&passage, || "arp".to_owned(), &[], now);
    }

    fn ip(
        &mut self,
        packet: &Packet<'_>,
        ip: &IpPacket<'_>,
        weight: Weight,
        carried: u64,
        now: Arrival,
    ) {
        let vlan = match self.mirror.take(packet, ip, now.time) {
            Sight::First(vlan) => vlan,
            Sight::Copy(vlan) => {
                self.copy(vlan, packet, ip);
                return;
            }
        };
        let moved;
        let packet = if vlan == packet.vlan {
            packet
        } else {
            moved = Packet { vlan, ..*packet };
            &moved
        };
        if ip.fragment.is_some() {
            self.fragment(packet, ip, weight, now);
            return;
        }
        if ip.protocol != tcp::PROTOCOL && self.is_tunnel(packet, ip, weight, carried, now) {
            return;
        }
        let outcome = match ip.protocol {
            tcp::PROTOCOL => tcp::parse(ip).map(|segment| {
                self.segment(packet, ip, &segment, weight, carried, now);
            }),
            udp::PROTOCOL => udp::parse(ip).map(|datagram| {
                let passage = Passage {
                    packet,
                    source: (ip.source, datagram.source_port),
                    target: (ip.target, datagram.target_port),
                    ttl: ip.ttl,
                    weight,
                    carrier: Carrier::Udp,
                    code: u32::from(udp::PROTOCOL),
                };
                self.udp(&passage, &datagram, carried, now);
            }),
            protocol => {
                let passage = Passage {
                    packet,
                    source: (ip.source, 0),
                    target: (ip.target, 0),
                    ttl: ip.ttl,
                    weight,
                    carrier: Carrier::Network,
                    code: u32::from(protocol),
                };
                let name = || match protocol {
                    1 => "icmp".to_owned(),
                    2 => "igmp".to_owned(),
                    58 => "icmpv6".to_owned(),
                    other => format!("ip-protocol-{other}"),
                };
                self.datagram(&passage, name, ip.payload, now);
                Ok(())
            }
        };
        if let Err(malformed) = outcome {
            self.malformed(malformed, now);
        }
    }

    fn fragment(&mut self, packet: &Packet<'_>, ip: &IpPacket<'_>, last: Weight, now: Arrival) {
        self.health.fragments += 1;
        let mut troubles = Vec::new();
        let tunnels = packet.unwrapped.tunnels();
        let whole = self.fragments.accept(packet.vlan, tunnels, ip, now, &mut troubles);
        self.tell_troubles(&troubles, now);
        let Some(datagram) = whole else { return };
        match datagram.packet() {
            Ok(whole) => {
                // All fragments count where their packet is, with headers like those of the last.
                let size = |ip: &IpPacket<'_>| ip.payload.len() as u64 + u64::from(ip.missing);
                let headers = last.bytes.saturating_sub(size(ip));
                let frames = datagram.fragments as u32;
                let bytes = headers.saturating_mul(u64::from(frames)) + size(&whole);
                let first = datagram.first.frame;
                self.ip(packet, &whole, Weight { frames, bytes }, first, now);
            }
            Err(malformed) => self.malformed(malformed, now),
        }
    }

    pub(super) fn expire_fragments(&mut self, now: Arrival) {
        let mut troubles = Vec::new();
        self.fragments.expire(now.time, &mut troubles);
        self.tell_troubles(&troubles, now);
    }

    pub(super) fn finish_fragments(&mut self, now: Arrival) {
        let mut troubles = Vec::new();
        self.fragments.finish(&mut troubles);
        self.tell_troubles(&troubles, now);
    }

    fn tell_troubles(&mut self, troubles: &[Trouble], now: Arrival) {
        for trouble in troubles {
            let source = self.endpoint(trouble.vlan, trouble.source, NONE, now);
            self.scribe.notice(trouble.kind, NONE, source, trouble.detail, None, trouble.first);
        }
    }

    fn segment(
        &mut self,
        packet: &Packet<'_>,
        ip: &IpPacket<'_>,
        segment: &tcp::Segment<'_>,
        weight: Weight,
        carried: u64,
        now: Arrival,
    ) {
        let passage = Passage {
            packet,
            source: (ip.source, segment.source_port),
            target: (ip.target, segment.target_port),
            ttl: ip.ttl,
            weight,
            carrier: Carrier::Tcp,
            code: u32::from(tcp::PROTOCOL),
        };
        self.pass(
            &passage,
            || "tcp".to_owned(),
            now,
            |flow, side, budget, scribe| {
                let Flow { talk, connection, .. } = flow;
                let connection = connection.get_or_insert_with(Connection::new);
                let listener = &mut Listener { talk, scribe, carried };
                connection.accept(side, segment, now, budget, listener);
                if talk.accepted.is_none() {
                    let asked = || connection.initiator().map(Side::other);
                    talk.accepted = connection.server().or_else(asked);
                }
            },
        );
    }

    fn udp(
        &mut self,
        passage: &Passage<'_>,
        datagram: &udp::Datagram<'_>,
        carried: u64,
        now: Arrival,
    ) {
        self.pass(
            passage,
            || "udp".to_owned(),
            now,
            |flow, side, _, scribe| {
                if datagram.missing > 0 {
                    flow.talk.gap(side, scribe, now);
                } else if !datagram.payload.is_empty() {
                    flow.talk.hear(side, datagram.payload, carried, scribe, now);
                }
            },
        );
    }

    pub(super) fn datagram(
        &mut self,
        passage: &Passage<'_>,
        name: impl Fn() -> String,
        payload: &[u8],
        now: Arrival,
    ) {
        self.pass(passage, name, now, |flow, side, _, scribe| {
            flow.talk.hear(side, payload, now.frame, scribe, now);
        });
    }

    /// Finds the flow of a frame, counts the frame, and lets `then` look inside.
    fn pass(
        &mut self,
        passage: &Passage<'_>,
        name: impl Fn() -> String,
        now: Arrival,
        then: impl FnOnce(&mut Flow, Side, &mut tcp::Budget, &mut Scribe),
    ) {
        let vlan = passage.packet.vlan;
        let code = carrier_code(passage.code, passage.packet);
        let (key, is_low) = FlowKey::new(vlan, passage.source, passage.target, code);
        let (flow, budget) = self.flows.touch(key, &mut self.scribe, now, |scribe| {
            let [source, target] = [passage.source, passage.target];
            let speaker = scribe.endpoint(&Endpoint { vlan, address: source.0 }, NONE, now);
            let listener = scribe.endpoint(&Endpoint { vlan, address: target.0 }, speaker, now);
            let ends = [end(speaker, vlan, source), end(listener, vlan, target)];
            let mut talk = Talk::new(ends, passage.carrier, &name(), now);
            talk.on_link = passage.ether_type().and_then(on_link).map(|(protocol, _)| protocol);
            Flow::new(talk, is_low, now)
        });
        let side = flow.side(is_low);
        let end = flow.talk.end_mut(side);
        end.volume.frames = end.volume.frames.saturating_add(passage.weight.frames);
        end.volume.bytes = end.volume.bytes.saturating_add(passage.weight.bytes);
        let (mac, ttl) = (number(passage.packet.source_mac), passage.ttl);
        let hops = match end.ttl.replace(ttl) {
            None => Hops::First,
            Some(before) if before == ttl => Hops::Same,
            Some(_) => Hops::Changed,
        };
        let endpoint = end.endpoint;
        then(flow, side, budget, &mut self.scribe);
        if passage.code == ARP {
            return; // It tells of an address, and does not use it.
        }
        let news = self.bindings.take(endpoint, mac, ttl, hops, self.scribe.second);
        if news != News::Nothing {
            self.sight(news, SightingRow { ttl, ..row(endpoint, mac, now) }, now);
        }
    }

    fn endpoint(&mut self, vlan: Vlan, address: Address, speaker: u32, now: Arrival) -> u32 {
        self.scribe.endpoint(&Endpoint { vlan, address }, speaker, now)
    }

    fn sight(&mut self, news: News, row: SightingRow, now: Arrival) {
        match news {
            News::Nothing => {}
            News::Row => self.scribe.batch.tables.sightings.push(row),
            News::TooMuch => {
                self.scribe.complain("bindings", row.endpoint, now);
            }
        }
    }
}

/// Packets out of a tunnel are of other flows than those beside it: who can send through one must
/// not get in the way of what others say to each other.
pub(super) fn carrier_code(code: u32, packet: &Packet<'_>) -> u32 {
    code | (u32::from(packet.unwrapped.tunnels()) << 24)
}

/// An endpoint seen in use.
const fn row(endpoint: u32, mac: u64, now: Arrival) -> SightingRow {
    let arp = Sighted::Used as u8;
    SightingRow { endpoint, mac, ttl: 0, arp, time: now.time, frame: now.frame }
}

fn end(endpoint: u32, vlan: Vlan, (address, port): (Address, u16)) -> End {
    End { endpoint, vlan, address, port, ttl: None, volume: Volume::default() }
}
