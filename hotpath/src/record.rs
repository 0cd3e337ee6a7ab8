//! Records: every message as one line of JSON, written straight from what its decoder said.
//!
//! A record holds no ids of dictionaries: no quota can make it coarse, and nothing is interned
//! for it. `docs/decode-record.md` is the contract.

use std::io::Write;

use hashbrown::HashMap;

use crate::net::{Address, Arrival, Vlan};
use crate::protocols::{Message, NO_SUBFUNCTION, Object, Party, Protocol};
use crate::words::{Access, Activity, Role};

mod values;

use values::values;

/// Heads that are kept; there are more of them only where somebody makes them up.
const MAX_HEADS: usize = 4_096;

/// Room for a usual line; a longer one grows the buffer.
const USUAL_LINE: usize = 1_024;

const SECOND: i64 = 1_000_000_000;

/// One end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Its address.
    pub address: Address,
    /// Its port.
    pub port: u16,
}

/// What a record says from role to unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Head {
    protocol: &'static str,
    role: Role,
    activity: Activity,
    function: u32,
    subfunction: u32,
    unit: u32,
}

/// What all records of one flow have in common, as JSON, by sender.
#[derive(Debug, Clone)]
pub struct Route {
    spoken: &'static Protocol,
    from_client: Box<[u8]>,
    from_server: Box<[u8]>,
}

/// Writes records.
#[derive(Debug, Default)]
pub struct Recorder {
    lines: Vec<u8>,
    /// Protocols that are asked for; `None` for all.
    protocols: Option<Vec<&'static str>>,
    /// From the value of role to unit, for each that was said of late.
    heads: HashMap<Head, Box<[u8]>, ahash::RandomState>,
    /// The second that `stamp` spells.
    second: Option<i64>,
    stamp: Vec<u8>,
}

impl Recorder {
    /// A recorder of messages of these protocols, or of all.
    #[must_use]
    pub fn new(protocols: Option<Vec<&'static str>>) -> Self {
        Self { protocols, ..Self::default() }
    }

    /// What the records of a flow have in common; `None` if its protocol is not asked for.
    #[must_use]
    pub fn route(
        &self,
        spoken: &'static Protocol,
        vlan: Vlan,
        client: Socket,
        server: Socket,
    ) -> Option<Box<Route>> {
        if self.protocols.as_ref().is_some_and(|asked| !asked.contains(&spoken.name)) {
            return None;
        }
        Some(Box::new(Route {
            spoken,
            from_client: way(spoken, vlan, client, server),
            from_server: way(spoken, vlan, server, client),
        }))
    }

    /// Writes the record of message `id`, whose first byte came in frame `first_frame`.
    pub fn message(
        &mut self,
        route: &Route,
        from: Party,
        message: &Message<'_>,
        id: u64,
        first_frame: u64,
        now: Arrival,
    ) {
        self.stamp(now.time.div_euclid(SECOND));
        let Self { lines, stamp, heads, .. } = self;
        lines.reserve(USUAL_LINE);
        put(lines, "{\"id\":");
        number(lines, id);
        put(lines, ",\"time\":\"");
        lines.extend_from_slice(stamp);
        nanoseconds(lines, now.time.rem_euclid(SECOND));
        put(lines, "Z\",\"first_frame\":");
        number(lines, first_frame);
        put(lines, ",\"frame\":");
        number(lines, now.frame);
        lines.extend_from_slice(match from {
            Party::Client => &route.from_client,
            Party::Server => &route.from_server,
        });
        head(lines, heads, route.spoken, message);
        put(lines, ",\"items\":[");
        for (place, object) in message.objects.iter().enumerate() {
            separate(lines, place);
            item(lines, route.spoken, object);
        }
        put(lines, "],\"values\":[");
        values(lines, message.objects.len(), message.values);
        put(lines, "],\"status\":");
        number(lines, message.status);
        put(lines, ",\"status_name\":");
        status_name(lines, route.spoken, message.status);
        if let Some(told) = message.reply_to {
            put(lines, ",\"reply_to\":");
            number(lines, told.id);
            put(lines, ",\"latency\":");
            number(lines, now.time.saturating_sub(told.time).max(0));
        } else {
            put(lines, ",\"reply_to\":null,\"latency\":null");
        }
        put(lines, ",\"length\":");
        number(lines, message.length);
        put(lines, "}\n");
    }

    /// How many bytes of records wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether no record waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Hands over the records that were written since the last call: whole lines.
    pub fn take(&mut self) -> Vec<u8> {
        let room = self.lines.len().saturating_add(USUAL_LINE);
        std::mem::replace(&mut self.lines, Vec::with_capacity(room))
    }

    /// Spells a second, unless it is the one spelled last.
    #[inline]
    fn stamp(&mut self, second: i64) {
        if self.second != Some(second) {
            self.second = Some(second);
            self.stamp.clear();
            spell_second(&mut self.stamp, second);
        }
    }
}

/// A second up to its point.
fn spell_second(lines: &mut Vec<u8>, second: i64) {
    let (year, month, day) = date(second.div_euclid(86_400));
    let rest = second.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    print(lines, format_args!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}."));
}

/// A moment as the time of a record is spelled.
fn moment(lines: &mut Vec<u8>, time: i64) {
    put(lines, "\"");
    spell_second(lines, time.div_euclid(SECOND));
    nanoseconds(lines, time.rem_euclid(SECOND));
    put(lines, "Z\"");
}

/// From protocol to role: all that does not change from message to message of one sender.
fn way(spoken: &Protocol, vlan: Vlan, from: Socket, to: Socket) -> Box<[u8]> {
    let mut lines = Vec::new();
    put(&mut lines, ",\"protocol\":");
    text(&mut lines, spoken.name);
    let (sender, receiver) = (from.address, to.address);
    print(&mut lines, format_args!(",\"src\":\"{sender}\",\"dst\":\"{receiver}\""));
    print(&mut lines, format_args!(",\"sport\":{},\"dport\":{}", from.port, to.port));
    match (vlan.0 >> 12, vlan.0 & 0xFFF) {
        (0, 0) => {}
        (0, only) => print(&mut lines, format_args!(",\"vlan\":[{only}]")),
        (outer, inner) => print(&mut lines, format_args!(",\"vlan\":[{outer},{inner}]")),
    }
    put(&mut lines, ",\"role\":");
    lines.into_boxed_slice()
}

/// From the value of role to unit: the same for every poll of a unit, and so written once.
#[inline]
fn head(
    lines: &mut Vec<u8>,
    heads: &mut HashMap<Head, Box<[u8]>, ahash::RandomState>,
    spoken: &Protocol,
    message: &Message<'_>,
) {
    let Message { role, activity, function, subfunction, unit, .. } = *message;
    let key = Head { protocol: spoken.name, role, activity, function, subfunction, unit };
    if let Some(known) = heads.get(&key) {
        lines.extend_from_slice(known);
        return;
    }
    let start = lines.len();
    spell_head(lines, spoken, message);
    if heads.len() >= MAX_HEADS {
        heads.clear();
    }
    heads.insert(key, lines.get(start..).unwrap_or_default().into());
}

#[cold]
fn spell_head(lines: &mut Vec<u8>, spoken: &Protocol, message: &Message<'_>) {
    let Message { role, activity, function, subfunction, unit, .. } = *message;
    text(lines, role.name());
    put(lines, ",\"activity\":");
    text(lines, activity.name());
    put(lines, ",\"function\":");
    number(lines, function);
    put(lines, ",\"subfunction\":");
    if subfunction == NO_SUBFUNCTION {
        put(lines, "null");
    } else {
        number(lines, subfunction);
    }
    put(lines, ",\"function_name\":");
    match (spoken.function_name)(function, subfunction) {
        Some(name) => text(lines, name),
        None if subfunction == NO_SUBFUNCTION => {
            print(lines, format_args!("\"function {function}\""));
        }
        None => print(lines, format_args!("\"function {function}/{subfunction}\"")),
    }
    put(lines, ",\"unit\":");
    number(lines, unit);
}

#[inline]
fn item(lines: &mut Vec<u8>, spoken: &Protocol, object: &Object<'_>) {
    put(lines, "{\"type\":");
    match spoken.objects.get(usize::from(object.kind)) {
        Some(kind) => text(lines, kind.name),
        None => print(lines, format_args!("\"object type {}\"", object.kind)),
    }
    if let Some(name) = object.name {
        put(lines, ",\"name\":");
        text(lines, name);
    } else {
        put(lines, ",\"address\":");
        number(lines, object.address);
    }
    put(lines, ",\"count\":");
    number(lines, object.count);
    put(
        lines,
        match object.access {
            Access::Read => ",\"access\":\"read\"",
            Access::Write => ",\"access\":\"write\"",
            Access::Control => ",\"access\":\"control\"",
            Access::Report => ",\"access\":\"report\"",
        },
    );
    if object.status != 0 {
        put(lines, ",\"status\":");
        number(lines, object.status);
    }
    put(lines, "}");
}

fn status_name(lines: &mut Vec<u8>, spoken: &Protocol, status: u16) {
    if status == 0 {
        put(lines, "null");
        return;
    }
    match (spoken.status_name)(status) {
        Some(name) => text(lines, name),
        None => print(lines, format_args!("\"status {status}\"")),
    }
}

#[inline]
fn put(lines: &mut Vec<u8>, text: &str) {
    lines.extend_from_slice(text.as_bytes());
}

fn print(lines: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // A vector takes whatever is written to it.
    let _ = lines.write_fmt(what);
}

#[inline]
fn number(lines: &mut Vec<u8>, value: impl itoa::Integer) {
    put(lines, itoa::Buffer::new().format(value));
}

/// Nine digits.
#[inline]
fn nanoseconds(lines: &mut Vec<u8>, value: i64) {
    let mut digits = itoa::Buffer::new();
    put(lines, digits.format(value + SECOND).get(1..).unwrap_or_default());
}

#[inline]
fn separate(lines: &mut Vec<u8>, place: usize) {
    if place > 0 {
        lines.push(b',');
    }
}

/// A JSON string. What a terminal would act on, or a reader would not see, is escaped too.
#[inline]
fn text(lines: &mut Vec<u8>, text: &str) {
    lines.push(b'"');
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        put(lines, text);
    } else {
        escape(lines, text);
    }
    lines.push(b'"');
}

const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte < 0x7F && byte != b'"' && byte != b'\\'
}

#[cold]
fn escape(lines: &mut Vec<u8>, text: &str) {
    let mut buffer = [0; 4];
    for character in text.chars() {
        match character {
            '"' => put(lines, "\\\""),
            '\\' => put(lines, "\\\\"),
            '\n' => put(lines, "\\n"),
            '\r' => put(lines, "\\r"),
            '\t' => put(lines, "\\t"),
            hidden if is_hidden(hidden) => {
                for unit in hidden.encode_utf16(&mut [0; 2]) {
                    print(lines, format_args!("\\u{unit:04x}"));
                }
            }
            other => put(lines, other.encode_utf8(&mut buffer)),
        }
    }
}

/// Controls, and what changes the direction or the end of a line without being seen.
const fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1F'
            | '\x7F'..='\u{9F}'
            | '\u{AD}'
            | '\u{61C}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{E0000}'..='\u{E007F}'
    )
}

/// Year, month and day of a day since 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`).
const fn date(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_month)
}
