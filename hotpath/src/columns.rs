//! Batches: the columns that leave the hot path.

use crate::table::ObjectSet;
use crate::words::ValueKind;

/// One column of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Booleans.
    Bool(Vec<bool>),
    /// Bytes.
    U8(Vec<u8>),
    /// 16-bit numbers.
    U16(Vec<u16>),
    /// 32-bit numbers.
    U32(Vec<u32>),
    /// 64-bit numbers.
    U64(Vec<u64>),
    /// Signed 64-bit numbers.
    I64(Vec<i64>),
    /// Floating-point numbers.
    F64(Vec<f64>),
    /// Texts.
    Text(Vec<String>),
    /// Object sets.
    Objects(Vec<ObjectSet>),
}

/// What can stand in a column.
pub trait Cell: Sized {
    /// Wraps a column of these.
    fn column(cells: Vec<Self>) -> Column;
}

macro_rules! cells {
    ($($type:ty => $variant:ident),+ $(,)?) => {
        $(impl Cell for $type {
            fn column(cells: Vec<Self>) -> Column { Column::$variant(cells) }
        })+
    };
}

cells! {
    bool => Bool, u8 => U8, u16 => U16, u32 => U32, u64 => U64, i64 => I64, f64 => F64,
    String => Text, ObjectSet => Objects,
}

/// Declares a table: a row struct, and a struct of one vector per field.
macro_rules! table {
    ($(#[$meta:meta])* $table:ident of $row:ident { $($(#[$doc:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        #[doc = concat!("A row of [`", stringify!($table), "`].")]
        #[derive(Debug, Clone, PartialEq)]
        pub struct $row { $($(#[$doc])* pub $field: $type),+ }

        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $table { $($(#[$doc])* pub $field: Vec<$type>),+ }

        impl $table {
            /// Adds a row at the end.
            #[inline]
            pub fn push(&mut self, row: $row) {
                $(self.$field.push(row.$field);)+
            }

            /// An empty table with room for so many rows.
            #[must_use]
            pub fn with_capacity(rows: usize) -> Self {
                Self { $($field: Vec::with_capacity(rows)),+ }
            }

            /// Adds all rows of another table at the end.
            pub fn append(&mut self, mut other: Self) {
                $(self.$field.append(&mut other.$field);)+
            }

            /// How many rows there are.
            #[must_use]
            pub fn len(&self) -> usize {
                [$(self.$field.len()),+].into_iter().next().unwrap_or(0)
            }

            /// Whether there is no row.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Takes the table apart into named columns.
            #[must_use]
            pub fn columns(self) -> Vec<(&'static str, Column)> {
                vec![$((stringify!($field), Cell::column(self.$field))),+]
            }
        }
    };
}

table! {
    /// Messages in order of completion.
    Messages of MessageRow {
        /// Counted from 1 within the session.
        id: u64,
        /// Capture time of the frame that completed it, in nanoseconds.
        time: i64,
        /// The frame that holds its first byte.
        first_frame: u64,
        /// The frame that completed it.
        frame: u64,
        /// Place among the messages that this frame completed.
        part: u16,
        /// Conversation id.
        conversation: u32,
        /// Symbol id.
        symbol: u32,
        /// Id of the message that it answers, 0 for none.
        reply_to: u64,
        /// Nanoseconds since that one, -1 for none.
        latency: i64,
        /// Length of the PDU in bytes.
        length: u32,
    }
}

table! {
    /// Objects that messages touch.
    Items of ItemRow {
        /// Message id.
        message: u64,
        /// Point id of the first of `count` neighbours.
        point: u32,
        /// Place in [`crate::words::Access::ALL`].
        access: u8,
        /// How many neighbours.
        count: u32,
        /// The protocol's code for it, 0 for success.
        status: u16,
    }
}

table! {
    /// Values that messages carry.
    Values of ValueRow {
        /// Number of the item, counted from 0 within the session.
        item: u64,
        /// Point id.
        point: u32,
        /// Place in [`ValueKind::ALL`].
        kind: u8,
        /// As a number; NaN for text.
        number: f64,
        /// The bits.
        raw: u64,
        /// Text id.
        text: u32,
        /// The protocol's quality bits.
        quality: u32,
        /// The device's own time in nanoseconds, 0 for none.
        source_time: i64,
    }
}

table! {
    /// Volume per conversation and second.
    Traffic of TrafficRow {
        /// Conversation id.
        conversation: u32,
        /// The second.
        second: i64,
        /// First frame of the conversation in this second.
        first_frame: u64,
        /// Last frame of it in this second.
        last_frame: u64,
        /// Frames that the client sent.
        client_frames: u32,
        /// Bytes on the wire that the client sent.
        client_bytes: u64,
        /// Frames that the server sent.
        server_frames: u32,
        /// Bytes on the wire that the server sent.
        server_bytes: u64,
        /// TCP segments seen before.
        retransmissions: u32,
        /// Holes in the streams.
        gaps: u32,
        /// Frames that brought nothing but what was there (keep-alives, doubled segments).
        duplicates: u32,
        /// Largest payload of the client where nothing decodes it.
        client_largest: u32,
        /// Largest payload of the server where nothing decodes it.
        server_largest: u32,
        /// First eight bytes of the client's first payload where nothing decodes it.
        client_head: u64,
        /// First eight bytes of the server's first payload where nothing decodes it.
        server_head: u64,
    }
}

table! {
    /// Changes of state of TCP connections.
    Connections of ConnectionRow {
        /// Conversation id.
        conversation: u32,
        /// Place in [`crate::words::ConnectionState::ALL`].
        state: u8,
        /// Capture time in nanoseconds.
        time: i64,
        /// Frame that changed it.
        frame: u64,
    }
}

table! {
    /// First frames of each binding of an endpoint to a MAC and TTL, of each change, and of each
    /// claim by ARP that nobody asked for or that what is in use contradicts; of each binding one
    /// in a second at most. After a claim that it contradicts, what is in use is told again.
    Sightings of SightingRow {
        /// Endpoint id.
        endpoint: u32,
        /// MAC as a number, 0 where the link has none.
        mac: u64,
        /// Time to live, 0 in ARP.
        ttl: u8,
        /// Place in [`crate::words::Sighted::ALL`]: seen in use, or told by ARP.
        arp: u8,
        /// Capture time in nanoseconds.
        time: i64,
        /// The frame.
        frame: u64,
    }
}

table! {
    /// What devices said of themselves.
    Facts of FactRow {
        /// Endpoint id.
        endpoint: u32,
        /// Text id of the key.
        key: u32,
        /// Text id of the value.
        value: u32,
        /// Capture time in nanoseconds.
        time: i64,
        /// The frame.
        frame: u64,
    }
}

table! {
    /// Bytes that broke a rule.
    Notices of NoticeRow {
        /// Place in [`crate::words::NoticeKind::ALL`].
        kind: u8,
        /// Capture time in nanoseconds.
        time: i64,
        /// The frame.
        frame: u64,
        /// Conversation id, 0 for none.
        conversation: u32,
        /// Endpoint id of the sender, 0 where unknown.
        endpoint: u32,
        /// Message id, 0 for none.
        message: u64,
        /// Text id.
        detail: u32,
    }
}

/// All tables over one stretch of traffic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    /// See [`Messages`].
    pub messages: Messages,
    /// See [`Items`].
    pub items: Items,
    /// See [`Values`].
    pub values: Values,
    /// See [`Traffic`].
    pub traffic: Traffic,
    /// See [`Connections`].
    pub connections: Connections,
    /// See [`Sightings`].
    pub sightings: Sightings,
    /// See [`Facts`].
    pub facts: Facts,
    /// See [`Notices`].
    pub notices: Notices,
}

table! {
    /// Where ticks end: how many rows of each table stand before the mark.
    Marks of MarkRow {
        /// The second that ends here.
        second: i64,
        /// Counts up when time runs back.
        epoch: u32,
        /// Rows of messages.
        messages: u64,
        /// Rows of items.
        items: u64,
        /// Rows of values.
        values: u64,
        /// Rows of traffic.
        traffic: u64,
        /// Rows of connections.
        connections: u64,
        /// Rows of sightings.
        sightings: u64,
        /// Rows of facts.
        facts: u64,
        /// Rows of notices.
        notices: u64,
    }
}

impl Tables {
    /// Empty tables with room for a little more than others hold, where that is much.
    #[must_use]
    pub fn with_room_of(others: &Self) -> Self {
        let room = |rows: usize| rows.saturating_add(rows / 8);
        Self {
            messages: Messages::with_capacity(room(others.messages.len())),
            items: Items::with_capacity(room(others.items.len())),
            values: Values::with_capacity(room(others.values.len())),
            ..Self::default()
        }
    }

    /// A mark behind the last row of every table.
    #[must_use]
    pub fn mark(&self, second: i64, epoch: u32) -> MarkRow {
        MarkRow {
            second,
            epoch,
            messages: self.messages.len() as u64,
            items: self.items.len() as u64,
            values: self.values.len() as u64,
            traffic: self.traffic.len() as u64,
            connections: self.connections.len() as u64,
            sightings: self.sightings.len() as u64,
            facts: self.facts.len() as u64,
            notices: self.notices.len() as u64,
        }
    }

    /// How many rows there are in all tables together.
    #[inline]
    #[must_use]
    pub fn rows(&self) -> usize {
        // Asked for with every frame; the rows of all tables are fewer than there are addresses.
        self.messages
            .len()
            .wrapping_add(self.items.len())
            .wrapping_add(self.values.len())
            .wrapping_add(self.traffic.len())
            .wrapping_add(self.connections.len())
            .wrapping_add(self.sightings.len())
            .wrapping_add(self.facts.len())
            .wrapping_add(self.notices.len())
    }
}

table! {
    /// New texts.
    Texts of TextRow {
        /// Text id.
        id: u32,
        /// The text.
        text: String,
    }
}

table! {
    /// New endpoints.
    Endpoints of EndpointRow {
        /// Endpoint id.
        id: u32,
        /// VLAN.
        vlan: u32,
        /// Address as people write it.
        address: String,
    }
}

table! {
    /// New conversations.
    Conversations of ConversationRow {
        /// Conversation id.
        id: u32,
        /// Endpoint id.
        client: u32,
        /// Endpoint id.
        server: u32,
        /// Text id of the protocol's name.
        protocol: u32,
        /// Place in [`crate::table::Carrier`].
        carrier: u8,
        /// The server's port.
        port: u16,
    }
}

table! {
    /// New symbols.
    Symbols of SymbolRow {
        /// Symbol id.
        id: u32,
        /// Conversation id.
        conversation: u32,
        /// Whether the client says it.
        from_client: bool,
        /// Place in [`crate::words::Role::ALL`].
        role: u8,
        /// Place in [`crate::words::Activity::ALL`].
        activity: u8,
        /// Status code.
        status: u16,
        /// Function code.
        function: u32,
        /// Sub-function.
        subfunction: u32,
        /// Unit.
        unit: u32,
        /// Whether a quota took its unit and objects away.
        coarse: bool,
        /// Its ranges.
        objects: ObjectSet,
    }
}

table! {
    /// New points, page by page.
    Points of PointRow {
        /// Point id of the first.
        id: u32,
        /// How many neighbours stand in the page.
        length: u32,
        /// Endpoint id.
        server: u32,
        /// Text id.
        protocol: u32,
        /// Unit.
        unit: u32,
        /// Object type.
        kind: u16,
        /// First address.
        address: u64,
        /// Text id of a name.
        name_text: u32,
    }
}

/// What ids stand for that are new in a batch. Retired ids are taken back first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defined {
    /// See [`Texts`].
    pub texts: Texts,
    /// See [`Endpoints`].
    pub endpoints: Endpoints,
    /// See [`Conversations`].
    pub conversations: Conversations,
    /// See [`Symbols`].
    pub symbols: Symbols,
    /// See [`Points`].
    pub points: Points,
}

impl Defined {
    /// How many entries there are in all dictionaries together.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.texts
            .id
            .len()
            .wrapping_add(self.endpoints.id.len())
            .wrapping_add(self.conversations.id.len())
            .wrapping_add(self.symbols.id.len())
            .wrapping_add(self.points.id.len())
    }

    /// Adds what comes after it; of an id that is defined twice, the last one counts.
    pub fn append(&mut self, other: Self) {
        self.texts.append(other.texts);
        self.endpoints.append(other.endpoints);
        self.conversations.append(other.conversations);
        self.symbols.append(other.symbols);
        self.points.append(other.points);
    }
}

/// Ids that stand for nothing any more from this batch on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retired {
    /// Endpoint ids.
    pub endpoints: Vec<u32>,
    /// Conversation ids.
    pub conversations: Vec<u32>,
    /// Symbol ids.
    pub symbols: Vec<u32>,
    /// Point ids.
    pub points: Vec<u32>,
    /// Text ids.
    pub texts: Vec<u32>,
}

impl Retired {
    /// Adds what comes after it.
    pub fn append(&mut self, other: Self) {
        self.endpoints.extend(other.endpoints);
        self.conversations.extend(other.conversations);
        self.symbols.extend(other.symbols);
        self.points.extend(other.points);
        self.texts.extend(other.texts);
    }
}

/// What the hot path has decoded since the last batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Counts the sources that were opened, from 1.
    pub session: u32,
    /// Nanoseconds: every tick before this moment has ended. What follows belongs to later ticks,
    /// though a message that waited until its protocol was known keeps its own time, as does a
    /// frame that came late.
    pub until: i64,
    /// Whether the hot path waits to be told what was learned, to retire the rest.
    pub census: bool,
    /// The rows.
    pub tables: Tables,
    /// Where ticks end.
    pub marks: Marks,
    /// New ids.
    pub defined: Defined,
    /// Old ids.
    pub retired: Retired,
    /// Lines of JSON in place of the rows of messages, items and values, if they are wanted.
    pub records: Vec<u8>,
}

impl ValueKind {
    /// The number that these bits are; NaN for text.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)] // a double is what it is
    pub fn number(self, raw: u64) -> f64 {
        match self {
            Self::Bit | Self::Unsigned | Self::Sequence => raw as f64,
            Self::Signed => raw as i64 as f64,
            Self::Float => f64::from_bits(raw),
            Self::Text | Self::Time => f64::NAN,
        }
    }

    /// Appends the numbers that these bits are to a column.
    pub(crate) fn numbers(self, raws: &[u64], column: &mut Vec<f64>) {
        let is_natural = matches!(self, Self::Bit | Self::Unsigned);
        // Small numbers, as most are, are converted several at a time.
        if is_natural && i32::try_from(raws.iter().fold(0, |all, raw| all | raw)).is_ok() {
            column.extend(raws.iter().map(|raw| f64::from(*raw as i32)));
        } else {
            column.extend(raws.iter().map(|raw| self.number(*raw)));
        }
    }
}
