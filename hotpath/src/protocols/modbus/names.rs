//! Names of functions, sub-functions and exceptions, and what each function does.
//!
//! Modbus Application Protocol V1.1b3, clauses 5.1, 6 and 7. UMAS is Schneider's own and has no
//! public specification: its codes are those of Wireshark (`packet-mbtcp.h`) and of published
//! research ("From Pass-the-Hash to Code Execution on Schneider Electric M340 PLCs", 2024).

use crate::protocols::{NO_SUBFUNCTION, ObjectKind};
use crate::words::Activity;

/// Schneider's UMAS inside Modbus.
pub(super) const UMAS: u8 = 90;
/// UMAS: an envelope with a signature around another UMAS request.
pub(super) const UMAS_SIGNED: u8 = 0x38;
/// UMAS: the request was carried out.
pub(super) const UMAS_OK: u8 = 0xFE;
/// UMAS: the request was refused.
pub(super) const UMAS_ERROR: u8 = 0xFD;
/// Status of an exception response whose exception code is 0 or absent.
pub(super) const NO_EXCEPTION_CODE: u16 = u16::MAX;

pub(super) const COIL: u16 = 0;
pub(super) const DISCRETE_INPUT: u16 = 1;
pub(super) const HOLDING_REGISTER: u16 = 2;
pub(super) const INPUT_REGISTER: u16 = 3;
pub(super) const FILE_RECORD: u16 = 4;
pub(super) const FIFO_QUEUE: u16 = 5;
pub(super) const DEVICE_IDENTIFICATION: u16 = 6;

/// The object types, by the numbers above. A file record's address is `file << 16 | record`, a
/// FIFO queue's its pointer address, an identification's the object id.
pub(super) static OBJECTS: &[ObjectKind] = &[
    ObjectKind { name: "coil", dense: true },
    ObjectKind { name: "discrete-input", dense: true },
    ObjectKind { name: "holding-register", dense: true },
    ObjectKind { name: "input-register", dense: true },
    ObjectKind { name: "file-record", dense: false },
    ObjectKind { name: "fifo-queue", dense: false },
    ObjectKind { name: "device-identification", dense: false },
];

/// The name of a function; user-defined and reserved codes have none.
pub(super) fn function_name(function: u32, subfunction: u32) -> Option<&'static str> {
    Some(match (function, subfunction) {
        (1, _) => "Read Coils",
        (2, _) => "Read Discrete Inputs",
        (3, _) => "Read Holding Registers",
        (4, _) => "Read Input Registers",
        (5, _) => "Write Single Coil",
        (6, _) => "Write Single Register",
        (7, _) => "Read Exception Status",
        (8, NO_SUBFUNCTION) => "Diagnostics",
        (8, subfunction) => return diagnostics_name(subfunction),
        (11, _) => "Get Comm Event Counter",
        (12, _) => "Get Comm Event Log",
        (15, _) => "Write Multiple Coils",
        (16, _) => "Write Multiple Registers",
        (17, _) => "Report Server ID",
        (20, _) => "Read File Record",
        (21, _) => "Write File Record",
        (22, _) => "Mask Write Register",
        (23, _) => "Read/Write Multiple Registers",
        (24, _) => "Read FIFO Queue",
        (43, 13) => "CANopen General Reference",
        (43, 14) => "Read Device Identification",
        (43, NO_SUBFUNCTION) => "Encapsulated Interface Transport",
        (90, NO_SUBFUNCTION) => "UMAS",
        (90, subfunction) => return umas(subfunction).map(|(name, _)| name),
        _ => return None,
    })
}

/// Clause 6.8.1; 19 and 21 are of the older "Modicon Modbus Protocol Reference Guide".
fn diagnostics_name(subfunction: u32) -> Option<&'static str> {
    Some(match subfunction {
        0 => "Return Query Data",
        1 => "Restart Communications Option",
        2 => "Return Diagnostic Register",
        3 => "Change ASCII Input Delimiter",
        4 => "Force Listen Only Mode",
        10 => "Clear Counters and Diagnostic Register",
        11 => "Return Bus Message Count",
        12 => "Return Bus Communication Error Count",
        13 => "Return Bus Exception Error Count",
        14 => "Return Server Message Count",
        15 => "Return Server No Response Count",
        16 => "Return Server NAK Count",
        17 => "Return Server Busy Count",
        18 => "Return Bus Character Overrun Count",
        19 => "Return IOP Overrun Count",
        20 => "Clear Overrun Counter and Flag",
        21 => "Get/Clear Modbus Plus Statistics",
        _ => return None,
    })
}

/// Name and activity of a UMAS function. UMAS calls it an upload when the PLC receives.
fn umas(function: u32) -> Option<(&'static str, Activity)> {
    use Activity::{Browse, Control, Diagnose, Other, Program, Read, Session, Write};
    Some(match function {
        0x01 => ("UMAS Initialize Communication", Session),
        0x02 => ("UMAS Read ID", Browse),
        0x03 => ("UMAS Read Project Info", Browse),
        0x04 => ("UMAS Read PLC Info", Browse),
        0x05 => ("UMAS Read Loader Info", Browse),
        0x06 => ("UMAS Read Card Info", Browse),
        0x07 => ("UMAS Read Block Info", Browse),
        0x0A => ("UMAS Repeat", Diagnose),
        0x10 => ("UMAS Take PLC Reservation", Session),
        0x11 => ("UMAS Release PLC Reservation", Session),
        0x12 => ("UMAS Keep Alive", Session),
        0x20 => ("UMAS Read Memory Block", Read),
        0x21 => ("UMAS Write Memory Block", Write),
        0x22 => ("UMAS Read Variables", Read),
        0x23 => ("UMAS Write Variables", Write),
        0x24 => ("UMAS Read Coils and Registers", Read),
        0x25 => ("UMAS Write Coils and Registers", Write),
        0x26 => ("UMAS Data Dictionary", Browse),
        0x27 => ("UMAS Data Dictionary Preload", Browse),
        0x28 => ("UMAS Read Physical Address", Read),
        0x29 => ("UMAS Write Physical Address", Write),
        0x2A => ("UMAS Browse Events", Diagnose),
        0x30 => ("UMAS Initialize Upload (to PLC)", Program),
        0x31 => ("UMAS Upload Block (to PLC)", Program),
        0x32 => ("UMAS End Strategy Upload (to PLC)", Program),
        0x33 => ("UMAS Initialize Download (from PLC)", Program),
        0x34 => ("UMAS Download Block (from PLC)", Program),
        0x35 => ("UMAS End Strategy Download (from PLC)", Program),
        0x36 => ("UMAS Backup", Program),
        0x37 => ("UMAS Preload Blocks", Program),
        0x38 => ("UMAS Signed Request", Other),
        0x39 => ("UMAS Read Ethernet Master Data", Read),
        0x40 => ("UMAS Start PLC", Control),
        0x41 => ("UMAS Stop PLC", Control),
        0x42 => ("UMAS Initialize PLC", Control),
        0x43 => ("UMAS Swap Blocks", Program),
        0x50 => ("UMAS Monitor PLC", Read),
        0x51 => ("UMAS Get Auto Modifications", Read),
        0x52 => ("UMAS Get Forced Bits", Read),
        0x53 => ("UMAS Get Selected Blocks", Read),
        0x58 => ("UMAS Check PLC", Diagnose),
        0x60 => ("UMAS Set Breakpoint", Control),
        0x61 => ("UMAS Delete Breakpoint", Control),
        0x62 => ("UMAS Step Over", Control),
        0x63 => ("UMAS Step In", Control),
        0x64 => ("UMAS Step Out", Control),
        0x65 => ("UMAS Get Call Stack", Diagnose),
        0x66 => ("UMAS Check Debug Allowed", Diagnose),
        0x6C => ("UMAS Process Message", Other),
        0x6D => ("UMAS Private Message", Other),
        0x6E => ("UMAS Reservation Nonces", Session),
        0x70 => ("UMAS Read IO Object", Read),
        0x71 => ("UMAS Write IO Object", Write),
        0x72 => ("UMAS Read Rack", Browse),
        0x73 => ("UMAS Get Status Module", Diagnose),
        0x74 => ("UMAS Read Device Data", Read),
        _ => return None,
    })
}

/// Whether a UMAS function has a known meaning.
pub(super) fn is_umas(function: u8) -> bool {
    umas(u32::from(function)).is_some()
}

/// The name of an exception code (clause 7; 7 is of the older reference guide).
pub(super) fn status_name(status: u16) -> Option<&'static str> {
    Some(match status {
        1 => "Illegal Function",
        2 => "Illegal Data Address",
        3 => "Illegal Data Value",
        4 => "Server Device Failure",
        5 => "Acknowledge",
        6 => "Server Device Busy",
        7 => "Negative Acknowledge",
        8 => "Memory Parity Error",
        10 => "Gateway Path Unavailable",
        11 => "Gateway Target Device Failed to Respond",
        0xFD => "UMAS Error",
        NO_EXCEPTION_CODE => "Exception Without Code",
        _ => return None,
    })
}

/// What a function does.
pub(super) fn activity(function: u32, subfunction: u32) -> Activity {
    match (function, subfunction) {
        (1..=4 | 24, _) => Activity::Read,
        (5 | 6 | 15 | 16 | 22 | 23, _) => Activity::Write,
        (8, 1 | 4) => Activity::Control,
        (7 | 8 | 11 | 12, _) => Activity::Diagnose,
        (17, _) | (43, 14) => Activity::Browse,
        (20 | 21, _) => Activity::File,
        (90, subfunction) => umas(subfunction).map_or(Activity::Other, |(_, activity)| activity),
        _ => Activity::Other,
    }
}
