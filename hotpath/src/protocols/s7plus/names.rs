//! Names of functions and object types, and what each function does.
//!
//! S7comm-plus has no public specification. Codes and names are those of Thomas Wiens's
//! `S7CommPlusDriver` and his Wireshark plugin.

use crate::protocols::{ObjectKind, iso};
use crate::words::Activity;

pub(super) const CREATE_OBJECT: u16 = 0x04CA;
pub(super) const SET_VARIABLE: u16 = 0x04F2;
pub(super) const GET_VARIABLE: u16 = 0x04FC;

/// A notification has no function.
pub(super) const NOTIFICATION: u32 = 0x1_0000;
/// The server's own messages about the session.
pub(super) const SYSTEM_EVENT: u32 = 0x1_0001;
/// TLS records within the transport.
pub(super) const ENCRYPTED: u32 = 0x1_0002;
/// What has another operation code: this plus the code.
pub(super) const UNKNOWN: u32 = 0x1_0100;

/// The name of a function; its sub-function says how it is protected, and has no name.
pub(super) fn function_name(function: u32, _: u32) -> Option<&'static str> {
    Some(match function {
        0x04B1 => "Error",
        0x04BB => "Explore",
        0x04CA => "CreateObject",
        0x04D4 => "DeleteObject",
        0x04F2 => "SetVariable",
        0x04FC => "GetVariable",
        0x0506 => "AddLink",
        0x051A => "RemoveLink",
        0x0524 => "GetLink",
        0x0542 => "SetMultiVariables",
        0x054C => "GetMultiVariables",
        0x0556 => "BeginSequence",
        0x0560 => "EndSequence",
        0x056B => "Invoke",
        0x057C => "SetVarSubStreamed",
        0x0586 => "GetVarSubStreamed",
        0x0590 => "GetVariablesAddress",
        0x059A => "Abort",
        0x05A9 => "Error2",
        0x05B3 => "InitSSL",
        NOTIFICATION => "Notification",
        SYSTEM_EVENT => "System Event",
        ENCRYPTED => "Encrypted (TLS)",
        _ => return iso::function_name(function),
    })
}

/// What a function does. Blocks and sessions are objects alike: what is created does not show.
pub(super) const fn activity(function: u32) -> Activity {
    match function {
        0x04FC | 0x054C | 0x0586 => Activity::Read,
        0x04F2 | 0x0542 | 0x057C => Activity::Write,
        0x04BB | 0x0524 | 0x0590 => Activity::Browse,
        0x056B => Activity::Control,
        0x0506 | 0x051A => Activity::Configure,
        0x04CA | 0x04D4 | 0x05B3 | SYSTEM_EVENT | iso::CONNECT | iso::DISCONNECT => {
            Activity::Session
        }
        NOTIFICATION => Activity::Report,
        _ => Activity::Other,
    }
}

/// Statuses of a refused connection: this plus the reason of the disconnection.
pub(super) const REFUSED: u16 = 0x0100;

/// The name of a status; those of functions are not public.
pub(super) const fn status_name(status: u16) -> Option<&'static str> {
    match status {
        0x0100..=0x01FF => Some("Connection Refused"),
        _ => None,
    }
}

pub(super) const ATTRIBUTE: u16 = 0;
pub(super) const TSAP: u16 = 1;

/// The object types, by the numbers above. An attribute's address is `object << 32 | attribute`.
pub(super) static OBJECTS: &[ObjectKind] =
    &[ObjectKind { name: "attribute", dense: false }, ObjectKind { name: "tsap", dense: false }];
