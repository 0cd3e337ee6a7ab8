//! The application side of one flow: what it speaks, who serves, and how much it says.

use smallvec::SmallVec;

use crate::net::{Address, Arrival, Receiver, Side, Vlan};
use crate::protocols::{Party, Probe, Protocol, Transport};
use crate::record::Socket;
use crate::scribe::{Place, Scribe};
use crate::speech::Speech;
use crate::table::{Carrier, Conversation, NONE};
use crate::trial::understands;
use crate::words::{ConnectionState, NoticeKind};

/// Bytes that are held of a flow while it is not yet known what it speaks.
const MAX_HEARD: usize = 4_096;

/// Turns that are held of it: how often the sides take them does not depend on how the bytes are
/// cut into segments.
const MAX_TURNS: usize = 16;

/// Segments of a turn that are held apart, each with its time; later ones are held as one.
const MAX_TURN_SEGMENTS: usize = 4;

/// Pieces that are held of it in all; datagrams are never held as one.
const MAX_PIECES: usize = MAX_TURNS * MAX_TURN_SEGMENTS;

/// Bytes of each side that are kept on a registered port where nothing is understood: where fewer
/// of a PDU came, more may follow.
const MAX_KEPT: usize = 259;

/// Bytes of them, and of what comes next, at which a PDU is looked for.
const MAX_LOOKED_AT: usize = 2 * MAX_KEPT;

/// How long it may stay unknown, in nanoseconds, what is spoken on a registered port.
const UNDECIDED: i64 = 1_000_000_000;

/// What a held segment costs beside its bytes.
const HEARD_COST: usize = 64;

/// How long it is waited for the other side to show what the flow speaks, in nanoseconds.
const MAX_WAIT: i64 = 5_000_000_000;

/// Changes of state that wait until the conversation has a name.
const MAX_HELD_STATES: usize = 4;

/// Frames and bytes of one side within the present second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Volume {
    /// Frames sent.
    pub frames: u32,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Largest payload that nothing decoded.
    pub largest: u32,
    /// First eight bytes of the first such payload.
    pub head: u64,
}

/// One end of a flow.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// Endpoint id.
    pub endpoint: u32,
    /// Its VLAN.
    pub vlan: Vlan,
    /// Its address, to tell groups.
    pub address: Address,
    /// Its port, 0 where there is none.
    pub port: u16,
    /// The TTL that it sent with last.
    pub ttl: Option<u8>,
    /// Its volume in the present second.
    pub volume: Volume,
}

impl End {
    const fn socket(&self) -> Socket {
        Socket { address: self.address, port: self.port }
    }
}

/// Bytes that are held until it is known what the flow speaks.
#[derive(Debug)]
struct Heard {
    side: Side,
    bytes: Vec<u8>,
    carried: u64,
    now: Arrival,
}

/// What is to be thought of a protocol for a fresh flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Claim,
    Wait,
    Drop,
}

enum Stage {
    /// Not yet known what it speaks.
    Fresh(Vec<Heard>),
    /// A decoder understands it.
    Spoken(Box<Speech>),
    /// Nothing understands it. On a registered port the last bytes of each side are kept: a PDU
    /// of the port's protocol may be cut anywhere.
    Opaque(Vec<Heard>),
}

/// The application side of one flow.
pub struct Talk {
    /// Both ends: the first one sent the first frame.
    pub ends: [End; 2],
    /// How it is carried.
    pub carrier: Carrier,
    /// The protocol whose `EtherType` its frames have.
    pub on_link: Option<&'static Protocol>,
    /// What it is called where nothing decodes it (`tcp`, `udp`, `icmp`, …).
    pub plain: Box<str>,
    /// Conversation id, or [`NONE`] while it is not decided.
    pub conversation: u32,
    /// Who accepted the connection, as far as the handshake tells.
    pub accepted: Option<Side>,
    /// Who serves, once the conversation has a name.
    pub server: Option<Side>,
    stage: Stage,
    /// Bytes that are held, as the room that all flows share has counted them.
    counted: usize,
    held: Vec<(ConnectionState, i64, u64)>,
    started: i64,
}

impl Talk {
    /// A flow whose first frame is at `now`.
    #[must_use]
    pub fn new(ends: [End; 2], carrier: Carrier, plain: &str, now: Arrival) -> Self {
        Self {
            ends,
            carrier,
            on_link: None,
            plain: Box::from(plain),
            conversation: NONE,
            accepted: None,
            server: None,
            stage: Stage::Fresh(Vec::new()),
            counted: 0,
            held: Vec::new(),
            started: now.time,
        }
    }

    /// One of the ends.
    #[must_use]
    pub const fn end(&self, side: Side) -> &End {
        side.of(&self.ends)
    }

    /// One of the ends, to change it.
    pub const fn end_mut(&mut self, side: Side) -> &mut End {
        side.of_mut(&mut self.ends)
    }

    /// The next bytes of `side`: the rest of a stream, or a datagram.
    pub fn hear(
        &mut self,
        side: Side,
        bytes: &[u8],
        carried: u64,
        scribe: &mut Scribe,
        now: Arrival,
    ) {
        match &mut self.stage {
            Stage::Spoken(speech) => speech.hear(side, bytes, carried, scribe, now),
            Stage::Opaque(_) => {
                self.weigh(side, bytes);
                self.reconsider(side, bytes, carried, scribe, now);
            }
            Stage::Fresh(heard) => {
                let piece = Heard { side, bytes: bytes.to_vec(), carried, now };
                hold(heard, piece, self.carrier == Carrier::Tcp);
                self.weigh(side, bytes);
                self.consider(scribe, now);
            }
        }
        self.count_held(scribe, now);
    }

    /// Bytes of `side` are missing before the next ones.
    pub fn gap(&mut self, side: Side, scribe: &mut Scribe, now: Arrival) {
        match &mut self.stage {
            Stage::Spoken(speech) => speech.gap(side, scribe, now),
            Stage::Fresh(heard) | Stage::Opaque(heard) => heard.clear(),
        }
        self.count_held(scribe, now);
        if self.conversation != NONE {
            let endpoint = self.end(side).endpoint;
            scribe.notice(NoticeKind::Gap, self.conversation, endpoint, "", None, now);
        }
    }

    /// The connection changed its state.
    pub fn state(&mut self, state: ConnectionState, scribe: &mut Scribe, now: Arrival) {
        match state {
            ConnectionState::Attempted => self.begin_again(scribe, now),
            ConnectionState::Refused | ConnectionState::Closed | ConnectionState::Reset => {
                self.name_by_port(scribe, now);
                self.end_speech(scribe, now);
            }
            ConnectionState::Open => {}
        }
        self.count_held(scribe, now);
        if self.conversation != NONE {
            scribe.connection(self.conversation, state, now.time, now.frame);
        } else if self.held.len() < MAX_HELD_STATES {
            self.held.push((state, now.time, now.frame));
        }
    }

    /// The flow is forgotten: nothing more is heard of it.
    pub fn end_of_flow(&mut self, scribe: &mut Scribe, now: Arrival) {
        self.name_by_port(scribe, now);
        self.end_speech(scribe, now);
        self.stage = Stage::Opaque(Vec::new());
        self.count_held(scribe, now);
        scribe.part(self.conversation, self.ends.map(|end| end.endpoint));
    }

    /// A second ended in which the flow was active: it must have a name by now.
    pub fn second_over(&mut self, scribe: &mut Scribe, now: Arrival) {
        if now.time.saturating_sub(self.started) >= UNDECIDED {
            self.name_by_port(scribe, now);
        }
    }

    /// Capture time moved on while the flow may wait for something.
    pub fn expire(&mut self, scribe: &mut Scribe, now: Arrival) {
        match &mut self.stage {
            Stage::Spoken(speech) => speech.expire(now.time, scribe, now),
            Stage::Fresh(heard) => {
                let since = heard.first().map_or(now.time, |one| one.now.time);
                let waited = now.time.saturating_sub(since);
                if waited >= UNDECIDED {
                    self.conclude(scribe, now);
                }
                if let (true, Stage::Fresh(heard)) = (waited >= MAX_WAIT, &mut self.stage) {
                    heard.clear();
                }
            }
            Stage::Opaque(_) => {}
        }
        self.count_held(scribe, now);
    }

    /// Tells the room that all flows share what this one holds; lets go of it where that is too
    /// much.
    #[inline]
    fn count_held(&mut self, scribe: &mut Scribe, now: Arrival) {
        let held = self.held();
        if held != self.counted && !scribe.room.change(self.counted, held) {
            self.let_go(scribe, now);
            scribe.room.change(held, self.held());
        }
        self.counted = self.held();
    }

    fn held(&self) -> usize {
        match &self.stage {
            Stage::Spoken(speech) => speech.held(),
            Stage::Fresh(heard) | Stage::Opaque(heard) => {
                heard.iter().map(|one| one.bytes.len() + HEARD_COST).sum()
            }
        }
    }

    #[cold]
    fn let_go(&mut self, scribe: &mut Scribe, now: Arrival) {
        scribe.complain("held bytes", self.end(Side::First).endpoint, now);
        match &mut self.stage {
            Stage::Spoken(speech) => {
                speech.flush(Side::First, scribe, now);
                speech.flush(Side::Second, scribe, now);
            }
            Stage::Fresh(heard) | Stage::Opaque(heard) => heard.clear(),
        }
    }

    /// Takes what was heard on a registered port, and may be a PDU of its protocol, for one:
    /// nothing else will come to tell.
    fn conclude(&mut self, scribe: &mut Scribe, now: Arrival) {
        let (Stage::Fresh(heard), Some(transport)) = (&self.stage, self.transport()) else {
            return;
        };
        let mut registered = self.registered(scribe).peekable();
        if heard.is_empty() || registered.peek().is_none() {
            return;
        }
        let heads = [head_of(heard, Side::First), head_of(heard, Side::Second)];
        let able: SmallVec<[_; 4]> = registered
            .map(|(protocol, _)| (protocol, probes(protocol, transport, &heads)))
            .filter(|(_, probes)| !probes.iter().copied().any(is_other))
            .collect();
        let likely = able.iter().find(|(_, probes)| probes.iter().copied().any(is_likely));
        if let Some((protocol, probes)) = likely.or(able.first()).copied() {
            self.claim(protocol, shown_server(probes), transport, scribe, now);
        }
    }

    /// Names the flow by its registered port, or plainly, if it has no name yet.
    fn name_by_port(&mut self, scribe: &mut Scribe, now: Arrival) {
        self.conclude(scribe, now);
        if self.conversation == NONE {
            let name = Box::<str>::from(self.name_of_port(scribe, now));
            self.name(&name, None, scribe, now);
        }
    }

    /// The name of the port's protocol: of several the one that was spoken between the two before.
    fn name_of_port(&self, scribe: &mut Scribe, now: Arrival) -> &str {
        let speaker = self.end(Side::First).endpoint;
        let mut names = self.registered(scribe).map(|(protocol, side)| (protocol.name, side));
        let first = names.next().map(|(name, _)| name);
        let Some((second, side)) = names.next() else { return first.unwrap_or(&self.plain) };
        first
            .into_iter()
            .chain([second])
            .chain(names.map(|(name, _)| name))
            .find(|name| {
                let protocol = scribe.protocol(name, self.carrier, speaker, now);
                scribe.knows(&self.key(side, protocol))
            })
            .or(first)
            .unwrap_or(&self.plain)
    }

    /// A connection begins anew on the same addresses and ports: who serves, and what is spoken,
    /// may be others than before.
    fn begin_again(&mut self, scribe: &mut Scribe, now: Arrival) {
        self.conclude(scribe, now);
        self.end_speech(scribe, now);
        self.stage = Stage::Fresh(Vec::new());
        (self.conversation, self.accepted, self.server) = (NONE, None, None);
        self.started = now.time;
    }

    fn end_speech(&mut self, scribe: &mut Scribe, now: Arrival) {
        if let Stage::Spoken(speech) = &mut self.stage {
            speech.flush(Side::First, scribe, now);
            speech.flush(Side::Second, scribe, now);
            speech.expire(i64::MAX, scribe, now);
        }
    }

    /// Counts a payload that nothing decodes.
    fn weigh(&mut self, side: Side, bytes: &[u8]) {
        let volume = &mut self.end_mut(side).volume;
        volume.largest = volume.largest.max(bytes.len() as u32);
        if volume.head == 0 {
            let mut head = [0; 8];
            for (to, from) in head.iter_mut().zip(bytes) {
                *to = *from;
            }
            volume.head = u64::from_be_bytes(head);
        }
    }

    /// Looks for the protocol of a fresh flow in what was heard of it so far.
    fn consider(&mut self, scribe: &mut Scribe, now: Arrival) {
        let Stage::Fresh(heard) = &self.stage else { return };
        let Some(transport) = self.transport() else {
            self.give_up(false, scribe, now);
            return;
        };
        let heads = [head_of(heard, Side::First), head_of(heard, Side::Second)];
        let (mut open, mut is_akin) = (false, false);
        for protocol in scribe.protocols {
            let is_registered =
                self.registered(scribe).any(|(one, _)| std::ptr::eq(one, *protocol));
            if transport == Transport::Link && !is_registered {
                continue; // An EtherType belongs to one protocol.
            }
            let probes = probes(protocol, transport, &heads);
            is_akin |= is_registered && probes.contains(&Some(Probe::Akin));
            match verdict(probes, is_registered) {
                Verdict::Claim => {
                    self.claim(protocol, shown_server(probes), transport, scribe, now);
                    return;
                }
                Verdict::Wait => open = true,
                Verdict::Drop => {}
            }
        }
        let full = turns_of(heard) > MAX_TURNS
            || heard.len() > MAX_PIECES
            || heard.iter().map(|one| one.bytes.len()).sum::<usize>() > MAX_HEARD;
        if (!open || full)
            && !self.look_inside(Side::First, scribe, now)
            && !self.look_inside(Side::Second, scribe, now)
        {
            self.give_up(is_akin, scribe, now);
        }
    }

    /// Nothing understands the flow; on a registered port that is worth a notice, unless it is
    /// akin to what is expected there.
    fn give_up(&mut self, is_akin: bool, scribe: &mut Scribe, now: Arrival) {
        let expected = self.registered(scribe).next();
        let mut kept = match &mut self.stage {
            Stage::Fresh(heard) if expected.is_some() => std::mem::take(heard),
            _ => Vec::new(),
        };
        for side in [Side::First, Side::Second] {
            let heard = head_of(&kept, side).len();
            forget_head(&mut kept, side, heard.saturating_sub(MAX_KEPT));
        }
        self.stage = Stage::Opaque(kept);
        let plain = self.plain.clone();
        self.name(&plain, None, scribe, now);
        if let Some((protocol, side)) = expected.filter(|_| !is_akin) {
            let speaker = self.end(side.other()).endpoint;
            let kind = NoticeKind::ForeignProtocol;
            scribe.notice(kind, self.conversation, speaker, protocol.name, None, now);
        }
    }

    /// On a registered port a flow may still turn to the port's protocol.
    fn reconsider(
        &mut self,
        side: Side,
        bytes: &[u8],
        carried: u64,
        scribe: &mut Scribe,
        now: Arrival,
    ) {
        let is_registered = self.registered(scribe).next().is_some();
        let is_stream = self.carrier == Carrier::Tcp;
        let Stage::Opaque(kept) = &mut self.stage else { return };
        if !is_registered {
            return;
        }
        kept.push(Heard { side, bytes: bytes.to_vec(), carried, now });
        if self.look_inside(side, scribe, now) {
            return;
        }
        let Stage::Opaque(kept) = &mut self.stage else { return };
        let said = if is_stream { head_of(kept, side).len() } else { 0 };
        forget_head(kept, side, said.saturating_sub(MAX_KEPT));
        if !is_stream {
            kept.clear();
        }
    }

    /// Looks for the protocol of a registered port in what one side said, wherever in its segments
    /// that begins; in a datagram it begins at the start. What begins amid bytes of another sort
    /// must be understood to the end: something that looks like a PDU is in most of them. Whether
    /// it was found.
    fn look_inside(&mut self, side: Side, scribe: &mut Scribe, now: Arrival) -> bool {
        let Some(transport) = self.transport() else { return false };
        let registered = self.registered(scribe);
        let (Stage::Fresh(heard) | Stage::Opaque(heard)) = &mut self.stage else { return false };
        let said = head_of(heard, side);
        let reach = match transport {
            Transport::Tcp => said.len().min(MAX_LOOKED_AT),
            Transport::Udp | Transport::Link => said.len().min(1),
        };
        let candidates: SmallVec<[&'static Protocol; 4]> =
            registered.map(|(protocol, _)| protocol).collect();
        let found = (0..reach).find_map(|offset| {
            let rest = said.get(offset..).unwrap_or_default();
            candidates.iter().find_map(|protocol| {
                let probe = (protocol.probe)(transport, rest);
                let is_it = matches!(probe, Probe::Yes(_))
                    && (offset == 0 || understands(protocol, transport, rest, now));
                is_it.then_some((offset, *protocol, probe))
            })
        });
        let Some((offset, protocol, probe)) = found else { return false };
        heard.retain(|one| one.side == side);
        forget_head(heard, side, offset);
        let probes = if side == Side::First { [Some(probe), None] } else { [None, Some(probe)] };
        self.stage = Stage::Fresh(std::mem::take(heard));
        self.claim(protocol, shown_server(probes), transport, scribe, now);
        true
    }

    /// The flow speaks `protocol`: everything heard so far is decoded.
    fn claim(
        &mut self,
        protocol: &'static Protocol,
        shown: Option<Side>,
        transport: Transport,
        scribe: &mut Scribe,
        now: Arrival,
    ) {
        let text = self.name(protocol.name, shown, scribe, now);
        let server = self.server.unwrap_or(Side::Second);
        let (client, server_end) = (self.end(server.other()), self.end(server));
        let route = scribe.recorder.as_ref().and_then(|recorder| {
            recorder.route(protocol, client.vlan, client.socket(), server_end.socket())
        });
        let place = Place {
            conversation: self.conversation,
            client: client.endpoint,
            server: server_end.endpoint,
            protocol: text,
            spoken: protocol,
            route,
        };
        let mut speech = Box::new(Speech::new(place, server, transport));
        for end in &mut self.ends {
            (end.volume.largest, end.volume.head) = (0, 0);
        }
        if let Stage::Fresh(heard) = &mut self.stage {
            for one in heard.drain(..) {
                speech.hear(one.side, &one.bytes, one.carried, scribe, one.now);
            }
        }
        self.stage = Stage::Spoken(speech);
    }

    /// Gives the flow its conversation and writes what waited for it; returns the name's text id.
    fn name(&mut self, name: &str, shown: Option<Side>, scribe: &mut Scribe, now: Arrival) -> u32 {
        let speaker = self.end(Side::First).endpoint;
        let protocol = scribe.protocol(name, self.carrier, speaker, now);
        let server = self.serving(shown, protocol, scribe);
        self.server = Some(server);
        self.conversation = scribe.conversation(&self.key(server, protocol), now);
        for (state, time, frame) in self.held.drain(..) {
            scribe.connection(self.conversation, state, time, frame);
        }
        protocol
    }

    /// The side that serves: who accepted, what the protocol shows, a group, what was had
    /// before, the registered port, the lower port.
    fn serving(&self, shown: Option<Side>, protocol: u32, scribe: &Scribe) -> Side {
        if let Some(side) = self.accepted.or(shown).or(self.server) {
            return side;
        }
        let sides = [Side::Second, Side::First];
        let group = sides.into_iter().find(|side| is_group(&self.end(*side).address));
        let before = || sides.into_iter().find(|side| scribe.knows(&self.key(*side, protocol)));
        let port = || self.registered(scribe).next().map(|(_, side)| side);
        let lower = || {
            let lower = self.end(Side::First).port < self.end(Side::Second).port;
            if lower { Side::First } else { Side::Second }
        };
        group.or_else(before).or_else(port).unwrap_or_else(lower)
    }

    fn key(&self, server: Side, protocol: u32) -> Conversation {
        Conversation {
            client: self.end(server.other()).endpoint,
            server: self.end(server).endpoint,
            protocol,
            carrier: self.carrier,
            port: self.end(server).port,
        }
    }

    /// The protocols that are registered for the server's port, and that side.
    fn registered(
        &self,
        scribe: &Scribe,
    ) -> impl Iterator<Item = (&'static Protocol, Side)> + use<> {
        let known = self.accepted.or(self.server);
        let sides = known.map_or([Side::Second, Side::First], |server| [server, server]);
        let (protocols, carrier, on_link) = (scribe.protocols, self.carrier, self.on_link);
        let owns = move |protocol: &Protocol, port| match carrier {
            Carrier::Tcp => protocol.tcp_ports.contains(&port),
            Carrier::Udp => protocol.udp_ports.contains(&port),
            Carrier::Link => on_link.is_some_and(|one| std::ptr::eq(one, protocol)),
            Carrier::Network => false,
        };
        let ports = sides.map(|side| (side, self.end(side).port));
        let owner = |(_, port): &&(Side, u16)| protocols.iter().any(|one| owns(one, *port));
        let (side, port) = ports.iter().find(owner).copied().unwrap_or((Side::Second, 0));
        protocols
            .iter()
            .copied()
            .filter(move |protocol| owns(protocol, port))
            .map(move |protocol| (protocol, side))
    }

    fn transport(&self) -> Option<Transport> {
        match self.carrier {
            Carrier::Tcp => Some(Transport::Tcp),
            Carrier::Udp => Some(Transport::Udp),
            Carrier::Link => self.on_link.map(|_| Transport::Link),
            Carrier::Network => None,
        }
    }
}

/// Whether a flow speaks a protocol, by what the probe says of each side that was heard. One valid
/// PDU claims a registered port; elsewhere both sides must have spoken the protocol.
fn verdict(probes: [Option<Probe>; 2], is_registered: bool) -> Verdict {
    let yes = probes.iter().filter(|one| matches!(one, Some(Probe::Yes(_)))).count();
    if yes == 2 || (yes == 1 && is_registered) {
        Verdict::Claim
    } else if probes.iter().copied().any(is_other) {
        Verdict::Drop
    } else {
        Verdict::Wait
    }
}

/// What a protocol's probe says of each side that was heard.
fn probes(protocol: &Protocol, transport: Transport, heads: &[Vec<u8>; 2]) -> [Option<Probe>; 2] {
    heads.each_ref().map(|head| (!head.is_empty()).then(|| (protocol.probe)(transport, head)))
}

const fn is_other(probe: Option<Probe>) -> bool {
    matches!(probe, Some(Probe::No | Probe::Akin))
}

const fn is_likely(probe: Option<Probe>) -> bool {
    matches!(probe, Some(Probe::Yes(_) | Probe::Likely(_)))
}

/// The side that serves, where a probe can tell.
fn shown_server(probes: [Option<Probe>; 2]) -> Option<Side> {
    let [first, second] = probes;
    let told = |probe: Option<Probe>, side: Side| match probe {
        Some(Probe::Yes(Some(Party::Server)) | Probe::Likely(Some(Party::Server))) => Some(side),
        Some(Probe::Yes(Some(Party::Client)) | Probe::Likely(Some(Party::Client))) => {
            Some(side.other())
        }
        _ => None,
    };
    told(first, Side::First).or_else(|| told(second, Side::Second))
}

/// Holds bytes of a fresh flow; of a stream at most [`MAX_TURN_SEGMENTS`] pieces a turn.
fn hold(heard: &mut Vec<Heard>, piece: Heard, is_stream: bool) {
    let pieces = heard.iter().rev().take_while(|one| one.side == piece.side).count();
    match heard.last_mut().filter(|_| is_stream && pieces >= MAX_TURN_SEGMENTS) {
        Some(last) => {
            last.bytes.extend(piece.bytes);
            last.now = piece.now;
        }
        None => heard.push(piece),
    }
}

/// Forgets the first `count` bytes of one side.
fn forget_head(kept: &mut Vec<Heard>, side: Side, mut count: usize) {
    for one in kept.iter_mut().filter(|one| one.side == side) {
        let gone = count.min(one.bytes.len());
        if gone > 0 {
            one.bytes = one.bytes.split_off(gone);
        }
        count -= gone;
    }
    kept.retain(|one| !one.bytes.is_empty());
}

fn turns_of(heard: &[Heard]) -> usize {
    heard.chunk_by(|one, next| one.side == next.side).count()
}

fn head_of(heard: &[Heard], side: Side) -> Vec<u8> {
    crate::meter::work(heard.iter().map(|one| one.bytes.len()).sum());
    heard.iter().filter(|one| one.side == side).flat_map(|one| one.bytes.iter().copied()).collect()
}

/// Whether an address is of a group (multicast or broadcast).
#[must_use]
pub fn is_group(address: &Address) -> bool {
    match address {
        Address::V4(octets) => {
            let ip = std::net::Ipv4Addr::from(*octets);
            ip.is_multicast() || ip.is_broadcast() || octets.ends_with(&[255])
        }
        Address::V6(octets) => std::net::Ipv6Addr::from(*octets).is_multicast(),
        Address::Mac([first, ..]) => first & 1 == 1,
    }
}

/// Hears what the TCP layer yields and passes it on to the talk of the same flow.
pub struct Listener<'a> {
    /// The flow.
    pub talk: &'a mut Talk,
    /// Where rows go.
    pub scribe: &'a mut Scribe,
    /// The frame in which the present packet began: of fragments, the first.
    pub carried: u64,
}

impl Receiver for Listener<'_> {
    fn data(&mut self, side: Side, bytes: &[u8], carried: u64, now: Arrival) {
        let carried = if carried == now.frame { self.carried } else { carried };
        self.talk.hear(side, bytes, carried, self.scribe, now);
    }

    fn gap(&mut self, side: Side, _lost: u64, now: Arrival) {
        self.talk.gap(side, self.scribe, now);
    }

    fn state(&mut self, state: ConnectionState, now: Arrival) {
        self.talk.state(state, self.scribe, now);
    }

    fn notice(&mut self, kind: NoticeKind, side: Side, detail: &'static str, now: Arrival) {
        let endpoint = self.talk.end(side).endpoint;
        self.scribe.notice(kind, self.talk.conversation, endpoint, detail, None, now);
    }
}
