//! S7comm: Siemens S7-200, 300, 400, and the functions of 1200 and 1500 that keep to it.
//!
//! It has no public specification; see `names.rs` for whose words these are. It is carried by ISO
//! transport ([`super::iso`]).
//!
//! What a reader of the messages should know:
//! - A connection request tells both TSAPs as objects, and rack and slot of the one that is asked
//!   as unit (`rack << 5 | slot`). All later messages have unit 0: whoever comes amid a connection
//!   could not tell it, and the same words must have the same name.
//! - The type of an operand is that of its request: a word and a real at one address are two
//!   objects. A response gives the objects of its request with a return code each; without its
//!   request it has neither objects nor values.
//! - Where all items of an answer fail, their first code is the status of the message as well.
//! - In a download the controller asks for the blocks: those requests are the server's.
//! - Cyclic data are reports with the objects of their subscription, if that was seen.

mod connections;
mod items;
mod names;
mod parts;
mod pdu;
mod szl;
mod tell;
mod userdata;

use std::collections::VecDeque;

use self::items::Objects;
use self::pdu::Pdu;
use super::iso::{self, Ends, Iso, Tpdu};
use super::pairing::Pairing;
use super::{Decoder, Emit, Party, Probe, Protocol, Step, Transport, Value};

/// S7comm over ISO transport.
pub static PROTOCOL: Protocol = Protocol {
    name: "s7comm",
    tcp_ports: &[102],
    udp_ports: &[],
    link: None,
    probe,
    decoder: |_| Box::new(S7comm::default()),
    function_name: names::function_name,
    status_name: names::status_name,
    objects: names::OBJECTS,
};

fn probe(transport: Transport, head: &[u8]) -> Probe {
    match transport {
        Transport::Tcp => iso::probe(head, suits, pdu::probe),
        Transport::Udp | Transport::Link => Probe::No,
    }
}

/// What a controller is asked for, by the first byte of its TSAP: a programming device's
/// connection, a panel's, a basic one.
fn suits(ends: &Ends<'_>) -> bool {
    matches!(ends.called, [1..=3, _]) && ends.called != [2, 0]
}

/// Cyclic jobs of a flow whose objects are kept.
const MAX_JOBS: usize = 16;

/// A cyclic job that the server numbered.
#[derive(Debug)]
struct Job {
    number: u8,
    objects: Objects,
}

#[derive(Debug, Default)]
struct S7comm {
    iso: Iso,
    told: Teller,
}

/// What is known of a flow above its transport.
#[derive(Debug, Default)]
struct Teller {
    pairing: Pairing,
    jobs: VecDeque<Job>,
    list: szl::Fragments,
    /// Rack and slot of the connection that is asked for.
    unit: u32,
    /// Kept for their capacity.
    values: Vec<Value<'static>>,
    statuses: Vec<u8>,
}

impl Decoder for S7comm {
    fn step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        self.iso.step(&mut self.told, from, bytes, out)
    }

    fn gap(&mut self, from: Party) {
        self.iso.gap(from);
        self.told.pairing.gap();
        self.told.list.clear();
    }

    fn expire(&mut self, now: i64, out: &mut dyn Emit) {
        self.told.pairing.expire(now, out);
    }

    fn flush(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        self.iso.flush(&mut self.told, from, bytes, out)
    }
}

impl iso::User for Teller {
    fn connection(&mut self, from: Party, tpdu: &Tpdu<'_>, length: usize, out: &mut dyn Emit) {
        self.tell_connection(from, tpdu, length, out);
    }

    fn data(&mut self, from: Party, tsdu: &[u8], length: usize, out: &mut dyn Emit) {
        self.tell_data(from, tsdu, length, out);
    }

    fn begins(&self, tsdu: &[u8]) -> bool {
        Pdu::parse(tsdu).is_ok()
    }
}

impl Teller {
    /// Keeps the objects of a cyclic job; the oldest one makes room.
    fn keep_job(&mut self, number: u8, objects: Objects) {
        self.end_job(number);
        if self.jobs.len() >= MAX_JOBS {
            self.jobs.pop_front();
        }
        self.jobs.push_back(Job { number, objects });
    }

    fn end_job(&mut self, number: u8) {
        self.jobs.retain(|job| job.number != number);
    }

    fn job(&self, number: u8) -> Objects {
        let found = self.jobs.iter().find(|job| job.number == number);
        found.map_or_else(Objects::new, |job| job.objects.clone())
    }
}
