//! Drives a decoder over the bytes of one flow, side by side, in stream order.

use crate::meter;
use crate::net::{Arrival, Side};
use crate::protocols::{Decoder, Emit, Message, Party, Step, Told, Transport};
use crate::scribe::{Place, Scribe};
use crate::words::NoticeKind;

/// Bytes of one side that may wait for the rest of their PDU.
const MAX_PENDING: usize = 65_536;

/// Bytes of room that an idle side may keep.
const MAX_SPARE: usize = 2_048;

/// Bytes of one side that wait for the rest of their PDU.
#[derive(Debug, Default)]
struct Feed {
    pending: Vec<u8>,
    /// Which frame carried the pending bytes up to an offset.
    carried: Vec<(usize, u64)>,
    /// How many bytes the decoder asked for.
    needed: usize,
    /// Whether the last bytes were no PDU: garbage is noticed once, however it is cut.
    is_garbled: bool,
}

impl Feed {
    fn hold(&mut self, bytes: &[u8], frame: u64) {
        self.pending.extend_from_slice(bytes);
        self.carried.push((self.pending.len(), frame));
    }

    fn held(&self) -> usize {
        self.pending.len() + self.carried.len() * size_of::<(usize, u64)>()
    }

    fn drop_head(&mut self, count: usize) {
        meter::work(self.carried.len());
        self.pending.drain(..count.min(self.pending.len()));
        self.carried.retain(|(end, _)| *end > count);
        for (end, _) in &mut self.carried {
            *end -= count;
        }
        if self.pending.is_empty() && self.pending.capacity() > MAX_SPARE {
            (self.pending, self.carried) = (Vec::new(), Vec::new());
        }
    }
}

/// Which frame carried the byte at `offset`.
fn frame_at(carried: &[(usize, u64)], offset: usize) -> Option<u64> {
    let mut carried = carried.iter().inspect(|_| meter::work(1));
    carried.find(|(end, _)| offset < *end).map(|(_, frame)| *frame)
}

/// A flow whose protocol is known.
pub struct Speech {
    place: Place,
    server: Side,
    datagrams: bool,
    decoder: Box<dyn Decoder>,
    feeds: [Feed; 2],
}

impl Speech {
    /// A flow that speaks `place.spoken`, with `server` serving.
    #[must_use]
    pub fn new(place: Place, server: Side, transport: Transport) -> Self {
        Self {
            server,
            datagrams: transport != Transport::Tcp,
            decoder: (place.spoken.decoder)(transport),
            place,
            feeds: [Feed::default(), Feed::default()],
        }
    }

    /// The next bytes of `side`, carried by frame `carried`.
    pub fn hear(
        &mut self,
        side: Side,
        bytes: &[u8],
        carried: u64,
        scribe: &mut Scribe,
        now: Arrival,
    ) {
        if self.is_idle(side) {
            let used = self.decode(side, bytes, &|_| Some(carried), scribe, now);
            let rest = bytes.get(used..).unwrap_or_default();
            if !rest.is_empty() {
                self.feed(side).hold(rest, carried);
            }
        } else {
            let feed = self.feed(side);
            feed.hold(bytes, carried);
            if feed.pending.len() < feed.needed {
                return;
            }
            let pending = std::mem::take(&mut feed.pending);
            let carried = std::mem::take(&mut feed.carried);
            let used = self.decode(side, &pending, &|at| frame_at(&carried, at), scribe, now);
            let feed = self.feed(side);
            (feed.pending, feed.carried) = (pending, carried);
            feed.drop_head(used);
        }
        if self.datagrams || self.feed(side).pending.len() > MAX_PENDING {
            self.flush(side, scribe, now);
        }
    }

    /// How many bytes it costs to wait for the rest of PDUs.
    #[inline]
    #[must_use]
    pub fn held(&self) -> usize {
        let [first, second] = &self.feeds;
        first.held() + second.held()
    }

    /// Bytes of `side` are missing before the next ones.
    pub fn gap(&mut self, side: Side, scribe: &mut Scribe, now: Arrival) {
        self.flush(side, scribe, now);
        let from = self.party(side);
        self.decoder.gap(from);
    }

    /// Capture time moved on to `time` (`i64::MAX`: the flow ended).
    pub fn expire(&mut self, time: i64, scribe: &mut Scribe, now: Arrival) {
        let mut emitter = Emitter { place: &self.place, scribe, first_frame: now.frame, now };
        self.decoder.expire(time, &mut emitter);
    }

    /// What waits of `side` will never be completed.
    pub fn flush(&mut self, side: Side, scribe: &mut Scribe, now: Arrival) {
        let feed = self.feed(side);
        let pending = std::mem::take(&mut feed.pending);
        let carried = std::mem::take(&mut feed.carried);
        let from = self.party(side);
        let mut at = 0;
        while let Some(rest) = pending.get(at..).filter(|rest| !rest.is_empty()) {
            let first_frame = frame_at(&carried, at).unwrap_or(now.frame);
            let mut emitter = Emitter { place: &self.place, scribe, first_frame, now };
            let step = self.decoder.flush(from, rest, &mut emitter);
            at += self.take_step(side, step, rest.len(), scribe, now).unwrap_or(rest.len());
        }
    }

    /// Decodes PDU after PDU; returns how many bytes were used.
    fn decode(
        &mut self,
        side: Side,
        bytes: &[u8],
        frame_at: &dyn Fn(usize) -> Option<u64>,
        scribe: &mut Scribe,
        now: Arrival,
    ) -> usize {
        let from = self.party(side);
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let first_frame = frame_at(at).unwrap_or(now.frame);
            let mut emitter = Emitter { place: &self.place, scribe, first_frame, now };
            let step = self.decoder.step(from, rest, &mut emitter);
            match self.take_step(side, step, rest.len(), scribe, now) {
                Some(used) => at += used,
                None => break,
            }
        }
        at
    }

    /// Acts on a decoder's answer; `None` if it needs more than there is.
    fn take_step(
        &mut self,
        side: Side,
        step: Step,
        available: usize,
        scribe: &mut Scribe,
        now: Arrival,
    ) -> Option<usize> {
        match step {
            // A decoder that does not move on would be our bug; one byte is the way out of it.
            Step::Done(used) => {
                self.feed(side).is_garbled = false;
                Some(used.clamp(1, available))
            }
            Step::More(needed) => {
                self.feed(side).needed = needed.max(available + 1);
                None
            }
            Step::Malformed { skip, notice, detail } => {
                // A gap is told by who found it.
                let was_garbled = std::mem::replace(&mut self.feed(side).is_garbled, true);
                if !was_garbled && notice != NoticeKind::Gap {
                    self.notice(side, notice, detail, scribe, now);
                }
                Some(skip.clamp(1, available))
            }
        }
    }

    fn notice(
        &self,
        side: Side,
        kind: NoticeKind,
        detail: &str,
        scribe: &mut Scribe,
        now: Arrival,
    ) {
        let endpoint = self.place.party(self.party(side));
        scribe.notice(kind, self.place.conversation, endpoint, detail, None, now);
    }

    fn party(&self, side: Side) -> Party {
        if side == self.server { Party::Server } else { Party::Client }
    }

    fn is_idle(&self, side: Side) -> bool {
        side.of(&self.feeds).pending.is_empty()
    }

    fn feed(&mut self, side: Side) -> &mut Feed {
        side.of_mut(&mut self.feeds)
    }
}

/// Adds to what a decoder says where and when it was said.
struct Emitter<'a> {
    place: &'a Place,
    scribe: &'a mut Scribe,
    first_frame: u64,
    now: Arrival,
}

impl Emit for Emitter<'_> {
    fn message(&mut self, from: Party, message: &Message<'_>) -> u64 {
        self.scribe.message(self.place, from, message, self.first_frame, self.now)
    }

    fn notice(&mut self, from: Party, kind: NoticeKind, detail: &str, of: Option<Told>) {
        let endpoint = self.place.party(from);
        self.scribe.notice(kind, self.place.conversation, endpoint, detail, of, self.now);
    }

    fn fact(&mut self, about: Party, key: &'static str, value: &str) {
        let endpoint = self.place.party(about);
        self.scribe.fact(endpoint, key, value, self.now);
    }

    fn now(&self) -> Arrival {
        self.now
    }
}
