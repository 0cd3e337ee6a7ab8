//! Drives a frame through net, protocols and tables into columns.

use crate::bounded::Room;
use crate::columns::{Batch, SightingRow};
use crate::flows::{Flow, FlowKey, FlowLimits, Flows};
use crate::net::fragments::{self, Fragments, Trouble};
use crate::net::tcp::{self, Connection};
use crate::net::{
    Address, Arp, Arrival, Body, IpPacket, Mac, Malformed, Packet, Side, Vlan, link, udp,
};
use crate::record::Recorder;
use crate::scribe::{Learned, Quotas, Scribe};
use crate::source::Frame;
use crate::table::{Carrier, Endpoint, NONE};
use crate::talk::{End, Listener, Talk, Volume};
use crate::words::NoticeKind;

/// Time that runs back by more than this starts a new epoch, in nanoseconds.
const BACKWARD: i64 = 2_000_000_000;

/// A tick is cut when it has this many messages …
const MAX_TICK_MESSAGES: usize = 65_536;

/// … or this many rows of any kind.
const MAX_TICK_ROWS: usize = 1_048_576;

/// A census is asked for at most once in this many seconds: it costs the judge a walk over all
/// that it learned.
const CENSUS_EVERY: i64 = 60;

/// Bounds of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Of the dictionaries.
    pub quotas: Quotas,
    /// Of the flow table.
    pub flows: FlowLimits,
}

/// What the engine counts; everything that is dropped is in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Frames seen.
    pub frames: u64,
    /// Bytes of them on the wire.
    pub bytes: u64,
    /// Frames whose headers cannot be right.
    pub malformed_frames: u64,
    /// Frames of a link type that is not understood.
    pub unknown_link_frames: u64,
    /// Frames that carried a fragment.
    pub fragments: u64,
    /// How often time ran back.
    pub time_ran_back: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Binding {
    mac: u64,
    ttl: u8,
    is_known: bool,
}

/// Turns frames into batches.
pub struct Engine {
    scribe: Scribe,
    flows: Flows,
    fragments: Fragments,
    bindings: Vec<Binding>,
    health: Health,
    clock: i64,
    epoch: u32,
    is_running: bool,
    last_frame: u64,
    /// Messages and rows of the present tick in batches that were handed over.
    tick_before: (usize, usize),
    /// Messages and rows of the present batch that belong to earlier ticks.
    marked: (usize, usize),
    wants_census: bool,
    last_census: Option<i64>,
}

/// One direction of a frame between two ends.
struct Passage<'a> {
    packet: &'a Packet<'a>,
    source: (Address, u16),
    target: (Address, u16),
    ttl: u8,
    weight: Weight,
    carrier: Carrier,
    code: u32,
}

/// What a packet came in.
#[derive(Debug, Clone, Copy)]
struct Weight {
    frames: u32,
    bytes: u64,
}

impl Weight {
    const fn of(length: u32) -> Self {
        Self { frames: 1, bytes: length as u64 }
    }
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let mut scribe = Scribe::new(&settings.quotas);
        scribe.room = Room::new(settings.flows.heard_bytes);
        Self {
            scribe,
            flows: Flows::new(&settings.flows),
            fragments: Fragments::new(fragments::Limits::default()),
            bindings: Vec::new(),
            health: Health::default(),
            clock: 0,
            epoch: 0,
            is_running: false,
            last_frame: 0,
            tick_before: (0, 0),
            marked: (0, 0),
            wants_census: false,
            last_census: None,
        }
    }

    /// Writes records instead of the rows of messages, items and values, from the next flow on.
    pub fn record(&mut self, recorder: Recorder) {
        self.scribe.recorder = Some(recorder);
    }

    /// Starts a session: frames and messages are counted anew.
    pub fn begin_session(&mut self) {
        self.scribe.begin_session();
        self.health = Health::default();
        self.flows.forget_counts();
        self.is_running = false;
        self.epoch = 0;
        self.last_frame = 0;
        (self.tick_before, self.marked) = ((0, 0), (0, 0));
        self.last_census = None;
    }

    /// Counters so far.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// Flows that were ended to make room, and dictionary entries that a quota refused.
    #[must_use]
    pub const fn refusals(&self) -> (u64, u64) {
        (self.flows.evicted(), self.scribe.refused())
    }

    /// Rows waiting in the present batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.scribe.batch.tables.rows()
    }

    /// Bytes of records waiting in the present batch, or `None` if none are written.
    #[must_use]
    pub fn recorded(&self) -> Option<usize> {
        self.scribe.recorder.as_ref().map(Recorder::len)
    }

    /// Whether dictionaries are so full that the present batch should end with a census.
    #[must_use]
    pub const fn wants_census(&self) -> bool {
        self.wants_census
    }

    /// Takes one frame.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        self.health.frames += 1;
        self.health.bytes += u64::from(frame.original_length);
        let now = Arrival { frame: frame.number, time: frame.time };
        self.advance(now);
        self.last_frame = frame.number;
        match link::parse(frame) {
            Ok(packet) => self.packet(&packet, frame.original_length, now),
            Err(malformed) => self.malformed(malformed, now),
        }
        let (messages, rows) = self.in_tick();
        if messages >= MAX_TICK_MESSAGES || rows >= MAX_TICK_ROWS {
            self.mark();
        }
    }

    /// Capture time has come to `now`: ends the present second if it is over.
    pub fn advance(&mut self, now: Arrival) {
        let second = now.time.div_euclid(1_000_000_000);
        if !self.is_running {
            self.is_running = true;
            self.clock = now.time;
            self.scribe.second = second;
        } else if now.time < self.clock.saturating_sub(BACKWARD) {
            self.begin_epoch(now);
        } else if now.time > self.clock {
            self.clock = now.time;
            if second > self.scribe.second {
                self.end_second(now);
                self.scribe.second = second;
                self.flows.expire(&mut self.scribe, now);
                self.expire_fragments(now);
            }
        }
    }

    /// Ends the session: everything that waits is decoded or given up.
    pub fn finish(&mut self) {
        let now = Arrival { frame: self.last_frame, time: self.clock };
        self.end_flows(now);
        self.end_second(now);
    }

    /// A damaged part of the capture: everything before it was kept.
    pub fn damage(&mut self, what: &str) {
        let now = Arrival { frame: self.last_frame, time: self.clock };
        self.scribe.notice(NoticeKind::CaptureDamaged, NONE, NONE, what, None, now);
    }

    /// Hands over the present batch. Nothing before its `until` follows.
    pub fn take_batch(&mut self, census: bool) -> Batch {
        (self.tick_before, self.marked) = (self.in_tick(), (0, 0));
        self.wants_census &= !census;
        let until =
            if self.is_running { self.scribe.second.saturating_mul(1_000_000_000) } else { 0 };
        self.scribe.take_batch(until, census)
    }

    /// What stands in a batch that nobody will read: its definitions come again with the next one.
    pub fn put_back(&mut self, batch: Batch) {
        self.scribe.put_back(batch);
    }

    /// The answer to a census: what was learned stays, the long unused rest is retired.
    pub fn settle(&mut self, learned: &Learned) {
        self.scribe.keep(learned);
        let (conversations, endpoints) = self.flows.in_use();
        self.scribe.retire(&conversations, &endpoints);
        for id in &self.scribe.batch.retired.endpoints {
            if let Some(binding) = self.bindings.get_mut(*id as usize) {
                *binding = Binding::default();
            }
        }
    }

    fn end_second(&mut self, now: Arrival) {
        self.flows.second_over(&mut self.scribe, now);
        self.mark();
        let is_due = self.last_census.is_none_or(|last| {
            // Time may have run back since.
            !(0..CENSUS_EVERY).contains(&self.scribe.second.saturating_sub(last))
        });
        if is_due && self.scribe.is_pressed() {
            self.wants_census = true;
            self.last_census = Some(self.scribe.second);
        }
    }

    /// Messages and rows of the present tick so far, however it was cut into batches.
    fn in_tick(&self) -> (usize, usize) {
        let tables = &self.scribe.batch.tables;
        let ((messages, rows), marked) = (self.tick_before, self.marked);
        let of_messages = tables.messages.len().saturating_sub(marked.0);
        let of_rows = tables.rows().saturating_sub(marked.1);
        (messages.saturating_add(of_messages), rows.saturating_add(of_rows))
    }

    fn mark(&mut self) {
        let tables = &self.scribe.batch.tables;
        let mark = tables.mark(self.scribe.second, self.epoch);
        (self.tick_before, self.marked) = ((0, 0), (tables.messages.len(), tables.rows()));
        self.scribe.batch.marks.push(mark);
    }

    fn begin_epoch(&mut self, now: Arrival) {
        let before = Arrival { frame: self.last_frame, time: self.clock };
        self.end_flows(before);
        self.end_second(before);
        self.health.time_ran_back += 1;
        self.epoch = self.epoch.saturating_add(1);
        self.clock = now.time;
        self.scribe.second = now.time.div_euclid(1_000_000_000);
        let seconds = (before.time.saturating_sub(now.time)) / 1_000_000_000;
        let detail = format!("by {seconds} s");
        self.scribe.notice(NoticeKind::TimeRanBack, NONE, NONE, &detail, None, now);
    }

    fn end_flows(&mut self, now: Arrival) {
        self.finish_fragments(now);
        self.flows.end_all(&mut self.scribe, now);
    }

    fn malformed(&mut self, Malformed(what): Malformed, now: Arrival) {
        self.health.malformed_frames += 1;
        self.scribe.notice(NoticeKind::MalformedHeader, NONE, NONE, what, None, now);
    }

    fn packet(&mut self, packet: &Packet<'_>, length: u32, now: Arrival) {
        match &packet.body {
            Body::Ip(ip) => {
                self.ip(packet, ip, Weight::of(length), now.frame, now);
            }
            Body::Arp(arp) => self.arp(packet, arp, length, now),
            Body::Other { ether_type, payload } => {
                let (Some(source), Some(target)) = (packet.source_mac, packet.target_mac) else {
                    self.health.unknown_link_frames += 1;
                    return;
                };
                let passage = Passage {
                    packet,
                    source: (Address::Mac(source), 0),
                    target: (Address::Mac(target), 0),
                    ttl: 0,
                    weight: Weight::of(length),
                    carrier: Carrier::Link,
                    // Below 0x600 it is the length of an LLC frame.
                    code: 0x1_0000 | if *ether_type < 0x600 { 0 } else { u32::from(*ether_type) },
                };
                let name = || match ether_type {
                    0..0x600 => "llc".to_owned(),
                    _ => format!("ethertype-{ether_type:#06x}"),
                };
                self.datagram(&passage, name, payload, now);
            }
        }
    }

    fn arp(&mut self, packet: &Packet<'_>, arp: &Arp, length: u32, now: Arrival) {
        if arp.sender_ip == Address::V4([0; 4]) {
            return; // A probe (RFC 5227) binds nothing.
        }
        let sender = self.endpoint(packet.vlan, arp.sender_ip, NONE, now);
        self.sight(sender, Some(arp.sender_mac), 0, true, now);
        if arp.sender_ip == arp.target_ip {
            return; // An announcement asks nobody.
        }
        let passage = Passage {
            packet,
            source: (arp.sender_ip, 0),
            target: (arp.target_ip, 0),
            ttl: 0,
            weight: Weight::of(length),
            carrier: Carrier::Network,
            code: 0x3_0000,
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
        if ip.fragment.is_some() {
            self.fragment(packet, ip, weight, now);
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
        let whole = self.fragments.accept(packet.vlan, ip, now, &mut troubles);
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

    fn expire_fragments(&mut self, now: Arrival) {
        let mut troubles = Vec::new();
        self.fragments.expire(now.time, &mut troubles);
        self.tell_troubles(&troubles, now);
    }

    fn finish_fragments(&mut self, now: Arrival) {
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

    fn datagram(
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
        let key = FlowKey::new(vlan, passage.source, passage.target, passage.code);
        let (flow, budget) = self.flows.touch(key, &mut self.scribe, now, |scribe| {
            let [source, target] = [passage.source, passage.target];
            let speaker = scribe.endpoint(&Endpoint { vlan, address: source.0 }, NONE, now);
            let listener = scribe.endpoint(&Endpoint { vlan, address: target.0 }, speaker, now);
            let ends = [end(speaker, vlan, source), end(listener, vlan, target)];
            Flow::new(Talk::new(ends, passage.carrier, &name(), now), None, now)
        });
        let first = flow.talk.end(Side::First);
        let is_first = (first.address, first.port) == passage.source;
        let side = if is_first { Side::First } else { Side::Second };
        let end = flow.talk.end_mut(side);
        end.volume.frames = end.volume.frames.saturating_add(passage.weight.frames);
        end.volume.bytes = end.volume.bytes.saturating_add(passage.weight.bytes);
        let seen = Some((passage.packet.source_mac, passage.ttl));
        let is_news = end.seen != seen;
        end.seen = seen;
        let endpoint = end.endpoint;
        then(flow, side, budget, &mut self.scribe);
        if is_news {
            self.sight(endpoint, passage.packet.source_mac, passage.ttl, false, now);
        }
    }

    fn endpoint(&mut self, vlan: Vlan, address: Address, speaker: u32, now: Arrival) -> u32 {
        self.scribe.endpoint(&Endpoint { vlan, address }, speaker, now)
    }

    /// Writes a sighting if an endpoint's MAC or TTL is not what it was.
    fn sight(&mut self, endpoint: u32, mac: Option<Mac>, ttl: u8, arp: bool, now: Arrival) {
        if endpoint == NONE {
            return;
        }
        let mac = mac.map_or(0, |[a, b, c, d, e, f]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        let place = endpoint as usize;
        if place >= self.bindings.len() {
            self.bindings.resize(place + 1, Binding::default());
        }
        let Some(binding) = self.bindings.get_mut(place) else { return };
        let is_same = binding.is_known && binding.mac == mac && (arp || binding.ttl == ttl);
        if is_same {
            return;
        }
        let ttl_now = if arp { binding.ttl } else { ttl };
        *binding = Binding { mac, ttl: ttl_now, is_known: true };
        self.scribe.batch.tables.sightings.push(SightingRow {
            endpoint,
            mac,
            ttl,
            arp,
            time: now.time,
            frame: now.frame,
        });
    }
}

fn end(endpoint: u32, vlan: Vlan, (address, port): (Address, u16)) -> End {
    End { endpoint, vlan, address, port, seen: None, volume: Volume::default() }
}
