//! Drives a decoder as an engine would, holds it to its contract, and records what it emits.

use hotpath::net::Arrival;
use hotpath::protocols::{Decoder, Emit, Message, Party, Protocol, Step, Told, Transport};
use hotpath::words::{Access, Activity, NoticeKind, Role, ValueKind};

/// A value: object type, place, kind, bits, text, quality.
pub type Carried = (&'static str, u64, ValueKind, u64, String, u32);

#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub role: Role,
    pub activity: Activity,
    pub function: u32,
    pub subfunction: u32,
    pub objects: Vec<(&'static str, u64, u32, String)>,
    pub values: Vec<Carried>,
    pub source_time: i64,
    pub length: u32,
}

impl Said {
    /// The bits of the values of one object.
    pub fn numbers(&self, kind: &str) -> Vec<u64> {
        self.values.iter().filter(|value| value.0 == kind).map(|value| value.3).collect()
    }
}

pub struct Recorder {
    protocol: &'static Protocol,
    pub said: Vec<Said>,
    pub noticed: Vec<(NoticeKind, String)>,
    pub facts: Vec<(&'static str, String)>,
    pub time: i64,
    earlier: Option<Told>,
}

impl Emit for Recorder {
    fn message(&mut self, from: Party, message: &Message<'_>) -> u64 {
        assert_eq!(from, Party::Client);
        assert_eq!((message.unit, message.status, message.reply_to), (0, 0, None));
        let kind = |place: u16| self.protocol.objects[usize::from(place)].name;
        let values = message.values.iter().map(|value| {
            let object = &message.objects[usize::from(value.object)];
            assert!(value.offset < object.count, "a value beyond its object: {message:?}");
            let place = object.address + u64::from(value.offset);
            let text = value.text.unwrap_or_default().to_owned();
            (kind(object.kind), place, value.kind, value.raw, text, value.quality)
        });
        let values = values.collect();
        let objects = message.objects.iter().map(|object| {
            assert!(object.count > 0 && object.access == Access::Report, "{message:?}");
            let name = object.name.unwrap_or_default().to_owned();
            (kind(object.kind), object.address, object.count, name)
        });
        self.said.push(Said {
            role: message.role,
            activity: message.activity,
            function: message.function,
            subfunction: message.subfunction,
            objects: objects.collect(),
            values,
            source_time: message.values.iter().next().map_or(0, |value| value.source_time),
            length: message.length,
        });
        self.said.len() as u64
    }

    /// What does not follow from an earlier message is told of both, and kept once here.
    fn notice(&mut self, _: Party, kind: NoticeKind, detail: &str, of: Option<Told>) {
        assert_eq!(of.is_some(), kind == NoticeKind::OutOfSequence);
        let Some(told) = of else {
            self.noticed.push((kind, detail.to_owned()));
            return;
        };
        match self.earlier.take() {
            None => self.earlier = Some(told),
            Some(earlier) => {
                assert!(earlier.id < told.id && earlier.time <= told.time);
                assert_eq!((told.id, told.time), (self.said.len() as u64, self.time));
                self.noticed.push((kind, detail.to_owned()));
            }
        }
    }

    fn fact(&mut self, about: Party, key: &'static str, value: &str) {
        assert_eq!(about, Party::Client);
        self.facts.push((key, value.to_owned()));
    }

    fn now(&self) -> Arrival {
        Arrival { frame: 1, time: self.time }
    }
}

/// One publisher's flow.
pub struct Flow {
    decoder: Box<dyn Decoder>,
    pub out: Recorder,
}

impl Flow {
    pub fn new(protocol: &'static Protocol) -> Self {
        let (said, noticed, facts) = (Vec::new(), Vec::new(), Vec::new());
        let out = Recorder { protocol, said, noticed, facts, time: 1_000_000_000, earlier: None };
        Self { decoder: (protocol.decoder)(Transport::Link), out }
    }

    /// The next frame, so many microseconds later.
    pub fn frame(&mut self, after: i64, bytes: &[u8]) -> &mut Self {
        self.out.time += after * 1_000;
        match self.decoder.step(Party::Client, bytes, &mut self.out) {
            Step::Done(used) => assert_eq!(used, bytes.len()),
            Step::Malformed { skip, notice, detail } => {
                assert_eq!(skip, bytes.len());
                self.out.noticed.push((notice, detail.to_owned()));
            }
            Step::More(_) => panic!("a frame is whole"),
        }
        self
    }

    pub fn gap(&mut self) -> &mut Self {
        self.decoder.gap(Party::Client);
        self
    }

    /// What was noticed since the last call.
    pub fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out.noticed).into_iter().map(|(_, detail)| detail).collect()
    }
}
