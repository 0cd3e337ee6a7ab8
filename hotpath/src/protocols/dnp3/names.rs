//! Names of functions, statuses and object types, and what each function does.
//!
//! IEEE 1815-2012: clauses 4.2.2.5 and 9.2.4.1.3 (functions), 4.2.2.6 (internal indications),
//! 11.9 and A.21 (statuses of commands and files).

use crate::protocols::ObjectKind;
use crate::words::{Access, Activity};

pub(super) const CONFIRM: u8 = 0;
pub(super) const WRITE: u8 = 2;
pub(super) const DIRECT_OPERATE_NO_ACK: u8 = 6;
pub(super) const OPEN_FILE: u8 = 25;
pub(super) const CLOSE_FILE: u8 = 26;
pub(super) const DELETE_FILE: u8 = 27;
pub(super) const AUTHENTICATE: u8 = 32;
pub(super) const AUTHENTICATE_NO_ACK: u8 = 33;
pub(super) const RESPONSE: u8 = 129;
pub(super) const UNSOLICITED: u8 = 130;
pub(super) const AUTHENTICATION_RESPONSE: u8 = 131;

/// Added to the functions of the link layer: 0x100 where a station asks, 0x110 where it answers
/// what nobody was heard to ask.
pub(super) const LINK: u32 = 0x100;
pub(super) const LINK_ANSWER: u32 = 0x110;

/// What is added to a code to tell statuses apart: of a command nothing, of a request the error
/// bits of the second internal indications byte as the high byte.
pub(super) const AUTHENTICATION_ERROR: u16 = 0x2000;
pub(super) const FILE_STATUS: u16 = 0x4000;
pub(super) const LINK_STATUS: u16 = 0x8000;
/// Bits of the second internal indications byte that refuse a request: function, object,
/// parameter, already executing.
pub(super) const ERRORS: u8 = 0x17;

macro_rules! kinds {
    ($($number:literal $name:ident = $text:literal, $dense:literal;)+) => {
        $(pub(super) const $name: u16 = $number;)+
        /// The object types, by the numbers above.
        pub(super) static OBJECTS: &[ObjectKind] =
            &[$(ObjectKind { name: $text, dense: $dense }),+];
    };
}

kinds! {
    0 DEVICE_ATTRIBUTE = "device-attribute", false;
    1 BINARY_INPUT = "binary-input", true;
    2 DOUBLE_BIT_INPUT = "double-bit-input", true;
    3 BINARY_OUTPUT = "binary-output", true;
    4 BINARY_COMMAND = "binary-output-command", true;
    5 PULSE_COUNT = "pulse-count", true;
    6 PULSE_ON_TIME = "pulse-on-time", true;
    7 PULSE_OFF_TIME = "pulse-off-time", true;
    8 BINARY_COMMAND_EVENT = "binary-output-command-event", true;
    9 COUNTER = "counter", true;
    10 FROZEN_COUNTER = "frozen-counter", true;
    11 ANALOG_INPUT = "analog-input", true;
    12 FROZEN_ANALOG_INPUT = "frozen-analog-input", true;
    13 DEADBAND = "analog-input-deadband", true;
    14 ANALOG_OUTPUT = "analog-output", true;
    15 ANALOG_COMMAND_EVENT = "analog-output-command-event", true;
    16 TIME = "time", false;
    17 COMMON_TIME = "common-time", false;
    18 TIME_DELAY = "time-delay", false;
    19 CLASS = "class", true;
    20 FILE = "file", false;
    21 INDICATION = "internal-indication", true;
    22 OCTET_STRING = "octet-string", true;
    23 VIRTUAL_TERMINAL = "virtual-terminal", true;
    24 AUTHENTICATION = "authentication", false;
    25 SECURITY_STATISTIC = "security-statistic", true;
    26 BCD = "bcd-point", true;
    27 UNSIGNED_INTEGER = "unsigned-integer", true;
    28 TIME_DELAY_COARSE = "time-delay-coarse", false;
    29 OTHER = "object", false;
}

/// The object type of a group; of all others [`OTHER`], whose address is `group << 8 | variation`.
pub(super) const fn kind_of(group: u8) -> u16 {
    match group {
        0 => DEVICE_ATTRIBUTE,
        1 | 2 => BINARY_INPUT,
        3 | 4 => DOUBLE_BIT_INPUT,
        10 | 11 => BINARY_OUTPUT,
        12 => BINARY_COMMAND,
        13 => BINARY_COMMAND_EVENT,
        20 | 22 => COUNTER,
        21 | 23 => FROZEN_COUNTER,
        30 | 32 => ANALOG_INPUT,
        31 | 33 => FROZEN_ANALOG_INPUT,
        34 => DEADBAND,
        40..=42 => ANALOG_OUTPUT,
        43 => ANALOG_COMMAND_EVENT,
        50 => TIME,
        51 => COMMON_TIME,
        52 => TIME_DELAY,
        60 => CLASS,
        70 => FILE,
        80 => INDICATION,
        101 => BCD,
        102 => UNSIGNED_INTEGER,
        110 | 111 => OCTET_STRING,
        112 | 113 => VIRTUAL_TERMINAL,
        120 => AUTHENTICATION,
        121 | 122 => SECURITY_STATISTIC,
        _ => OTHER,
    }
}

/// Whether a group is of events: changes that a device kept to report them.
pub(super) const fn is_event(group: u8) -> bool {
    matches!(group, 2 | 4 | 11 | 13 | 22 | 23 | 32 | 33 | 42 | 43 | 88 | 111 | 113 | 122)
}

/// The name of a function; of those that are not defined none.
pub(super) fn function_name(function: u32, _: u32) -> Option<&'static str> {
    Some(match function {
        0 => "Confirm",
        1 => "Read",
        2 => "Write",
        3 => "Select",
        4 => "Operate",
        5 => "Direct Operate",
        6 => "Direct Operate, No Acknowledgment",
        7 => "Immediate Freeze",
        8 => "Immediate Freeze, No Acknowledgment",
        9 => "Freeze and Clear",
        10 => "Freeze and Clear, No Acknowledgment",
        11 => "Freeze at Time",
        12 => "Freeze at Time, No Acknowledgment",
        13 => "Cold Restart",
        14 => "Warm Restart",
        15 => "Initialize Data",
        16 => "Initialize Application",
        17 => "Start Application",
        18 => "Stop Application",
        19 => "Save Configuration",
        20 => "Enable Unsolicited Responses",
        21 => "Disable Unsolicited Responses",
        22 => "Assign Class",
        23 => "Delay Measurement",
        24 => "Record Current Time",
        25 => "Open File",
        26 => "Close File",
        27 => "Delete File",
        28 => "Get File Information",
        29 => "Authenticate File",
        30 => "Abort File Transfer",
        31 => "Activate Configuration",
        32 => "Authentication Request",
        33 => "Authentication Request, No Acknowledgment",
        129 => "Response",
        130 => "Unsolicited Response",
        131 => "Authentication Response",
        0x100 => "Reset Link States",
        0x101 => "Reset User Process",
        0x102 => "Test Link States",
        0x109 => "Request Link Status",
        0x110 => "Link Acknowledgment",
        0x111 => "Link Negative Acknowledgment",
        0x11B => "Link Status",
        0x11E => "Link Service Not Functioning",
        0x11F => "Link Service Not Supported",
        _ => return None,
    })
}

/// The name of a status. Where a device sets several error bits at once, the first two tell.
pub(super) fn status_name(status: u16) -> Option<&'static str> {
    match status & 0xFF00 {
        0 => command_status(status),
        AUTHENTICATION_ERROR => authentication_error(status ^ AUTHENTICATION_ERROR),
        FILE_STATUS => file_status(status ^ FILE_STATUS),
        LINK_STATUS => link_status(status ^ LINK_STATUS),
        _ => indications(status),
    }
}

fn indications(status: u16) -> Option<&'static str> {
    Some(match status {
        0x0100 => "Function Not Supported",
        0x0200 => "Object Unknown",
        0x0300 => "Function Not Supported, Object Unknown",
        0x0400 => "Parameter Error",
        0x0500 => "Function Not Supported, Parameter Error",
        0x0600 => "Object Unknown, Parameter Error",
        0x1000 => "Already Executing",
        _ => return None,
    })
}

fn command_status(status: u16) -> Option<&'static str> {
    Some(match status {
        1 => "Command Timeout",
        2 => "No Select",
        3 => "Command Format Error",
        4 => "Command Not Supported",
        5 => "Command Already Active",
        6 => "Hardware Error",
        7 => "Local Control Only",
        8 => "Too Many Operations",
        9 => "Not Authorized",
        10 => "Automation Inhibit",
        11 => "Processing Limited",
        12 => "Out of Range",
        13 => "Downstream Local Control Only",
        14 => "Already Complete",
        15 => "Blocked",
        16 => "Canceled",
        17 => "Blocked by Other Master",
        18 => "Downstream Failure",
        126 => "Non-Participating",
        127 => "Command Status Undefined",
        _ => return None,
    })
}

fn authentication_error(code: u16) -> Option<&'static str> {
    Some(match code {
        1 => "Authentication Failed",
        2 => "Unexpected Authentication Response",
        3 => "No Authentication Response",
        4 => "Aggressive Mode Not Supported",
        5 => "MAC Algorithm Not Supported",
        6 => "Key Wrap Algorithm Not Supported",
        7 => "Authorization Failed",
        8 => "Update Key Change Method Not Permitted",
        9 => "Invalid Signature",
        10 => "Invalid Certification Data",
        11 => "Unknown User",
        12 => "Maximum Session Key Status Requests Exceeded",
        _ => return None,
    })
}

fn file_status(code: u16) -> Option<&'static str> {
    Some(match code {
        1 => "File Permission Denied",
        2 => "Invalid File Mode",
        3 => "File Not Found",
        4 => "File Locked",
        5 => "Too Many Open Files",
        6 => "Invalid File Handle",
        7 => "Invalid File Block Size",
        8 => "File Communication Lost",
        9 => "File Transfer Not Aborted",
        16 => "File Not Opened",
        17 => "File Handle Expired",
        18 => "File Buffer Overrun",
        19 => "Fatal File Error",
        20 => "File Block Out of Sequence",
        255 => "File Status Undefined",
        _ => return None,
    })
}

fn link_status(code: u16) -> Option<&'static str> {
    Some(match code {
        1 => "Link Negative Acknowledgment",
        14 => "Link Service Not Functioning",
        15 => "Link Service Not Supported",
        _ => return None,
    })
}

/// What a function does to objects of these types.
pub(super) fn activity(function: u32, kinds: &[u16]) -> Activity {
    let only = |kind: u16| !kinds.is_empty() && kinds.iter().all(|one| *one == kind);
    match function {
        1 | 2 if only(FILE) => Activity::File,
        1 | 2 if only(TIME) || only(COMMON_TIME) => Activity::Time,
        1 if only(DEVICE_ATTRIBUTE) => Activity::Browse,
        2 if only(DEADBAND) || only(DEVICE_ATTRIBUTE) => Activity::Configure,
        1 => Activity::Read,
        2 => Activity::Write,
        3..=18 | 0x101 => Activity::Control,
        19..=22 | 31 => Activity::Configure,
        23 | 24 => Activity::Time,
        25..=30 => Activity::File,
        130 => Activity::Report,
        129 if !kinds.is_empty() => Activity::Read,
        0 | 32 | 33 | 131 | LINK.. => Activity::Session,
        _ => Activity::Other,
    }
}

/// How a function touches the objects that it names.
pub(super) const fn access(function: u8, group: u8) -> Access {
    match function {
        RESPONSE | AUTHENTICATION_RESPONSE => match group {
            12 | 41 => Access::Control,
            _ if is_event(group) || group == 51 => Access::Report,
            _ => Access::Read,
        },
        UNSOLICITED => Access::Report,
        3..=18 => Access::Control,
        WRITE | 19..=22 | DELETE_FILE | 31 => Access::Write,
        _ => Access::Read,
    }
}
