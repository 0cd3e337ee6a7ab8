//! What one TSDU says: version, operation, function, and how it is protected.

use crate::bytes::{Cursor, Short};
use crate::protocols::iso::Beginning;
use crate::protocols::{Party, Probe};

const PROTOCOL_ID: u8 = 0x72;
const FIRST_VERSION: u8 = 1;
/// From this version on a digest stands in front of the operation.
const DIGESTED: u8 = 3;
/// The version of messages about the session itself.
const EVENT: u8 = 0xFE;
const KEEP_ALIVE: u8 = 0xFF;
/// Bytes of the header, and of the trailer that is a header with a length of 0.
const HEADER: usize = 4;

const REQUEST: u8 = 0x31;
const RESPONSE: u8 = 0x32;
const NOTIFICATION: u8 = 0x33;

/// The transport flag of a request that nobody answers.
const UNANSWERED: u8 = 0x40;

const TLS_TYPES: std::ops::RangeInclusive<u8> = 20..=24;

/// What stands in a TSDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// A request for a function.
    Request(Call<'a>),
    /// Its answer.
    Response(Call<'a>),
    /// Data that were subscribed.
    Notification,
    /// Another operation.
    Other(u8),
    /// About the session.
    Event,
    /// A TLS record.
    Encrypted,
}

/// A function and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call<'a> {
    pub(super) function: u16,
    /// What an answer repeats of its request.
    pub(super) sequence: u16,
    /// Whether an answer is owed.
    pub(super) is_owed: bool,
    /// Behind the transport flags.
    pub(super) body: &'a [u8],
}

/// A TSDU taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pdu<'a> {
    pub(super) said: Said<'a>,
    pub(super) version: u8,
    /// Whether a digest stands in front.
    pub(super) is_digested: bool,
    /// Whether another TSDU goes on with it: only the last one has a trailer.
    pub(super) is_cut: bool,
}

/// Why these bytes are no PDU.
pub(super) const FOREIGN: &str = "the protocol identifier is not that of S7comm-plus";
const CUT: &str = "the PDU is shorter than its header claims";

const fn is_version(version: u8) -> bool {
    matches!(version, FIRST_VERSION..=DIGESTED | EVENT | KEEP_ALIVE)
}

/// Whether a TLS record begins so.
pub(super) const fn is_tls(tsdu: &[u8]) -> bool {
    matches!(*tsdu, [kind, 3, 0..=4, ..] if *TLS_TYPES.start() <= kind && kind <= *TLS_TYPES.end())
}

impl<'a> Pdu<'a> {
    /// Takes a TSDU apart.
    pub(super) fn parse(tsdu: &'a [u8]) -> Result<Self, &'static str> {
        match tsdu.first() {
            Some(&PROTOCOL_ID) => Self::fields(tsdu).map_err(|Short| CUT),
            _ if is_tls(tsdu) => {
                Ok(Self { said: Said::Encrypted, version: 0, is_digested: false, is_cut: false })
            }
            _ => Err(FOREIGN),
        }
    }

    fn fields(tsdu: &'a [u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(tsdu);
        cursor.skip(1)?;
        let (version, length) = (cursor.u8()?, cursor.u16_be()?);
        let mut body = Cursor::new(cursor.take(usize::from(length))?);
        let is_event = version >= EVENT;
        let is_digested = version == DIGESTED && body.rest().first() == Some(&32);
        if is_digested {
            body.skip(33)?;
        }
        let said = if is_event { Said::Event } else { operation(body)? };
        Ok(Self { said, version, is_digested, is_cut: cursor.is_empty() && !is_event })
    }
}

fn operation(mut body: Cursor<'_>) -> Result<Said<'_>, Short> {
    let operation = body.u8()?;
    Ok(match operation {
        REQUEST | RESPONSE => {
            body.skip(2)?;
            let function = body.u16_be()?;
            body.skip(2)?;
            let sequence = body.u16_be()?;
            // A request has a session in front of its transport flags.
            body.skip(if operation == REQUEST { 4 } else { 0 })?;
            let is_owed = body.u8()? & UNANSWERED == 0;
            let call = Call { function, sequence, is_owed, body: body.rest() };
            if operation == REQUEST { Said::Request(call) } else { Said::Response(call) }
        }
        NOTIFICATION => Said::Notification,
        other => Said::Other(other),
    })
}

/// A number of variable length: seven bits a byte, the highest one says that more follow.
///
/// # Errors
/// The bytes end inside it.
pub(super) fn number(cursor: &mut Cursor<'_>) -> Result<u64, Short> {
    /// A number of 64 bits takes no more; the last one counts whole.
    const MOST: usize = 9;
    let mut sum: u64 = 0;
    for place in 0..MOST {
        let byte = cursor.u8()?;
        if place + 1 == MOST {
            return Ok((sum << 8) | u64::from(byte));
        }
        sum = (sum << 7) | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(sum)
}

/// Whether a TSDU that begins so is a PDU, and who sends it.
pub(super) fn probe(tsdu: Beginning<'_>) -> Probe {
    let [_, version, high, low, ref rest @ ..] = *tsdu.bytes else {
        let may_be = match *tsdu.bytes {
            [] => true,
            [id, ref rest @ ..] => {
                id == PROTOCOL_ID && rest.first().is_none_or(|version| is_version(*version))
            }
        };
        return if may_be && tsdu.length > HEADER { Probe::More } else { Probe::No };
    };
    let length = HEADER + usize::from(u16::from_be_bytes([high, low]));
    // What goes on in another TSDU has no trailer.
    let fits = tsdu.length == length || tsdu.length == length + HEADER;
    let may_fit = !tsdu.is_last && tsdu.length < length + HEADER;
    if tsdu.bytes.first() != Some(&PROTOCOL_ID)
        || !is_version(version)
        || length == HEADER
        || !(fits || may_fit)
    {
        return Probe::No;
    }
    if version >= EVENT {
        return Probe::Yes(None);
    }
    let digest = match rest.first() {
        Some(32) if version == DIGESTED => 33,
        Some(_) => 0,
        None => return Probe::More,
    };
    match rest.get(digest) {
        Some(&REQUEST) => Probe::Yes(Some(Party::Client)),
        Some(&(RESPONSE | NOTIFICATION)) => Probe::Yes(Some(Party::Server)),
        None if tsdu.length > HEADER + digest => Probe::More,
        _ => Probe::No,
    }
}
