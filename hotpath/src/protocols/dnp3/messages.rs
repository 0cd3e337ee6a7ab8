//! From a fragment to the message that it is: what it says itself, and what its request lends it.
//!
//! IEEE 1815-2012, clauses 4.2.2 (fragments), 4.2.2.6 (internal indications), 7 (authentication).

use std::borrow::Cow;

use smallvec::SmallVec;

use super::content::Content;
use super::exchanges::SEQUENCE;
use super::link::Ends;
use super::names::{
    AUTHENTICATE, AUTHENTICATE_NO_ACK, AUTHENTICATION, AUTHENTICATION_ERROR,
    AUTHENTICATION_RESPONSE, CLOSE_FILE, CONFIRM, DIRECT_OPERATE_NO_ACK, ERRORS, FILE, INDICATION,
    OPEN_FILE, RESPONSE, UNSOLICITED, activity,
};
use super::{Dnp3, objects};
use crate::protocols::pairing::{Again, Answer, OwnedObject, Pending};
use crate::protocols::{Emit, Message, NO_SUBFUNCTION, Object, Party, Told, Value};
use crate::words::{Access, NoticeKind, Role, ValueKind};

const SHORT: &str = "a fragment without a function";
const NO_INDICATIONS: &str = "a response without internal indications";
const UNASKED: &str = "no request of this sequence number waits";
const TWICE: &str = "the request was answered before, with the same answer";
const ANOTHER: &str = "the request was answered before, with another answer";

/// Bits of the application control octet.
const FIRST: u8 = 0x80;
const FINAL: u8 = 0x40;
const CONFIRMATION: u8 = 0x20;
const UNSOLICITED_FLAG: u8 = 0x10;

/// Internal indications that tell of a device's state, of all sixteen: time needed, local
/// control, trouble, restart, event buffer overflow, configuration corrupt. The others tell of
/// events that wait, of broadcasts, and of errors of requests.
const STATES: u16 = 0x28F0;

/// The second object of a reply to a challenge (clause A.45.2).
const CHALLENGE_REPLY: u64 = 2;

/// Most objects of a request that its response may inherit: they are kept until it comes.
const MAX_INHERITED: usize = 64;

type Objects<'a> = SmallVec<[Object<'a>; 4]>;
type Kinds = SmallVec<[u16; 8]>;

/// An application fragment.
#[derive(Clone, Copy)]
pub(super) struct Fragment<'a> {
    pub(super) from: Party,
    pub(super) ends: Ends,
    pub(super) bytes: &'a [u8],
    /// Bytes of the frames that carried it.
    pub(super) length: usize,
}

/// The head of a fragment, its objects not read yet.
#[derive(Clone, Copy)]
struct Head<'a> {
    control: u8,
    function: u8,
    /// Both bytes of a response, the first one lower; 0 of a request.
    indications: u16,
    rest: &'a [u8],
}

impl<'a> Head<'a> {
    const fn of(bytes: &'a [u8]) -> Result<Self, &'static str> {
        match bytes {
            [control, function @ 0x80..=0xFF, first, second, rest @ ..] => Ok(Self {
                control: *control,
                function: *function,
                indications: u16::from_le_bytes([*first, *second]),
                rest,
            }),
            [_, 0x80..=0xFF, ..] => Err(NO_INDICATIONS),
            [control, function, rest @ ..] => {
                Ok(Self { control: *control, function: *function, indications: 0, rest })
            }
            _ => Err(SHORT),
        }
    }

    const fn sequence(self) -> u8 {
        self.control & SEQUENCE
    }

    const fn has(self, flag: u8) -> bool {
        self.control & flag != 0
    }

    /// Whether the specification says what follows the function.
    const fn is_defined(self) -> bool {
        matches!(self.function, CONFIRM..=AUTHENTICATE_NO_ACK | RESPONSE..=AUTHENTICATION_RESPONSE)
    }

    /// The error bits of the second byte, if it refuses what was asked.
    fn errors(self) -> u16 {
        (self.indications >> 8 & u16::from(ERRORS)) << 8
    }
}

/// The request that a response answers, and what is wrong with that.
#[derive(Default)]
struct Asked {
    request: Option<Pending>,
    /// A second answer is none to what was asked.
    is_reply: bool,
    unasked: Option<&'static str>,
}

impl Dnp3 {
    pub(super) fn tell(&mut self, fragment: Fragment<'_>, out: &mut dyn Emit) {
        let head = match Head::of(fragment.bytes) {
            Ok(head) => head,
            Err(detail) => {
                out.notice(fragment.from, NoticeKind::MalformedPdu, detail, None);
                return;
            }
        };
        let (mut objects, mut values) =
            (std::mem::take(&mut self.objects), std::mem::take(&mut self.values));
        let mut content = Content::new(&mut objects, &mut values);
        let read = if head.is_defined() {
            objects::read(head.function, head.rest, &mut content)
        } else {
            Ok(())
        };
        if head.function >= 0x80 {
            self.tell_response(fragment, head, content, out);
        } else {
            self.tell_request(fragment, head, content, out);
        }
        (self.objects, self.values) = (objects, values);
        if let Err(detail) = read {
            out.notice(fragment.from, NoticeKind::MalformedPdu, detail, None);
        }
    }

    fn tell_request(
        &mut self,
        fragment: Fragment<'_>,
        head: Head<'_>,
        mut content: Content<'_>,
        out: &mut dyn Emit,
    ) {
        let Fragment { from, ends, .. } = fragment;
        let unit = u32::from(ends.destination);
        self.files.name(unit, &mut content);
        let objects = named(content.objects, &content.names);
        let is_confirmation = head.function == CONFIRM;
        let reply_to = if is_confirmation {
            self.exchanges.confirm(ends.back(), head.sequence(), head.has(UNSOLICITED_FLAG))
        } else {
            None
        };
        let function = u32::from(head.function);
        let values = spelled(content.values, &content.texts);
        let message = Message {
            role: if is_confirmation { Role::Response } else { Role::Request },
            activity: activity(function, &kinds_of(&objects)),
            function,
            subfunction: NO_SUBFUNCTION,
            unit,
            status: 0,
            objects: &objects,
            values: (&*values).into(),
            reply_to,
            length: fragment.length as u32,
        };
        let id = out.message(from, &message);
        if is_confirmation || ends.is_broadcast() {
            return;
        }
        let now = out.now();
        let request = Pending {
            told: Told { id, frame: now.frame, time: now.time },
            from,
            function,
            subfunction: NO_SUBFUNCTION,
            objects: objects.iter().take(MAX_INHERITED).map(OwnedObject::from).collect(),
            owed: is_answered(head.function, &objects),
        };
        self.pairing.ask(key(ends, head.sequence()), request, out);
    }

    fn tell_response(
        &mut self,
        fragment: Fragment<'_>,
        head: Head<'_>,
        mut content: Content<'_>,
        out: &mut dyn Emit,
    ) {
        let Fragment { from, ends, .. } = fragment;
        let unit = u32::from(ends.source);
        let asked = self.find(fragment, head, out.now().time);
        self.files.name(unit, &mut content);
        let is_report = head.function == UNSOLICITED;
        let errors = if is_report { 0 } else { head.errors() };
        let mut objects = answered(content.objects, &content.names, asked.request.as_ref(), errors);
        let status = [errors, content.authentication_error.map_or(0, authentication_status)]
            .into_iter()
            .chain(objects.iter().map(|object| object.status))
            .find(|status| *status != 0)
            .unwrap_or(0);
        let kinds: Kinds = match &asked.request {
            Some(request) => request.objects.iter().map(|object| object.kind).collect(),
            None => kinds_of(&objects),
        };
        let function = asked.request.as_ref().map_or(u32::from(head.function), |it| it.function);
        if let Some(request) = &asked.request {
            self.follow_file(unit, request, &content);
        }
        push_states(head.indications, &mut objects, content.values);
        let values = spelled(content.values, &content.texts);
        let message = Message {
            role: if is_report { Role::Report } else { Role::Response },
            activity: activity(function, &kinds),
            function,
            subfunction: NO_SUBFUNCTION,
            unit,
            status,
            objects: &objects,
            values: (&*values).into(),
            reply_to: asked.request.as_ref().filter(|_| asked.is_reply).map(|it| it.told),
            length: fragment.length as u32,
        };
        let id = out.message(from, &message);
        for (key, value) in &content.facts {
            out.fact(from, key, value);
        }
        if head.has(CONFIRMATION) {
            let now = out.now();
            let told = Told { id, frame: now.frame, time: now.time };
            self.exchanges.await_confirmation(ends, head.sequence(), is_report, told);
        }
        if let Some(detail) = asked.unasked {
            out.notice(from, NoticeKind::UnaskedResponse, detail, None);
        }
    }

    /// The request that a response answers.
    fn find(&mut self, fragment: Fragment<'_>, head: Head<'_>, now: i64) -> Asked {
        let Fragment { from, ends, bytes, .. } = fragment;
        let (sequence, goes_on) = (head.sequence(), !head.has(FINAL));
        let key = key(ends.back(), sequence);
        let is_authentication = |request: &Pending| request.function == u32::from(AUTHENTICATE);
        match head.function {
            RESPONSE if !head.has(FIRST) => {
                let request = self.exchanges.go_on(ends, sequence, goes_on);
                return Asked { request, is_reply: true, unasked: None };
            }
            RESPONSE => {}
            // What is not an answer to a request for authentication asks for it.
            AUTHENTICATION_RESPONSE => {
                let fits = |request: &Pending| request.from != from && is_authentication(request);
                return match self.pairing.answer(key, fits) {
                    Answer::To(request) => {
                        Asked { request: Some(request), is_reply: true, unasked: None }
                    }
                    Answer::Unasked | Answer::Unknown => Asked::default(),
                };
            }
            _ => return Asked::default(),
        }
        let fits = |request: &Pending| request.from != from && !is_authentication(request);
        match self.pairing.answer(key, fits) {
            Answer::To(request) => {
                self.pairing.keep(key, bytes, now);
                self.exchanges.answer(ends, sequence, goes_on, &request);
                Asked { request: Some(request), is_reply: true, unasked: None }
            }
            Answer::Unknown => Asked::default(),
            Answer::Unasked => {
                let again = self.pairing.again(key, bytes, now);
                let request = again.and_then(|_| self.exchanges.again(ends, sequence));
                let unasked = match again {
                    None => Some(UNASKED),
                    // Sent once more, for its confirmation did not come (clause 4.2.2.4.4).
                    Some(Again::Same) if head.has(CONFIRMATION) => None,
                    Some(Again::Same) => Some(TWICE),
                    Some(Again::Other) => Some(ANOTHER),
                };
                Asked { request, is_reply: false, unasked }
            }
        }
    }

    /// Keeps the name of a file that was opened, while it is.
    fn follow_file(&mut self, unit: u32, request: &Pending, content: &Content<'_>) {
        let Some((handle, status)) = content.file else { return };
        let name = request.objects.iter().find_map(|object| object.name.as_deref());
        match (u8::try_from(request.function), name) {
            (Ok(OPEN_FILE), Some(name)) if status == 0 => self.files.open(unit, handle, name),
            (Ok(CLOSE_FILE), _) => self.files.close(unit, handle),
            _ => {}
        }
    }
}

/// What tells a request from the others that wait.
fn key(ends: Ends, sequence: u8) -> u64 {
    (ends.key() << 8) | u64::from(sequence)
}

/// Whether an answer is owed: not where the master wants none, nor to the reply to a challenge.
fn is_answered(function: u8, objects: &[Object<'_>]) -> bool {
    let is_reply =
        |object: &Object<'_>| object.kind == AUTHENTICATION && object.address == CHALLENGE_REPLY;
    match function {
        DIRECT_OPERATE_NO_ACK | 8 | 10 | 12 | AUTHENTICATE_NO_ACK => false,
        AUTHENTICATE => !objects.iter().any(is_reply),
        _ => true,
    }
}

const fn authentication_status(code: u8) -> u16 {
    AUTHENTICATION_ERROR | code as u16
}

fn kinds_of(objects: &[Object<'_>]) -> Kinds {
    objects.iter().map(|object| object.kind).collect()
}

/// The objects of a fragment, with their names.
fn named<'a>(objects: &[Object<'static>], names: &'a [(usize, Cow<'_, str>)]) -> Objects<'a> {
    let mut objects = Objects::from_slice(objects);
    for (place, name) in names {
        if let Some(object) = objects.get_mut(*place) {
            object.name = Some(name);
        }
    }
    objects
}

/// The values of a fragment, with their texts.
fn spelled<'a>(
    values: &'a [Value<'static>],
    texts: &'a [(usize, Cow<'_, str>)],
) -> Cow<'a, [Value<'a>]> {
    if texts.is_empty() {
        return Cow::Borrowed(values);
    }
    let mut values: Vec<Value<'a>> = values.to_vec();
    for (place, text) in texts {
        if let Some(value) = values.get_mut(*place) {
            value.text = Some(text);
        }
    }
    Cow::Owned(values)
}

/// The objects of a response: its own or, if it has none, those of its request. Of a file the
/// request may know the name where the response knows a handle.
fn answered<'a>(
    objects: &[Object<'static>],
    names: &'a [(usize, Cow<'_, str>)],
    request: Option<&'a Pending>,
    errors: u16,
) -> Objects<'a> {
    let own = named(objects, names);
    let Some(request) = request else { return own };
    let status = match own.as_slice() {
        [] => errors,
        [file] if file.kind == FILE && file.name.is_none() => file.status.max(errors),
        _ => return own,
    };
    let inherited: Objects<'a> = request
        .objects
        .iter()
        .filter(|object| own.is_empty() || object.kind == FILE)
        .map(|object| object.borrow(status))
        .collect();
    if inherited.is_empty() { own } else { inherited }
}

/// Adds the indications of a device's state that are set.
fn push_states(indications: u16, objects: &mut Objects<'_>, values: &mut Vec<Value<'static>>) {
    let set = indications & STATES;
    for bit in (0..16).filter(|bit| set >> bit & 1 == 1) {
        values.push(Value {
            object: objects.len() as u16,
            offset: 0,
            kind: ValueKind::Bit,
            raw: 1,
            text: None,
            quality: 0,
            source_time: 0,
        });
        let (kind, address, access) = (INDICATION, bit, Access::Read);
        objects.push(Object { kind, address, count: 1, access, status: 0, name: None });
    }
}
