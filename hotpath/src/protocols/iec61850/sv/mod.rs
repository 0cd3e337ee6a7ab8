//! Sampled Values: currents and voltages as they are measured, thousands of times a second
//! (IEC 61850-9-2, clause 8.5 and annex C; IEC 61869-9; `EtherType` 0x88BA).
//!
//! What a reader of the messages should know:
//! - Each ASDU is a message; several in a frame are as many samples, or as many streams.
//! - All objects have the name of the stream (svID). Its samples stand at places from 1 on.
//! - A message does not say of what type its data are. As long as a stream looks like pairs of a
//!   32-bit number and its quality (9-2LE, IEC 61869-9), that is what it is told as: the quality
//!   goes with the number. Otherwise it is told in words of 32 bits, or of 16 or 8 where these do not
//!   fit: whether two of them form one value (a float, a time stamp) is for others to know.
//! - That it is simulated is its sub-function.

mod asdu;
mod names;

use self::asdu::{Asdu, Samples};
use super::ber;
use super::numbering::{Mark, Numbering};
use super::{ALONE, FIELD, MISSING, Pdu, object, told, value};
use crate::bytes::Cursor;
use crate::protocols::{
    Decoder, Emit, Link, Message, NO_SUBFUNCTION, Party, Protocol, Step, Value,
};
use crate::words::{Activity, NoticeKind, Role, ValueKind};

/// Sampled Values on the link layer.
pub static PROTOCOL: Protocol = Protocol {
    name: "sv",
    tcp_ports: &[],
    udp_ports: &[],
    link: Some(Link { ether_types: &[0x88BA], port: super::appid }),
    probe: |transport, head| super::probe(transport, head, &[SAV]),
    decoder: |_| Box::new(Sv::new()),
    function_name: names::function_name,
    status_name: |_| None,
    objects: names::OBJECTS,
};

/// Tag of an APDU.
const SAV: u8 = 0x60;
/// Tag of an ASDU.
const ASDU: u8 = 0x30;

const NO_APDU: &str = "no sampled values begin here";
const NUMBER: &str = "there is another number of ASDUs than the message says";

struct Sv {
    numbering: Numbering,
    samples: Samples,
    /// Kept for its capacity.
    values: Vec<Value<'static>>,
}

impl Decoder for Sv {
    fn step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let Some(pdu) = Pdu::read(bytes).filter(|pdu| pdu.apdu.tag == SAV) else {
            let (skip, notice) = (bytes.len(), NoticeKind::MalformedPdu);
            return Step::Malformed { skip, notice, detail: NO_APDU };
        };
        if let Some(detail) = self.tell(from, &pdu, out) {
            out.notice(from, NoticeKind::MalformedPdu, detail, None);
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

impl Sv {
    fn new() -> Self {
        Self { numbering: Numbering::new(), samples: Samples::default(), values: Vec::new() }
    }

    /// Tells every ASDU; returns the first rule that is broken.
    fn tell(&mut self, from: Party, pdu: &Pdu<'_>, out: &mut dyn Emit) -> Option<&'static str> {
        let mut fault = pdu.fault;
        let (mut expected, mut found) = (None, 0_u64);
        let mut cursor = Cursor::new(pdu.apdu.content);
        while !cursor.is_empty() {
            let Some(element) = ber::element(&mut cursor) else { return fault.or(Some(FIELD)) };
            match element.tag {
                0x80 => expected = ber::unsigned(element.content),
                0xA2 => {
                    let mut list = Cursor::new(element.content);
                    while !list.is_empty() {
                        let Some(one) = ber::element(&mut list).filter(|one| one.tag == ASDU)
                        else {
                            return fault.or(Some(FIELD));
                        };
                        found += 1;
                        fault = fault.or(self.tell_one(from, pdu, one.content, out));
                    }
                }
                _ => {} // security, and what later editions add
            }
        }
        fault.or_else(|| (expected != Some(found)).then_some(NUMBER))
    }

    fn tell_one(
        &mut self,
        from: Party,
        pdu: &Pdu<'_>,
        bytes: &[u8],
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        let (asdu, mut fault) = Asdu::read(bytes);
        let name = asdu.stream.as_deref();
        let places = self.samples.read(name, &asdu, &mut self.values);
        let mut objects = [object(names::SAMPLE, name, places); names::FIELDS];
        let mut used = usize::from(places > 0);
        for (kind, number) in asdu.numbers() {
            let Some(raw) = number else { continue };
            if let Some(place) = objects.get_mut(used) {
                *place = object(kind, name, ALONE);
                let form =
                    if kind == names::COUNT { ValueKind::Sequence } else { ValueKind::Unsigned };
                self.values.push(value(used as u16, form, raw));
                used += 1;
            }
        }
        // Texts live no longer than the message: most streams carry none.
        let mut with_text: Vec<Value<'_>>;
        let mut values: &[Value<'_>] = &self.values;
        if let Some((text, place)) = asdu.data_set.as_deref().zip(objects.get_mut(used)) {
            *place = object(names::DATA_SET, name, ALONE);
            with_text = self.values.clone();
            with_text.push(Value { text: Some(text), ..value(used as u16, ValueKind::Text, 0) });
            values = &with_text;
            used += 1;
        }
        let id = out.message(
            from,
            &Message {
                role: Role::Report,
                activity: Activity::Report,
                function: 0,
                subfunction: if pdu.is_simulated { names::SIMULATED } else { NO_SUBFUNCTION },
                unit: 0,
                status: 0,
                objects: objects.get(..used).unwrap_or_default(),
                values: values.into(),
                reply_to: None,
                length: bytes.len() as u32,
            },
        );
        fault = fault.or_else(|| asdu.is_short().then_some(MISSING));
        if let (Some(name), Some(number)) = (name, asdu.count) {
            let digest = self.numbering.digest(asdu.data.unwrap_or_default());
            let mark = Mark { state: 0, number: number as u32, digest, told: told(id, out) };
            self.numbering.follow((from, name), mark, order, out);
        }
        fault
    }
}

/// See [`super::numbering::Rule`]: samples are counted, from 0 again at each second (or wherever
/// the publisher's count ends); after lost ones it is seen by the time that they took.
fn order(last: &Mark, mark: &Mark, pace: i64) -> Option<&'static str> {
    const TWO: &str = "one sample number comes with different values";
    const AGAIN: &str = "a sample number comes twice";
    const BACK: &str = "the sample number runs back";
    if mark.number == last.number {
        return Some(if mark.digest == last.digest { AGAIN } else { TWO });
    }
    let is_paused = pace == 0 || mark.since(last) >= pace.saturating_add(pace / 2);
    let is_sound = mark.number > last.number || mark.number == 0 || is_paused;
    (!is_sound).then_some(BACK)
}
