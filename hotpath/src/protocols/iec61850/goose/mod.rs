//! GOOSE: events of protection and control, published and repeated (IEC 61850-8-1, clause 18 and
//! annex A; `EtherType` 0x88B8).
//!
//! What a reader of the messages should know:
//! - A message is one function. That it is simulated, or that its publisher needs commissioning, is
//!   its sub-function: neither has a place in a plant that runs.
//! - All objects have the name of the control block. The data set is one object: its entries stand
//!   at places from 1 on, those of structures and arrays in their order, as what has no names of
//!   members; the time of the event (`t`) goes with each.
//! - GSE management (asking a publisher for names) is told by its service.

mod data;
mod names;

use std::borrow::Cow;
use std::cmp::Ordering;

use self::data::Entries;
use super::ber::{self, Element};
use super::numbering::{Mark, Numbering};
use super::{ALONE, FIELD, MISSING, Pdu, object, put, told, value};
use crate::bytes::Cursor;
use crate::protocols::{
    Decoder, Emit, Link, Message, NO_SUBFUNCTION, Object, Party, Protocol, Step, Value, Values,
};
use crate::words::{Activity, NoticeKind, Role, ValueKind};

/// GOOSE on the link layer.
pub static PROTOCOL: Protocol = Protocol {
    name: "goose",
    tcp_ports: &[],
    udp_ports: &[],
    link: Some(Link { ether_types: &[0x88B8], port: super::appid }),
    probe: |transport, head| super::probe(transport, head, &[MANAGEMENT, GOOSE]),
    decoder: |_| Box::new(Goose { numbering: Numbering::new() }),
    function_name: names::function_name,
    status_name: |_| None,
    objects: names::OBJECTS,
};

/// Tag of a GSE management APDU.
const MANAGEMENT: u8 = 0x60;
/// Tag of a GOOSE APDU.
const GOOSE: u8 = 0x61;

const NO_APDU: &str = "no GOOSE message begins here";
const SIMULATED: &str = "the header says that it is simulated, the message does not";
const NUMBER: &str = "the data set has another number of entries than the message says";

struct Goose {
    numbering: Numbering,
}

impl Decoder for Goose {
    fn step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let malformed = Step::Malformed {
            skip: bytes.len(),
            notice: NoticeKind::MalformedPdu,
            detail: NO_APDU,
        };
        let Some(pdu) = Pdu::read(bytes) else { return malformed };
        match pdu.apdu.tag {
            GOOSE => self.tell(from, &pdu, out),
            MANAGEMENT => manage(from, &pdu, out),
            _ => return malformed,
        }
        Step::Done(bytes.len()) // What is left is padding.
    }

    fn gap(&mut self, _: Party) {
        self.numbering.forget();
    }

    fn expire(&mut self, _: i64, _: &mut dyn Emit) {}

    fn flush(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        self.step(from, bytes, out)
    }
}

/// The fields of a message, as far as they are there.
#[derive(Debug, Default)]
struct Fields<'a> {
    block: Option<Cow<'a, str>>,
    live: Option<u64>,
    data_set: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    time: Option<(i64, u8)>,
    state: Option<u64>,
    sequence: Option<u64>,
    simulation: Option<u64>,
    revision: Option<u64>,
    commissioning: Option<u64>,
    entries: Option<u64>,
    data: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// Reads all fields, and the first rule that they break.
    fn read(apdu: &'a [u8]) -> (Self, Option<&'static str>) {
        let (mut fields, mut fault) = (Self::default(), None);
        let mut cursor = Cursor::new(apdu);
        while !cursor.is_empty() {
            let Some(element) = ber::element(&mut cursor) else {
                return (fields, Some(FIELD));
            };
            fault = fault.or(fields.take(element));
        }
        fault = fault.or_else(|| fields.is_short().then_some(MISSING));
        (fields, fault)
    }

    /// Takes a field in; unknown ones (a signature) are passed over.
    fn take(&mut self, Element { tag, content }: Element<'a>) -> Option<&'static str> {
        match tag {
            0x80 => put(&mut self.block, Some(ber::text(content))),
            0x81 => put(&mut self.live, ber::unsigned(content)),
            0x82 => put(&mut self.data_set, Some(ber::text(content))),
            0x83 => put(&mut self.id, Some(ber::text(content))),
            0x84 => put(&mut self.time, ber::utc_time(content)),
            0x85 => put(&mut self.state, ber::unsigned(content)),
            0x86 => put(&mut self.sequence, ber::unsigned(content)),
            0x87 => put(&mut self.simulation, ber::boolean(content)),
            0x88 => put(&mut self.revision, ber::unsigned(content)),
            0x89 => put(&mut self.commissioning, ber::boolean(content)),
            0x8A => put(&mut self.entries, ber::unsigned(content)),
            0xAB => put(&mut self.data, Some(content)),
            _ => None,
        }
    }

    const fn is_short(&self) -> bool {
        let is_named = self.block.is_some() && self.data_set.is_some();
        let is_numbered = self.state.is_some() && self.sequence.is_some();
        let is_timed = self.live.is_some() && self.time.is_some();
        let has_data = self.revision.is_some() && self.entries.is_some() && self.data.is_some();
        !(is_named && is_numbered && is_timed && has_data)
    }
}

impl Goose {
    fn tell(&mut self, from: Party, pdu: &Pdu<'_>, out: &mut dyn Emit) {
        let (fields, mut fault) = Fields::read(pdu.apdu.content);
        fault = pdu.fault.or(fault);
        let (moment, clock) = fields.time.unwrap_or_default();
        let (entries, broken) = Entries::read(fields.data.unwrap_or_default(), moment);
        fault = fault.or(broken);
        if fields.entries.is_some_and(|number| number != u64::from(entries.top)) {
            fault = fault.or(Some(NUMBER));
        }
        if pdu.is_simulated && fields.simulation != Some(1) {
            fault = fault.or(Some(SIMULATED));
        }
        let is_simulated = pdu.is_simulated || fields.simulation == Some(1);
        let block = fields.block.as_deref();
        let mut contents = Contents::new(block);
        contents.list(names::ENTRY, entries.places, &entries.values());
        contents.number(names::STATE, ValueKind::Sequence, fields.state);
        contents.number(names::SEQUENCE, ValueKind::Sequence, fields.sequence);
        contents.number(names::LIVE, ValueKind::Unsigned, fields.live);
        contents.number(names::REVISION, ValueKind::Unsigned, fields.revision);
        contents.number(names::ENTRIES, ValueKind::Unsigned, fields.entries);
        let clock = fields.time.map(|_| u64::from(clock));
        contents.number(names::CLOCK, ValueKind::Unsigned, clock);
        contents.text(names::DATA_SET, fields.data_set.as_deref());
        contents.text(names::ID, fields.id.as_deref());
        let id = out.message(
            from,
            &Message {
                role: Role::Report,
                activity: Activity::Report,
                function: u32::from(GOOSE & 0x1F),
                subfunction: names::state(is_simulated, fields.commissioning == Some(1)),
                unit: 0,
                status: 0,
                objects: &contents.objects,
                values: (&contents.values).into(),
                reply_to: None,
                length: pdu.length as u32,
            },
        );
        if let Some(detail) = fault {
            out.notice(from, NoticeKind::MalformedPdu, detail, None);
        }
        self.follow(from, id, &fields, out);
    }

    /// Holds the numbers against those that came before.
    fn follow(&mut self, from: Party, id: u64, fields: &Fields<'_>, out: &mut dyn Emit) {
        let (Some(block), Some(state), Some(number)) =
            (fields.block.as_deref(), fields.state, fields.sequence)
        else {
            return;
        };
        let digest = self.numbering.digest(fields.data.unwrap_or_default());
        let mark = Mark { state: state as u32, number: number as u32, digest, told: told(id, out) };
        let is_new = self.numbering.follow((from, block), mark, order, out);
        if let (true, Some((device, _))) = (is_new, block.split_once('/')) {
            out.fact(from, "name", device);
        }
    }
}

/// See [`super::numbering::Rule`]: a change of the data is a new state, and numbers its messages
/// from 0; a publisher that starts begins with state 1 (IEC 61850-8-1, clause 18.1.2.5).
fn order(last: &Mark, mark: &Mark, pace: i64) -> Option<&'static str> {
    const CHANGED: &str = "the data changed without a new state number";
    const TWO: &str = "one sequence number comes with different data";
    const AGAIN: &str = "a sequence number comes twice";
    const BACK: &str = "the sequence number runs back";
    const STATE: &str = "the state number runs back";
    let is_changed = mark.digest != last.digest;
    if mark.state != last.state {
        let is_paused = mark.since(last) > pace.saturating_mul(2);
        let is_restart = mark.state <= 1 && mark.number <= 1 && is_paused;
        let is_sound = mark.state > last.state || is_restart || last.state == u32::MAX;
        return (!is_sound).then_some(STATE);
    }
    match mark.number.cmp(&last.number) {
        Ordering::Equal if is_changed => Some(TWO),
        // Later than a copy would come: from somebody else, or from one that does not count.
        Ordering::Equal => Some(AGAIN),
        Ordering::Less => (last.number != u32::MAX).then_some(BACK),
        Ordering::Greater => is_changed.then_some(CHANGED),
    }
}

/// The objects and values of a message, as they come together.
struct Contents<'a> {
    name: Option<&'a str>,
    objects: Vec<Object<'a>>,
    values: Vec<Value<'a>>,
}

impl<'a> Contents<'a> {
    fn new(name: Option<&'a str>) -> Self {
        Self { name, objects: Vec::with_capacity(9), values: Vec::with_capacity(24) }
    }

    fn list(&mut self, kind: u16, places: u32, values: &[Value<'a>]) {
        if places > 0 {
            self.objects.push(object(kind, self.name, places));
            self.values.extend_from_slice(values);
        }
    }

    fn number(&mut self, kind: u16, form: ValueKind, number: Option<u64>) {
        let place = self.objects.len() as u16;
        let Some(raw) = number else { return };
        self.objects.push(object(kind, self.name, ALONE));
        self.values.push(value(place, form, raw));
    }

    fn text(&mut self, kind: u16, text: Option<&'a str>) {
        let place = self.objects.len() as u16;
        let Some(text) = text else { return };
        self.objects.push(object(kind, self.name, ALONE));
        self.values.push(Value { text: Some(text), ..value(place, ValueKind::Text, 0) });
    }
}

/// GSE management: a state id, and a request or a response with one service in it.
fn manage(from: Party, pdu: &Pdu<'_>, out: &mut dyn Emit) {
    const REQUESTS: u8 = 0xA1;
    const RESPONSES: u8 = 0xA2;
    let mut cursor = Cursor::new(pdu.apdu.content);
    let (mut role, mut service, mut asked) = (Role::Request, None, None);
    while let Some(Element { tag, content }) = ber::element(&mut cursor) {
        if tag == REQUESTS || tag == RESPONSES {
            role = if tag == REQUESTS { Role::Request } else { Role::Response };
            service = ber::element(&mut Cursor::new(content));
        }
    }
    if let Some(Element { content, .. }) = service {
        asked = ber::element(&mut Cursor::new(content)).filter(|ident| ident.tag == 0x80);
    }
    let name = asked.map(|ident| ber::text(ident.content));
    let objects = name.as_deref().map(|name| object(names::ID, Some(name), ALONE));
    out.message(
        from,
        &Message {
            role,
            activity: Activity::Browse,
            function: u32::from(MANAGEMENT & 0x1F),
            subfunction: service.map_or(NO_SUBFUNCTION, |service| u32::from(service.tag & 0x1F)),
            unit: 0,
            status: 0,
            objects: objects.as_slice(),
            values: Values::default(),
            reply_to: None,
            length: pdu.length as u32,
        },
    );
    if let Some(detail) = pdu.fault.or_else(|| service.is_none().then_some(MISSING)) {
        out.notice(from, NoticeKind::MalformedPdu, detail, None);
    }
}
