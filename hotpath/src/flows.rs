//! The table of flows, and what each second's traffic comes to.

use hashbrown::HashMap;

use crate::bounded::LruTable;
use crate::columns::TrafficRow;
use crate::meter;
use crate::net::tcp::{Budget, Connection, Counters};
use crate::net::{Address, Arrival, Side, Vlan};
use crate::scribe::Scribe;
use crate::table::NONE;
use crate::talk::{Listener, Talk};

/// Both ends of a flow, the smaller one first, so that both directions have one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey {
    vlan: Vlan,
    carrier: u32,
    ends: Ends,
}

/// Most flows are IPv4: their ends, packed into numbers, are cheap to hash and to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ends {
    V4(u64, u64),
    Any((Address, u16), (Address, u16)),
}

impl FlowKey {
    /// The key of a flow; `carrier` tells apart what may use the same addresses and ports. And
    /// whether its source is the smaller end.
    #[inline]
    #[must_use]
    pub fn new(
        vlan: Vlan,
        source: (Address, u16),
        target: (Address, u16),
        carrier: u32,
    ) -> (Self, bool) {
        let (ends, is_low) = match (source.0, target.0) {
            (Address::V4(from), Address::V4(to)) => {
                let (from, to) = (packed(from, source.1), packed(to, target.1));
                (Ends::V4(from.min(to), from.max(to)), from <= to)
            }
            _ if source <= target => (Ends::Any(source, target), true),
            _ => (Ends::Any(target, source), false),
        };
        (Self { vlan, carrier, ends }, is_low)
    }
}

fn packed(address: [u8; 4], port: u16) -> u64 {
    (u64::from(u32::from_be_bytes(address)) << 16) | u64::from(port)
}

/// One flow.
pub struct Flow {
    /// Its application side.
    pub talk: Talk,
    /// Its transport side, if it is TCP.
    pub connection: Option<Connection>,
    /// Time of its last frame in nanoseconds.
    pub last: i64,
    /// First and last frame of the present second.
    frames: (u64, u64),
    /// Copies of its packets, since its last row of traffic.
    copies: u32,
    /// Whether the first end is the smaller one.
    is_first_low: bool,
    is_touched: bool,
    is_recent: bool,
}

impl Flow {
    /// A flow whose first frame is at `now`, and whether that came from the smaller end.
    #[must_use]
    pub const fn new(talk: Talk, is_first_low: bool, now: Arrival) -> Self {
        Self {
            talk,
            connection: None,
            last: now.time,
            frames: (now.frame, now.frame),
            copies: 0,
            is_first_low,
            is_touched: false,
            is_recent: false,
        }
    }

    /// Which end the smaller one is, or the other one.
    #[inline]
    #[must_use]
    pub const fn side(&self, is_low: bool) -> Side {
        if is_low == self.is_first_low { Side::First } else { Side::Second }
    }

    /// Ends the flow: what waits is decoded or given up.
    fn end(&mut self, why: Why, budget: &mut Budget, scribe: &mut Scribe, now: Arrival) {
        if let Some(connection) = &mut self.connection {
            let listener = &mut Listener { talk: &mut self.talk, scribe, carried: now.frame };
            match why {
                Why::Forgotten => connection.forget(now, budget, listener),
                Why::CaptureEnded => connection.finish(now, budget, listener),
            }
        }
        self.talk.end_of_flow(scribe, now);
    }

    fn take_traffic(&mut self, second: i64) -> Option<TrafficRow> {
        let server = self.talk.server.unwrap_or(Side::Second);
        let take = |talk: &mut Talk, side| std::mem::take(&mut talk.end_mut(side).volume);
        let (from_client, from_server) =
            (take(&mut self.talk, server.other()), take(&mut self.talk, server));
        if from_client.frames == 0 && from_server.frames == 0 {
            return None;
        }
        let counters = self.connection.as_mut().map_or_else(Counters::default, |connection| {
            let mut sum = connection.take_counters(Side::First);
            let other = connection.take_counters(Side::Second);
            add(&mut sum.retransmissions, other.retransmissions);
            add(&mut sum.gaps, other.gaps);
            add(&mut sum.keep_alives, other.keep_alives);
            sum
        });
        let copies = std::mem::take(&mut self.copies);
        Some(TrafficRow {
            conversation: self.talk.conversation,
            second,
            first_frame: self.frames.0,
            last_frame: self.frames.1,
            client_frames: from_client.frames,
            client_bytes: from_client.bytes,
            server_frames: from_server.frames,
            server_bytes: from_server.bytes,
            retransmissions: counters.retransmissions,
            gaps: counters.gaps,
            duplicates: counters.keep_alives.saturating_add(copies),
            client_largest: from_client.largest,
            server_largest: from_server.largest,
            client_head: from_client.head,
            server_head: from_server.head,
        })
    }
}

/// Why nothing more is heard of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It was silent for long, or had to make room.
    Forgotten,
    /// The capture ended, or its time ran back; of the flow that says nothing.
    CaptureEnded,
}

/// Bounds of the flow table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowLimits {
    /// Flows at a time; beyond it the one that was silent longest is ended.
    pub flows: usize,
    /// Nanoseconds of silence after which a flow is ended.
    pub idle: i64,
    /// Out-of-order bytes that all connections may hold together.
    pub held_bytes: usize,
    /// Bytes that all flows may hold together until it is known what they speak, or until a PDU
    /// is whole.
    pub heard_bytes: usize,
}

impl Default for FlowLimits {
    fn default() -> Self {
        Self { flows: 65_536, idle: 3_600_000_000_000, held_bytes: 32 << 20, heard_bytes: 32 << 20 }
    }
}

/// How long after its last frame a flow may still wait for something, in nanoseconds.
const WAITING: i64 = 8_000_000_000;

/// All flows.
pub struct Flows {
    table: LruTable<FlowKey, Flow>,
    budget: Budget,
    idle: i64,
    touched: Vec<u32>,
    recent: Vec<u32>,
    rows: Vec<TrafficRow>,
    row_of: HashMap<u32, usize, ahash::RandomState>,
    evicted: u64,
}

impl Flows {
    /// An empty table.
    #[must_use]
    pub fn new(limits: &FlowLimits) -> Self {
        Self {
            table: LruTable::new(limits.flows),
            budget: Budget::new(limits.held_bytes),
            idle: limits.idle,
            touched: Vec::new(),
            recent: Vec::new(),
            rows: Vec::new(),
            row_of: HashMap::with_hasher(ahash::RandomState::new()),
            evicted: 0,
        }
    }

    /// How many flows were ended to make room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Counts anew.
    pub const fn forget_counts(&mut self) {
        self.evicted = 0;
    }

    /// Has other bounds from now on; what is beyond them is ended, the silent longest first.
    pub fn set_limits(&mut self, limits: &FlowLimits, scribe: &mut Scribe, now: Arrival) {
        self.idle = limits.idle;
        self.budget.set_limit(limits.held_bytes);
        self.table.set_bound(limits.flows);
        while self.table.len() > self.table.bound() {
            self.evicted += 1;
            self.end_oldest(Why::Forgotten, scribe, now);
        }
    }

    /// Bytes of segments that came before their turn.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.budget.used()
    }

    /// How many flows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The flow of a frame, made if it is new, and the budget for its segments.
    #[inline]
    pub fn touch(
        &mut self,
        key: FlowKey,
        scribe: &mut Scribe,
        now: Arrival,
        make: impl FnOnce(&mut Scribe) -> Flow,
    ) -> (&mut Flow, &mut Budget) {
        let entry = self.table.touch_or_insert_with(key, || make(scribe));
        let slot = entry.slot;
        let flow = entry.value;
        flow.last = now.time;
        flow.frames.1 = now.frame;
        if !flow.is_touched {
            flow.is_touched = true;
            flow.frames.0 = now.frame;
            // The slot of an evicted flow may be on the lists already.
            let (touched, recent) = entry
                .evicted
                .as_ref()
                .map_or((false, false), |(_, old)| (old.is_touched, old.is_recent));
            if !touched {
                self.touched.push(slot);
            }
            if !flow.is_recent && !recent {
                self.recent.push(slot);
            }
            flow.is_recent = true;
        }
        if let Some((_, mut old)) = entry.evicted {
            self.evicted += 1;
            old.end(Why::Forgotten, &mut self.budget, scribe, now);
            if let Some(row) = old.take_traffic(scribe.second) {
                add_row(&mut self.rows, &mut self.row_of, row);
            }
        }
        (flow, &mut self.budget)
    }

    /// Counts a copy of a packet of the flow, if that is there.
    pub fn count_copy(&mut self, key: &FlowKey) {
        if let Some(flow) = self.table.get(key) {
            add(&mut flow.copies, 1);
        }
    }

    /// A second ended: its traffic is written, conversation by conversation.
    pub fn second_over(&mut self, scribe: &mut Scribe, now: Arrival) {
        meter::work(self.touched.len());
        self.touched.retain(|slot| {
            let Some((_, flow)) = self.table.slot(*slot) else { return false };
            flow.talk.second_over(scribe, now);
            if flow.talk.conversation == NONE {
                return true;
            }
            flow.is_touched = false;
            if let Some(row) = flow.take_traffic(scribe.second) {
                add_row(&mut self.rows, &mut self.row_of, row);
            }
            false
        });
        for row in self.rows.drain(..) {
            scribe.batch.tables.traffic.push(row);
        }
        self.row_of.clear();
    }

    /// Capture time moved on: what waited too long is given up, silent flows are ended.
    pub fn expire(&mut self, scribe: &mut Scribe, now: Arrival) {
        meter::work(self.recent.len());
        self.recent.retain(|slot| {
            let Some((_, flow)) = self.table.slot(*slot) else { return false };
            if let Some(connection) = &mut flow.connection {
                let listener = &mut Listener { talk: &mut flow.talk, scribe, carried: now.frame };
                connection.expire(now, &mut self.budget, listener);
            }
            flow.talk.expire(scribe, now);
            flow.is_recent = now.time.saturating_sub(flow.last) < WAITING;
            flow.is_recent
        });
        while let Some((_, flow)) = self.table.oldest() {
            if now.time.saturating_sub(flow.last) < self.idle {
                break;
            }
            self.end_oldest(Why::Forgotten, scribe, now);
        }
    }

    /// Ends all flows, the longest silent first.
    pub fn end_all(&mut self, scribe: &mut Scribe, now: Arrival) {
        while !self.table.is_empty() {
            self.end_oldest(Why::CaptureEnded, scribe, now);
        }
        self.touched.clear();
        self.recent.clear();
    }

    /// Conversation and endpoint ids of all flows.
    #[must_use]
    pub fn in_use(&self) -> (Vec<u32>, Vec<u32>) {
        let conversations = self.table.iter().map(|(_, flow)| flow.talk.conversation).collect();
        let ends = |(_, flow): (_, &Flow)| flow.talk.ends.map(|end| end.endpoint);
        (conversations, self.table.iter().flat_map(ends).collect())
    }

    fn end_oldest(&mut self, why: Why, scribe: &mut Scribe, now: Arrival) {
        if let Some((_, mut flow)) = self.table.pop_oldest() {
            flow.end(why, &mut self.budget, scribe, now);
            if let Some(row) = flow.take_traffic(scribe.second) {
                add_row(&mut self.rows, &mut self.row_of, row);
            }
        }
    }
}

fn add_row(
    rows: &mut Vec<TrafficRow>,
    row_of: &mut HashMap<u32, usize, ahash::RandomState>,
    row: TrafficRow,
) {
    let place = *row_of.entry(row.conversation).or_insert(rows.len());
    let Some(sum) = rows.get_mut(place) else {
        rows.push(row);
        return;
    };
    sum.first_frame = sum.first_frame.min(row.first_frame);
    sum.last_frame = sum.last_frame.max(row.last_frame);
    add(&mut sum.client_frames, row.client_frames);
    sum.client_bytes = sum.client_bytes.saturating_add(row.client_bytes);
    add(&mut sum.server_frames, row.server_frames);
    sum.server_bytes = sum.server_bytes.saturating_add(row.server_bytes);
    add(&mut sum.retransmissions, row.retransmissions);
    add(&mut sum.gaps, row.gaps);
    add(&mut sum.duplicates, row.duplicates);
    sum.client_largest = sum.client_largest.max(row.client_largest);
    sum.server_largest = sum.server_largest.max(row.server_largest);
    sum.client_head = if sum.client_head == 0 { row.client_head } else { sum.client_head };
    sum.server_head = if sum.server_head == 0 { row.server_head } else { sum.server_head };
}

const fn add(sum: &mut u32, more: u32) {
    *sum = sum.saturating_add(more);
}
