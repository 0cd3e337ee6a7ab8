//! `otids._hotpath`: hands the hot path's columns to Python.
//!
//! Decoding runs in a thread of its own and never holds the interpreter's lock; batches wait in a
//! short queue, so that decoding and judging overlap.

mod listening;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use hotpath::budget::{DEFAULT_MEMORY, batch_rows};
use hotpath::columns::{self, Column};
use hotpath::engine::{Engine, Settings};
use hotpath::measure::{Measured, Stage};
use hotpath::protocols::{NO_SUBFUNCTION, Protocol, REGISTRY};
use hotpath::record::Recorder;
use hotpath::scribe::Learned;
use hotpath::source::evidence::{self, Cut, CutError, CutReport};
use hotpath::source::file::{self, CaptureFile};
use hotpath::source::recent::Recent;
use hotpath::source::{Source, SourceHealth};
use hotpath::words::{
    Access, Activity, ConnectionState, Encapsulation, NoticeKind, Role, Sighted, ValueKind,
};
use listening::{Interface, InterfaceHealth, Shared};
use live::{Instruction, Options};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

pyo3::create_exception!(
    otids._hotpath,
    CaptureError,
    PyValueError,
    "A capture cannot be read at all; the message names the file and the offset."
);

/// Batches that may wait to be judged.
const QUEUE: usize = 2;

/// Counters beside a batch.
#[derive(Debug, Clone)]
struct Counters {
    engine: hotpath::engine::Health,
    evicted: u64,
    refused: u64,
    source: SourceHealth,
    size: u64,
    /// Frames of live interfaces that were received but not decoded, for want of time.
    shed: u64,
    interfaces: Vec<InterfaceHealth>,
}

struct Message {
    batch: columns::Batch,
    has_tables: bool,
    counters: Counters,
}

struct Reading {
    batches: Receiver<Message>,
    /// Answers a census; `None` if nobody cared to.
    settle: Sender<Option<Learned>>,
    /// Whether the last batch asked for a census that was not answered yet.
    owes_census: bool,
    shared: Shared,
    thread: JoinHandle<Engine>,
}

impl Reading {
    /// Starts a thread that reads or listens.
    fn start(
        shared: Shared,
        read: impl FnOnce(&Shared, &SyncSender<Message>, &Receiver<Option<Learned>>) -> Engine
        + Send
        + 'static,
    ) -> State {
        let (send, batches) = sync_channel(QUEUE);
        let (settle, settled) = channel();
        let of_thread = shared.clone();
        let thread = std::thread::spawn(move || read(&of_thread, &send, &settled));
        State::Reading(Self { batches, settle, owes_census: false, shared, thread })
    }

    /// The next batch, or the engine once there is none.
    fn next(mut self) -> (Result<Option<Message>, String>, State) {
        if std::mem::take(&mut self.owes_census) {
            // If the thread died, there is no next batch.
            let _ = self.settle.send(None);
        }
        if let Ok(message) = self.batches.recv() {
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
            self.owes_census = message.batch.census && message.has_tables;
            return (Ok(Some(message)), State::Reading(self));
        }
        match self.thread.join() {
            Ok(engine) => (Ok(None), State::Idle(Box::new(engine))),
            Err(panic) => (Err(died(&*panic)), State::Broken(died(&*panic))),
        }
    }

    /// Stops the thread. What its last batches defined comes again with the next session.
    fn stop(self) -> State {
        self.shared.stop.store(true, Ordering::Relaxed);
        drop(self.settle);
        let unread: Vec<_> = self.batches.iter().map(|message| message.batch).collect();
        match self.thread.join() {
            Ok(mut engine) => {
                for batch in unread {
                    engine.put_back(batch);
                }
                State::Idle(Box::new(engine))
            }
            Err(panic) => State::Broken(died(&*panic)),
        }
    }
}

/// Says that the thread died, and of what.
fn died(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let what = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason was given");
    format!("the hot path failed, which is a bug in otids; make a new Hotpath to go on ({what})")
}

/// Either idle with its engine, or reading in a thread that owns it.
enum State {
    Idle(Box<Engine>),
    Reading(Reading),
    /// The thread died; why.
    Broken(String),
}

impl State {
    /// Leaves a state behind that nobody sees while the lock is held.
    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Broken(String::new()))
    }
}

/// What the hot path has decoded since the last batch.
#[pyclass(frozen, module = "otids._hotpath")]
struct Batch {
    #[pyo3(get)]
    session: u32,
    #[pyo3(get)]
    until: i64,
    #[pyo3(get)]
    census: bool,
    #[pyo3(get)]
    tables: Py<PyDict>,
    #[pyo3(get)]
    marks: Py<PyDict>,
    #[pyo3(get)]
    defined: Py<PyDict>,
    #[pyo3(get)]
    retired: Py<PyDict>,
    #[pyo3(get)]
    records: Py<PyBytes>,
    #[pyo3(get)]
    health: Py<PyDict>,
}

/// Decodes captures into batches, one session after the other; ids hold across sessions.
#[pyclass(frozen, module = "otids._hotpath")]
struct Hotpath {
    state: Mutex<State>,
    batch_frames: u64,
    recent: Arc<Mutex<Recent>>,
    memory: Arc<AtomicUsize>,
}

#[pymethods]
impl Hotpath {
    #[new]
    #[pyo3(signature = (*, batch_frames = 65_536, records = false, protocols = None, memory = DEFAULT_MEMORY))]
    #[allow(clippy::needless_pass_by_value)] // what PyO3 hands over
    fn new(
        batch_frames: u64,
        records: bool,
        protocols: Option<Vec<String>>,
        memory: usize,
    ) -> PyResult<Self> {
        if batch_frames == 0 {
            return Err(PyValueError::new_err("batch_frames must be at least 1"));
        }
        let mut engine = Box::new(Engine::new(&Settings::of_memory(memory)));
        if records {
            engine.record(Recorder::new(protocols.as_deref().map(asked).transpose()?));
        }
        let (recent, memory) = (Arc::default(), Arc::new(AtomicUsize::new(memory)));
        Ok(Self { state: Mutex::new(State::Idle(engine)), batch_frames, recent, memory })
    }

    /// A live session has the bounds for a process of so many bytes of memory from now on, and
    /// keeps the last `recent_bytes` of frames: what is beyond them is given up.
    fn resize(&self, py: Python<'_>, memory: usize, recent_bytes: usize) {
        self.memory.store(memory, Ordering::Relaxed);
        py.detach(|| self.recent().set_bound(recent_bytes));
    }

    /// Starts to read a capture file: a new session.
    ///
    /// Raises `CaptureError` if it cannot be read, `RuntimeError` while another is being read.
    #[allow(clippy::needless_pass_by_value)] // what PyO3 hands over
    fn open(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let source = py
            .detach(|| file::open(&path))
            .map_err(|error| CaptureError::new_err(error.to_string()))?;
        let batch_frames = self.batch_frames;
        self.start(py, move |engine, shared, batches, settled| {
            read(engine, source, batch_frames, shared, batches, settled)
        })
    }

    /// Starts to listen to interfaces, until `close`: a new session. A batch comes every second.
    ///
    /// `program` holds the instructions of a BPF program: (code, jump if true, jump if false,
    /// operand). The last `recent_bytes` of frames are kept for `pin` and `cut_recent`.
    /// Raises `CaptureError` if an interface cannot be listened to, `RuntimeError` while a capture
    /// is being read.
    #[pyo3(signature = (interfaces, *, promiscuous = true, ring_bytes = 32 << 20, program = Vec::new(), recent_bytes = 64 << 20))]
    #[allow(clippy::needless_pass_by_value)] // what PyO3 hands over
    fn listen(
        &self,
        py: Python<'_>,
        interfaces: Vec<String>,
        promiscuous: bool,
        ring_bytes: usize,
        program: Vec<(u16, u8, u8, u32)>,
        recent_bytes: usize,
    ) -> PyResult<()> {
        let filter = program
            .into_iter()
            .map(|(code, yes, no, operand)| Instruction { code, yes, no, operand })
            .collect();
        let options = Options { promiscuous, ring_bytes, filter };
        if interfaces.is_empty() {
            return Err(CaptureError::new_err("no interface to listen to"));
        }
        let opened = py
            .detach(|| {
                interfaces
                    .iter()
                    .map(|name| Interface::open(name, &options))
                    .collect::<Result<_, _>>()
            })
            .map_err(CaptureError::new_err)?;
        *self.recent() = Recent::new(recent_bytes);
        self.start(py, move |engine, shared, batches, settled| {
            listening::listen(engine, opened, shared, batches, settled)
        })
    }

    /// Keeps frames of a live session, and so many before and after each, until `cut_recent`.
    ///
    /// Returns how many of `frames` are still here.
    #[allow(clippy::needless_pass_by_value)] // what PyO3 hands over
    fn pin(&self, py: Python<'_>, frames: Vec<u64>, context: u64) -> usize {
        py.detach(|| self.recent().pin(&frames, context))
    }

    /// Cuts frames that are kept of a live session into pcapng files, as `cut_evidence` does, and
    /// lets go of what was pinned. Raises `OSError` if a file cannot be written.
    #[allow(clippy::needless_pass_by_value)] // what PyO3 hands over
    fn cut_recent(
        &self,
        py: Python<'_>,
        name: String,
        cuts: Vec<RawCut>,
    ) -> PyResult<Vec<(u64, Vec<u64>)>> {
        let cuts = made(cuts);
        let cut = py.detach(|| {
            let mut source = self.recent().source();
            let cut = evidence::cut_from(&mut source, &name, &cuts);
            self.recent().unpin();
            cut
        });
        told(cut)
    }

    /// The next batch, or `None` when the session has ended.
    fn next_batch(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let message = py.detach(|| {
            let mut state = self.lock();
            let (message, next) = match state.take() {
                State::Reading(reading) => reading.next(),
                State::Idle(engine) => (Ok(None), State::Idle(engine)),
                State::Broken(why) => (Err(why.clone()), State::Broken(why)),
            };
            *state = next;
            message
        });
        message.map_err(PyRuntimeError::new_err)?.map(|message| Batch::of(py, message)).transpose()
    }

    /// Answers a census: these ids were learned and stay; the long unused rest is retired.
    /// A census that is not answered before the next batch is asked for retires nothing.
    ///
    /// Raises `RuntimeError` if the last batch asked for none.
    #[pyo3(signature = (*, endpoints, conversations, symbols, points))]
    #[allow(clippy::needless_pass_by_value)] // what PyO3 hands over
    fn settle(
        &self,
        py: Python<'_>,
        endpoints: PyReadonlyArray1<'_, u32>,
        conversations: PyReadonlyArray1<'_, u32>,
        symbols: PyReadonlyArray1<'_, u32>,
        points: PyReadonlyArray1<'_, u32>,
    ) -> PyResult<()> {
        let learned = Learned {
            endpoints: endpoints.as_array().to_vec(),
            conversations: conversations.as_array().to_vec(),
            symbols: symbols.as_array().to_vec(),
            points: points.as_array().to_vec(),
        };
        py.detach(|| match &mut *self.lock() {
            State::Reading(reading) if reading.owes_census => {
                reading.owes_census = false;
                // If the thread died, the next batch tells.
                let _ = reading.settle.send(Some(learned));
                Ok(())
            }
            _ => Err(PyRuntimeError::new_err("the last batch asked for no census")),
        })
    }

    /// Stops reading; the rest of the capture is not decoded.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            let mut state = self.lock();
            *state = match state.take() {
                State::Reading(reading) => reading.stop(),
                other => other,
            };
        });
    }
}

impl Hotpath {
    fn start(
        &self,
        py: Python<'_>,
        read: impl FnOnce(Engine, &Shared, &SyncSender<Message>, &Receiver<Option<Learned>>) -> Engine
        + Send
        + 'static,
    ) -> PyResult<()> {
        let shared = Shared {
            stop: Arc::default(),
            waiting: Arc::new(AtomicUsize::new(0)),
            recent: Arc::clone(&self.recent),
            memory: Arc::clone(&self.memory),
        };
        py.detach(|| {
            let mut state = self.lock();
            let (next, outcome) = match state.take() {
                State::Idle(engine) => {
                    let engine = *engine;
                    let start =
                        move |shared: &Shared,
                              batches: &SyncSender<Message>,
                              settled: &Receiver<Option<Learned>>| {
                            read(engine, shared, batches, settled)
                        };
                    (Reading::start(shared, start), Ok(()))
                }
                State::Broken(why) => (State::Broken(why.clone()), Err(why)),
                reading @ State::Reading(_) => {
                    (reading, Err("a capture is being read already".to_owned()))
                }
            };
            *state = next;
            outcome
        })
        .map_err(PyRuntimeError::new_err)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread: reads a source to its end, or until nobody wants its batches.
fn read(
    mut engine: Engine,
    mut source: CaptureFile,
    batch_frames: u64,
    shared: &Shared,
    batches: &SyncSender<Message>,
    settled: &Receiver<Option<Learned>>,
) -> Engine {
    engine.begin_session();
    let rows = batch_rows(shared.memory.load(Ordering::Relaxed));
    let mut frames = 0;
    while let Some(frame) = source.next_frame() {
        engine.frame(&frame);
        frames += 1;
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let census = engine.wants_census();
        let is_full = engine.is_full() || engine.rows() >= rows;
        if frames < batch_frames && !is_full && !census {
            continue;
        }
        frames = 0;
        if !send(&mut engine, &source, census, shared, batches) {
            break;
        }
        if census && engine.recorded().is_some() {
            // Records name no ids: nobody can have learned any.
            engine.settle(&Learned::default());
        } else if census {
            match settled.recv() {
                Ok(Some(learned)) => engine.settle(&learned),
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }
    let damages = source.health().damages.clone();
    for damage in &damages {
        engine.damage(&format!("{} at byte {}", damage.what, damage.offset));
    }
    engine.finish();
    send(&mut engine, &source, false, shared, batches);
    engine
}

fn send(
    engine: &mut Engine,
    source: &CaptureFile,
    census: bool,
    shared: &Shared,
    batches: &SyncSender<Message>,
) -> bool {
    let (evicted, refused) = engine.refusals();
    let counters = Counters {
        engine: *engine.health(),
        evicted,
        refused,
        source: source.health().clone(),
        size: source.size(),
        shed: 0,
        interfaces: Vec::new(),
    };
    let has_tables = engine.recorded().is_none();
    shared.waiting.fetch_add(1, Ordering::AcqRel);
    batches.send(Message { batch: engine.take_batch(census), has_tables, counters }).is_ok()
}

impl Batch {
    fn of(py: Python<'_>, message: Message) -> PyResult<Self> {
        let Message { batch, has_tables, counters } = message;
        let [tables, marks, defined, retired] = [(); 4].map(|()| PyDict::new(py));
        if has_tables {
            let all = batch.tables;
            tables.set_item("messages", dict(py, all.messages.columns())?)?;
            tables.set_item("items", dict(py, all.items.columns())?)?;
            tables.set_item("values", dict(py, all.values.columns())?)?;
            tables.set_item("traffic", dict(py, all.traffic.columns())?)?;
            tables.set_item("connections", dict(py, all.connections.columns())?)?;
            tables.set_item("sightings", dict(py, all.sightings.columns())?)?;
            tables.set_item("facts", dict(py, all.facts.columns())?)?;
            tables.set_item("notices", dict(py, all.notices.columns())?)?;
            marks.update(dict(py, batch.marks.columns())?.as_mapping())?;
            let new = batch.defined;
            defined.set_item("texts", dict(py, new.texts.columns())?)?;
            defined.set_item("endpoints", dict(py, new.endpoints.columns())?)?;
            defined.set_item("conversations", dict(py, new.conversations.columns())?)?;
            defined.set_item("symbols", dict(py, new.symbols.columns())?)?;
            defined.set_item("points", dict(py, new.points.columns())?)?;
            let old = batch.retired;
            retired.set_item("endpoints", old.endpoints.into_pyarray(py))?;
            retired.set_item("conversations", old.conversations.into_pyarray(py))?;
            retired.set_item("symbols", old.symbols.into_pyarray(py))?;
            retired.set_item("points", old.points.into_pyarray(py))?;
            retired.set_item("texts", old.texts.into_pyarray(py))?;
        }
        Ok(Self {
            session: batch.session,
            until: batch.until,
            census: batch.census && has_tables,
            tables: tables.unbind(),
            marks: marks.unbind(),
            defined: defined.unbind(),
            retired: retired.unbind(),
            records: PyBytes::new(py, &batch.records).unbind(),
            health: counters.dict(py)?.unbind(),
        })
    }
}

impl Counters {
    fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let health = PyDict::new(py);
        health.set_item("frames", self.source.frames)?;
        health.set_item("bytes", self.engine.bytes)?;
        health.set_item("malformed_frames", self.engine.malformed_frames)?;
        health.set_item("unknown_link_frames", self.engine.unknown_link_frames)?;
        health.set_item("fragments", self.engine.fragments)?;
        health.set_item("copies", self.engine.copies)?;
        let encapsulated = PyDict::new(py);
        for (kind, frames) in Encapsulation::ALL.iter().zip(self.engine.encapsulated) {
            encapsulated.set_item(kind.name(), frames)?;
        }
        health.set_item("encapsulated", encapsulated)?;
        health.set_item("time_ran_back", self.engine.time_ran_back)?;
        health.set_item("flows_evicted", self.evicted)?;
        health.set_item("entries_refused", self.refused)?;
        health.set_item("snapped_frames", self.source.snapped)?;
        health.set_item("skipped_records", self.source.skipped)?;
        health.set_item("read_bytes", self.source.read)?;
        health.set_item("size_bytes", self.size)?;
        let damages = self.source.damages.iter().map(|one| (one.offset, one.what));
        health.set_item("shed_frames", self.shed)?;
        let interfaces = PyList::empty(py);
        for one in &self.interfaces {
            let told = PyDict::new(py);
            told.set_item("name", &one.name)?;
            told.set_item("trouble", &one.trouble)?;
            told.set_item("frames", one.frames)?;
            told.set_item("received", one.received)?;
            told.set_item("dropped", one.dropped)?;
            told.set_item("opened", one.opened)?;
            interfaces.append(told)?;
        }
        health.set_item("interfaces", interfaces)?;
        health.set_item("damages", PyList::new(py, damages.collect::<Vec<_>>())?)?;
        Ok(health)
    }
}

fn dict<'py>(
    py: Python<'py>,
    columns: Vec<(&'static str, Column)>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, column) in columns {
        match column {
            Column::Bool(cells) => dict.set_item(name, cells.into_pyarray(py))?,
            Column::U8(cells) => dict.set_item(name, cells.into_pyarray(py))?,
            Column::U16(cells) => dict.set_item(name, cells.into_pyarray(py))?,
            Column::U32(cells) => dict.set_item(name, cells.into_pyarray(py))?,
            Column::U64(cells) => dict.set_item(name, cells.into_pyarray(py))?,
            Column::I64(cells) => dict.set_item(name, cells.into_pyarray(py))?,
            Column::F64(cells) => dict.set_item(name, cells.into_pyarray(py))?,
            Column::Text(cells) => {
                let cells =
                    cells.into_iter().map(|cell| Ok(cell.into_pyobject(py)?.into_any().unbind()));
                dict.set_item(name, objects(py, cells)?)?;
            }
            Column::Objects(cells) => {
                let cells = cells.into_iter().map(|set| {
                    let ranges = set.into_iter().map(|range| {
                        (range.kind, range.address, range.count, range.access as u8, range.name)
                    });
                    Ok(PyTuple::new(py, ranges.collect::<Vec<_>>())?.into_any().unbind())
                });
                dict.set_item(name, objects(py, cells)?)?;
            }
        }
    }
    Ok(dict)
}

fn objects(
    py: Python<'_>,
    cells: impl Iterator<Item = PyResult<Py<PyAny>>>,
) -> PyResult<Bound<'_, PyArray1<Py<PyAny>>>> {
    Ok(PyArray1::from_owned_object_array(py, cells.collect::<PyResult<Vec<_>>>()?.into()))
}

fn protocol(name: &str) -> Option<&'static Protocol> {
    REGISTRY.iter().copied().find(|protocol| protocol.name == name)
}

/// The names of protocols that are asked for.
fn asked(names: &[String]) -> PyResult<Vec<&'static str>> {
    let known = |name: &String| {
        protocol(name).map(|found| found.name).ok_or_else(|| {
            let all = REGISTRY.iter().map(|one| one.name).collect::<Vec<_>>().join(", ");
            PyValueError::new_err(format!("no decoder for protocol {name:?}; there are: {all}"))
        })
    };
    names.iter().map(known).collect()
}

/// The specification's name of a function, if it has one.
#[pyfunction]
fn function_name(protocol: &str, function: u32, subfunction: u32) -> Option<&'static str> {
    (self::protocol(protocol)?.function_name)(function, subfunction)
}

/// The specification's name of a status code, if it has one.
#[pyfunction]
fn status_name(protocol: &str, status: u16) -> Option<&'static str> {
    (self::protocol(protocol)?.status_name)(status)
}

/// The name of an object type, if there is one.
#[pyfunction]
fn object_name(protocol: &str, kind: u16) -> Option<&'static str> {
    self::protocol(protocol)?.objects.get(usize::from(kind)).map(|object| object.name)
}

/// Cuts frames out of a capture into pcapng files: (target, frames, context, comment) each.
///
/// Returns how many frames each got, and which of the wanted ones are missing; without any frame
/// there is no file. Raises `CaptureError` if the capture cannot be read, `OSError` if a file
/// cannot be written.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // what PyO3 hands over
fn cut_evidence(
    py: Python<'_>,
    path: PathBuf,
    cuts: Vec<RawCut>,
) -> PyResult<Vec<(u64, Vec<u64>)>> {
    let cuts = made(cuts);
    told(py.detach(|| evidence::cut(&path, &cuts)))
}

/// Runs a capture up to a stage, in the calling thread, and throws away what comes out.
///
/// Returns its frames, and the CPU seconds of this thread for each of `loops` sessions of one hot
/// path: the first one pays for what is new. Raises `ValueError` if the stage is none of `STAGES`,
/// `CaptureError` if the capture cannot be read.
#[pyfunction]
#[pyo3(signature = (path, stage, *, loops = 2))]
#[allow(clippy::needless_pass_by_value)] // what PyO3 hands over
fn measure(py: Python<'_>, path: PathBuf, stage: &str, loops: usize) -> PyResult<(u64, Vec<f64>)> {
    let stage = Stage::ALL.iter().copied().find(|one| one.name() == stage).ok_or_else(|| {
        let all = Stage::ALL.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
        PyValueError::new_err(format!("no stage {stage:?}; there are: {all}"))
    })?;
    let clock = py.import("time")?.getattr("thread_time")?;
    let now = || clock.call0()?.extract::<f64>();
    let mut measured = Measured::new(stage);
    let (mut frames, mut seconds) = (0, Vec::new());
    for _ in 0..loops {
        let before = now()?;
        frames = py
            .detach(|| measured.run(&path))
            .map_err(|error| CaptureError::new_err(error.to_string()))?;
        seconds.push(now()? - before);
    }
    Ok((frames, seconds))
}

/// Target, frames, context and comment of a cut.
type RawCut = (PathBuf, Vec<u64>, u64, String);

fn made(cuts: Vec<RawCut>) -> Vec<Cut> {
    cuts.into_iter()
        .map(|(target, frames, context, comment)| Cut { target, frames, context, comment })
        .collect()
}

fn told(cut: Result<Vec<CutReport>, CutError>) -> PyResult<Vec<(u64, Vec<u64>)>> {
    match cut {
        Ok(reports) => {
            Ok(reports.into_iter().map(|report| (report.written, report.missing)).collect())
        }
        Err(CutError::Capture(error)) => Err(CaptureError::new_err(error.to_string())),
        // With a number, OSError becomes the subclass for it.
        Err(CutError::Write { target, error }) => Err(match error.raw_os_error() {
            Some(number) => {
                let text = error.to_string();
                let what = text.split(" (os error").next().unwrap_or_default().to_owned();
                PyOSError::new_err((number, what, target.into_os_string()))
            }
            None => PyOSError::new_err(format!("{}: {error}", target.display())),
        }),
    }
}

/// The hot path: decodes captured frames into columns, in a thread without the GIL.
#[pymodule]
fn _hotpath(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("NO_SUBFUNCTION", NO_SUBFUNCTION)?;
    let names = |all: Vec<&'static str>| all;
    module.add("ROLES", names(Role::ALL.iter().map(|one| one.name()).collect()))?;
    module.add("ACTIVITIES", names(Activity::ALL.iter().map(|one| one.name()).collect()))?;
    module.add("ACCESSES", names(Access::ALL.iter().map(|one| one.name()).collect()))?;
    module.add("SIGHTED", names(Sighted::ALL.iter().map(|one| one.name()).collect()))?;
    module.add("NOTICE_KINDS", names(NoticeKind::ALL.iter().map(|one| one.name()).collect()))?;
    module.add("VALUE_KINDS", names(ValueKind::ALL.iter().map(|one| one.name()).collect()))?;
    let encapsulations = Encapsulation::ALL.iter().map(|one| one.name()).collect();
    module.add("ENCAPSULATIONS", names(encapsulations))?;
    let states = ConnectionState::ALL.iter().map(|one| one.name()).collect();
    module.add("CONNECTION_STATES", names(states))?;
    module.add("PROTOCOLS", names(REGISTRY.iter().map(|one| one.name).collect()))?;
    module.add("STAGES", names(Stage::ALL.iter().map(|one| one.name()).collect()))?;
    module.add("CaptureError", module.py().get_type::<CaptureError>())?;
    module.add_class::<Hotpath>()?;
    module.add_class::<Batch>()?;
    module.add_function(wrap_pyfunction!(function_name, module)?)?;
    module.add_function(wrap_pyfunction!(status_name, module)?)?;
    module.add_function(wrap_pyfunction!(object_name, module)?)?;
    module.add_function(wrap_pyfunction!(cut_evidence, module)?)?;
    module.add_function(wrap_pyfunction!(measure, module)?)?;
    Ok(())
}
