//! Which protocol is spoken above the transport, by the first bytes of one side.

use super::Ends;
use super::tpdu::{self, Look, TPKT, Tpdu};
use crate::protocols::{Party, Probe};

/// How many TSDUs are looked at where the first ones may be the rest of one that began earlier.
const PROBED: usize = 4;

/// Bytes of a packet around no data at all.
const EMPTY: usize = TPKT + 3;

/// The first part of a TSDU, as far as it is there.
#[derive(Debug, Clone, Copy)]
pub struct Beginning<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// How many there will be.
    pub length: usize,
    /// Whether the TSDU ends with them.
    pub is_last: bool,
}

/// See [`crate::protocols::Protocol::probe`]. The first TSDU tells, by `data`. As long as only a
/// connection was asked for, `suits` says whether its ends are usual for the protocol; that is kept
/// for the case that nothing else comes.
pub fn probe(head: &[u8], suits: fn(&Ends<'_>) -> bool, data: fn(Beginning<'_>) -> Probe) -> Probe {
    let (mut rest, mut party, mut is_usual) = (head, None, false);
    let (mut is_amid, mut seen) = (false, 0);
    loop {
        let undecided = if is_usual { Probe::Likely(party) } else { Probe::More };
        let length = match tpdu::strict(rest) {
            Look::Yes(length) => length,
            Look::More(_) => return undecided,
            Look::No(_) => return Probe::No,
        };
        let whole = rest.get(TPKT..length);
        let body = whole.unwrap_or_else(|| rest.get(TPKT..).unwrap_or_default());
        match tpdu::parse(body) {
            Ok(Tpdu::Data { is_last, .. }) if is_amid || length == EMPTY => {
                is_amid = is_amid && !is_last;
            }
            Ok(Tpdu::Data { part, is_last }) => match data(Beginning {
                bytes: part,
                length: part.len() + (length - TPKT).saturating_sub(body.len()),
                is_last,
            }) {
                Probe::Yes(who) => return Probe::Yes(who.or(party)),
                Probe::No if party.is_some() => return Probe::Akin,
                Probe::No => {
                    (is_amid, seen) = (!is_last, seen + 1);
                    if seen == PROBED {
                        return Probe::Akin;
                    }
                }
                answer => return answer,
            },
            _ if whole.is_none() => return undecided,
            Ok(Tpdu::Connect(ends)) => (party, is_usual) = (Some(Party::Client), suits(&ends)),
            Ok(Tpdu::Confirm(ends)) => (party, is_usual) = (Some(Party::Server), suits(&ends)),
            Ok(Tpdu::Disconnect(_) | Tpdu::Disconnected | Tpdu::Error(_)) => {}
            Err(_) => return Probe::No,
        }
        if whole.is_none() {
            return undecided;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
}
