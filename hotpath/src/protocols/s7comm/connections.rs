//! Connections: who asks for what, by the TSAPs of the transport.

use std::fmt::Write;

use super::Teller;
use super::items::{Objects, named};
use super::names::{REFUSED, TSAP};
use super::tell::Head;
use crate::protocols::iso::{self, Ends, Tpdu};
use crate::protocols::pairing::{Answer, Pending};
use crate::protocols::{Emit, Party};
use crate::words::{Access, Role};

/// The key of a connection that is asked for: beyond that of any PDU.
const CONNECTION: u64 = u64::MAX;

impl Teller {
    pub(super) fn tell_connection(
        &mut self,
        from: Party,
        tpdu: &Tpdu<'_>,
        length: usize,
        out: &mut dyn Emit,
    ) {
        self.begin();
        match tpdu {
            Tpdu::Connect(ends) => {
                let objects = tsaps(ends);
                self.unit = rack_and_slot(ends);
                let head = Head::new(from, Role::Request, iso::CONNECT, length);
                let head = Head { unit: self.unit, ..head };
                self.ask(CONNECTION, head, objects, out);
            }
            Tpdu::Confirm(_) | Tpdu::Disconnect(_) => {
                let refused = match tpdu {
                    Tpdu::Disconnect(reason) => REFUSED | u16::from(*reason),
                    _ => 0,
                };
                let waits = |request: &Pending| request.from != from;
                match self.pairing.answer(CONNECTION, waits) {
                    Answer::To(request) => {
                        let head = Head::new(from, Role::Response, iso::CONNECT, length);
                        let head = Head { unit: self.unit, status: refused, ..head };
                        self.reply(&request, head, out);
                    }
                    _ if refused == 0 => {
                        let head = Head::new(from, Role::Response, iso::CONNECT, length);
                        self.emit(head, &[], out);
                    }
                    _ => {
                        let head = Head::new(from, Role::Report, iso::DISCONNECT, length);
                        self.emit(head, &[], out);
                    }
                }
            }
            Tpdu::Disconnected => {
                self.emit(Head::new(from, Role::Response, iso::DISCONNECT, length), &[], out);
            }
            Tpdu::Error(_) => {
                self.emit(Head::new(from, Role::Response, iso::ERROR, length), &[], out);
            }
            Tpdu::Data { .. } => {}
        }
    }
}

/// The ends of a connection as people write them.
fn tsaps(ends: &Ends<'_>) -> Objects {
    let told = [ends.called, ends.calling].into_iter().filter(|tsap| !tsap.is_empty());
    told.map(|tsap| named(TSAP, &tsap_name(tsap), Access::Control)).collect()
}

fn tsap_name(tsap: &[u8]) -> String {
    let device = match tsap.first() {
        Some(1) => "PG",
        Some(2) => "OP",
        Some(3) => "S7-basic",
        _ => "TSAP",
    };
    match *tsap {
        [1..=3, place] => format!("{device} rack {} slot {}", place >> 5, place & 0x1F),
        _ if tsap.iter().all(u8::is_ascii_graphic) => String::from_utf8_lossy(tsap).into_owned(),
        _ => tsap.iter().take(32).fold(String::from("0x"), |mut text, byte| {
            // A string takes whatever is written to it.
            let _ = write!(text, "{byte:02x}");
            text
        }),
    }
}

fn rack_and_slot(ends: &Ends<'_>) -> u32 {
    match *ends.called {
        [1..=3, place] => u32::from(place),
        _ => 0,
    }
}
