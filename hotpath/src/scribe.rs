//! The scribe writes rows: it interns what was said and knows which quota a speaker has left.

use std::collections::HashSet;

use hashbrown::HashMap;

use crate::columns::{
    Batch, ConnectionRow, ConversationRow, EndpointRow, FactRow, ItemRow, MessageRow, NoticeRow,
    PointRow, SymbolRow, TextRow, ValueRow,
};
use crate::net::Arrival;
use crate::protocols::{Message, Party, Protocol, Told};
use crate::record::{Recorder, Route};
use crate::table::{
    Conversation, Dictionary, Endpoint, Full, Limits, MAX_OBJECT_RANGES, MAX_TEXT_LENGTH, NONE,
    ObjectSet, PAGE, Page, RESERVE, Range, Symbol,
};
use crate::words::{ConnectionState, NoticeKind, Role};

/// Bounds of all dictionaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Endpoints; one speaker is to blame for those that it names.
    pub endpoints: Limits,
    /// Conversations, by client.
    pub conversations: Limits,
    /// Object sets, by client.
    pub objects: Limits,
    /// Symbols, by client.
    pub symbols: Limits,
    /// Pages of points, by client.
    pub pages: Limits,
    /// Texts, by speaker.
    pub texts: Limits,
}

impl Default for Quotas {
    fn default() -> Self {
        let limits = |total, per_client| Limits { total, per_client };
        Self {
            endpoints: limits(65_536, 4_096),
            conversations: limits(131_072, 4_096),
            objects: limits(262_144, 16_384),
            symbols: limits(524_288, 16_384),
            pages: limits(65_536, 4_096),
            texts: limits(65_536, 4_096),
        }
    }
}

/// Where in the traffic a message was heard.
#[derive(Debug, Clone)]
pub struct Place {
    /// Conversation id.
    pub conversation: u32,
    /// Endpoint id.
    pub client: u32,
    /// Endpoint id.
    pub server: u32,
    /// Text id of the protocol's name.
    pub protocol: u32,
    /// The protocol.
    pub spoken: &'static Protocol,
    /// What its records have in common, if they are wanted.
    pub route: Option<Box<Route>>,
}

impl Place {
    /// The endpoint id of a party.
    #[must_use]
    pub const fn party(&self, party: Party) -> u32 {
        match party {
            Party::Client => self.client,
            Party::Server => self.server,
        }
    }
}

/// Ids that a person or a detector made permanent.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    /// Endpoint ids.
    pub endpoints: Vec<u32>,
    /// Conversation ids.
    pub conversations: Vec<u32>,
    /// Symbol ids.
    pub symbols: Vec<u32>,
    /// Point ids.
    pub points: Vec<u32>,
}

/// Interns and writes rows.
#[derive(Debug)]
pub struct Scribe {
    /// The batch that is being written.
    pub batch: Batch,
    /// The present second of capture time.
    pub second: i64,
    /// Writes records instead of the rows of messages, items and values.
    pub recorder: Option<Recorder>,
    endpoints: Dictionary<Endpoint>,
    texts: Dictionary<Box<str>>,
    conversations: Dictionary<Conversation>,
    objects: Dictionary<ObjectSet>,
    symbols: Dictionary<Symbol>,
    pages: Dictionary<Page>,
    bases: Vec<u32>,
    dense_bases: HashSet<u32>,
    free_pages: Vec<u32>,
    free_points: Vec<u32>,
    next_point: u32,
    next_message: u64,
    next_item: u64,
    part_frame: u64,
    part: u16,
    complaints: HashMap<(&'static str, u32), i64, ahash::RandomState>,
    refused: u64,
}

impl Scribe {
    /// A scribe with empty dictionaries.
    #[must_use]
    pub fn new(quotas: &Quotas) -> Self {
        Self {
            batch: Batch::default(),
            second: 0,
            recorder: None,
            endpoints: Dictionary::new(quotas.endpoints),
            texts: Dictionary::new(quotas.texts),
            conversations: Dictionary::new(quotas.conversations),
            objects: Dictionary::new(quotas.objects),
            symbols: Dictionary::new(quotas.symbols),
            pages: Dictionary::new(quotas.pages),
            bases: vec![0],
            dense_bases: HashSet::new(),
            free_pages: Vec::new(),
            free_points: Vec::new(),
            next_point: 1,
            next_message: 1,
            next_item: 0,
            part_frame: 0,
            part: 0,
            complaints: HashMap::with_hasher(ahash::RandomState::new()),
            refused: 0,
        }
    }

    /// Starts to count messages and items anew.
    pub fn begin_session(&mut self) {
        self.batch.session += 1;
        self.next_message = 1;
        self.next_item = 0;
        self.part_frame = 0;
        self.complaints.clear();
        self.refused = 0;
    }

    /// How often a quota refused a new entry.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// The id of an endpoint that `speaker` names (its own, or one it talks to or of).
    pub fn endpoint(&mut self, endpoint: &Endpoint, speaker: u32, now: Arrival) -> u32 {
        self.endpoints
            .intern(endpoint, speaker, self.second)
            .unwrap_or_else(|Full| self.complain("endpoints", speaker, now))
    }

    /// The id of a text that `speaker` said; too long a text is cut.
    pub fn text(&mut self, text: &str, speaker: u32, now: Arrival) -> u32 {
        if text.is_empty() {
            return NONE;
        }
        self.texts
            .intern(&Box::from(head(text)), speaker, self.second)
            .unwrap_or_else(|Full| self.complain("texts", speaker, now))
    }

    /// The id of a conversation; beyond the client's quota it is one with servers unnamed.
    pub fn conversation(&mut self, conversation: &Conversation, now: Arrival) -> u32 {
        let client = conversation.client;
        if let Ok(id) = self.conversations.intern(conversation, client, self.second) {
            return id;
        }
        self.complain("conversations", client, now);
        let coarse = Conversation { server: NONE, port: 0, ..*conversation };
        self.conversations.intern(&coarse, client | RESERVE, self.second).unwrap_or(NONE)
    }

    /// What a conversation id stands for.
    #[must_use]
    pub fn conversation_key(&self, id: u32) -> Option<&Conversation> {
        self.conversations.key(id)
    }

    /// Whether this conversation was had before.
    #[must_use]
    pub fn knows(&self, conversation: &Conversation) -> bool {
        self.conversations.lookup(conversation).is_some()
    }

    /// Writes a message with its items and values, or its record; returns its id.
    pub fn message(
        &mut self,
        place: &Place,
        from: Party,
        message: &Message<'_>,
        first_frame: u64,
        now: Arrival,
    ) -> u64 {
        let id = self.next_message;
        self.next_message += 1;
        if let Some(recorder) = &mut self.recorder {
            if let Some(route) = &place.route {
                recorder.message(route, from, message, id, first_frame, now);
            }
            return id;
        }
        let symbol = self.symbol(place, from, message, now);
        if self.part_frame == now.frame {
            self.part = self.part.saturating_add(1);
        } else {
            self.part_frame = now.frame;
            self.part = 0;
        }
        let latency = message.reply_to.map_or(-1, |told| now.time.saturating_sub(told.time).max(0));
        self.batch.tables.messages.push(MessageRow {
            id,
            time: now.time,
            first_frame,
            frame: now.frame,
            part: self.part,
            conversation: place.conversation,
            symbol,
            reply_to: message.reply_to.map_or(0, |told| told.id),
            latency,
            length: message.length,
        });
        self.items(place, message, id, now);
        id
    }

    /// Writes a change of state of a connection.
    pub fn connection(&mut self, conversation: u32, state: ConnectionState, time: i64, frame: u64) {
        self.batch.tables.connections.push(ConnectionRow {
            conversation,
            state: state as u8,
            time,
            frame,
        });
    }

    /// Writes a notice; `of` dates it at an earlier message.
    pub fn notice(
        &mut self,
        kind: NoticeKind,
        conversation: u32,
        endpoint: u32,
        detail: &str,
        of: Option<Told>,
        now: Arrival,
    ) {
        let detail = self.text(detail, endpoint, now);
        let (time, frame, message) =
            of.map_or((now.time, now.frame, 0), |told| (told.time, told.frame, told.id));
        self.batch.tables.notices.push(NoticeRow {
            kind: kind as u8,
            time,
            frame,
            conversation,
            endpoint,
            message,
            detail,
        });
    }

    /// Writes what an endpoint said of itself.
    pub fn fact(&mut self, endpoint: u32, key: &'static str, value: &str, now: Arrival) {
        let key = self.text(key, NONE, now);
        let value = self.text(value, endpoint, now);
        self.batch.tables.facts.push(FactRow {
            endpoint,
            key,
            value,
            time: now.time,
            frame: now.frame,
        });
    }

    fn symbol(&mut self, place: &Place, from: Party, message: &Message<'_>, now: Arrival) -> u32 {
        let set = self.object_set(place, message, now);
        let mut symbol = Symbol {
            conversation: place.conversation,
            from_client: from == Party::Client,
            role: message.role,
            activity: message.activity,
            status: message.status,
            function: message.function,
            subfunction: message.subfunction,
            unit: message.unit,
            objects: NONE,
            coarse: false,
        };
        if let Ok(objects) = self.objects_id(&set, place.client) {
            symbol.objects = objects;
            if let Ok(id) = self.symbols.intern(&symbol, place.client, self.second) {
                return id;
            }
        }
        self.complain("symbols", place.client, now);
        symbol = Symbol { unit: 0, objects: NONE, status: 0, coarse: true, ..symbol };
        let owner = place.client | RESERVE;
        self.symbols
            .intern(&symbol, owner, self.second)
            .or_else(|Full| {
                // Sub-functions of 16 bits can fill even this; the function itself still tells.
                symbol.subfunction = crate::protocols::NO_SUBFUNCTION;
                self.symbols.intern(&symbol, RESERVE, self.second)
            })
            .unwrap_or(NONE)
    }

    fn objects_id(&mut self, set: &ObjectSet, client: u32) -> Result<u32, Full> {
        if set.is_empty() { Ok(NONE) } else { self.objects.intern(set, client, self.second) }
    }

    fn object_set(&mut self, place: &Place, message: &Message<'_>, now: Arrival) -> ObjectSet {
        let types_only = message.role == Role::Report || message.objects.len() > MAX_OBJECT_RANGES;
        let mut set = ObjectSet::new();
        for object in message.objects {
            let mut range = Range {
                kind: object.kind,
                access: object.access,
                address: object.address,
                count: object.count,
                name: NONE,
            };
            if types_only {
                (range.address, range.count) = (0, 0);
            } else if let Some(name) = object.name {
                range.name = self.text(name, place.client, now);
            }
            set.push(range);
        }
        if types_only {
            set.sort_unstable();
            set.dedup();
        }
        set
    }

    fn items(&mut self, place: &Place, message: &Message<'_>, id: u64, now: Arrival) {
        let first_item = self.next_item;
        for object in message.objects {
            let page = self.page(place, message.unit, object, now);
            let point = self.point(&page, object.address, place.client, now);
            self.batch.tables.items.push(ItemRow {
                message: id,
                point,
                access: object.access as u8,
                count: object.count,
                status: object.status,
            });
            self.next_item += 1;
        }
        // Values come object by object and in address order: one page serves many.
        let mut current: Option<(u16, Page, u32)> = None;
        for value in message.values {
            let Some(object) = message.objects.get(usize::from(value.object)) else { continue };
            let address = object.address.saturating_add(u64::from(value.offset));
            let known = current.filter(|(place, page, _)| {
                *place == value.object && page.dense && page.address == address & !(PAGE - 1)
            });
            let point = if let Some((_, page, base)) = known {
                base.saturating_add((address - page.address) as u32)
            } else {
                let mut page = self.page(place, message.unit, object, now);
                page.address = if page.dense { address & !(PAGE - 1) } else { address };
                let point = self.point(&page, address, place.client, now);
                let base = point.saturating_sub((address - page.address) as u32);
                current = (point != NONE).then_some((value.object, page, base));
                point
            };
            let text = value.text.map_or(NONE, |text| self.text(text, place.server, now));
            self.batch.tables.values.push(ValueRow {
                item: first_item + u64::from(value.object),
                point,
                kind: value.kind as u8,
                number: value.kind.number(value.raw),
                raw: value.raw,
                text,
                quality: value.quality,
                source_time: value.source_time,
            });
        }
    }

    fn page(
        &mut self,
        place: &Place,
        unit: u32,
        object: &crate::protocols::Object<'_>,
        now: Arrival,
    ) -> Page {
        let name = object.name.map_or(NONE, |name| self.text(name, place.client, now));
        let dense = name == NONE
            && place.spoken.objects.get(usize::from(object.kind)).is_some_and(|kind| kind.dense);
        let address = if dense { object.address & !(PAGE - 1) } else { object.address };
        Page {
            server: place.server,
            protocol: place.protocol,
            unit,
            kind: object.kind,
            dense,
            address,
            name,
        }
    }

    fn point(&mut self, page: &Page, address: u64, client: u32, now: Arrival) -> u32 {
        match self.pages.intern(page, client, self.second) {
            Ok(id) => {
                let base = self.base(id, page.dense);
                base.saturating_add((address - page.address) as u32)
            }
            Err(Full) => self.complain("points", client, now),
        }
    }

    fn base(&mut self, id: u32, dense: bool) -> u32 {
        if let Some(&base) = self.bases.get(id as usize) {
            if base != NONE {
                return base;
            }
        } else {
            self.bases.resize(id as usize + 1, NONE);
        }
        let (free, length) =
            if dense { (&mut self.free_pages, PAGE as u32) } else { (&mut self.free_points, 1) };
        let base = free.pop().unwrap_or_else(|| {
            let base = self.next_point;
            self.next_point = base.saturating_add(length);
            base
        });
        if let Some(slot) = self.bases.get_mut(id as usize) {
            *slot = base;
        }
        if dense {
            self.dense_bases.insert(base);
        }
        base
    }

    /// Raises a notice once a minute per table and client; always returns [`NONE`].
    #[cold]
    fn complain(&mut self, table: &'static str, client: u32, now: Arrival) -> u32 {
        self.refused += 1;
        let due =
            self.complaints.get(&(table, client)).is_none_or(|&last| self.second >= last + 60);
        if due && (self.complaints.len() < 4_096 || self.complaints.contains_key(&(table, client)))
        {
            self.complaints.insert((table, client), self.second);
            let detail = self.texts.intern(&Box::from(table), NONE, self.second).unwrap_or(NONE);
            self.batch.tables.notices.push(NoticeRow {
                kind: NoticeKind::TableFull as u8,
                time: now.time,
                frame: now.frame,
                conversation: NONE,
                endpoint: client & !RESERVE,
                message: 0,
                detail,
            });
        }
        NONE
    }
}

impl Scribe {
    /// Hands over the batch with everything that it defines, and starts the next one.
    pub fn take_batch(&mut self, until: i64, census: bool) -> Batch {
        self.define();
        let next = Batch { session: self.batch.session, ..Batch::default() };
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.until = until;
        batch.census = census;
        batch.records = self.recorder.as_mut().map(Recorder::take).unwrap_or_default();
        batch
    }

    /// Whether a dictionary is so full that what was not learned should be retired.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.endpoints.is_pressed()
            || self.conversations.is_pressed()
            || self.objects.is_pressed()
            || self.symbols.is_pressed()
            || self.pages.is_pressed()
    }

    /// Marks what was learned as permanent.
    pub fn keep(&mut self, learned: &Learned) {
        self.endpoints.keep(&learned.endpoints);
        self.conversations.keep(&learned.conversations);
        self.symbols.keep(&learned.symbols);
        let points: HashSet<u32> = learned.points.iter().copied().collect();
        let pages: Vec<u32> = self
            .pages
            .iter()
            .filter(|(id, page)| {
                let base = self.bases.get(*id as usize).copied().unwrap_or(NONE);
                (base..base.saturating_add(length(page.dense))).any(|one| points.contains(&one))
            })
            .map(|(id, _)| id)
            .collect();
        self.pages.keep(&pages);
    }

    /// Retires what was last used before second `before` and is neither learned nor in use:
    /// `conversations` and `endpoints` are those of open flows. Only between two batches.
    pub fn retire(&mut self, before: i64, conversations: &[u32], endpoints: &[u32]) {
        self.symbols.retire(before, |_| false);
        self.pages.retire(before, |_| false);
        let held = marks(self.symbols.iter().map(|(_, symbol)| symbol.objects));
        self.objects.retire(before, |id| is_marked(&held, id));
        let spoken = self.symbols.iter().map(|(_, symbol)| symbol.conversation);
        let held = marks(spoken.chain(conversations.iter().copied()));
        self.conversations.retire(before, |id| is_marked(&held, id));
        let parties = self.conversations.iter().flat_map(|(_, one)| [one.client, one.server]);
        let servers = self.pages.iter().map(|(_, page)| page.server);
        let held = marks(parties.chain(servers).chain(endpoints.iter().copied()));
        self.endpoints.retire(before, |id| is_marked(&held, id));
        self.list_retired();
    }

    fn list_retired(&mut self) {
        let retired = &mut self.batch.retired;
        retired.symbols.extend(self.symbols.take_retired());
        retired.conversations.extend(self.conversations.take_retired());
        retired.endpoints.extend(self.endpoints.take_retired());
        self.objects.take_retired();
        for id in self.pages.take_retired() {
            let Some(slot) = self.bases.get_mut(id as usize) else { continue };
            let base = std::mem::replace(slot, NONE);
            // The key is gone; a dense page begins where its free list may take it back whole.
            let dense = self.dense_bases.remove(&base);
            let (free, length) = if dense {
                (&mut self.free_pages, PAGE as u32)
            } else {
                (&mut self.free_points, 1)
            };
            free.push(base);
            retired.points.extend(base..base.saturating_add(length));
        }
    }

    fn define(&mut self) {
        let defined = &mut self.batch.defined;
        for id in self.texts.take_defined() {
            let Some(text) = self.texts.key(id) else { continue };
            defined.texts.push(TextRow { id, text: text.to_string() });
        }
        for id in self.endpoints.take_defined() {
            let Some(one) = self.endpoints.key(id) else { continue };
            let address = one.address.to_string();
            defined.endpoints.push(EndpointRow { id, vlan: one.vlan.0, address });
        }
        for id in self.conversations.take_defined() {
            let Some(one) = self.conversations.key(id) else { continue };
            defined.conversations.push(ConversationRow {
                id,
                client: one.client,
                server: one.server,
                protocol: one.protocol,
                carrier: one.carrier as u8,
                port: one.port,
            });
        }
        for id in self.symbols.take_defined() {
            let Some(one) = self.symbols.key(id) else { continue };
            defined.symbols.push(SymbolRow {
                id,
                conversation: one.conversation,
                from_client: one.from_client,
                role: one.role as u8,
                activity: one.activity as u8,
                status: one.status,
                function: one.function,
                subfunction: one.subfunction,
                unit: one.unit,
                coarse: one.coarse,
                objects: self.objects.key(one.objects).cloned().unwrap_or_default(),
            });
        }
        self.objects.take_defined();
        for id in self.pages.take_defined() {
            let Some(page) = self.pages.key(id) else { continue };
            let base = self.bases.get(id as usize).copied().unwrap_or(NONE);
            defined.points.push(PointRow {
                id: base,
                length: length(page.dense),
                server: page.server,
                protocol: page.protocol,
                unit: page.unit,
                kind: page.kind,
                address: page.address,
                name_text: page.name,
            });
        }
    }
}

const fn length(dense: bool) -> u32 {
    if dense { PAGE as u32 } else { 1 }
}

fn marks(ids: impl Iterator<Item = u32>) -> Vec<bool> {
    let mut marked = Vec::new();
    for id in ids {
        let place = id as usize;
        if place >= marked.len() {
            marked.resize(place + 1, false);
        }
        if let Some(mark) = marked.get_mut(place) {
            *mark = true;
        }
    }
    marked
}

fn is_marked(marked: &[bool], id: u32) -> bool {
    marked.get(id as usize).copied().unwrap_or(false)
}

/// At most [`MAX_TEXT_LENGTH`] bytes of a text, cut between characters.
fn head(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT_LENGTH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
