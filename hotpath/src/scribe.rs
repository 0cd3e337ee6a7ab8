//! The scribe writes rows: it interns what was said and knows which quota a speaker has left.

use hashbrown::HashSet;

use crate::bounded::Room;
use crate::columns::{Batch, ConnectionRow, FactRow, MessageRow, NoticeRow, Tables};
use crate::net::Arrival;
use crate::protocols::{Message, NO_SUBFUNCTION, Object, Party, Protocol, REGISTRY, Told};
use crate::record::{Recorder, Route};
use crate::table::{
    ALWAYS, Carrier, Conversation, Dictionary, Endpoint, Full, Limits, MAX_OBJECT_RANGES,
    MAX_TEXT_LENGTH, NONE, ObjectSet, Page, RESERVE, Range, Symbol, blamed,
};
use crate::words::{Access, ConnectionState, NoticeKind, Role};

mod census;
mod points;

/// What flows are called that nothing decodes, and what stands in for the names of the others.
const PLAIN_NAMES: [&str; 4] = ["tcp", "udp", "network", "link"];

/// Function of the coarsest symbols where no name tells it.
const UNNAMED: u32 = u32::MAX;

/// Who may be complaining at one time, for a notice once a minute each.
const MAX_COMPLAINTS: usize = 4_096;

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
            objects: limits(131_072, 16_384),
            symbols: limits(131_072, 16_384),
            pages: limits(4_096, 512),
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
    /// Room for bytes that wait until it is known what they say.
    pub room: Room,
    /// The protocols that are looked for.
    pub protocols: &'static [&'static Protocol],
    endpoints: Dictionary<Endpoint>,
    texts: Dictionary<Box<str>>,
    conversations: Dictionary<Conversation>,
    objects: Dictionary<ObjectSet>,
    symbols: Dictionary<Symbol>,
    pages: Dictionary<Page>,
    bases: Vec<u32>,
    dense_bases: HashSet<u32, ahash::RandomState>,
    free_pages: Vec<u32>,
    free_points: Vec<u32>,
    next_point: u32,
    next_message: u64,
    next_item: u64,
    part_frame: u64,
    part: u16,
    complaints: HashSet<(&'static str, u32), ahash::RandomState>,
    complaining_since: i64,
    refused: u64,
}

impl Scribe {
    /// A scribe with empty dictionaries.
    #[must_use]
    pub fn new(quotas: &Quotas) -> Self {
        let mut scribe = Self {
            batch: Batch::default(),
            second: 0,
            recorder: None,
            room: Room::new(usize::MAX),
            protocols: REGISTRY,
            endpoints: Dictionary::new(quotas.endpoints),
            texts: Dictionary::new(quotas.texts),
            conversations: Dictionary::new(quotas.conversations),
            objects: Dictionary::new(quotas.objects),
            symbols: Dictionary::new(quotas.symbols),
            pages: Dictionary::new(quotas.pages),
            bases: vec![0],
            dense_bases: HashSet::with_hasher(ahash::RandomState::new()),
            free_pages: Vec::new(),
            free_points: Vec::new(),
            next_point: 1,
            next_message: 1,
            next_item: 0,
            part_frame: 0,
            part: 0,
            complaints: HashSet::with_hasher(ahash::RandomState::new()),
            complaining_since: 0,
            refused: 0,
        };
        // Whatever fills the dictionary of texts later, these names are in it.
        for name in REGISTRY.iter().map(|protocol| protocol.name).chain(PLAIN_NAMES) {
            scribe.name(name);
        }
        scribe
    }

    /// Starts to count messages and items anew.
    pub fn begin_session(&mut self) {
        self.batch.session += 1;
        self.second = 0;
        self.next_message = 1;
        self.next_item = 0;
        self.part_frame = 0;
        self.complaints.clear();
        self.refused = 0;
    }

    /// Has other bounds from now on; what is beyond them stays until it is retired.
    pub const fn set_quotas(&mut self, quotas: &Quotas) {
        self.endpoints.set_limits(quotas.endpoints);
        self.texts.set_limits(quotas.texts);
        self.conversations.set_limits(quotas.conversations);
        self.objects.set_limits(quotas.objects);
        self.symbols.set_limits(quotas.symbols);
        self.pages.set_limits(quotas.pages);
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
            .intern(&Box::from(head(text)), blamed(speaker), self.second)
            .unwrap_or_else(|Full| self.complain("texts", speaker, now))
    }

    /// The id of one of the finitely many texts that stand in this program: there is always room.
    fn name(&mut self, text: &'static str) -> u32 {
        self.texts.intern(&Box::from(text), ALWAYS, self.second).unwrap_or(NONE)
    }

    /// The id of a protocol's name, or of what stands in for it if `speaker` names too many.
    pub fn protocol(&mut self, name: &str, carrier: Carrier, speaker: u32, now: Arrival) -> u32 {
        match self.text(name, speaker, now) {
            NONE => self.stand_in(carrier),
            id => id,
        }
    }

    fn stand_in(&mut self, carrier: Carrier) -> u32 {
        let [tcp, udp, network, link] = PLAIN_NAMES;
        self.name(match carrier {
            Carrier::Tcp => tcp,
            Carrier::Udp => udp,
            Carrier::Network => network,
            Carrier::Link => link,
        })
    }

    /// The id of a conversation; never [`NONE`]. Beyond the client's quota it is one without a
    /// port, then with servers unnamed, and at last one of everybody for whom there is no room.
    pub fn conversation(&mut self, conversation: &Conversation, now: Arrival) -> u32 {
        let client = blamed(conversation.client);
        if let Ok(id) = self.conversations.intern(conversation, client, self.second) {
            return id;
        }
        self.complain("conversations", conversation.client, now);
        let without_port = Conversation { port: 0, ..*conversation };
        let without_server = Conversation { server: NONE, ..without_port };
        for coarse in [without_port, without_server] {
            if let Ok(id) = self.conversations.intern(&coarse, client | RESERVE, self.second) {
                return id;
            }
        }
        self.anybody(conversation)
    }

    /// The conversation of everybody in a protocol. There is one for each protocol with a
    /// decoder, and one for each carrier.
    fn anybody(&mut self, of: &Conversation) -> u32 {
        let Conversation { protocol, carrier, .. } = *of;
        let name = self.texts.key(protocol);
        let is_decoded =
            name.is_some_and(|name| REGISTRY.iter().any(|protocol| *protocol.name == **name));
        let protocol = if is_decoded { protocol } else { self.stand_in(carrier) };
        let anybody = Conversation { client: NONE, server: NONE, protocol, carrier, port: 0 };
        self.conversations.intern(&anybody, ALWAYS, self.second).unwrap_or(NONE)
    }

    /// A flow ends: its conversation and its endpoints were in use until now.
    pub fn part(&mut self, conversation: u32, endpoints: [u32; 2]) {
        self.conversations.touch(conversation, self.second);
        for endpoint in endpoints {
            self.endpoints.touch(endpoint, self.second);
        }
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
        let key = self.name(key);
        let value = self.text(value, endpoint, now);
        if value == NONE {
            return; // No fact at all is better than an empty one.
        }
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
        let client = blamed(place.client);
        if let Ok(objects) = self.objects_id(&set, client) {
            symbol.objects = objects;
            if let Ok(id) = self.symbols.intern(&symbol, client, self.second) {
                return id;
            }
        }
        self.complain("symbols", place.client, now);
        symbol = Symbol { unit: 0, objects: NONE, coarse: true, ..symbol };
        self.symbols
            .intern(&symbol, client | RESERVE, self.second)
            .unwrap_or_else(|Full| self.coarsest(place, &symbol))
    }

    /// The symbol of everybody who does this; never [`NONE`], for rules must see what is done
    /// however many say it. What has a name is finite.
    fn coarsest(&mut self, place: &Place, symbol: &Symbol) -> u32 {
        let Symbol { function, subfunction, status, .. } = *symbol;
        let name = place.spoken.function_name;
        let base = name(function, NO_SUBFUNCTION);
        let full = name(function, subfunction);
        let is_named = subfunction != NO_SUBFUNCTION && full.is_some() && full != base;
        let is_known = status == 0 || (place.spoken.status_name)(status).is_some();
        let spoken = self.conversations.key(place.conversation).copied();
        let coarsest = Symbol {
            conversation: spoken.map_or(NONE, |spoken| self.anybody(&spoken)),
            function: if function < 256 || base.is_some() { function } else { UNNAMED },
            subfunction: if is_named { subfunction } else { NO_SUBFUNCTION },
            status: if is_known { status } else { u16::MAX },
            ..*symbol
        };
        self.symbols.intern(&coarsest, ALWAYS, self.second).unwrap_or(NONE)
    }

    fn objects_id(&mut self, set: &ObjectSet, client: u32) -> Result<u32, Full> {
        if set.is_empty() { Ok(NONE) } else { self.objects.intern(set, client, self.second) }
    }

    /// The object set of a message: ranges, or types only where what is touched is reported, or
    /// is too much.
    fn object_set(&mut self, place: &Place, message: &Message<'_>, now: Arrival) -> ObjectSet {
        let is_reported =
            |object: &Object<'_>| message.role == Role::Report || object.access == Access::Report;
        let reported = message.objects.iter().filter(|one| is_reported(one)).count();
        let all_types = message.objects.len() - reported > MAX_OBJECT_RANGES;
        let mut set = ObjectSet::new();
        for object in message.objects {
            let mut range = Range {
                kind: object.kind,
                access: object.access,
                address: object.address,
                count: object.count,
                name: NONE,
            };
            if all_types || is_reported(object) {
                (range.address, range.count) = (0, 0);
                if set.contains(&range) {
                    continue;
                }
            } else if let Some(name) = object.name {
                range.name = self.text(name, place.client, now);
            }
            set.push(range);
        }
        if all_types || reported > 0 {
            set.sort_unstable();
        }
        set
    }

    /// Raises a notice once a minute per table and client; always returns [`NONE`].
    #[cold]
    pub fn complain(&mut self, table: &'static str, client: u32, now: Arrival) -> u32 {
        self.refused += 1;
        // Time may have run back since.
        if !(0..60).contains(&self.second.saturating_sub(self.complaining_since)) {
            self.complaining_since = self.second;
            self.complaints.clear();
        }
        // Beyond the bound they complain together.
        let has_room = self.complaints.len() < MAX_COMPLAINTS;
        let client = if has_room { client } else { NONE };
        if self.complaints.insert((table, client)) {
            let detail = self.name(table);
            self.batch.tables.notices.push(NoticeRow {
                kind: NoticeKind::TableFull as u8,
                time: now.time,
                frame: now.frame,
                conversation: NONE,
                endpoint: client,
                message: 0,
                detail,
            });
        }
        NONE
    }

    /// Hands over the batch with everything that it defines, and starts the next one.
    pub fn take_batch(&mut self, until: i64, census: bool) -> Batch {
        self.define();
        let next = Batch {
            session: self.batch.session,
            tables: Tables::with_room_of(&self.batch.tables),
            ..Batch::default()
        };
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.until = until;
        batch.census = census;
        batch.records = self.recorder.as_mut().map(Recorder::take).unwrap_or_default();
        batch
    }
}

/// At most [`MAX_TEXT_LENGTH`] bytes of a text, cut between characters.
fn head(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT_LENGTH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
