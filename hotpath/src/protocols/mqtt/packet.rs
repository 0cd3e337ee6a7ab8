//! From the bytes of a control packet to what stands in it (MQTT 3.1.1 and 5.0, 3).

use smallvec::SmallVec;

use super::names::{
    AUTH, CONNACK, CONNECT, DISCONNECT, PROTOCOLS, PUBACK, PUBCOMP, PUBLISH, SUBACK, SUBSCRIBE,
    UNSUBACK, UNSUBSCRIBE,
};
use super::properties::{Properties, binary};
use crate::bytes::{Cursor, Short};

const LONG: &str = "the packet is longer than what it holds";
const NO_FILTER: &str = "the packet names no topic filter";
const NO_CODE: &str = "the packet has no reason code";
const NO_IDENTIFIER: &str = "the packet identifier is 0";
const PROTOCOL: &str = "the protocol is neither MQTT nor MQIsdp, or of a version that is not known";

/// Level of MQTT 5.0, the first one with properties.
pub(super) const FIVE: u8 = 5;
/// The last level without them.
pub(super) const FOUR: u8 = 4;
/// Bridges of Mosquitto add it to the level.
const BRIDGE: u8 = 0x80;

/// Why a body is not what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends before its last field does.
    Short,
    /// It breaks this rule.
    Rule(&'static str),
}

impl From<Short> for Fault {
    fn from(_: Short) -> Self {
        Self::Short
    }
}

impl Fault {
    /// What is wrong, in words.
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::Short => "the packet ends before its last field does",
            Self::Rule(detail) => detail,
        }
    }
}

/// A last will: what the broker publishes where the client is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Will<'a> {
    pub(super) topic: &'a [u8],
    pub(super) payload: &'a [u8],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Connect<'a> {
    /// The protocol level, without the mark of a bridge.
    pub(super) level: u8,
    pub(super) is_bridge: bool,
    /// Whether the client begins anew (clean session, clean start).
    pub(super) is_clean: bool,
    pub(super) keep_alive: u16,
    pub(super) client: &'a [u8],
    pub(super) will: Option<Will<'a>>,
    pub(super) user: Option<&'a [u8]>,
    pub(super) has_password: bool,
    pub(super) method: Option<&'a [u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Publish<'a> {
    pub(super) topic: &'a [u8],
    /// 0 where quality of service has none.
    pub(super) id: u16,
    pub(super) alias: Option<u16>,
    pub(super) payload: &'a [u8],
}

/// A topic filter, and the quality of service that is asked for.
pub(super) type Filter<'a> = (&'a [u8], u8);

/// What a body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Connect(Connect<'a>),
    /// CONNACK, with the name that the broker gave to the client.
    Accept {
        code: u8,
        client: Option<&'a [u8]>,
    },
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL, PUBCOMP.
    Acknowledge {
        id: u16,
        code: u8,
    },
    /// SUBSCRIBE, UNSUBSCRIBE.
    Subscribe {
        id: u16,
        filters: SmallVec<[Filter<'a>; 4]>,
    },
    /// SUBACK, UNSUBACK.
    Granted {
        id: u16,
        codes: &'a [u8],
    },
    /// DISCONNECT, AUTH.
    Reason {
        code: u8,
    },
    /// PINGREQ, PINGRESP.
    Ping,
}

/// A body whose protocol level is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) bytes: &'a [u8],
    /// Whether the packet goes on behind these bytes.
    pub(super) is_cut: bool,
}

impl<'a> Body<'a> {
    /// Reads the body of a connection of this level; of a CONNECT, whatever level it has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(self, level: u8) -> Result<Packet<'a>, Fault> {
        let mut cursor = Cursor::new(self.bytes);
        let has_properties = level >= FIVE;
        let packet = match self.kind {
            CONNECT => {
                let mut connect = Connect::default();
                self.unless_cut(connect.read(&mut cursor))?;
                Packet::Connect(connect)
            }
            CONNACK => accept(&mut cursor, has_properties)?,
            // Whatever is left is payload.
            PUBLISH => return publish(&mut cursor, self.flags, has_properties),
            PUBACK..=PUBCOMP => {
                let id = identifier(&mut cursor)?;
                Packet::Acknowledge { id, code: reason(&mut cursor, has_properties)? }
            }
            SUBSCRIBE | UNSUBSCRIBE => self.subscribe(&mut cursor, has_properties)?,
            SUBACK | UNSUBACK => granted(&mut cursor, self.kind, has_properties)?,
            DISCONNECT | AUTH => Packet::Reason { code: reason(&mut cursor, has_properties)? },
            _ => Packet::Ping,
        };
        if cursor.is_empty() || self.is_cut { Ok(packet) } else { Err(Fault::Rule(LONG)) }
    }

    /// Of a packet that is longer than what is looked at, what stands there is told.
    fn unless_cut(self, read: Result<(), Fault>) -> Result<(), Fault> {
        if self.is_cut && read == Err(Fault::Short) { Ok(()) } else { read }
    }

    fn subscribe(self, cursor: &mut Cursor<'a>, has_properties: bool) -> Result<Packet<'a>, Fault> {
        let id = identifier(cursor)?;
        if has_properties {
            Properties::read(cursor)?;
        }
        let mut filters = SmallVec::new();
        while !cursor.is_empty() {
            self.unless_cut(self.filter(cursor).map(|filter| filters.push(filter)))?;
            if self.is_cut && cursor.remaining() < 3 {
                break;
            }
        }
        if filters.is_empty() {
            Err(Fault::Rule(NO_FILTER))
        } else {
            Ok(Packet::Subscribe { id, filters })
        }
    }

    fn filter(self, cursor: &mut Cursor<'a>) -> Result<Filter<'a>, Fault> {
        let name = binary(cursor)?;
        Ok((name, if self.kind == SUBSCRIBE { cursor.u8()? & 0x03 } else { 0 }))
    }
}

impl<'a> Connect<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let named = PROTOCOLS.iter().find(|(name, _)| cursor.rest().starts_with(name));
        let (name, levels) = named.ok_or(Fault::Rule(PROTOCOL))?;
        cursor.skip(name.len())?;
        let [level, flags] = cursor.array()?;
        (self.level, self.is_bridge) = (level & !BRIDGE, level & BRIDGE != 0);
        if !levels.contains(&self.level) {
            return Err(Fault::Rule(PROTOCOL));
        }
        self.is_clean = flags & 0x02 != 0;
        self.keep_alive = cursor.u16_be()?;
        if self.level >= FIVE {
            self.method = Properties::read(cursor)?.method;
        }
        self.client = binary(cursor)?;
        if flags & 0x04 != 0 {
            if self.level >= FIVE {
                Properties::read(cursor)?;
            }
            let (topic, payload) = (binary(cursor)?, binary(cursor)?);
            self.will = Some(Will { topic, payload });
        }
        if flags & 0x80 != 0 {
            self.user = Some(binary(cursor)?);
        }
        if flags & 0x40 != 0 {
            // An empty one proves nothing.
            self.has_password = !binary(cursor)?.is_empty();
        }
        Ok(())
    }
}

fn identifier(cursor: &mut Cursor<'_>) -> Result<u16, Fault> {
    match cursor.u16_be()? {
        0 => Err(Fault::Rule(NO_IDENTIFIER)),
        id => Ok(id),
    }
}

fn accept<'a>(cursor: &mut Cursor<'a>, has_properties: bool) -> Result<Packet<'a>, Fault> {
    let [_, code] = cursor.array()?;
    let client = if has_properties { Properties::read(cursor)?.client } else { None };
    Ok(Packet::Accept { code, client })
}

fn publish<'a>(
    cursor: &mut Cursor<'a>,
    flags: u8,
    has_properties: bool,
) -> Result<Packet<'a>, Fault> {
    let topic = binary(cursor)?;
    let id = if flags & 0x06 == 0 { 0 } else { identifier(cursor)? };
    let alias = if has_properties { Properties::read(cursor)?.alias } else { None };
    Ok(Packet::Publish(Publish { topic, id, alias, payload: cursor.rest() }))
}

/// A reason code and properties, which may both be left out (MQTT 5.0, 3.4.2.1 and its like).
fn reason(cursor: &mut Cursor<'_>, has_properties: bool) -> Result<u8, Fault> {
    if !has_properties || cursor.is_empty() {
        return Ok(0);
    }
    let code = cursor.u8()?;
    if !cursor.is_empty() {
        Properties::read(cursor)?;
    }
    Ok(code)
}

fn granted<'a>(
    cursor: &mut Cursor<'a>,
    kind: u8,
    has_properties: bool,
) -> Result<Packet<'a>, Fault> {
    let id = identifier(cursor)?;
    if has_properties {
        Properties::read(cursor)?;
    }
    // An UNSUBACK has reason codes since MQTT 5.0.
    let expected = if kind == SUBACK || has_properties { cursor.remaining() } else { 0 };
    let codes = cursor.take(expected)?;
    if codes.is_empty() && (kind == SUBACK || has_properties) {
        return Err(Fault::Rule(NO_CODE));
    }
    Ok(Packet::Granted { id, codes })
}

/// Whether a whole body of either level is sound.
pub(super) fn is_sound(kind: u8, flags: u8, bytes: &[u8]) -> bool {
    let body = Body { kind, flags, bytes, is_cut: false };
    [FOUR, FIVE].into_iter().any(|level| match body.read(level) {
        Ok(Packet::Accept { code, .. }) => {
            bytes.first().is_some_and(|flags| *flags < 2) && (code <= 5 || code >= 0x80)
        }
        Ok(Packet::Acknowledge { code, .. }) => matches!(code, 0 | 0x10 | 0x80..),
        Ok(Packet::Granted { codes, .. }) => {
            codes.iter().all(|code| matches!(code, 0..=2 | 0x11 | 0x80..=0xA2))
        }
        Ok(Packet::Subscribe { filters, .. }) => filters.iter().all(|(name, _)| is_filter(name)),
        Ok(Packet::Reason { code }) => matches!(code, 0 | 4 | 0x18 | 0x19 | 0x80..=0xA2),
        Ok(Packet::Connect(_) | Packet::Publish(_) | Packet::Ping) => true,
        Err(_) => false,
    })
}

/// Whether this is a topic filter: text that is not empty (4.7.3).
pub(super) fn is_filter(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&0) && std::str::from_utf8(name).is_ok()
}

/// Whether this is a topic name: text without wildcards (4.7).
pub(super) fn is_topic(name: &[u8]) -> bool {
    is_filter(name) && !name.iter().any(|byte| matches!(byte, b'#' | b'+' | ..=0x1F | 0x7F))
}

/// Whether properties with a topic alias stand here; `None`: more bytes are needed to tell.
pub(super) fn has_alias(mut cursor: Cursor<'_>) -> Option<bool> {
    match Properties::read(&mut cursor) {
        Ok(properties) => Some(properties.alias.is_some()),
        Err(Fault::Rule(_)) => Some(false),
        Err(Fault::Short) => None,
    }
}
