//! Reads batches as the judging side does, and holds them to their contract.

use hotpath::columns::{Batch, Retired};
use hotpath::engine::{Engine, Settings};
use hotpath::flows::FlowLimits;
use hotpath::scribe::{Learned, Quotas};
use hotpath::source::Frame;
use hotpath::table::Limits;
use hotpath::words::{ConnectionState, NoticeKind, Sighted, ValueKind};

use crate::frames::Listed;

/// When frames begin to come.
pub const START: i64 = 1_700_000_000_000_000_000;

/// Bounds so small that few frames meet them.
#[must_use]
pub fn small() -> Settings {
    let limits = |total, per_client| Limits { total, per_client };
    Settings {
        quotas: Quotas {
            endpoints: limits(24, 8),
            conversations: limits(24, 8),
            objects: limits(24, 8),
            symbols: limits(48, 16),
            pages: limits(12, 4),
            texts: limits(48, 8),
        },
        flows: FlowLimits { flows: 8, held_bytes: 4_096, heard_bytes: 2_048, ..Default::default() },
    }
}

/// Which ids of a dictionary stand for something.
#[derive(Debug, Default)]
struct Known(Vec<bool>);

impl Known {
    fn define(&mut self, first: u32, count: u32) {
        let (from, to) = (first as usize, first as usize + count as usize);
        assert!(first > 0, "0 stands for nothing");
        if self.0.len() < to {
            self.0.resize(to, false);
        }
        self.0[from..to].fill(true);
    }

    fn retire(&mut self, ids: &[u32]) {
        for id in ids {
            self.0[*id as usize] = false;
        }
    }

    fn holds(&self, id: u32) -> bool {
        self.0.get(id as usize).copied().unwrap_or(false)
    }

    fn holds_or_none(&self, id: u32) -> bool {
        id == 0 || self.holds(id)
    }
}

/// What was read so far. Every method panics where a batch breaks its contract.
#[derive(Debug, Default)]
pub struct Reader {
    texts: Known,
    endpoints: Known,
    conversations: Known,
    symbols: Known,
    points: Known,
    /// Messages so far.
    pub messages: u64,
    /// Items so far.
    pub items: u64,
    /// Rows of all tables so far.
    pub rows: u64,
    until: i64,
}

impl Reader {
    /// The largest id of each dictionary so far, plus one: how much it ever held.
    #[must_use]
    pub fn sizes(&self) -> [usize; 5] {
        [&self.texts, &self.endpoints, &self.conversations, &self.symbols, &self.points]
            .map(|known| known.0.len())
    }

    /// Reads the next batch.
    pub fn read(&mut self, batch: &Batch) {
        self.define(batch);
        self.read_messages(batch);
        self.read_others(batch);
        let rows = batch.tables.rows();
        self.rows += rows as u64;
        let marks = &batch.marks;
        let mut before = [0_u64; 3];
        for row in 0..marks.len() {
            let at = [marks.messages[row], marks.traffic[row], marks.notices[row]];
            assert!(at.iter().zip(before).all(|(now, before)| *now >= before), "marks run back");
            before = at;
        }
        assert!(before[0] <= batch.tables.messages.len() as u64);
        let is_json = batch.records.last().is_none_or(|last| *last == b'\n');
        assert!(is_json && std::str::from_utf8(&batch.records).is_ok(), "half a record");
        assert!(batch.records.iter().all(|byte| *byte == b'\n' || *byte >= b' '));
        self.until = batch.until;
    }

    fn define(&mut self, batch: &Batch) {
        let Retired { endpoints, conversations, symbols, points, texts } = &batch.retired;
        self.texts.retire(texts);
        self.endpoints.retire(endpoints);
        self.conversations.retire(conversations);
        self.symbols.retire(symbols);
        self.points.retire(points);
        let new = &batch.defined;
        new.texts.id.iter().for_each(|id| self.texts.define(*id, 1));
        new.endpoints.id.iter().for_each(|id| self.endpoints.define(*id, 1));
        new.conversations.id.iter().for_each(|id| self.conversations.define(*id, 1));
        new.symbols.id.iter().for_each(|id| self.symbols.define(*id, 1));
        for (id, length) in new.points.id.iter().zip(&new.points.length) {
            self.points.define(*id, *length);
        }
        for row in 0..new.conversations.len() {
            assert!(self.endpoints.holds_or_none(new.conversations.client[row]));
            assert!(self.endpoints.holds_or_none(new.conversations.server[row]));
            assert!(self.texts.holds(new.conversations.protocol[row]));
        }
        for row in 0..new.symbols.len() {
            assert!(self.conversations.holds(new.symbols.conversation[row]));
        }
        assert!(new.texts.text.iter().all(|text| text.len() <= 256), "a long text");
    }

    fn read_messages(&mut self, batch: &Batch) {
        let said = &batch.tables.messages;
        for row in 0..said.len() {
            self.messages += 1;
            assert_eq!(said.id[row], self.messages, "messages are counted without holes");
            assert!(said.first_frame[row] <= said.frame[row]);
            assert!(said.reply_to[row] < said.id[row], "an answer before its question");
            assert!(self.symbols.holds(said.symbol[row]), "a message without a symbol");
            assert!(self.conversations.holds(said.conversation[row]));
        }
        let items = &batch.tables.items;
        for row in 0..items.len() {
            assert!(items.message[row] <= self.messages && items.count[row] > 0);
            assert!(self.points.holds_or_none(items.point[row]));
        }
        let first = self.items;
        self.items += items.len() as u64;
        let values = &batch.tables.values;
        for row in 0..values.len() {
            assert!((first..self.items).contains(&values.item[row]), "a value of no item");
            assert!(self.points.holds_or_none(values.point[row]));
            assert!(self.texts.holds_or_none(values.text[row]));
            assert!(usize::from(values.kind[row]) < ValueKind::ALL.len());
        }
    }

    fn read_others(&self, batch: &Batch) {
        let tables = &batch.tables;
        for (row, id) in tables.traffic.conversation.iter().enumerate() {
            assert!(self.conversations.holds(*id), "traffic of no conversation");
            assert!(tables.traffic.first_frame[row] <= tables.traffic.last_frame[row]);
        }
        for (row, id) in tables.connections.conversation.iter().enumerate() {
            assert!(self.conversations.holds(*id));
            assert!(usize::from(tables.connections.state[row]) < ConnectionState::ALL.len());
        }
        for (row, id) in tables.sightings.endpoint.iter().enumerate() {
            assert!(self.endpoints.holds(*id), "a sighting of nobody");
            assert!(usize::from(tables.sightings.arp[row]) < Sighted::ALL.len());
        }
        for (row, id) in tables.facts.endpoint.iter().enumerate() {
            assert!(self.endpoints.holds_or_none(*id));
            assert!(self.texts.holds(tables.facts.key[row]));
        }
        for row in 0..tables.notices.len() {
            assert!(usize::from(tables.notices.kind[row]) < NoticeKind::ALL.len());
            assert!(self.conversations.holds_or_none(tables.notices.conversation[row]));
            assert!(self.endpoints.holds_or_none(tables.notices.endpoint[row]));
            assert!(self.texts.holds_or_none(tables.notices.detail[row]));
            // Where records are written, no rows of messages are.
            assert!(self.messages == 0 || tables.notices.message[row] <= self.messages);
        }
    }
}

/// An engine that listens to frames of a list, and who reads what it says.
pub struct Listener {
    /// The engine.
    pub engine: Engine,
    /// Who reads its batches.
    pub reader: Reader,
    /// Batches, if they are wanted.
    pub kept: Option<Vec<Batch>>,
    /// Capture time.
    pub time: i64,
    number: u64,
}

impl Listener {
    /// One that heard nothing yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let mut engine = Engine::new(settings);
        engine.begin_session();
        Self { engine, reader: Reader::default(), kept: None, time: START, number: 0 }
    }

    /// The next frame.
    pub fn hear(&mut self, listed: &Listed) {
        self.time = self.time.saturating_add(listed.wait());
        self.number += 1;
        let data = listed.bytes();
        self.engine.frame(&Frame {
            number: self.number,
            time: self.time,
            link: listed.link(),
            interface: 0,
            data: &data,
            original_length: data.len() as u32 + listed.cut(),
        });
        let census = self.engine.wants_census();
        if census || listed.ends_batch() || self.engine.rows() > 65_536 {
            self.take(census);
        }
        if census {
            self.engine.settle(&Learned::default());
        }
    }

    /// The capture ends.
    pub fn finish(&mut self) {
        self.engine.finish();
        self.take(false);
    }

    /// Reads what was said until now, and counts the messages so far.
    pub fn take_and_count(&mut self) -> u64 {
        self.take(false);
        self.reader.messages
    }

    fn take(&mut self, census: bool) {
        let batch = self.engine.take_batch(census);
        self.reader.read(&batch);
        if let Some(kept) = &mut self.kept {
            kept.push(batch);
        }
    }
}
