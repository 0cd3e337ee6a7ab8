//! A wire on which frames are put, and the engine that listens to it.

use hotpath::engine::{Engine, Settings};
use hotpath::scribe::Learned;
use hotpath::source::{Frame, LinkType};

use super::frames::{ACK, FIN, Host, RST, SYN, tcp};
use super::heard::Heard;

pub const MILLISECOND: i64 = 1_000_000;
pub const SECOND: i64 = 1_000_000_000;

/// When captures begin.
pub const START: i64 = 1_700_000_000 * SECOND;

pub struct Wire {
    pub engine: Engine,
    pub heard: Heard,
    pub time: i64,
    pub number: u64,
    /// Frames in a batch.
    pub cut: u64,
    /// What a census is answered with.
    pub learned: fn(&Heard) -> Learned,
}

impl Default for Wire {
    fn default() -> Self {
        Self::with(&Settings::default())
    }
}

impl Wire {
    pub fn with(settings: &Settings) -> Self {
        let mut engine = Engine::new(settings);
        engine.begin_session();
        let heard = Heard::default();
        let learned = |_: &Heard| Learned::default();
        Self { engine, heard, time: START, number: 0, cut: u64::MAX, learned }
    }

    /// A frame, one millisecond after the last one; its number.
    pub fn put(&mut self, data: &[u8]) -> u64 {
        self.put_at(self.time + MILLISECOND, data)
    }

    /// A frame at a time.
    pub fn put_at(&mut self, time: i64, data: &[u8]) -> u64 {
        self.time = time;
        self.number += 1;
        self.engine.frame(&Frame {
            number: self.number,
            time,
            link: LinkType::Ethernet,
            interface: 0,
            data,
            original_length: data.len() as u32,
        });
        let census = self.engine.wants_census();
        if census || self.number % self.cut == 0 {
            self.heard.take(&self.engine.take_batch(census));
        }
        if census {
            self.engine.settle(&(self.learned)(&self.heard));
        }
        self.number
    }

    /// The capture ends.
    pub fn finish(mut self) -> Heard {
        self.end();
        self.heard
    }

    /// The capture ends; another may follow.
    pub fn end(&mut self) {
        self.engine.finish();
        self.heard.take(&self.engine.take_batch(false));
    }
}

/// A TCP connection between a client and a server.
#[derive(Debug, Clone, Copy)]
pub struct Dialogue {
    pub client: Host,
    pub server: Host,
    /// Next sequence numbers.
    pub asked: u32,
    pub answered: u32,
}

impl Dialogue {
    pub const fn new(client: Host, server: Host) -> Self {
        Self { client, server, asked: 1_000, answered: 5_000 }
    }

    pub fn syn(&mut self, wire: &mut Wire) -> u64 {
        let frame = tcp(self.client, self.server, self.asked, 0, SYN, &[]);
        self.asked = self.asked.wrapping_add(1);
        wire.put(&frame)
    }

    pub fn open(&mut self, wire: &mut Wire) {
        self.syn(wire);
        wire.put(&tcp(self.server, self.client, self.answered, self.asked, SYN | ACK, &[]));
        self.answered = self.answered.wrapping_add(1);
        wire.put(&tcp(self.client, self.server, self.asked, self.answered, ACK, &[]));
    }

    pub fn ask(&mut self, wire: &mut Wire, bytes: &[u8]) -> u64 {
        let frame = tcp(self.client, self.server, self.asked, self.answered, ACK, bytes);
        self.asked = self.asked.wrapping_add(bytes.len() as u32);
        wire.put(&frame)
    }

    pub fn answer(&mut self, wire: &mut Wire, bytes: &[u8]) -> u64 {
        let frame = tcp(self.server, self.client, self.answered, self.asked, ACK, bytes);
        self.answered = self.answered.wrapping_add(bytes.len() as u32);
        wire.put(&frame)
    }

    /// Both sides say FIN.
    pub fn close(&mut self, wire: &mut Wire) {
        wire.put(&tcp(self.client, self.server, self.asked, self.answered, FIN | ACK, &[]));
        self.asked = self.asked.wrapping_add(1);
        wire.put(&tcp(self.server, self.client, self.answered, self.asked, FIN | ACK, &[]));
        self.answered = self.answered.wrapping_add(1);
        wire.put(&tcp(self.client, self.server, self.asked, self.answered, ACK, &[]));
    }

    /// The server says RST.
    pub fn reset(&mut self, wire: &mut Wire) -> u64 {
        wire.put(&tcp(self.server, self.client, self.answered, self.asked, RST | ACK, &[]))
    }
}
