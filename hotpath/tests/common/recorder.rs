//! Drives a decoder as an engine would, holds it to its contract, and records what it emits. The
//! tests of each protocol take this in as a module of theirs.

use hotpath::net::Arrival;
use hotpath::protocols::{Decoder, Emit, Message, Party, Protocol, Step, Told, Transport};
use hotpath::words::{Access, Activity, NoticeKind, Role, ValueKind};

/// An object: type, address, count, access, status.
pub type Touched = (&'static str, u64, u32, Access, u16);
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
    /// The names of the objects, where they have one.
    pub names: Vec<Option<String>>,
    pub values: Vec<Carried>,
    /// The texts of the values, where they have one.
    pub texts: Vec<Option<String>>,
    /// Quality and source time of each value.
    pub marks: Vec<(u32, i64)>,
    pub reply_to: Option<u64>,
    pub length: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Noticed {
    pub from: Party,
    pub kind: NoticeKind,
    pub detail: String,
    pub of: Option<Told>,
}

#[derive(Debug)]
pub struct Recorder {
    protocol: &'static Protocol,
    pub said: Vec<Said>,
    pub noticed: Vec<Noticed>,
    pub facts: Vec<(Party, &'static str, String)>,
    pub time: i64,
    pub frame: u64,
}

impl Emit for Recorder {
    fn message(&mut self, from: Party, message: &Message<'_>) -> u64 {
        assert!(message.objects.iter().all(|object| object.count > 0), "{message:?}");
        for value in message.values {
            let object = &message.objects[usize::from(value.object)];
            assert!(value.offset < object.count, "a value beyond its object: {message:?}");
        }
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.said.push(Said {
            from,
            role: message.role,
            activity: message.activity,
            function: message.function,
            subfunction: message.subfunction,
            unit: message.unit,
            status: message.status,
            objects: message
                .objects
                .iter()
                .map(|object| {
                    let kind = self.protocol.objects[usize::from(object.kind)].name;
                    (kind, object.address, object.count, object.access, object.status)
                })
                .collect(),
            values: message
                .values
                .iter()
                .map(|value| (value.object, value.offset, value.kind, value.raw))
                .collect(),
            marks: message.values.iter().map(|it| (it.quality, it.source_time)).collect(),
            names: message.objects.iter().map(|object| owned(object.name)).collect(),
            texts: message.values.iter().map(|value| owned(value.text)).collect(),
            reply_to: message.reply_to.map(|told| told.id),
            length: message.length,
        });
        self.said.len() as u64
    }

    fn notice(&mut self, from: Party, kind: NoticeKind, detail: &str, of: Option<Told>) {
        self.noticed.push(Noticed { from, kind, detail: detail.to_owned(), of });
    }

    fn fact(&mut self, about: Party, key: &'static str, value: &str) {
        self.facts.push((about, key, value.to_owned()));
    }

    fn now(&self) -> Arrival {
        Arrival { frame: self.frame, time: self.time }
    }
}

/// One flow: the decoder, what came of it, and the bytes that still wait.
pub struct Flow {
    decoder: Box<dyn Decoder>,
    pub out: Recorder,
    waiting: [(Vec<u8>, usize); 2],
    /// More bytes than this are too much to wait for.
    pub most: usize,
}

impl Flow {
    pub fn of(protocol: &'static Protocol, transport: Transport) -> Self {
        Self {
            decoder: (protocol.decoder)(transport),
            out: Recorder {
                protocol,
                said: Vec::new(),
                noticed: Vec::new(),
                facts: Vec::new(),
                time: 0,
                frame: 0,
            },
            waiting: [(Vec::new(), 0), (Vec::new(), 0)],
            most: 1100,
        }
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
                    assert!(more <= self.most, "waits for too much: {more}");
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

    /// A datagram.
    pub fn datagram(&mut self, from: Party, bytes: &[u8]) -> &mut Self {
        self.feed(from, bytes);
        self.flush(from)
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

    pub fn at(&mut self, time: i64) -> &mut Self {
        self.out.time = time;
        self
    }

    pub fn expire(&mut self, now: i64) -> &mut Self {
        self.decoder.expire(now, &mut self.out);
        self
    }

    pub fn kinds(&self) -> Vec<NoticeKind> {
        self.out.noticed.iter().map(|notice| notice.kind).collect()
    }

    pub fn functions(&self) -> Vec<u32> {
        self.out.said.iter().map(|said| said.function).collect()
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
