//! The thread that listens to interfaces: it never waits for the judge.
//!
//! While the judge is busy the batch grows; past a bound frames are shed with a count, so that the
//! kernel's ring is always emptied.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hotpath::budget::batch_rows;
use hotpath::engine::{Engine, Settings};
use hotpath::net::Arrival;
use hotpath::scribe::Learned;
use hotpath::source::recent::Recent;
use hotpath::source::steps::Steps;
use hotpath::source::{Frame, LinkType, SourceHealth};
use live::{Link, Options, Packet, Ring, Statistics};

use crate::{Counters, Message, QUEUE};

/// How long one round waits for frames.
const ROUND_MILLISECONDS: u16 = 50;
/// After so long an interface that is gone or down is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// What is stamped by the kernel now reaches us within this, in nanoseconds.
const SLACK: i64 = 500_000_000;
const SECOND: i64 = 1_000_000_000;

/// An interface that is listened to, or that is waited for.
pub struct Interface {
    name: String,
    options: Options,
    ring: Option<Ring>,
    trouble: String,
    tried: Instant,
    frames: u64,
    before: Statistics,
    opened: u64,
}

/// What is told of an interface.
#[derive(Debug, Clone)]
pub struct InterfaceHealth {
    pub name: String,
    /// Why it is not listened to; empty if it is.
    pub trouble: String,
    pub frames: u64,
    pub received: u64,
    pub dropped: u64,
    /// How often it was opened.
    pub opened: u64,
}

impl Interface {
    /// Opens an interface that must be there now.
    pub fn open(name: &str, options: &Options) -> Result<Self, String> {
        let ring = Ring::open(name, options).map_err(|trouble| format!("{name}: {trouble}"))?;
        Ok(Self {
            name: name.to_owned(),
            options: options.clone(),
            ring: Some(ring),
            trouble: String::new(),
            tried: Instant::now(),
            frames: 0,
            before: Statistics::default(),
            opened: 1,
        })
    }

    fn try_again(&mut self) {
        if self.ring.is_some() || self.tried.elapsed() < RETRY {
            return;
        }
        self.tried = Instant::now();
        match Ring::open(&self.name, &self.options) {
            Ok(ring) => {
                self.ring = Some(ring);
                self.trouble.clear();
                self.opened = self.opened.saturating_add(1);
            }
            Err(trouble) => self.trouble = trouble.to_string(),
        }
    }

    fn lose(&mut self, why: String) {
        let total = self.statistics();
        self.before = total;
        self.ring = None;
        self.trouble = why;
        self.tried = Instant::now();
    }

    fn statistics(&mut self) -> Statistics {
        let now = self.ring.as_mut().map(Ring::statistics).unwrap_or_default();
        Statistics {
            received: self.before.received.saturating_add(now.received),
            dropped: self.before.dropped.saturating_add(now.dropped),
            freezes: self.before.freezes.saturating_add(now.freezes),
        }
    }

    fn health(&mut self) -> InterfaceHealth {
        let Statistics { received, dropped, .. } = self.statistics();
        InterfaceHealth {
            name: self.name.clone(),
            trouble: self.trouble.clone(),
            frames: self.frames,
            received,
            dropped,
            opened: self.opened,
        }
    }
}

/// The clock that stamps frames, in nanoseconds since the epoch.
fn wall() -> i64 {
    nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// What the thread shares with the one that judges.
#[derive(Clone)]
pub struct Shared {
    pub stop: Arc<AtomicBool>,
    /// Batches that wait to be judged.
    pub waiting: Arc<AtomicUsize>,
    pub recent: Arc<Mutex<Recent>>,
    /// For a process of how many bytes the bounds of the hot path are.
    pub memory: Arc<AtomicUsize>,
}

/// The thread: listens until it is stopped, or nobody wants its batches.
pub fn listen(
    mut engine: Engine,
    mut interfaces: Vec<Interface>,
    shared: &Shared,
    batches: &SyncSender<Message>,
    settled: &Receiver<Option<Learned>>,
) -> Engine {
    engine.begin_session();
    let mut memory = shared.memory.load(Ordering::Relaxed);
    let mut state = Listening::new(batch_rows(memory));
    while !shared.stop.load(Ordering::Relaxed) {
        state.round(&mut engine, &mut interfaces, shared);
        if let Ok(Some(learned)) = settled.try_recv() {
            engine.settle(&learned);
        }
        let wanted = shared.memory.load(Ordering::Relaxed);
        if wanted != memory {
            memory = wanted;
            state.rows = batch_rows(memory);
            engine.resize(&Settings::of_memory(memory));
        }
        let second = state.clock.div_euclid(SECOND);
        let is_due = second != state.handed_over || engine.wants_census();
        if is_due && shared.waiting.load(Ordering::Acquire) < QUEUE {
            state.handed_over = second;
            if !state.hand_over(&mut engine, &mut interfaces, shared, batches) {
                break;
            }
        }
    }
    engine.finish();
    state.hand_over(&mut engine, &mut interfaces, shared, batches);
    engine
}

struct Listening {
    number: u64,
    clock: i64,
    steps: Steps,
    began: Instant,
    handed_over: i64,
    shed: u64,
    /// Rows and definitions of a batch beyond which frames are shed.
    rows: usize,
    health: SourceHealth,
}

impl Listening {
    fn new(rows: usize) -> Self {
        Self {
            number: 0,
            clock: 0,
            steps: Steps::default(),
            began: Instant::now(),
            handed_over: 0,
            shed: 0,
            rows,
            health: SourceHealth::default(),
        }
    }

    /// Takes one block of each interface, or lets the clock go on.
    fn round(&mut self, engine: &mut Engine, interfaces: &mut [Interface], shared: &Shared) {
        let rings = interfaces.iter().filter(|one| one.ring.is_some()).count();
        let patience =
            u16::try_from(rings).ok().and_then(|rings| ROUND_MILLISECONDS.checked_div(rings));
        if patience.is_none() {
            std::thread::sleep(Duration::from_millis(u64::from(ROUND_MILLISECONDS)));
        }
        self.steps.look(wall(), nanoseconds(self.began.elapsed()));
        let before = self.number;
        for (place, interface) in interfaces.iter_mut().enumerate() {
            interface.try_again();
            let Some(ring) = &mut interface.ring else { continue };
            let link = match ring.link() {
                Link::Ethernet => LinkType::Ethernet,
                Link::RawIp => LinkType::RawIp,
                Link::Other(number) => LinkType::Other(number),
            };
            let from = self.number;
            let mut recent = None;
            let received = ring.receive(patience.unwrap_or(0), |packet| {
                let recent = recent.get_or_insert_with(|| {
                    shared.recent.lock().unwrap_or_else(PoisonError::into_inner)
                });
                self.take(engine, recent, &packet, link, place as u32);
            });
            drop(recent);
            interface.frames = interface.frames.saturating_add(self.number.saturating_sub(from));
            if let Err(trouble) = received {
                interface.lose(trouble.to_string());
            }
        }
        if self.number == before {
            self.let_clock_go_on(engine);
        }
    }

    fn take(
        &mut self,
        engine: &mut Engine,
        recent: &mut Recent,
        packet: &Packet<'_>,
        link: LinkType,
        interface: u32,
    ) {
        self.number = self.number.saturating_add(1);
        let Packet { time, data, original_length } = *packet;
        let frame = Frame { number: self.number, time, link, interface, data, original_length };
        self.clock = time;
        if self.steps.is_first_after(time) {
            engine.skip(Arrival { frame: self.number, time });
        }
        self.health.frames = self.health.frames.saturating_add(1);
        self.health.bytes = self.health.bytes.saturating_add(data.len() as u64);
        if engine.waiting() >= self.rows {
            self.shed = self.shed.saturating_add(1);
            return;
        }
        recent.keep(&frame);
        engine.frame(&frame);
    }

    /// Nothing was heard: capture time goes on by the clock that stamps frames.
    fn let_clock_go_on(&mut self, engine: &mut Engine) {
        let now = wall().saturating_sub(SLACK);
        if self.steps.is_first_after(now) {
            self.clock = now;
            engine.skip(Arrival { frame: self.number, time: now });
        } else if self.clock == 0 || now > self.clock {
            self.clock = now;
            engine.advance(Arrival { frame: self.number, time: now });
        } else if self.clock.saturating_sub(now) > 4 * SECOND {
            // The system's clock was set back.
            self.clock = now;
            engine.advance(Arrival { frame: self.number, time: now });
        }
    }

    fn hand_over(
        &mut self,
        engine: &mut Engine,
        interfaces: &mut [Interface],
        shared: &Shared,
        batches: &SyncSender<Message>,
    ) -> bool {
        let (evicted, refused) = engine.refusals();
        let counters = Counters {
            engine: *engine.health(),
            evicted,
            refused,
            source: self.health.clone(),
            size: 0,
            shed: self.shed,
            interfaces: interfaces.iter_mut().map(Interface::health).collect(),
        };
        let census = engine.wants_census();
        shared.waiting.fetch_add(1, Ordering::AcqRel);
        batches
            .send(Message { batch: engine.take_batch(census), has_tables: true, counters })
            .is_ok()
    }
}
