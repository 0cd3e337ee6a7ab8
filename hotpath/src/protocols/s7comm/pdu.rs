//! The header of a PDU, and what of a flow's first PDU shows that it is one.

use super::userdata::{self, Kind};
use crate::bytes::{Cursor, Short};
use crate::protocols::iso::Beginning;
use crate::protocols::{Party, Probe};

const PROTOCOL_ID: u8 = 0x32;

/// Kinds of PDUs (ROSCTR).
pub(super) const JOB: u8 = 1;
pub(super) const ACK: u8 = 2;
pub(super) const ACK_DATA: u8 = 3;
pub(super) const USERDATA: u8 = 7;

/// A PDU with its header taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pdu<'a> {
    /// Job, acknowledgement (with data), userdata; others are not known.
    pub(super) kind: u8,
    /// What an answer repeats of its request.
    pub(super) reference: u16,
    /// Class and code of an error; 0 where there is none.
    pub(super) error: u16,
    pub(super) parameters: &'a [u8],
    pub(super) data: &'a [u8],
    /// Whether bytes follow that its lengths do not cover.
    pub(super) is_longer: bool,
}

/// Why these bytes are no PDU.
pub(super) const FOREIGN: &str = "the protocol identifier is not that of S7comm";
const CUT: &str = "the PDU is shorter than its header claims";

impl<'a> Pdu<'a> {
    /// Takes a TSDU apart.
    pub(super) fn parse(tsdu: &'a [u8]) -> Result<Self, &'static str> {
        match tsdu.first() {
            Some(&PROTOCOL_ID) => Self::fields(tsdu).map_err(|Short| CUT),
            _ => Err(FOREIGN),
        }
    }

    fn fields(tsdu: &'a [u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(tsdu);
        cursor.skip(1)?;
        let kind = cursor.u8()?;
        cursor.skip(2)?;
        let reference = cursor.u16_be()?;
        let parameters = usize::from(cursor.u16_be()?);
        let data = usize::from(cursor.u16_be()?);
        let error = if has_error(kind) { cursor.u16_be()? } else { 0 };
        let (parameters, data) = (cursor.take(parameters)?, cursor.take(data)?);
        Ok(Self { kind, reference, error, parameters, data, is_longer: !cursor.is_empty() })
    }

    /// The function of a job or its answer.
    pub(super) fn function(&self) -> Option<u8> {
        self.parameters.first().copied()
    }
}

const fn has_error(kind: u8) -> bool {
    matches!(kind, ACK | ACK_DATA)
}

/// Whether a TSDU that begins so is a PDU, and who sends it.
pub(super) fn probe(tsdu: Beginning<'_>) -> Probe {
    /// Header with an error, and a userdata's first eight parameters.
    const TOLD: usize = 18;
    match *tsdu.bytes {
        [PROTOCOL_ID, kind, 0, 0, _, _, p0, p1, d0, d1, ..] if is_known(kind) => {
            let header = if has_error(kind) { 12 } else { 10 };
            let parameters = usize::from(u16::from_be_bytes([p0, p1]));
            let length = header + parameters + usize::from(u16::from_be_bytes([d0, d1]));
            if tsdu.length > length || (tsdu.is_last && tsdu.length != length) {
                Probe::No
            } else if tsdu.bytes.len() < TOLD.min(tsdu.length) {
                Probe::More
            } else {
                Probe::Yes(sender(tsdu.bytes))
            }
        }
        [] | [PROTOCOL_ID] if tsdu.length >= 10 => Probe::More,
        [PROTOCOL_ID, kind, ref rest @ ..]
            if is_known(kind) && rest.len() < 8 && tsdu.length >= 10 =>
        {
            if rest.iter().take(2).all(|byte| *byte == 0) { Probe::More } else { Probe::No }
        }
        _ => Probe::No,
    }
}

const fn is_known(kind: u8) -> bool {
    matches!(kind, JOB | ACK | ACK_DATA | USERDATA)
}

/// Controllers ask for blocks that are to be downloaded; all else is asked by their clients.
fn sender(tsdu: &[u8]) -> Option<Party> {
    const ASKED_BY_SERVER: std::ops::RangeInclusive<u8> = 0x1B..=0x1C;
    let (&kind, head) = (tsdu.get(1)?, tsdu.get(10..)?);
    match kind {
        JOB => Some(match head.first()? {
            code if ASKED_BY_SERVER.contains(code) => Party::Server,
            _ => Party::Client,
        }),
        ACK_DATA => Some(match head.get(2)? {
            code if ASKED_BY_SERVER.contains(code) => Party::Client,
            _ => Party::Server,
        }),
        USERDATA => match userdata::parameters(head.get(..8)?).ok()? {
            // Either side sends blocks.
            told if told.group == userdata::PBC => None,
            told if told.kind == Kind::Request => Some(Party::Client),
            _ => Some(Party::Server),
        },
        _ => None,
    }
}
