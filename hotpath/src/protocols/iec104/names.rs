//! Names of types, causes and statuses, and what each type does.
//!
//! IEC 60870-5-101, clauses 7.2.1.1 (types) and 7.2.3 (causes); IEC 60870-5-104, clause 8; types 81
//! to 95 and causes 14 to 16 are those of IEC 60870-5-7.
//!
//! A function is a type identification; U frames, which have none, are 256 and the octet that asks.
//! A sub-function is the cause of transmission as on the wire without its negative bit (which is
//! status), and 256 times the part of the qualifier that tells one operation from another.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::protocols::NO_SUBFUNCTION;
use crate::words::Activity;

pub(super) const C_SE_NA: u8 = 48;
pub(super) const C_BO_NA: u8 = 51;
pub(super) const C_CI: u8 = 101;
pub(super) const C_RD: u8 = 102;
pub(super) const C_RP: u8 = 105;
pub(super) const P_AC: u8 = 113;
pub(super) const F_FR: u8 = 120;
pub(super) const F_SR: u8 = 121;
pub(super) const F_SC: u8 = 122;
pub(super) const F_LS: u8 = 123;
pub(super) const F_AF: u8 = 124;
pub(super) const F_SG: u8 = 125;

/// Functions of U frames: this and the octet that asks.
pub(super) const UNNUMBERED: u32 = 0x100;
pub(super) const STARTDT: u8 = 0x07;
pub(super) const STOPDT: u8 = 0x13;
pub(super) const TESTFR: u8 = 0x43;

/// The bit of a sub-function that says that it is a test.
pub(super) const IS_TEST: u32 = 0x80;
/// Status of a negative confirmation, beside those of [`CAUSES`] that say more.
pub(super) const NEGATIVE: u16 = 0x40;
/// Causes by which a station says that it does not know what it was sent.
pub(super) const UNKNOWN: std::ops::RangeInclusive<u8> = 44..=47;

/// Types that the standard names, without commas: names stand in lists.
static TYPES: &[(u32, &str)] = &[
    (1, "M_SP_NA_1 single point"),
    (2, "M_SP_TA_1 single point with time tag"),
    (3, "M_DP_NA_1 double point"),
    (4, "M_DP_TA_1 double point with time tag"),
    (5, "M_ST_NA_1 step position"),
    (6, "M_ST_TA_1 step position with time tag"),
    (7, "M_BO_NA_1 bitstring of 32 bits"),
    (8, "M_BO_TA_1 bitstring of 32 bits with time tag"),
    (9, "M_ME_NA_1 normalized value"),
    (10, "M_ME_TA_1 normalized value with time tag"),
    (11, "M_ME_NB_1 scaled value"),
    (12, "M_ME_TB_1 scaled value with time tag"),
    (13, "M_ME_NC_1 float value"),
    (14, "M_ME_TC_1 float value with time tag"),
    (15, "M_IT_NA_1 integrated totals"),
    (16, "M_IT_TA_1 integrated totals with time tag"),
    (17, "M_EP_TA_1 event of protection with time tag"),
    (18, "M_EP_TB_1 start events of protection with time tag"),
    (19, "M_EP_TC_1 output circuit of protection with time tag"),
    (20, "M_PS_NA_1 packed single points with change detection"),
    (21, "M_ME_ND_1 normalized value without quality"),
    (30, "M_SP_TB_1 single point with long time tag"),
    (31, "M_DP_TB_1 double point with long time tag"),
    (32, "M_ST_TB_1 step position with long time tag"),
    (33, "M_BO_TB_1 bitstring of 32 bits with long time tag"),
    (34, "M_ME_TD_1 normalized value with long time tag"),
    (35, "M_ME_TE_1 scaled value with long time tag"),
    (36, "M_ME_TF_1 float value with long time tag"),
    (37, "M_IT_TB_1 integrated totals with long time tag"),
    (38, "M_EP_TD_1 event of protection with long time tag"),
    (39, "M_EP_TE_1 start events of protection with long time tag"),
    (40, "M_EP_TF_1 output circuit of protection with long time tag"),
    (45, "C_SC_NA_1 single command"),
    (46, "C_DC_NA_1 double command"),
    (47, "C_RC_NA_1 regulating step command"),
    (48, "C_SE_NA_1 normalized set-point command"),
    (49, "C_SE_NB_1 scaled set-point command"),
    (50, "C_SE_NC_1 float set-point command"),
    (51, "C_BO_NA_1 bitstring command"),
    (58, "C_SC_TA_1 single command with time tag"),
    (59, "C_DC_TA_1 double command with time tag"),
    (60, "C_RC_TA_1 regulating step command with time tag"),
    (61, "C_SE_TA_1 normalized set-point command with time tag"),
    (62, "C_SE_TB_1 scaled set-point command with time tag"),
    (63, "C_SE_TC_1 float set-point command with time tag"),
    (64, "C_BO_TA_1 bitstring command with time tag"),
    (70, "M_EI_NA_1 end of initialization"),
    (81, "S_CH_NA_1 authentication challenge"),
    (82, "S_RP_NA_1 authentication reply"),
    (83, "S_AR_NA_1 aggressive mode authentication request"),
    (84, "S_KR_NA_1 session key status request"),
    (85, "S_KS_NA_1 session key status"),
    (86, "S_KC_NA_1 session key change"),
    (87, "S_ER_NA_1 authentication error"),
    (90, "S_US_NA_1 user status change"),
    (91, "S_UQ_NA_1 update key change request"),
    (92, "S_UR_NA_1 update key change reply"),
    (93, "S_UK_NA_1 symmetric update key change"),
    (94, "S_UA_NA_1 asymmetric update key change"),
    (95, "S_UC_NA_1 update key change confirmation"),
    (100, "C_IC_NA_1 interrogation command"),
    (101, "C_CI_NA_1 counter interrogation command"),
    (102, "C_RD_NA_1 read command"),
    (103, "C_CS_NA_1 clock synchronization command"),
    (104, "C_TS_NA_1 test command"),
    (105, "C_RP_NA_1 reset process command"),
    (106, "C_CD_NA_1 delay acquisition command"),
    (107, "C_TS_TA_1 test command with time tag"),
    (110, "P_ME_NA_1 normalized parameter"),
    (111, "P_ME_NB_1 scaled parameter"),
    (112, "P_ME_NC_1 float parameter"),
    (113, "P_AC_NA_1 parameter activation"),
    (120, "F_FR_NA_1 file ready"),
    (121, "F_SR_NA_1 section ready"),
    (122, "F_SC_NA_1 call or select"),
    (123, "F_LS_NA_1 last section or segment"),
    (124, "F_AF_NA_1 acknowledge file or section"),
    (125, "F_SG_NA_1 segment"),
    (126, "F_DR_TA_1 directory"),
    (127, "F_SC_NB_1 query log"),
];

/// What U frames ask for (clause 5.3).
static UNNUMBERED_NAMES: &[(u8, &str)] = &[
    (STARTDT, "STARTDT start data transfer"),
    (STOPDT, "STOPDT stop data transfer"),
    (TESTFR, "TESTFR test frame"),
];

/// Causes of transmission.
static CAUSES: &[(u8, &str)] = &[
    (1, "cyclic"),
    (2, "background scan"),
    (3, "spontaneous"),
    (4, "initialized"),
    (5, "requested"),
    (6, "activation"),
    (7, "activation confirmation"),
    (8, "deactivation"),
    (9, "deactivation confirmation"),
    (10, "activation termination"),
    (11, "return by remote command"),
    (12, "return by local command"),
    (13, "file transfer"),
    (14, "authentication"),
    (15, "session key maintenance"),
    (16, "update key maintenance"),
    (20, "interrogated by station"),
    (21, "interrogated by group 1"),
    (22, "interrogated by group 2"),
    (23, "interrogated by group 3"),
    (24, "interrogated by group 4"),
    (25, "interrogated by group 5"),
    (26, "interrogated by group 6"),
    (27, "interrogated by group 7"),
    (28, "interrogated by group 8"),
    (29, "interrogated by group 9"),
    (30, "interrogated by group 10"),
    (31, "interrogated by group 11"),
    (32, "interrogated by group 12"),
    (33, "interrogated by group 13"),
    (34, "interrogated by group 14"),
    (35, "interrogated by group 15"),
    (36, "interrogated by group 16"),
    (37, "counters interrogated"),
    (38, "counters of group 1 interrogated"),
    (39, "counters of group 2 interrogated"),
    (40, "counters of group 3 interrogated"),
    (41, "counters of group 4 interrogated"),
    (44, "unknown type identification"),
    (45, "unknown cause of transmission"),
    (46, "unknown common address"),
    (47, "unknown information object address"),
];

/// Names of the parts of a qualifier that sub-functions hold; 0 goes without saying.
fn qualifiers(type_id: u32) -> &'static [(u32, &'static str)] {
    match type_id {
        45..=50 | 58..=63 => &[(1, "select")],
        101 => &[(1, "freeze without reset"), (2, "freeze with reset"), (3, "reset")],
        105 => &[(1, "general reset"), (2, "reset of pending events")],
        113 => &[
            (1, "parameters loaded before"),
            (2, "parameter of the object"),
            (3, "cyclic transmission of the object"),
        ],
        122 => &[
            (1, "select file"),
            (2, "call file"),
            (3, "deactivate file"),
            (4, "delete file"),
            (5, "select section"),
            (6, "call section"),
            (7, "deactivate section"),
        ],
        _ => &[],
    }
}

/// Every name, composed once: function and sub-function.
static NAMES: LazyLock<HashMap<(u32, u32), String>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for (octet, name) in UNNUMBERED_NAMES {
        names.insert((UNNUMBERED | u32::from(*octet), NO_SUBFUNCTION), (*name).to_owned());
    }
    for (type_id, name) in TYPES {
        names.insert((*type_id, NO_SUBFUNCTION), (*name).to_owned());
        let plain = std::iter::once((0, ""));
        for (number, qualifier) in plain.chain(qualifiers(*type_id).iter().copied()) {
            for (code, cause) in CAUSES {
                let code = u32::from(*code) | number << 8;
                let text = match qualifier {
                    "" => format!("{name}: {cause}"),
                    _ => format!("{name}: {cause} ({qualifier})"),
                };
                names.insert((*type_id, code | IS_TEST), format!("{text} (test)"));
                names.insert((*type_id, code), text);
            }
        }
    }
    names
});

/// See [`crate::protocols::Protocol::function_name`].
pub(super) fn function_name(function: u32, subfunction: u32) -> Option<&'static str> {
    NAMES.get(&(function, subfunction)).map(String::as_str)
}

/// The name of a status: why a station did not do what it was told.
pub(super) fn status_name(status: u16) -> Option<&'static str> {
    if status == NEGATIVE {
        return Some("negative confirmation");
    }
    let unknown =
        |(code, _): &&(u8, &'static str)| UNKNOWN.contains(code) && u16::from(*code) == status;
    CAUSES.iter().find(unknown).map(|(_, name)| *name)
}

/// Whether the standard names a cause of transmission.
pub(super) fn is_cause(cause: u8) -> bool {
    CAUSES.iter().any(|(code, _)| *code == cause)
}

/// What a type does. A counter interrogation that freezes or resets counters is more than a read.
pub(super) fn activity(type_id: u8, qualifier: u32) -> Activity {
    match type_id {
        1..=40 | 70 => Activity::Report,
        45..=47 | 58..=60 | C_RP => Activity::Control,
        C_SE_NA..=C_BO_NA | 61..=64 => Activity::Write,
        81..=95 => Activity::Session,
        C_CI if qualifier != 0 => Activity::Control,
        100..=C_RD => Activity::Read,
        103 | 106 => Activity::Time,
        104 | 107 => Activity::Diagnose,
        110..=P_AC => Activity::Configure,
        F_FR..=127 => Activity::File,
        _ => Activity::Other,
    }
}

/// Whether a type comes from the controlled station (clause 7.2.1.1, monitor direction).
pub(super) const fn is_monitored(type_id: u8) -> bool {
    matches!(type_id, 1..=40 | 70)
}

/// Whether a type is a command, an interrogation or a parameter, which a station confirms.
pub(super) const fn is_commanded(type_id: u8) -> bool {
    matches!(type_id, 45..=64 | 100..=113)
}
