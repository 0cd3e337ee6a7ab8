//! One packet: a TPKT header (RFC 1006, clause 6) around a TPDU (ISO 8073 or X.224, clause 13).

use crate::bytes::{Cursor, Short};

/// Bytes of the TPKT header: version, reserved, length of the packet.
pub const TPKT: usize = 4;
/// RFC 1006: the least packet holds a TPDU of three bytes.
const MIN_PACKET: usize = 7;
const VERSION: u8 = 3;

const CONNECT: u8 = 0xE0;
const CONFIRM: u8 = 0xD0;
const DISCONNECT: u8 = 0x80;
const DISCONNECTED: u8 = 0xC0;
const DATA: u8 = 0xF0;
const ERROR: u8 = 0x70;

const CALLING: u8 = 0xC1;
const CALLED: u8 = 0xC2;
/// The number of a data TPDU, and whether it ends its TSDU.
const END_OF_TSDU: u8 = 0x80;

/// An answer about the bytes at hand. No further bytes ever change `Yes` or `No`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look<T> {
    /// It is.
    Yes(T),
    /// It is not, and why.
    No(&'static str),
    /// It takes this many bytes to tell.
    More(usize),
}

/// Who is to be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends<'a> {
    /// The TSAP of who asks, empty if it is not said.
    pub calling: &'a [u8],
    /// The TSAP of who is asked, empty if it is not said.
    pub called: &'a [u8],
}

/// A TPDU of class 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tpdu<'a> {
    /// CR: a connection is asked for.
    Connect(Ends<'a>),
    /// CC: it is granted.
    Confirm(Ends<'a>),
    /// DR: it is refused, or ends.
    Disconnect(u8),
    /// DC: an end is confirmed; class 0 needs none, and some send it.
    Disconnected,
    /// DT: a part of a TSDU.
    Data {
        /// The part.
        part: &'a [u8],
        /// Whether the TSDU ends with it.
        is_last: bool,
    },
    /// ER: a TPDU was not understood.
    Error(u8),
}

/// The length of the packet that begins here, its header included.
#[inline]
pub fn packet(bytes: &[u8]) -> Look<usize> {
    const FOREIGN: &str = "no TPKT header of version 3";
    const LENGTH: &str = "the TPKT length is below 7";
    match *bytes {
        [VERSION, 0, high, low, ..] => match usize::from(u16::from_be_bytes([high, low])) {
            MIN_PACKET.. => Look::Yes(usize::from(u16::from_be_bytes([high, low]))),
            _ => Look::No(LENGTH),
        },
        [] | [VERSION] | [VERSION, 0] | [VERSION, 0, _] => Look::More(TPKT),
        _ => Look::No(FOREIGN),
    }
}

/// The length of the packet that begins here, if what stands in it begins like a TPDU that fills
/// it. What is found amid garbage must pass this.
pub fn strict(bytes: &[u8]) -> Look<usize> {
    const UNLIKE: &str = "no TPDU begins here";
    let length = match packet(bytes) {
        Look::Yes(length) => length,
        other => return other,
    };
    match *bytes {
        [_, _, _, _, 2, DATA, ..] => Look::Yes(length),
        [
            _,
            _,
            _,
            _,
            indicator,
            CONNECT..=0xEF | CONFIRM..=0xDF | DISCONNECT | DISCONNECTED | ERROR,
            ..,
        ] if usize::from(indicator) + TPKT + 1 == length => Look::Yes(length),
        [_, _, _, _, _, _, ..] => Look::No(UNLIKE),
        _ => Look::More(TPKT + 2),
    }
}

/// The first offset but 0 at which a packet begins or, for all that is known, could; where these
/// are the `last` bytes, what would take more is none.
pub fn seek(bytes: &[u8], last: bool) -> usize {
    (1..bytes.len())
        .find(|offset| match strict(bytes.get(*offset..).unwrap_or_default()) {
            Look::Yes(_) => true,
            Look::More(_) => !last,
            Look::No(_) => false,
        })
        .unwrap_or(bytes.len())
}

/// The TPDU in a packet without its TPKT header; of a data TPDU the part may be cut.
///
/// # Errors
/// What is wrong with it.
pub fn parse(body: &[u8]) -> Result<Tpdu<'_>, &'static str> {
    const CUT: &str = "the TPDU ends inside its header";
    const UNKNOWN: &str = "a TPDU that class 0 does not have";
    let mut cursor = Cursor::new(body);
    let indicator = cursor.u8().map_err(|Short| CUT)?;
    let header = cursor.take(usize::from(indicator)).map_err(|Short| CUT)?;
    match *header {
        [DATA, number, ..] => {
            Ok(Tpdu::Data { part: cursor.rest(), is_last: number & END_OF_TSDU != 0 })
        }
        [CONNECT..=0xEF, _, _, _, _, _, ref rest @ ..] => ends(rest).map(Tpdu::Connect),
        [CONFIRM..=0xDF, _, _, _, _, _, ref rest @ ..] => ends(rest).map(Tpdu::Confirm),
        [DISCONNECT, _, _, _, _, reason, ..] => Ok(Tpdu::Disconnect(reason)),
        [DISCONNECTED, _, _, _, _, ..] => Ok(Tpdu::Disconnected),
        [ERROR, _, _, cause, ..] => Ok(Tpdu::Error(cause)),
        [DATA | CONNECT..=0xEF | CONFIRM..=0xDF | DISCONNECT | DISCONNECTED | ERROR, ..] | [] => {
            Err(CUT)
        }
        _ => Err(UNKNOWN),
    }
}

/// The variable part of a CR or CC: code, length, value (clause 13.3.4).
fn ends(rest: &[u8]) -> Result<Ends<'_>, &'static str> {
    const CUT: &str = "a parameter of the TPDU ends too early";
    let mut cursor = Cursor::new(rest);
    let mut found = Ends::default();
    while !cursor.is_empty() {
        let code = cursor.u8().map_err(|Short| CUT)?;
        let length = cursor.u8().map_err(|Short| CUT)?;
        let value = cursor.take(usize::from(length)).map_err(|Short| CUT)?;
        match code {
            CALLING => found.calling = value,
            CALLED => found.called = value,
            _ => {}
        }
    }
    Ok(found)
}
