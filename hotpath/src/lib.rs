//! The hot path of otids: from captured frames to columns of messages.
//!
//! Data moves one way: [`source`] yields frames, [`net`] takes them apart down to transport
//! payloads, [`protocols`] turns payloads into messages, [`table`] interns what was said into
//! dense ids, [`scribe`] writes the rows of [`columns`] or the lines of [`record`], [`talk`] is
//! what one flow says, and [`engine`] drives a frame through all of these.
//!
//! Nothing here judges, and nothing here knows of Python.
#![forbid(unsafe_code)]

pub mod bounded;
pub mod budget;
pub mod bytes;
pub mod columns;
pub mod engine;
pub mod flows;
pub mod measure;
pub mod meter;
pub mod net;
pub mod protocols;
pub mod record;
pub mod scribe;
pub mod source;
pub mod speech;
pub mod table;
pub mod talk;
mod trial;
pub mod words;
