//! Where an APDU begins and ends, and its control field.
//!
//! IEC 60870-5-104, clause 5: the start octet 68H, the length of the rest (4 to 253), four control
//! octets, and in the I format an ASDU.

use super::asdu;
use crate::protocols::{Party, Probe, Transport};

/// Start octet and length.
pub(super) const HEAD: usize = 2;
/// Start octet, length and control field.
pub(super) const APCI: usize = 6;
/// What stands before the first information object: the APCI, and the data unit identifier.
const BEFORE_OBJECTS: usize = APCI + asdu::IDENTIFIER;
const START: u8 = 0x68;
/// Least and greatest value of the length octet.
const LENGTHS: std::ops::RangeInclusive<u8> = 4..=253;
/// How many APDUs of a head a probe looks at.
const PROBED: usize = 4;
/// Sequence numbers have 15 bits.
pub(super) const NUMBERS: u16 = 0x8000;

/// What the control field says (clause 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// Information, with send and receive sequence number.
    Information { send: u16, receive: u16 },
    /// A supervisory acknowledgment, with receive sequence number.
    Supervisory { receive: u16 },
    /// An unnumbered function: the octet whose one bit says which.
    Unnumbered(u8),
}

/// An APCI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) control: Control,
    /// Bytes of the APDU, start octet and length included.
    pub(super) length: usize,
}

/// An answer about the bytes at hand. No further bytes ever change `Yes` or `No`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look<T> {
    Yes(T),
    No(&'static str),
    /// It takes this many bytes to tell.
    More(usize),
}

/// The APCI that begins here, if its fields can be right.
#[inline]
pub(super) fn header(bytes: &[u8]) -> Look<Header> {
    const FOREIGN: &str = "the start octet is not 68H";
    const LENGTH: &str = "the length octet is outside 4 to 253";
    const CONTROL: &str = "the control field is none of the standard's";
    match *bytes {
        [start, ..] if start != START => Look::No(FOREIGN),
        [_, length, ..] if !LENGTHS.contains(&length) => Look::No(LENGTH),
        [_, length, c1, c2, c3, c4, ..] => {
            let length = usize::from(length) + HEAD;
            match control([c1, c2, c3, c4]) {
                Some(Control::Information { send, receive }) => {
                    Look::Yes(Header { control: Control::Information { send, receive }, length })
                }
                Some(control) if length == APCI => Look::Yes(Header { control, length }),
                _ => Look::No(CONTROL),
            }
        }
        _ => Look::More(APCI),
    }
}

fn control(octets: [u8; 4]) -> Option<Control> {
    let [c1, c2, c3, c4] = octets;
    let number = |low: u8, high: u8| u16::from_le_bytes([low, high]) >> 1;
    match octets {
        [1, 0, _, _] if c3 & 1 == 0 => Some(Control::Supervisory { receive: number(c3, c4) }),
        [0x07 | 0x0B | 0x13 | 0x23 | 0x43 | 0x83, 0, 0, 0] => Some(Control::Unnumbered(c1)),
        _ if c1 & 1 == 0 && c3 & 1 == 0 => {
            Some(Control::Information { send: number(c1, c2), receive: number(c3, c4) })
        }
        _ => None,
    }
}

/// The APCI that begins here, if it is followed by what an ASDU must look like and both agree on
/// the length. What is found amid garbage must pass this.
pub(super) fn strict(bytes: &[u8]) -> Look<Header> {
    const UNLIKE: &str = "no APDU begins here";
    let found = match header(bytes) {
        Look::Yes(found) => found,
        other => return other,
    };
    let Control::Information { .. } = found.control else { return Look::Yes(found) };
    if found.length < BEFORE_OBJECTS {
        return Look::No(UNLIKE);
    }
    match bytes.get(APCI..BEFORE_OBJECTS) {
        None => Look::More(BEFORE_OBJECTS),
        Some(head) if asdu::is_plausible(head, found.length - APCI) => Look::Yes(found),
        Some(_) => Look::No(UNLIKE),
    }
}

/// The first offset but 0 at which an APDU begins or, for all that is known, could; where these
/// are the `last` bytes, what would take more is none.
pub(super) fn seek(bytes: &[u8], last: bool) -> usize {
    (1..bytes.len())
        .find(|offset| match strict(bytes.get(*offset..).unwrap_or_default()) {
            Look::Yes(_) => true,
            Look::More(_) => !last,
            Look::No(_) => false,
        })
        .unwrap_or(bytes.len())
}

/// See [`crate::protocols::Protocol::probe`]. An APCI of the I format alone is too little to claim
/// a flow: its ASDU must be plausible, or another APCI must follow where it ends.
pub(super) fn probe(transport: Transport, head: &[u8]) -> Probe {
    if transport != Transport::Tcp {
        return Probe::No;
    }
    let mut rest = head;
    for place in 0..PROBED {
        let found = match header(rest) {
            Look::Yes(found) => found,
            Look::More(_) => return Probe::More,
            Look::No(_) => return Probe::No,
        };
        match strict(rest) {
            Look::Yes(_) => return Probe::Yes(speaker(found.control, rest)),
            Look::More(_) => return Probe::More,
            Look::No(_) if place > 0 => return Probe::Yes(None),
            Look::No(_) => {}
        }
        rest = rest.get(found.length..).unwrap_or_default();
    }
    Probe::No
}

/// Who sends an APDU, as far as it shows: the controlling station is the client.
fn speaker(control: Control, bytes: &[u8]) -> Option<Party> {
    match control {
        Control::Unnumbered(0x07 | 0x13) => Some(Party::Client),
        Control::Unnumbered(0x0B | 0x23) => Some(Party::Server),
        Control::Unnumbered(_) | Control::Supervisory { .. } => None,
        Control::Information { .. } => bytes.get(APCI..).and_then(asdu::speaker),
    }
}
