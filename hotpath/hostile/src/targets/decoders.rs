use hotpath::net::Arrival;
use hotpath::protocols::{Decoder, Emit, Message, Party, Protocol, Step, Told, Transport};
use hotpath::protocols::{dnp3, iec104, iec61850, s7comm, s7plus};
use hotpath::words::NoticeKind;

/// The longest that any decoder may wait for: what the engine holds of one side before it gives it
/// up, and the packet that goes beyond.
const LONGEST: usize = 2 * 65_536;
/// The longest that Modbus may wait for: an ADU, and what tells garbage from one.
const LONGEST_MODBUS: usize = 1_100;

/// See [`decoder`]; what it waits for is short.
pub fn modbus(bytes: &[u8]) {
    decoder(&hotpath::protocols::modbus::PROTOCOL, LONGEST_MODBUS, bytes);
}

/// See [`decoder`].
pub fn dnp3(bytes: &[u8]) {
    decoder(&dnp3::PROTOCOL, LONGEST, bytes);
}

/// See [`decoder`].
pub fn iec104(bytes: &[u8]) {
    decoder(&iec104::PROTOCOL, LONGEST, bytes);
}

/// See [`decoder`].
pub fn goose(bytes: &[u8]) {
    decoder(&iec61850::goose::PROTOCOL, LONGEST, bytes);
}

/// See [`decoder`].
pub fn sv(bytes: &[u8]) {
    decoder(&iec61850::sv::PROTOCOL, LONGEST, bytes);
}

/// See [`decoder`].
pub fn s7comm(bytes: &[u8]) {
    decoder(&s7comm::PROTOCOL, LONGEST, bytes);
}

/// See [`decoder`].
pub fn s7plus(bytes: &[u8]) {
    decoder(&s7plus::PROTOCOL, LONGEST, bytes);
}

/// A conversation: each turn has a head of two bytes (what, length). The first byte of all says
/// by which transport. The decoder moves on and asks for more than it has. What one party says by
/// itself is the same wherever its segments end; of two, each may tell the framing to the other.
fn decoder(protocol: &'static Protocol, longest: usize, bytes: &[u8]) {
    let Some((first, script)) = bytes.split_first() else { return };
    let transport = match (protocol.link.is_some(), first & 1 == 0 || protocol.udp_ports.is_empty())
    {
        (true, _) => Transport::Link,
        (_, true) => Transport::Tcp,
        (_, false) => Transport::Udp,
    };
    let play =
        |stride, speakers: &[Party]| play(protocol, transport, longest, script, stride, speakers);
    play(usize::MAX, &[Party::Client, Party::Server]);
    (protocol.probe)(transport, script);
    if transport == Transport::Tcp {
        for party in [Party::Client, Party::Server] {
            let whole = play(usize::MAX, &[party]);
            let split = play(1 + usize::from(first >> 4), &[party]);
            assert_eq!(whole.said, split.said, "where segments end changes what is said");
        }
    }
}

/// What is said if only these `speakers` are heard, in segments of at most `stride` bytes.
fn play(
    protocol: &'static Protocol,
    transport: Transport,
    longest: usize,
    mut script: &[u8],
    stride: usize,
    speakers: &[Party],
) -> Heard {
    let mut flow = Flow::new(protocol, transport, longest);
    while let [what, length, rest @ ..] = script {
        let (piece, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        let from = if what & 1 == 0 { Party::Client } else { Party::Server };
        script = rest;
        if !speakers.contains(&from) {
            continue;
        }
        match what >> 1 & 7 {
            0 => flow.gap(from),
            1 => flow.flush(from),
            2 => flow.expire(i64::from(*length)),
            _ => piece.chunks(stride).for_each(|part| flow.feed(from, part)),
        }
        if transport != Transport::Tcp {
            flow.flush(from);
        }
    }
    flow.flush(Party::Client);
    flow.flush(Party::Server);
    flow.decoder.expire(i64::MAX, &mut flow.out);
    flow.out
}

struct Flow {
    decoder: Box<dyn Decoder>,
    longest: usize,
    out: Heard,
    waiting: [(Vec<u8>, usize); 2],
}

impl Flow {
    fn new(protocol: &'static Protocol, transport: Transport, longest: usize) -> Self {
        let waiting = [(Vec::new(), 0), (Vec::new(), 0)];
        Self { decoder: (protocol.decoder)(transport), longest, out: Heard::default(), waiting }
    }

    fn feed(&mut self, from: Party, bytes: &[u8]) {
        let (buffer, needed) = &mut self.waiting[from as usize];
        buffer.extend_from_slice(bytes);
        while !buffer.is_empty() && buffer.len() >= *needed {
            match self.decoder.step(from, buffer, &mut self.out) {
                Step::More(more) => {
                    assert!(more > buffer.len(), "asks for what it has");
                    assert!(more <= self.longest, "waits for too much: {more}");
                    *needed = more;
                }
                step => {
                    *needed = 0;
                    let taken = taken(step, buffer.len());
                    buffer.drain(..taken);
                }
            }
        }
    }

    fn flush(&mut self, from: Party) {
        let (buffer, needed) = &mut self.waiting[from as usize];
        *needed = 0;
        while !buffer.is_empty() {
            let step = self.decoder.flush(from, buffer, &mut self.out);
            let taken = taken(step, buffer.len());
            buffer.drain(..taken);
        }
    }

    fn gap(&mut self, from: Party) {
        self.flush(from);
        self.decoder.gap(from);
    }

    fn expire(&mut self, seconds: i64) {
        self.out.time = self.out.time.saturating_add(seconds * 1_000_000_000);
        self.decoder.expire(self.out.time, &mut self.out);
    }
}

fn taken(step: Step, available: usize) -> usize {
    let taken = match step {
        Step::Done(taken) => taken,
        Step::Malformed { skip, detail, .. } => {
            assert!(!detail.is_empty());
            skip
        }
        Step::More(_) => 0,
    };
    assert!((1..=available).contains(&taken), "took {taken} of {available}");
    taken
}

/// What a decoder said.
#[derive(Debug, Default)]
struct Heard {
    said: Vec<String>,
    time: i64,
}

impl Emit for Heard {
    fn message(&mut self, from: Party, message: &Message<'_>) -> u64 {
        assert!(message.objects.iter().all(|object| object.count > 0));
        for value in message.values {
            let object = &message.objects[usize::from(value.object)];
            assert!(value.offset < object.count, "a value beyond its object");
        }
        let reply = message.reply_to.map(|told| told.id);
        assert!(reply.is_none_or(|id| (1..=self.said.len() as u64).contains(&id)));
        let Message { role, function, subfunction, unit, status, length, .. } = message;
        let what = (from, role, function, subfunction, unit, status, length, reply);
        self.said.push(format!("{what:?} {:?} {:?}", message.objects, message.values));
        self.said.len() as u64
    }

    fn notice(&mut self, _: Party, _: NoticeKind, detail: &str, _: Option<Told>) {
        assert!(detail.len() <= 256);
    }

    fn fact(&mut self, _: Party, key: &'static str, _: &str) {
        assert!(!key.is_empty());
    }

    fn now(&self) -> Arrival {
        Arrival { frame: 1, time: self.time }
    }
}
