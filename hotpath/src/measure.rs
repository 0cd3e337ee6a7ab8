//! Runs a capture through the hot path up to a stage and throws away what comes out, to tell what
//! each stage costs. The code of the stages is that of every other run: what is left out are the
//! stages behind.

use std::path::Path;

use crate::engine::{Engine, Settings};
use crate::record::Recorder;
use crate::scribe::Learned;
use crate::source::{Source, SourceError, file};
use crate::words::words;

words! {
    /// The last stage that a run goes through.
    Stage {
        /// Frames are found in the file.
        Read = "read",
        /// Headers are read, flows found, segments put in order.
        Net = "net",
        /// Messages are decoded; they are counted and not written.
        Decode = "decode",
        /// What was said is interned and written into columns.
        Columns = "columns",
        /// Messages are decoded and written as lines of JSON instead.
        Records = "records",
    }
}

/// Frames of a batch, unless it is full before.
const BATCH_FRAMES: u64 = 65_536;

/// A hot path that goes up to a stage.
pub struct Measured {
    engine: Option<Engine>,
}

impl Measured {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(stage: Stage) -> Self {
        let mut engine = Engine::new(&Settings::default());
        match stage {
            Stage::Read => return Self { engine: None },
            Stage::Net => engine.deafen(),
            Stage::Decode => engine.record(Recorder::new(Some(Vec::new()))),
            Stage::Columns => {}
            Stage::Records => engine.record(Recorder::new(None)),
        }
        Self { engine: Some(engine) }
    }

    /// Runs a capture as a session of its own; returns how many frames it has.
    ///
    /// # Errors
    /// The capture cannot be read.
    pub fn run(&mut self, capture: &Path) -> Result<u64, SourceError> {
        let mut source = file::open(capture)?;
        let Some(engine) = &mut self.engine else {
            while source.next_frame().is_some() {}
            return Ok(source.health().frames);
        };
        engine.begin_session();
        let mut frames = 0;
        while let Some(frame) = source.next_frame() {
            engine.frame(&frame);
            frames += 1;
            let census = engine.wants_census();
            if frames >= BATCH_FRAMES || engine.is_full() || census {
                frames = 0;
                drop(engine.take_batch(census));
            }
            if census {
                engine.settle(&Learned::default());
            }
        }
        engine.finish();
        drop(engine.take_batch(false));
        Ok(source.health().frames)
    }
}
