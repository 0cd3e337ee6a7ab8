//! Publishers of IEC 61850 on the link layer: GOOSE (8-1) and Sampled Values (9-2).
//!
//! Both begin with the same header (IEC 61850-8-1 and 9-2, annex C): APPID, length, two reserved
//! fields; then an APDU in BER. What is behind the length is padding, or the trailer of a
//! redundant network (IEC 62439-3). Whoever sends is the client, the group is the server, and the
//! APPID its port.
//!
//! The same over UDP (R-GOOSE, R-SV: IEC 61850-90-5) is not understood.

mod ber;
pub mod goose;
mod numbering;
pub mod sv;

use self::ber::Element;
use crate::bytes::{Cursor, Short};
use crate::protocols::{Emit, Object, Party, Probe, Told, Transport, Value};
use crate::words::{Access, ValueKind};

/// Reserved 1: the message is of a test device (edition 2).
const SIMULATED: u16 = 0x8000;

const LENGTH: &str = "the length field does not fit the APDU";
const FIELD: &str = "a field is not well-formed";
const MISSING: &str = "a mandatory field is missing";
const TWICE: &str = "a field is given twice";

/// The header of a frame, and what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pdu<'a> {
    is_simulated: bool,
    /// Tag and content of the APDU.
    apdu: Element<'a>,
    /// Bytes without padding.
    length: usize,
    /// What is wrong with the header.
    fault: Option<&'static str>,
}

impl<'a> Pdu<'a> {
    /// Reads a header and the APDU behind it; `None` where none that is whole follows. Some
    /// publishers count wrongly: the APDU's own length is what counts.
    #[inline]
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let fields = |cursor: &mut Cursor<'_>| {
            cursor.skip(2)?; // the APPID: the port
            let (length, reserved) = (cursor.u16_be()?, cursor.u16_be()?);
            cursor.skip(2)?;
            Ok::<_, Short>((usize::from(length), reserved))
        };
        let (claimed, reserved) = fields(&mut cursor).ok()?;
        let apdu = ber::element(&mut cursor)?;
        let length = bytes.len() - cursor.remaining();
        let fault = (claimed != length).then_some(LENGTH);
        Some(Self { is_simulated: reserved & SIMULATED != 0, apdu, length, fault })
    }
}

/// The APPID.
fn appid(_: u16, payload: &[u8]) -> u16 {
    payload.first_chunk().copied().map_or(0, u16::from_be_bytes)
}

/// See [`crate::protocols::Protocol::probe`]: one of these APDUs is there as a whole, and begins with
/// the field that all of them begin with.
fn probe(transport: Transport, head: &[u8], tags: &[u8]) -> Probe {
    const FIRST: u8 = 0x80;
    let is_it = transport == Transport::Link
        && Pdu::read(head).is_some_and(|pdu| {
            let first = ber::element(&mut Cursor::new(pdu.apdu.content));
            tags.contains(&pdu.apdu.tag) && first.is_some_and(|first| first.tag == FIRST)
        });
    if is_it { Probe::Yes(Some(Party::Client)) } else { Probe::No }
}

/// Sets a field once. Says what is wrong with it.
fn put<T>(field: &mut Option<T>, value: Option<T>) -> Option<&'static str> {
    if field.is_some() {
        return Some(TWICE);
    }
    *field = value;
    field.is_none().then_some(FIELD)
}

/// One object of a publisher, addressed by place from 1 on; alone at 0.
const fn object(kind: u16, name: Option<&str>, places: u32) -> Object<'_> {
    let address = if places == ALONE { 0 } else { 1 };
    let count = if places == ALONE { 1 } else { places };
    Object { kind, address, count, access: Access::Report, status: 0, name }
}

/// Of [`object`]: it is one value, not a list.
const ALONE: u32 = 0;

/// A value that is the only one of its object.
const fn value(object: u16, kind: ValueKind, raw: u64) -> Value<'static> {
    Value { object, offset: 0, kind, raw, text: None, quality: 0, source_time: 0 }
}

/// The message with this id, which the present frame completed.
fn told(id: u64, out: &dyn Emit) -> Told {
    let now = out.now();
    Told { id, frame: now.frame, time: now.time }
}
