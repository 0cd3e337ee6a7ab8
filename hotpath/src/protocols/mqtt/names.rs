//! Numbers and their names (MQTT 3.1.1, 2.2.1 and 3.2.2.3; MQTT 5.0, 2.1.2 and 2.4).
//!
//! A function is the packet type. Sub-functions are those of otids:
//! - of CONNECT the protocol level (3, 4, 5), plus [`BRIDGE`], plus [`KEPT`] where the session goes
//!   on from before;
//! - of PUBLISH the quality of service, plus [`DELIVERED`] where the broker sends it; of a client's
//!   plus [`RETAINED`], plus [`DELETED`] where it is empty and deletes what the broker retained;
//! - of DISCONNECT and AUTH the reason code, where it is none of a failure.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::protocols::{NO_SUBFUNCTION, ObjectKind};
use crate::words::{Activity, Role};

pub(super) const CONNECT: u8 = 1;
pub(super) const CONNACK: u8 = 2;
pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBACK: u8 = 4;
pub(super) const PUBREC: u8 = 5;
pub(super) const PUBREL: u8 = 6;
pub(super) const PUBCOMP: u8 = 7;
pub(super) const SUBSCRIBE: u8 = 8;
pub(super) const SUBACK: u8 = 9;
pub(super) const UNSUBSCRIBE: u8 = 10;
pub(super) const UNSUBACK: u8 = 11;
pub(super) const PINGREQ: u8 = 12;
pub(super) const PINGRESP: u8 = 13;
pub(super) const DISCONNECT: u8 = 14;
pub(super) const AUTH: u8 = 15;

pub(super) const BRIDGE: u32 = 0x100;
pub(super) const KEPT: u32 = 0x200;
pub(super) const RETAINED: u32 = 4;
pub(super) const DELETED: u32 = 8;
pub(super) const DELIVERED: u32 = 16;

/// How a CONNECT begins: the name of the protocol, and the levels that it had by this name.
pub(super) const PROTOCOLS: &[(&[u8], &[u8])] =
    &[(b"\x00\x04MQTT", &[4, 5]), (b"\x00\x06MQIsdp", &[3])];

pub(super) const TOPIC: u16 = 0;
pub(super) const ALIAS: u16 = 1;
pub(super) const MEMBER: u16 = 2;
pub(super) const FILTER: u16 = 3;
pub(super) const USER: u16 = 4;
pub(super) const PASSWORD: u16 = 5;
pub(super) const WILL: u16 = 6;
pub(super) const KEEP_ALIVE: u16 = 7;
pub(super) const METHOD: u16 = 8;

/// The object types, by the numbers above.
pub(super) static OBJECTS: &[ObjectKind] = &[
    ObjectKind { name: "topic", dense: false },
    ObjectKind { name: "topic-alias", dense: false },
    ObjectKind { name: "topic-member", dense: false },
    ObjectKind { name: "topic-filter", dense: false },
    ObjectKind { name: "user", dense: false },
    ObjectKind { name: "password", dense: false },
    ObjectKind { name: "will", dense: false },
    ObjectKind { name: "keep-alive", dense: false },
    ObjectKind { name: "authentication-method", dense: false },
];

const TYPES: &[(u8, &str)] = &[
    (CONNECT, "CONNECT"),
    (CONNACK, "CONNACK"),
    (PUBLISH, "PUBLISH"),
    (PUBACK, "PUBACK"),
    (PUBREC, "PUBREC"),
    (PUBREL, "PUBREL"),
    (PUBCOMP, "PUBCOMP"),
    (SUBSCRIBE, "SUBSCRIBE"),
    (SUBACK, "SUBACK"),
    (UNSUBSCRIBE, "UNSUBSCRIBE"),
    (UNSUBACK, "UNSUBACK"),
    (PINGREQ, "PINGREQ"),
    (PINGRESP, "PINGRESP"),
    (DISCONNECT, "DISCONNECT"),
    (AUTH, "AUTH"),
];

/// Every name, composed once: function and sub-function.
static NAMES: LazyLock<HashMap<(u32, u32), String>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for (kind, name) in TYPES {
        names.insert((u32::from(*kind), NO_SUBFUNCTION), (*name).to_owned());
    }
    for (level, version) in [(3, "3.1"), (4, "3.1.1"), (5, "5.0")] {
        for (flags, more) in [
            (0, ""),
            (BRIDGE, ", bridge"),
            (KEPT, ", session kept"),
            (BRIDGE | KEPT, ", bridge, session kept"),
        ] {
            let name = format!("CONNECT (MQTT {version}{more})");
            names.insert((u32::from(CONNECT), level | flags), name);
        }
    }
    for quality in 0..4 {
        for (flags, to, more) in [
            (0, "", ""),
            (RETAINED, "", ", retained"),
            (RETAINED | DELETED, "", ", retained message deleted"),
            (DELIVERED, " to subscriber", ""),
        ] {
            let name = format!("PUBLISH{to} (QoS {quality}{more})");
            names.insert((u32::from(PUBLISH), quality | flags), name);
        }
    }
    for (kind, code, name) in [
        (DISCONNECT, 0x04, "DISCONNECT (with will message)"),
        (AUTH, 0x18, "AUTH (continue authentication)"),
        (AUTH, 0x19, "AUTH (re-authenticate)"),
    ] {
        names.insert((u32::from(kind), code), name.to_owned());
    }
    names
});

/// See [`crate::protocols::Protocol::function_name`].
pub(super) fn function_name(function: u32, subfunction: u32) -> Option<&'static str> {
    let base = || NAMES.get(&(function, NO_SUBFUNCTION));
    NAMES.get(&(function, subfunction)).or_else(base).map(String::as_str)
}

/// Return codes of CONNACK up to MQTT 3.1.1, and reason codes of MQTT 5.0 from 128 on.
const STATUSES: &[(u16, &str)] = &[
    (1, "unacceptable protocol version"),
    (2, "identifier rejected"),
    (3, "server unavailable"),
    (4, "bad user name or password"),
    (5, "not authorized"),
    (0x80, "unspecified error"),
    (0x81, "malformed packet"),
    (0x82, "protocol error"),
    (0x83, "implementation specific error"),
    (0x84, "unsupported protocol version"),
    (0x85, "client identifier not valid"),
    (0x86, "bad user name or password"),
    (0x87, "not authorized"),
    (0x88, "server unavailable"),
    (0x89, "server busy"),
    (0x8A, "banned"),
    (0x8B, "server shutting down"),
    (0x8C, "bad authentication method"),
    (0x8D, "keep alive timeout"),
    (0x8E, "session taken over"),
    (0x8F, "topic filter invalid"),
    (0x90, "topic name invalid"),
    (0x91, "packet identifier in use"),
    (0x92, "packet identifier not found"),
    (0x93, "receive maximum exceeded"),
    (0x94, "topic alias invalid"),
    (0x95, "packet too large"),
    (0x96, "message rate too high"),
    (0x97, "quota exceeded"),
    (0x98, "administrative action"),
    (0x99, "payload format invalid"),
    (0x9A, "retain not supported"),
    (0x9B, "QoS not supported"),
    (0x9C, "use another server"),
    (0x9D, "server moved"),
    (0x9E, "shared subscriptions not supported"),
    (0x9F, "connection rate exceeded"),
    (0xA0, "maximum connect time"),
    (0xA1, "subscription identifiers not supported"),
    (0xA2, "wildcard subscriptions not supported"),
];

/// See [`crate::protocols::Protocol::status_name`].
pub(super) fn status_name(status: u16) -> Option<&'static str> {
    STATUSES.iter().find(|(code, _)| *code == status).map(|(_, name)| *name)
}

/// What a packet type is in its exchange.
pub(super) const fn role(kind: u8) -> Role {
    match kind {
        CONNECT | PUBREL | SUBSCRIBE | UNSUBSCRIBE | PINGREQ => Role::Request,
        CONNACK | PUBACK | PUBREC | PUBCOMP | SUBACK | UNSUBACK | PINGRESP => Role::Response,
        _ => Role::Report,
    }
}

/// What a packet type does. To subscribe is to read, from now on.
pub(super) const fn activity(kind: u8) -> Activity {
    match kind {
        PUBLISH..=PUBCOMP => Activity::Report,
        SUBSCRIBE..=UNSUBACK => Activity::Read,
        _ => Activity::Session,
    }
}

/// Whether a topic filter asks for whatever there is: all topics, or all that the broker says of
/// itself.
pub(super) fn is_broad(filter: &str) -> bool {
    let mut levels = filter.split('/');
    let is_wildcard = |level: &str| matches!(level, "#" | "+");
    match levels.next() {
        Some("$SYS") => levels.any(is_wildcard),
        Some(first) => is_wildcard(first) && levels.all(is_wildcard),
        None => false,
    }
}
