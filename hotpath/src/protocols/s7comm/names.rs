//! Names of functions, statuses and object types, and what each function does.
//!
//! S7comm has no public specification. Codes and names are those of Wireshark's `packet-s7comm.c`
//! (release 4.0) and of Snap7's documentation; error codes are those of the STEP 7 system
//! functions.

use super::userdata;
use crate::protocols::{NO_SUBFUNCTION, ObjectKind, iso};
use crate::words::Activity;

pub(super) const READ: u32 = 0x04;
pub(super) const WRITE: u32 = 0x05;
pub(super) const REQUEST_DOWNLOAD: u32 = 0x1A;
pub(super) const DOWNLOAD_BLOCK: u32 = 0x1B;
pub(super) const DOWNLOAD_ENDED: u32 = 0x1C;
pub(super) const START_UPLOAD: u32 = 0x1D;
pub(super) const UPLOAD: u32 = 0x1E;
pub(super) const END_UPLOAD: u32 = 0x1F;
pub(super) const PI_SERVICE: u32 = 0x28;
pub(super) const STOP: u32 = 0x29;
pub(super) const SETUP: u32 = 0xF0;
/// Functions of userdata: this plus the group; the sub-function is the group's.
pub(super) const USERDATA: u32 = 0x100;
/// What has no function: this plus the kind of PDU.
pub(super) const UNKNOWN: u32 = 0x300;

/// Program invocation services, numbered here as sub-functions for on the wire they have a name.
/// Those of numeric controls begin with `_N_` and go without a number.
static PI_SERVICES: &[(&str, &str, Activity)] = &[
    ("P_PROGRAM", "PI Service: Warm Restart (P_PROGRAM)", Activity::Control),
    ("P_PROGRAM", "PI Service: Cold Restart (P_PROGRAM)", Activity::Control),
    ("_INSE", "PI Service: Activate Block (_INSE)", Activity::Program),
    ("_INS2", "PI Service: Activate Block (_INS2)", Activity::Program),
    ("_DELE", "PI Service: Delete Block (_DELE)", Activity::Program),
    ("_GARB", "PI Service: Compress Memory (_GARB)", Activity::Program),
    ("_MODU", "PI Service: Copy RAM to ROM (_MODU)", Activity::Program),
];

/// The sub-function of a program invocation service; a cold restart has an argument.
pub(super) fn pi_service(name: &[u8], argument: &[u8]) -> u32 {
    let found = PI_SERVICES.iter().position(|(known, ..)| known.as_bytes() == name);
    match found {
        Some(0) if argument.starts_with(b"C") => 1,
        Some(place) => place as u32,
        None => NO_SUBFUNCTION,
    }
}

/// The name of a function; codes that are not known have none.
pub(super) fn function_name(function: u32, subfunction: u32) -> Option<&'static str> {
    Some(match function {
        READ => "Read Var",
        WRITE => "Write Var",
        REQUEST_DOWNLOAD => "Request Download",
        DOWNLOAD_BLOCK => "Download Block",
        DOWNLOAD_ENDED => "Download Ended",
        START_UPLOAD => "Start Upload",
        UPLOAD => "Upload",
        END_UPLOAD => "End Upload",
        PI_SERVICE => PI_SERVICES.get(subfunction as usize).map_or("PI Service", |one| one.1),
        STOP => "PLC Stop",
        SETUP => "Setup Communication",
        0 => "CPU Services",
        USERDATA..=0x10F => return userdata::function_name(function - USERDATA, subfunction),
        _ => return iso::function_name(function),
    })
}

/// What a function does.
pub(super) fn activity(function: u32, subfunction: u32) -> Activity {
    match function {
        READ => Activity::Read,
        WRITE => Activity::Write,
        REQUEST_DOWNLOAD..=END_UPLOAD => Activity::Program,
        PI_SERVICE => PI_SERVICES.get(subfunction as usize).map_or(Activity::Control, |one| one.2),
        STOP => Activity::Control,
        SETUP | iso::CONNECT | iso::DISCONNECT => Activity::Session,
        USERDATA..=0x10F => userdata::activity(function - USERDATA, subfunction),
        _ => Activity::Other,
    }
}

/// Status of an item whose return code is 0, which is reserved, for 0 is success here.
pub(super) const RESERVED: u16 = 0xFF;
/// Statuses of a refused connection: this plus the reason of the disconnection.
pub(super) const REFUSED: u16 = 0x0100;

/// The name of a return code, an error class and code, or a disconnection's reason.
pub(super) fn status_name(status: u16) -> Option<&'static str> {
    Some(match status {
        0x01 => "Hardware Error",
        0x03 => "Object Access Not Allowed",
        0x05 => "Invalid Address",
        0x06 => "Data Type Not Supported",
        0x07 => "Data Type Inconsistent",
        0x0A => "Object Does Not Exist",
        RESERVED => "Reserved Return Code",
        0x0100 => "Connection Refused: No Reason",
        0x0101 => "Connection Refused: Congestion",
        0x0102 => "Connection Refused: No Session on the TSAP",
        0x0103 => "Connection Refused: Unknown Address",
        0x0180 => "Disconnected",
        0x0181 => "Connection Refused: Congestion at Connect Time",
        0x0182 => "Connection Refused: Negotiation Failed",
        0x0183 => "Connection Refused: Duplicate Reference",
        0x0185 => "Connection Refused: Protocol Error",
        0x0188 => "Connection Refused: No Further Connection",
        0x8001 => "Not Possible in the Status of the Block",
        0x8003 => "Error While Transferring the Block",
        0x8100 => "Service Unknown",
        0x8104 => "Service Not Implemented, or Frame Error",
        0x8204 => "Type Inconsistent",
        0x8205 => "Copied Block Exists Already",
        0x8301 => "Not Enough Memory",
        0x8302 => "Not Enough Resources",
        0x8304 => "No Further Parallel Upload",
        0x8305 => "Function Not Available",
        0x8306 => "Not Enough Work Memory",
        0x8401 => "Invalid Service Sequence",
        0x8402 => "Not Possible in the Status of the Object",
        0x8404 => "Function Cannot Be Performed",
        0x8405 => "Remote Block Is Disabled",
        0x8500 => "Wrong Frames",
        0x8503 => "Service Cancelled Prematurely",
        0x8701 => "Error Addressing the Object",
        0x8702 | 0xD405 => "Service Not Supported",
        0x8703 => "Object Access Refused",
        0x8704 => "Object Damaged",
        0xD041 => "Illegal SZL ID",
        0xD081 => "Not Permitted in This Mode",
        0xD0C2 => "Change to STOP or HOLD",
        0xD201 => "Syntax Error in the Block Name",
        0xD202 | 0xD601 => "Syntax Error in a Parameter",
        0xD205 => "Block Exists in RAM",
        0xD206 => "Block Exists in EPROM",
        0xD208 => "Too Many Copied Blocks",
        0xD209 => "Block Not Found",
        0xD20A => "Too Many Blocks to Link",
        0xD20B => "Too Many Blocks to Delete",
        0xD20E => "No Further Block",
        0xD20F => "Block Too Large",
        0xD210 => "Invalid Block Number",
        0xD217 => "Protection Level Not Permitted",
        0xD240 => "Coordination Rules Violated",
        0xD0A1 | 0xD241 => "Not Permitted at This Protection Level",
        0xD242 => "Protection Violation in Fail-safe Blocks",
        0xD401 | 0xD402 => "Information Function Unavailable",
        0xD403 => "Logged On or Off Already",
        0xD404 => "Too Many Logged On",
        0xD406 => "Information Unavailable at Present",
        0xD602 => "Incorrect Password",
        0xD603 => "Legitimised Already",
        0xD604 => "Enabled Already",
        0xD605 => "No Password to Legitimise",
        _ => return None,
    })
}

/// How many types an operand area comes in.
pub(super) const TYPES: u16 = 7;
pub(super) const TIMER: u16 = 56;
pub(super) const COUNTER: u16 = 57;
/// Areas of the S7-200, by byte address.
pub(super) const S7_200: u16 = 58;
pub(super) const OTHER_AREA: u16 = 65;
pub(super) const SYMBOL: u16 = 66;
pub(super) const NCK: u16 = 67;
pub(super) const OTHER_ITEM: u16 = 68;
pub(super) const BLOCK: u16 = 69;
pub(super) const PI: u16 = 70;
pub(super) const SZL: u16 = 71;
pub(super) const TSAP: u16 = 72;
pub(super) const R_ID: u16 = 73;

const fn dense(name: &'static str) -> ObjectKind {
    ObjectKind { name, dense: true }
}

const fn sparse(name: &'static str) -> ObjectKind {
    ObjectKind { name, dense: false }
}

/// Areas of operands in each of the seven types, then other dense kinds, then sparse ones.
macro_rules! objects {
    ([$($area:literal)*] [$($dense:literal)*] [$($sparse:literal)*]) => {
        &[
            $(
                dense(concat!($area, "-bit")), dense(concat!($area, "-byte")),
                dense(concat!($area, "-word")), dense(concat!($area, "-int")),
                dense(concat!($area, "-dword")), dense(concat!($area, "-dint")),
                dense(concat!($area, "-real")),
            )*
            $(dense($dense),)*
            $(sparse($sparse),)*
        ]
    };
}

/// The object types, by the numbers above. An operand's address is `data block << 32 | byte`, of a
/// bit `data block << 32 | byte * 8 + bit`; a timer's and a counter's is its number; a system
/// status list's is `id << 16 | index`.
pub(super) static OBJECTS: &[ObjectKind] = objects!(
    ["db" "di" "m" "i" "q" "p" "l" "v"]
    [
        "timer" "counter" "s7-200-record" "s7-200-info" "s7-200-sm" "s7-200-ai" "s7-200-aq"
        "s7-200-counter" "s7-200-timer"
    ]
    ["area" "symbol" "nck" "item" "block" "pi-service" "szl" "tsap" "r-id"]
);
