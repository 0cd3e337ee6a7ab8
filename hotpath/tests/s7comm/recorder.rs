//! Drives the decoders as an engine would, holds them to their contract, and records what they
//! emit.

use hotpath::net::Arrival;
use hotpath::protocols::{Decoder, Emit, Message, Party, Protocol, Step, Told, Transport};
use hotpath::protocols::{s7comm, s7plus};
use hotpath::words::{Access, Activity, NoticeKind, Role, ValueKind};

/// An object: type, address or name, count, access, status.
pub type Touched = (&'static str, String, u32, Access, u16);
/// A value: place of its object, offset, kind, bits.
pub type Carried = (u16, u32, ValueKind, u64);

#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub from: Party,
    pub role: Role,
    pub activity: Activity,
    pub function: u32,
    pub subfunction: u32,
    pub unit: u32,
    pub status: u16,
    pub objects: Vec<Touched>,
    pub values: Vec<Carried>,
    pub reply_to: Option<u64>,
    pub length: u32,
}

#[derive(Debug)]
pub struct Recorder {
    spoken: &'static Protocol,
    pub said: Vec<Said>,
    pub noticed: Vec<(Party, NoticeKind, String)>,
    pub facts: Vec<(&'static str, String)>,
    pub time: i64,
    frame: u64,
}

impl Emit for Recorder {
    fn message(&mut self, from: Party, message: &Message<'_>) -> u64 {
        assert!(message.objects.iter().all(|object| object.count > 0), "{message:?}");
        for value in message.values {
            let object = &message.objects[usize::from(value.object)];
            assert!(value.offset < object.count, "a value beyond its object: {message:?}");
        }
        let objects = message.objects.iter().map(|object| {
            let kind = self.spoken.objects[usize::from(object.kind)].name;
            let place = object.name.map_or_else(|| address(object.address), str::to_owned);
            (kind, place, object.count, object.access, object.status)
        });
        self.said.push(Said {
            from,
            role: message.role,
            activity: message.activity,
            function: message.function,
            subfunction: message.subfunction,
            unit: message.unit,
            status: message.status,
            objects: objects.collect(),
            values: message
                .values
                .iter()
                .map(|value| (value.object, value.offset, value.kind, value.raw))
                .collect(),
            reply_to: message.reply_to.map(|told| told.id),
            length: message.length,
        });
        self.said.len() as u64
    }

    fn notice(&mut self, from: Party, kind: NoticeKind, detail: &str, _: Option<Told>) {
        self.noticed.push((from, kind, detail.to_owned()));
    }

    fn fact(&mut self, _: Party, key: &'static str, value: &str) {
        self.facts.push((key, value.to_owned()));
    }

    fn now(&self) -> Arrival {
        Arrival { frame: self.frame, time: self.time }
    }
}

/// An address with its upper half in front: "1:10" is byte 10 of data block 1.
fn address(address: u64) -> String {
    match address >> 32 {
        0 => address.to_string(),
        high => format!("{high}:{}", address & 0xFFFF_FFFF),
    }
}

/// One flow: the decoder, what came of it, and the bytes that still wait.
pub struct Flow {
    decoder: Box<dyn Decoder>,
    pub out: Recorder,
    waiting: [(Vec<u8>, usize); 2],
}

impl Flow {
    pub fn new(spoken: &'static Protocol) -> Self {
        Self {
            decoder: (spoken.decoder)(Transport::Tcp),
            out: Recorder {
                spoken,
                said: Vec::new(),
                noticed: Vec::new(),
                facts: Vec::new(),
                time: 0,
                frame: 0,
            },
            waiting: [(Vec::new(), 0), (Vec::new(), 0)],
        }
    }

    pub fn s7() -> Self {
        Self::new(&s7comm::PROTOCOL)
    }

    pub fn plus() -> Self {
        Self::new(&s7plus::PROTOCOL)
    }

    /// The next segment of a stream.
    pub fn feed(&mut self, from: Party, bytes: &[u8]) -> &mut Self {
        self.out.frame += 1;
        let (buffer, needed) = &mut self.waiting[from as usize];
        buffer.extend_from_slice(bytes);
        while !buffer.is_empty() && buffer.len() >= *needed {
            match self.decoder.step(from, buffer, &mut self.out) {
                Step::More(more) => {
                    assert!(more > buffer.len(), "asks for what it has: {more}");
                    *needed = more;
                }
                consumed => {
                    *needed = 0;
                    let skip = taken(&mut self.out, from, consumed, buffer.len());
                    buffer.drain(..skip);
                }
            }
        }
        self
    }

    /// What waits of `from` will never be completed.
    pub fn flush(&mut self, from: Party) -> &mut Self {
        let (buffer, needed) = &mut self.waiting[from as usize];
        *needed = 0;
        while !buffer.is_empty() {
            let step = self.decoder.flush(from, buffer, &mut self.out);
            assert!(!matches!(step, Step::More(_)), "flush must decide");
            let skip = taken(&mut self.out, from, step, buffer.len());
            buffer.drain(..skip);
        }
        self
    }

    pub fn gap(&mut self, from: Party) -> &mut Self {
        self.flush(from);
        self.decoder.gap(from);
        self
    }

    pub fn expire(&mut self, now: i64) -> &mut Self {
        self.decoder.expire(now, &mut self.out);
        self
    }

    pub fn kinds(&self) -> Vec<NoticeKind> {
        self.out.noticed.iter().map(|(_, kind, _)| *kind).collect()
    }

    pub fn functions(&self) -> Vec<u32> {
        self.out.said.iter().map(|said| said.function).collect()
    }

    pub fn last(&self) -> &Said {
        self.out.said.last().expect("something was said")
    }
}

fn taken(out: &mut Recorder, from: Party, step: Step, available: usize) -> usize {
    let skip = match step {
        Step::Done(taken) => taken,
        Step::Malformed { skip, notice, detail } => {
            out.notice(from, notice, detail, None);
            skip
        }
        Step::More(_) => 0,
    };
    assert!(skip >= 1 && skip <= available, "took {skip} of {available}");
    skip
}

/// A packet around a TPDU.
pub fn tpkt(tpdu: &[u8]) -> Vec<u8> {
    let [high, low] = (tpdu.len() as u16 + 4).to_be_bytes();
    [&[3, 0, high, low], tpdu].concat()
}

/// A data TPDU that ends its TSDU, or does not.
pub fn part(bytes: &[u8], is_last: bool) -> Vec<u8> {
    tpkt(&[&[2, 0xF0, if is_last { 0x80 } else { 0 }], bytes].concat())
}

/// A TSDU in one packet.
pub fn tsdu(bytes: &[u8]) -> Vec<u8> {
    part(bytes, true)
}

/// A connection request (0xE0) or confirmation (0xD0) with both TSAPs.
pub fn connection(code: u8, calling: &[u8], called: &[u8]) -> Vec<u8> {
    let ends =
        [&[0xC0, 1, 10, 0xC1, calling.len() as u8], calling, &[0xC2, called.len() as u8], called]
            .concat();
    let header = [&[6 + ends.len() as u8, code, 0, 0, 0, 1, 0], &ends[..]].concat();
    tpkt(&header)
}

fn pdu(kind: u8, reference: u16, error: &[u8], parameters: &[u8], data: &[u8]) -> Vec<u8> {
    let reference = reference.to_be_bytes();
    let lengths = [parameters.len() as u16, data.len() as u16].map(u16::to_be_bytes).concat();
    let head = [&[0x32, kind, 0, 0], &reference[..], &lengths, error].concat();
    tsdu(&[&head, parameters, data].concat())
}

/// A job.
pub fn job(reference: u16, parameters: &[u8], data: &[u8]) -> Vec<u8> {
    pdu(1, reference, &[], parameters, data)
}

/// Its answer without an error.
pub fn answer(reference: u16, parameters: &[u8], data: &[u8]) -> Vec<u8> {
    pdu(3, reference, &[0, 0], parameters, data)
}

/// Its refusal.
pub fn refusal(reference: u16, error: [u8; 2]) -> Vec<u8> {
    pdu(2, reference, &error, &[], &[])
}

/// Userdata: type and group, sub-function, sequence; a request has the short parameters.
pub fn userdata(reference: u16, what: u8, subfunction: u8, sequence: u8, data: &[u8]) -> Vec<u8> {
    let is_request = what >> 4 == 4;
    let head = [0, 1, 0x12, if is_request { 4 } else { 8 }, if is_request { 0x11 } else { 0x12 }];
    let tail: &[u8] = if is_request { &[] } else { &[0; 4] };
    let parameters = [&head, &[what, subfunction, sequence][..], tail].concat();
    let length = (data.len() as u16).to_be_bytes();
    let data = [&[0xFF, 9], &length[..], data].concat();
    pdu(7, reference, &[], &parameters, &data)
}
