//! From a control packet to the message that it is, and to the request that it answers.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::framing::{self, Header, WHOLE};
use super::names::{
    self, ALIAS, BRIDGE, CONNACK, CONNECT, DELETED, DELIVERED, FILTER, KEEP_ALIVE, KEPT, MEMBER,
    METHOD, PASSWORD, PINGREQ, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, RETAINED, SUBACK,
    SUBSCRIBE, TOPIC, UNSUBSCRIBE, USER, WILL,
};
use super::packet::{self, Body, Connect, FIVE, FOUR, Fault, Filter, Packet, Publish};
use super::payload::{self, Leaf};
use super::{Aliases, Mqtt};
use crate::protocols::pairing::{Answer, OwnedObject, Pending};
use crate::protocols::{Emit, Message, NO_SUBFUNCTION, Object, Party, Told, Value, Values};
use crate::words::{Access, Activity, NoticeKind, ValueKind};

const FLAGS: &str = "the flags are none of the packet type's";
const TEXT: &str = "a topic, filter or name is not what the standard allows there";
const UNASKED: &str = "nothing waits for such an answer";
const ALIASES: &str = "topic aliases";
/// Where Mosquitto and its like say what they are.
const VERSION: &str = "$SYS/broker/version";
/// The longest version that is told.
const MAX_VERSION: usize = 128;

/// What a message says beside its objects.
#[derive(Debug, Clone, Copy)]
struct Head {
    from: Party,
    kind: u8,
    activity: Activity,
    subfunction: u32,
    status: u16,
    reply_to: Option<Told>,
    length: usize,
}

impl Head {
    fn emit(&self, out: &mut dyn Emit, objects: &[Object<'_>], values: Values<'_>) -> u64 {
        let Self { from, kind, activity, subfunction, status, reply_to, length } = *self;
        out.message(
            from,
            &Message {
                role: names::role(kind),
                activity,
                function: u32::from(kind),
                subfunction,
                unit: 0,
                status,
                objects,
                values,
                reply_to,
                length: length as u32,
            },
        )
    }

    /// Emits it, as what waits for an answer.
    fn ask(&self, out: &mut dyn Emit, objects: &[Object<'_>], values: Values<'_>) -> Pending {
        let id = self.emit(out, objects, values);
        let now = out.now();
        Pending {
            told: Told { id, frame: now.frame, time: now.time },
            from: self.from,
            function: u32::from(self.kind),
            subfunction: self.subfunction,
            objects: objects.iter().map(OwnedObject::from).collect(),
            owed: matches!(self.kind, CONNECT | PINGREQ),
        }
    }
}

const fn named(kind: u16, name: &str, access: Access) -> Object<'_> {
    Object { kind, address: 0, count: 1, access, status: 0, name: Some(name) }
}

const fn unnamed(kind: u16, address: u64, access: Access) -> Object<'static> {
    Object { kind, address, count: 1, access, status: 0, name: None }
}

/// Reason codes below 128 are no failures, but for those that CONNACK had before MQTT 5.0.
const fn status(kind: u8, code: u8) -> u16 {
    if code >= 0x80 || kind == CONNACK { code as u16 } else { 0 }
}

/// Under what a packet with an identifier waits: who sent it, which, and under what number.
fn key(asker: Party, kind: u8, id: u16) -> u64 {
    ((asker as u64) << 32) | (u64::from(kind) << 16) | u64::from(id)
}

impl Mqtt {
    pub(super) fn tell(&mut self, from: Party, header: Header, bytes: &[u8], out: &mut dyn Emit) {
        let Header { kind, flags, length, .. } = header;
        let body = Body { kind, flags, bytes, is_cut: length > WHOLE };
        let activity = names::activity(kind);
        let subfunction = NO_SUBFUNCTION;
        let head = Head { from, kind, activity, subfunction, status: 0, reply_to: None, length };
        let fault = match self.read(body) {
            Ok(packet) => self.tell_packet(head, header, &packet, out),
            Err(fault) => {
                let quality = u32::from(flags >> 1 & 0x03);
                let subfunction = if kind == PUBLISH { quality } else { NO_SUBFUNCTION };
                Head { subfunction, ..head }.emit(out, &[], Values::default());
                // A packet that is longer than what is looked at may be sound.
                (!body.is_cut || fault != Fault::Short).then(|| fault.detail())
            }
        };
        let irregular = (!framing::is_regular(header)).then_some(FLAGS);
        if let Some(detail) = fault.or(irregular) {
            out.notice(from, NoticeKind::MalformedPdu, detail, None);
        }
    }

    /// Reads a body by the protocol level of the connection. Who came too late to hear that finds
    /// it out by what can be read; where both levels can, it is read as of MQTT 5.0.
    fn read<'a>(&mut self, body: Body<'a>) -> Result<Packet<'a>, Fault> {
        if body.kind == CONNECT {
            let packet = body.read(FIVE)?;
            if let Packet::Connect(connect) = &packet {
                self.level = Some(connect.level);
                self.client.aliases.forget();
                self.server.aliases.forget();
            }
            return Ok(packet);
        }
        if body.kind == CONNACK {
            // A broker may refuse a level in the words of an older one.
            let level = if body.bytes.len() > 2 { FIVE } else { FOUR };
            self.level = self.level.or(Some(level));
            return body.read(level);
        }
        if let Some(level) = self.level {
            return body.read(level);
        }
        match (body.read(FIVE), body.read(FOUR)) {
            (Ok(five), four) => {
                if four.is_err() || has_properties(&five, &four) {
                    self.level = Some(FIVE);
                }
                Ok(five)
            }
            (Err(_), four) => {
                if four.is_ok() {
                    self.level = Some(FOUR);
                }
                four
            }
        }
    }

    /// Emits a packet; returns the rule that it breaks.
    fn tell_packet(
        &mut self,
        head: Head,
        header: Header,
        packet: &Packet<'_>,
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        match packet {
            Packet::Connect(connect) => self.tell_connect(head, connect, out),
            Packet::Publish(publish) => self.tell_publish(head, header, publish, out),
            Packet::Subscribe { id, filters } => self.tell_subscribe(head, *id, filters, out),
            Packet::Granted { id, codes } => {
                self.tell_granted(head, *id, codes, out);
                None
            }
            Packet::Acknowledge { id, code } => {
                self.tell_acknowledgement(head, *id, *code, out);
                None
            }
            Packet::Accept { code, client } => {
                let head = Head { status: status(CONNACK, *code), ..head };
                self.tell_answer(head, CONNECT, out);
                if let Some(client) = client {
                    tell_client(head.from.other(), client, out);
                }
                None
            }
            Packet::Reason { code } => {
                let is_plain = *code == 0 || *code >= 0x80;
                let subfunction = if is_plain { NO_SUBFUNCTION } else { u32::from(*code) };
                let head = Head { status: status(head.kind, *code), subfunction, ..head };
                head.emit(out, &[], Values::default());
                None
            }
            Packet::Ping if head.kind == PINGREQ => {
                let pending = head.ask(out, &[], Values::default());
                self.requests.ask(u64::from(PINGREQ), pending, out);
                None
            }
            Packet::Ping => {
                self.tell_answer(head, PINGREQ, out);
                None
            }
        }
    }

    /// An answer to what the broker owes one.
    fn tell_answer(&mut self, head: Head, asked: u8, out: &mut dyn Emit) {
        let waits = |request: &Pending| request.from != head.from;
        match self.requests.answer(u64::from(asked), waits) {
            Answer::To(request) => reply(head, &request, &[], out),
            found => {
                head.emit(out, &[], Values::default());
                if found == Answer::Unasked {
                    out.notice(head.from, NoticeKind::UnaskedResponse, UNASKED, None);
                }
            }
        }
    }

    fn tell_connect(
        &mut self,
        head: Head,
        connect: &Connect<'_>,
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        let bridge = if connect.is_bridge { BRIDGE } else { 0 };
        let kept = if connect.is_clean { 0 } else { KEPT };
        let head = Head { subfunction: u32::from(connect.level) | bridge | kept, ..head };
        let [user, method, topic] =
            [connect.user, connect.method, connect.will.map(|will| will.topic)]
                .map(|name| name.map(String::from_utf8_lossy));
        let mut objects: SmallVec<[Object<'_>; 5]> = SmallVec::new();
        let keep_alive = u64::from(connect.keep_alive);
        objects.push(unnamed(KEEP_ALIVE, 0, Access::Report));
        let mut values: SmallVec<[Value<'_>; 2]> = SmallVec::new();
        values.push(Value::plain(0, 0, ValueKind::Unsigned, keep_alive));
        objects.extend(user.as_deref().map(|user| named(USER, user, Access::Control)));
        if connect.has_password {
            objects.push(unnamed(PASSWORD, 0, Access::Control));
        }
        objects.extend(method.as_deref().map(|method| named(METHOD, method, Access::Control)));
        self.leaves.clear();
        if let (Some(topic), Some(will)) = (topic.as_deref(), connect.will) {
            payload::read(will.payload, &mut self.leaves);
            let whole = self.leaves.iter().find(|leaf| leaf.path.is_none());
            values.extend(whole.map(|leaf| value(objects.len(), leaf)));
            objects.push(named(WILL, topic, Access::Write));
        }
        let mut pending = head.ask(out, &objects, (&values[..]).into());
        // The answer is about who is let in.
        pending.objects.retain(|object| matches!(object.kind, USER | METHOD));
        self.requests.ask(u64::from(CONNECT), pending, out);
        tell_client(head.from, connect.client, out);
        let names = [connect.user, connect.method, Some(connect.client)];
        let is_text = |name: &&[u8]| std::str::from_utf8(name).is_ok() && !name.contains(&0);
        let is_topic = connect.will.is_none_or(|will| packet::is_topic(will.topic));
        (!(is_topic && names.iter().flatten().all(is_text))).then_some(TEXT)
    }

    fn tell_publish(
        &mut self,
        head: Head,
        header: Header,
        publish: &Publish<'_>,
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        let Publish { id, alias, .. } = *publish;
        let Head { from, .. } = head;
        let mut fault = None;
        if alias.is_none() || !publish.topic.is_empty() {
            fault = (!packet::is_topic(publish.topic)).then_some(TEXT);
        }
        let given = String::from_utf8_lossy(publish.topic);
        if let (Some(alias), None, false) = (alias, fault, given.is_empty()) {
            let is_refused = self.side(from).aliases.define(alias, &given).is_err();
            if is_refused && !std::mem::replace(&mut self.is_full, true) {
                out.notice(from, NoticeKind::TableFull, ALIASES, None);
            }
        }
        self.leaves.clear();
        if header.length <= WHOLE {
            payload::read(publish.payload, &mut self.leaves);
        }
        let head = Head { subfunction: quality(from, header.flags, publish.payload), ..head };
        let aliases = match from {
            Party::Client => &self.client.aliases,
            Party::Server => &self.server.aliases,
        };
        let topic = topic(&given, alias, aliases);
        let told = emit_publish(head, topic, &self.leaves, out);
        if let (Party::Server, Some(VERSION)) = (from, topic.name) {
            tell_version(publish.payload, out);
        }
        if id != 0 {
            let pending = Pending {
                told,
                from,
                function: u32::from(PUBLISH),
                subfunction: head.subfunction,
                objects: std::iter::once(OwnedObject::from(&topic)).collect(),
                owed: false,
            };
            self.deliveries.ask(key(from, PUBLISH, id), pending, out);
        }
        fault
    }

    fn tell_subscribe(
        &mut self,
        head: Head,
        id: u16,
        filters: &[Filter<'_>],
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        let names: SmallVec<[Cow<'_, str>; 4]> =
            filters.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        let objects: SmallVec<[Object<'_>; 4]> =
            names.iter().map(|name| named(FILTER, name, Access::Read)).collect();
        let qualities: SmallVec<[Value<'_>; 4]> = (0..)
            .zip(filters)
            .map(|(place, (_, quality))| {
                Value::plain(place, 0, ValueKind::Unsigned, u64::from(*quality))
            })
            .collect();
        let values = if head.kind == SUBSCRIBE { &qualities[..] } else { &[] };
        let head = Head { activity: activity(&objects), ..head };
        let pending = head.ask(out, &objects, values.into());
        self.deliveries.ask(key(head.from, head.kind, id), pending, out);
        (!filters.iter().all(|(name, _)| packet::is_filter(name))).then_some(TEXT)
    }

    fn tell_granted(&mut self, head: Head, id: u16, codes: &[u8], out: &mut dyn Emit) {
        let asked = if head.kind == SUBACK { SUBSCRIBE } else { UNSUBSCRIBE };
        let statuses: SmallVec<[u16; 4]> =
            codes.iter().map(|code| status(head.kind, *code)).collect();
        let all_failed = !statuses.is_empty() && statuses.iter().all(|status| *status != 0);
        let first = statuses.first().copied().filter(|_| all_failed);
        let head = Head { status: first.unwrap_or_default(), ..head };
        match self.deliveries.answer(key(head.from.other(), asked, id), |_| true) {
            Answer::To(request) => reply(head, &request, &statuses, out),
            Answer::Unasked | Answer::Unknown => {
                head.emit(out, &[], Values::default());
            }
        }
    }

    /// An acknowledgement of a PUBLISH, or a step of the exchange by which it comes exactly once.
    fn tell_acknowledgement(&mut self, head: Head, id: u16, code: u8, out: &mut dyn Emit) {
        let head = Head { status: status(head.kind, code), ..head };
        let asked = match head.kind {
            PUBACK | PUBREC => PUBLISH,
            PUBCOMP => PUBREL,
            _ => {
                let pending = head.ask(out, &[], Values::default());
                self.deliveries.ask(key(head.from, PUBREL, id), pending, out);
                return;
            }
        };
        match self.deliveries.answer(key(head.from.other(), asked, id), |_| true) {
            Answer::To(request) if head.status != 0 => reply(head, &request, &[], out),
            Answer::To(request) => {
                let reply_to = Some(request.told);
                Head { reply_to, ..head }.emit(out, &[], Values::default());
            }
            Answer::Unasked | Answer::Unknown => {
                head.emit(out, &[], Values::default());
            }
        }
    }
}

/// Emits the answer to a request, with its objects; a code for each, or that of the message.
fn reply(head: Head, request: &Pending, codes: &[u16], out: &mut dyn Emit) {
    let codes = codes.iter().copied().chain(std::iter::repeat(head.status));
    let objects: SmallVec<[Object<'_>; 4]> =
        request.objects.iter().zip(codes).map(|(object, code)| object.borrow(code)).collect();
    let is_subscription = objects.iter().any(|object| object.kind == FILTER);
    let activity = if is_subscription { activity(&objects) } else { head.activity };
    let reply_to = Some(request.told);
    Head { activity, reply_to, ..head }.emit(out, &objects, Values::default());
}

/// What subscribing to these filters is.
fn activity(filters: &[Object<'_>]) -> Activity {
    let is_broad = |filter: &Object<'_>| filter.name.is_some_and(names::is_broad);
    if filters.iter().any(is_broad) { Activity::Browse } else { Activity::Read }
}

/// See [`names`] for what of the flags is told. That a broker had retained what it sends is not:
/// who subscribes anew gets it so, or does not, by chance.
fn quality(from: Party, flags: u8, payload: &[u8]) -> u32 {
    let more = match (from, flags & 0x01, payload) {
        (Party::Server, _, _) => DELIVERED,
        (Party::Client, 0, _) => 0,
        (Party::Client, _, []) => RETAINED | DELETED,
        (Party::Client, _, _) => RETAINED,
    };
    u32::from(flags >> 1 & 0x03) | more
}

/// The topic of a PUBLISH, by its name if that is known.
fn topic<'a>(given: &'a str, alias: Option<u16>, aliases: &'a Aliases) -> Object<'a> {
    let known = || alias.and_then(|alias| aliases.topic(alias));
    match (if given.is_empty() { known() } else { Some(given) }, alias) {
        (Some(name), _) => named(TOPIC, name, Access::Report),
        (None, Some(alias)) => unnamed(ALIAS, u64::from(alias), Access::Report),
        (None, None) => unnamed(TOPIC, 0, Access::Report),
    }
}

/// Emits a PUBLISH with what its payload holds; members of JSON are objects of their own.
fn emit_publish(head: Head, topic: Object<'_>, leaves: &[Leaf], out: &mut dyn Emit) -> Told {
    let name = topic.name.unwrap_or_default();
    let members: SmallVec<[String; 4]> = leaves
        .iter()
        .filter_map(|leaf| leaf.path.as_ref().map(|path| format!("{name}:{path}")))
        .collect();
    let mut objects: SmallVec<[Object<'_>; 4]> = SmallVec::new();
    objects.push(topic);
    objects.extend(members.iter().map(|name| named(MEMBER, name, Access::Report)));
    let values: SmallVec<[Value<'_>; 4]> = (1..)
        .zip(leaves)
        .map(|(place, leaf)| value(if leaf.path.is_some() { place } else { 0 }, leaf))
        .collect();
    let id = head.emit(out, &objects, (&values[..]).into());
    let now = out.now();
    Told { id, frame: now.frame, time: now.time }
}

fn value(object: usize, leaf: &Leaf) -> Value<'_> {
    let text = leaf.text.as_deref();
    Value { text, ..Value::plain(object as u16, 0, leaf.kind, leaf.raw) }
}

/// Whether there are properties, which a body of an older level does not have.
fn has_properties(five: &Packet<'_>, four: &Result<Packet<'_>, Fault>) -> bool {
    match (five, four) {
        (Packet::Publish(five), Ok(Packet::Publish(four))) => {
            five.payload.len() + 1 < four.payload.len()
        }
        _ => false,
    }
}

fn tell_client(client: Party, name: &[u8], out: &mut dyn Emit) {
    if !name.is_empty() {
        out.fact(client, "client-id", &String::from_utf8_lossy(name));
    }
}

fn tell_version(payload: &[u8], out: &mut dyn Emit) {
    let short = payload.get(..MAX_VERSION).unwrap_or(payload);
    if let Ok(version) = std::str::from_utf8(short) {
        out.fact(Party::Server, "product", version.trim());
    }
}
