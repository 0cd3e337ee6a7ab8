//! Drives a frame through net, protocols and tables into columns.

use crate::bounded::Room;
use crate::columns::Batch;
use crate::flows::{FlowLimits, Flows};
use crate::net::fragments::{self, Fragments};
use crate::net::{Arrival, Malformed, link};
use crate::record::Recorder;
use crate::scribe::{Learned, Quotas, Scribe};
use crate::source::Frame;
use crate::table::NONE;
use crate::words::{Encapsulation, NoticeKind};

mod bindings;
mod carried;
mod mirror;
mod packets;

use bindings::{Asked, Bindings};
use mirror::Mirror;

/// Time that runs back by more than this starts a new epoch, in nanoseconds.
const BACKWARD: i64 = 2_000_000_000;

/// A batch is full when it has this many rows …
const MAX_ROWS: usize = 65_536;

/// … or this many bytes of records: what fits a processor's cache, and what an allocator keeps for
/// the next one.
const MAX_RECORDED: usize = 512 << 10;

/// A tick is cut when it has this many messages …
const MAX_TICK_MESSAGES: usize = 16_384;

/// … or this many rows of any kind.
const MAX_TICK_ROWS: usize = 1_048_576;

/// A census is asked for at most once in this many seconds: it costs the judge a walk over all
/// that it learned.
const CENSUS_EVERY: i64 = 60;

/// … or in this many, while a quota refuses what is new: a flood must not coarsen for long what
/// others say.
const CENSUS_AT_REFUSAL: i64 = 10;

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
    /// Frames that repeat a packet of a moment ago: copies of a mirror port.
    pub copies: u64,
    /// Frames in which something was encapsulated, by [`Encapsulation`].
    pub encapsulated: [u64; Encapsulation::ALL.len()],
    /// How often time ran back.
    pub time_ran_back: u64,
}

/// Turns frames into batches.
pub struct Engine {
    scribe: Scribe,
    flows: Flows,
    fragments: Fragments,
    mirror: Mirror,
    bindings: Bindings,
    asked: Asked,
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
            mirror: Mirror::default(),
            bindings: Bindings::default(),
            asked: Asked::default(),
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

    /// Looks for no protocol, from the next flow on: what is said is weighed and not understood.
    pub const fn deafen(&mut self) {
        self.scribe.protocols = &[];
    }

    /// Has other bounds from now on: flows beyond them are ended, what was not learned is retired
    /// with the next census, which is asked for at once.
    pub fn resize(&mut self, settings: &Settings) {
        let now = Arrival { frame: self.last_frame, time: self.clock };
        self.flows.set_limits(&settings.flows, &mut self.scribe, now);
        self.scribe.room.set_limit(settings.flows.heard_bytes);
        self.scribe.set_quotas(&settings.quotas);
        self.wants_census = self.is_running;
        self.last_census = Some(self.scribe.second);
    }

    /// What is held of frames that were heard: flows, bytes that came before their turn, bytes
    /// that wait for the rest of a PDU, fragments.
    #[must_use]
    pub fn held(&self) -> [usize; 4] {
        let heard = self.scribe.room.used();
        [self.flows.len(), self.flows.held(), heard, self.fragments.bytes()]
    }

    /// Starts a session: frames and messages are counted anew.
    pub fn begin_session(&mut self) {
        self.scribe.begin_session();
        self.mirror.clear();
        self.bindings.clear();
        self.asked = Asked::default();
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

    /// Rows and definitions waiting in the present batch: what it grows by while nobody takes it.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.rows().wrapping_add(self.scribe.batch.defined.entries())
    }

    /// Bytes of records waiting in the present batch, or `None` if none are written.
    #[must_use]
    pub fn recorded(&self) -> Option<usize> {
        self.scribe.recorder.as_ref().map(Recorder::len)
    }

    /// Whether the present batch should be taken, however few frames it is of.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rows() >= MAX_ROWS || self.recorded().is_some_and(|bytes| bytes >= MAX_RECORDED)
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
            self.health.time_ran_back += 1;
            self.begin_epoch(now, NoticeKind::TimeRanBack);
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

    /// The clock that stamps frames was set forward to `now`: nobody was silent in between.
    pub fn skip(&mut self, now: Arrival) {
        if self.is_running && now.time > self.clock {
            self.begin_epoch(now, NoticeKind::TimeSkipped);
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
            self.bindings.forget(*id);
        }
    }

    fn end_second(&mut self, now: Arrival) {
        self.flows.second_over(&mut self.scribe, now);
        self.mark();
        let is_due = self.last_census.is_none_or(|last| {
            // Time may have run back since.
            let every = if self.scribe.has_refused() { CENSUS_AT_REFUSAL } else { CENSUS_EVERY };
            !(0..every).contains(&self.scribe.second.saturating_sub(last))
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

    fn begin_epoch(&mut self, now: Arrival, why: NoticeKind) {
        let before = Arrival { frame: self.last_frame, time: self.clock };
        self.end_flows(before);
        self.end_second(before);
        self.mirror.clear();
        self.bindings.clear();
        self.asked = Asked::default();
        self.epoch = self.epoch.saturating_add(1);
        self.clock = now.time;
        self.scribe.second = now.time.div_euclid(1_000_000_000);
        let seconds = before.time.abs_diff(now.time) / 1_000_000_000;
        let detail = format!("by {seconds} s");
        self.scribe.notice(why, NONE, NONE, &detail, None, now);
    }

    fn end_flows(&mut self, now: Arrival) {
        self.finish_fragments(now);
        self.flows.end_all(&mut self.scribe, now);
    }

    fn malformed(&mut self, Malformed(what): Malformed, now: Arrival) {
        self.health.malformed_frames += 1;
        self.scribe.notice(NoticeKind::MalformedHeader, NONE, NONE, what, None, now);
    }
}
