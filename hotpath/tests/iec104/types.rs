//! What each type says: objects, values, quality, time.

use hotpath::protocols::Party::{self, Client, Server};
use hotpath::protocols::iec104::PROTOCOL;
use hotpath::protocols::{NO_SUBFUNCTION, Protocol};
use hotpath::words::{Access, Activity, NoticeKind, Role, ValueKind};

use crate::apdus::{asdu, flow, info};
use crate::common::{Carried, Said};

/// 2016-07-21 15:54:57.001.
const TIME: [u8; 7] = [0xA9, 0xDE, 54, 15, 0x95, 7, 16];
const NANOSECONDS: i64 = 1_469_116_497_001_000_000;

fn told_by(from: Party, asdu: &[u8]) -> Said {
    let mut flow = flow();
    flow.at(NANOSECONDS + 5_000_000_000).feed(from, &info(0, 0, asdu));
    assert_eq!(flow.kinds(), [], "{asdu:02x?}");
    assert_eq!(flow.out.said.len(), 1, "{asdu:02x?}");
    flow.out.said.remove(0)
}

fn float(number: f64) -> (ValueKind, u64) {
    (ValueKind::Float, number.to_bits())
}

const fn signed(number: i64) -> (ValueKind, u64) {
    (ValueKind::Signed, number.cast_unsigned())
}

const fn unsigned(number: u64) -> (ValueKind, u64) {
    (ValueKind::Unsigned, number)
}

const fn bit(number: u64) -> (ValueKind, u64) {
    (ValueKind::Bit, number)
}

type Monitored = (u8, &'static [u8], &'static str, (ValueKind, u64), u32);

/// Type without a tag, element, kind of object, value, quality.
fn monitored() -> Vec<Monitored> {
    vec![
        (1, &[0x91], "single-point", bit(1), 0x90),
        (3, &[0x42], "double-point", unsigned(2), 0x40),
        (5, &[0x7F, 0x10], "step-position", signed(-1), 0x10),
        (5, &[0x80 | 0x3F, 0], "step-position", signed(63), 0x100),
        (7, &[1, 2, 3, 0x84, 0x01], "bitstring", unsigned(0x8403_0201), 0x01),
        (9, &[0x00, 0x40, 0x80], "normalized-value", float(0.5), 0x80),
        (9, &[0x00, 0x80, 0], "normalized-value", float(-1.0), 0),
        (11, &[0xFE, 0xFF, 0], "scaled-value", signed(-2), 0),
        (13, &[0, 0, 0x48, 0xC1, 0x20], "float-value", float(-12.5), 0x20),
        (15, &[0xFF, 0xFF, 0xFF, 0xFF, 0xA3], "integrated-total", signed(-1), 0xA0),
        (20, &[1, 0, 1, 0, 0x10], "packed-single-points", unsigned(0x1_0001), 0x10),
        (21, &[0x00, 0xC0], "normalized-value", float(-0.5), 0),
    ]
}

#[test]
fn what_is_monitored() {
    for (type_id, element, kind, (value, raw), quality) in monitored() {
        let told = told_by(Server, &asdu(type_id, 3, 1000, element));
        assert_eq!((told.role, told.activity), (Role::Report, Activity::Report));
        assert_eq!((told.function, told.subfunction, told.unit), (type_id.into(), 3, 7));
        assert_eq!(told.objects, [(kind, 1000, 1, Access::Report, 0)], "type {type_id}");
        assert_eq!(told.values, [(0, 0, value, raw)], "type {type_id}");
        assert_eq!(told.marks, [(quality, 0)], "type {type_id}");
    }
}

#[test]
fn time_tags_are_told_beside_the_value() {
    // Short tags count from the hour, long ones from the century.
    let tagged = [(1, 2, 30), (3, 4, 31), (5, 6, 32), (7, 8, 33), (9, 10, 34), (11, 12, 35)];
    for (plain, short, long) in tagged.into_iter().chain([(13, 14, 36), (15, 16, 37)]) {
        for (of, element, kind, (value, raw), quality) in monitored() {
            if of != plain {
                continue;
            }
            for (type_id, tag) in [(short, &TIME[..3]), (long, &TIME[..])] {
                let told = told_by(Server, &asdu(type_id, 3, 1000, &[element, tag].concat()));
                assert_eq!(told.objects[0].0, kind, "type {type_id}");
                assert_eq!(told.values, [(0, 0, value, raw)], "type {type_id}");
                assert_eq!(told.marks, [(quality, NANOSECONDS)], "type {type_id}");
            }
        }
    }
}

#[test]
fn protection_equipment() {
    let elapsed = [0x10, 0x27];
    for (short, long, element, kind, raw, quality) in [
        (17, 38, &[0x8A_u8][..], "protection-event", 2, 0x88),
        (18, 39, &[0x05, 0x40], "protection-start", 5, 0x40),
        (19, 40, &[0x0F, 0x00], "protection-output", 15, 0),
    ] {
        for (type_id, tag) in [(short, &TIME[..3]), (long, &TIME[..])] {
            let told = told_by(Server, &asdu(type_id, 3, 5, &[element, &elapsed, tag].concat()));
            assert_eq!(told.objects, [(kind, 5, 1, Access::Report, 0)]);
            assert_eq!(told.values, [(0, 0, ValueKind::Unsigned, raw)]);
            assert_eq!(told.marks, [(quality, NANOSECONDS)]);
        }
    }
}

type Commanded = (u8, &'static [u8], &'static str, Access, Activity, (ValueKind, u64));

#[test]
fn commands_select_and_execute() {
    use {Access::Control, Access::Write};
    let commands: [Commanded; 6] = [
        (45, &[0x05], "single-command", Control, Activity::Control, bit(1)),
        (46, &[0x02], "double-command", Control, Activity::Control, unsigned(2)),
        (47, &[0x01], "step-command", Control, Activity::Control, unsigned(1)),
        (48, &[0, 0x40, 0], "normalized-set-point", Write, Activity::Write, float(0.5)),
        (49, &[0xF6, 0xFF, 0], "scaled-set-point", Write, Activity::Write, signed(-10)),
        (50, &[0, 0, 0x20, 0x41, 0], "float-set-point", Write, Activity::Write, float(10.0)),
    ];
    for (type_id, element, kind, access, activity, (value, raw)) in commands {
        let mut selected = element.to_vec();
        *selected.last_mut().unwrap() |= 0x80;
        for (element, qualifier) in [(element, 0), (&selected, 0x100)] {
            for (type_id, tag) in [(type_id, &[][..]), (type_id + 13, &TIME[..])] {
                let told = told_by(Client, &asdu(type_id, 6, 3000, &[element, tag].concat()));
                assert_eq!((told.role, told.activity), (Role::Request, activity));
                assert_eq!((told.function, told.subfunction), (type_id.into(), 6 | qualifier));
                assert_eq!(told.objects, [(kind, 3000, 1, access, 0)], "type {type_id}");
                assert_eq!(told.values, [(0, 0, value, raw)], "type {type_id}");
            }
        }
    }
    for (type_id, tag) in [(51, &[][..]), (64, &TIME[..])] {
        let told = told_by(Client, &asdu(type_id, 6, 3000, &[&[1, 0, 0, 0x80], tag].concat()));
        assert_eq!(told.objects, [("bitstring-command", 3000, 1, Write, 0)]);
        assert_eq!(told.values, [(0, 0, ValueKind::Unsigned, 0x8000_0001)]);
        assert_eq!(told.subfunction, 6, "a bitstring is not selected");
    }
}

#[test]
fn system_and_parameter_commands() {
    use Activity::{Configure, Control, Diagnose, Read, Time};
    let words = [0xAA, 0x55];
    let tagged = [&words[..], &TIME].concat();
    for (type_id, cause, element, kind, access, activity, value, subfunction) in [
        (100, 6, &[20_u8][..], "interrogation", Access::Read, Read, Some(unsigned(20)), 6),
        (101, 6, &[5], "counter-interrogation", Access::Read, Read, Some(unsigned(5)), 6),
        // Freeze with reset.
        (
            101,
            6,
            &[0x85],
            "counter-interrogation",
            Access::Control,
            Control,
            Some(unsigned(0x85)),
            0x206,
        ),
        (102, 5, &[], "information-object", Access::Read, Read, None, 5),
        (103, 6, &TIME, "clock", Access::Write, Time, None, 6),
        (104, 6, &words, "test-pattern", Access::Read, Diagnose, Some(unsigned(0x55AA)), 6),
        (105, 6, &[1], "process-reset", Access::Control, Control, Some(unsigned(1)), 0x106),
        (106, 6, &words, "transmission-delay", Access::Write, Time, Some(unsigned(0x55AA)), 6),
        (107, 6, &tagged, "test-pattern", Access::Read, Diagnose, Some(unsigned(0x55AA)), 6),
        (
            110,
            6,
            &[0, 0x40, 1],
            "normalized-parameter",
            Access::Write,
            Configure,
            Some(float(0.5)),
            6,
        ),
        (111, 6, &[1, 0, 1], "scaled-parameter", Access::Write, Configure, Some(signed(1)), 6),
        (
            112,
            6,
            &[0, 0, 0x80, 0x3F, 1],
            "float-parameter",
            Access::Write,
            Configure,
            Some(float(1.0)),
            6,
        ),
        (113, 6, &[3], "parameter-activation", Access::Write, Configure, Some(unsigned(3)), 0x306),
    ] {
        let told = told_by(Client, &asdu(type_id, cause, 0, element));
        assert_eq!((told.role, told.activity), (Role::Request, activity), "type {type_id}");
        assert_eq!(told.objects, [(kind, 0, 1, access, 0)], "type {type_id}");
        let expected: Vec<Carried> =
            value.map(|(kind, raw)| (0, 0, kind, raw)).into_iter().collect();
        assert_eq!(told.values, expected, "type {type_id}");
        assert_eq!(told.subfunction, subfunction, "type {type_id}");
    }
}

#[test]
fn files() {
    use Access::{Read, Write};
    let directory = [&[2, 0, 9, 0, 0, 0], &TIME[..]].concat();
    let log = [&[2, 0][..], &TIME, &TIME].concat();
    for (from, type_id, element, access, role, subfunction) in [
        (Server, 120, &[2_u8, 0, 9, 0, 0, 0][..], Read, Role::Report, 13),
        (Client, 120, &[2, 0, 9, 0, 0, 0], Write, Role::Report, 13),
        (Server, 121, &[2, 0, 1, 9, 0, 0, 0], Read, Role::Report, 13),
        (Client, 122, &[2, 0, 1, 2], Read, Role::Request, 0x20D),
        (Client, 122, &[2, 0, 1, 4], Write, Role::Request, 0x40D),
        (Server, 123, &[2, 0, 1, 1, 0xCC], Read, Role::Report, 13),
        (Client, 124, &[2, 0, 1, 1], Read, Role::Report, 13),
        (Server, 125, &[2, 0, 1, 3, 7, 8, 9], Read, Role::Report, 13),
        (Client, 125, &[2, 0, 1, 3, 7, 8, 9], Write, Role::Report, 13),
        (Server, 126, &directory, Read, Role::Report, 13),
        (Client, 127, &log, Read, Role::Request, 13),
    ] {
        let told = told_by(from, &asdu(type_id, 13, 1, element));
        assert_eq!(told.objects, [("file", 1 << 16 | 2, 1, access, 0)], "type {type_id}");
        assert_eq!((told.role, told.activity), (role, Activity::File), "type {type_id}");
        assert_eq!(told.subfunction, subfunction, "type {type_id}");
    }
}

#[test]
fn a_refused_file_is_status() {
    for (type_id, element) in [
        (120, &[2_u8, 0, 9, 0, 0, 0x80][..]),
        (121, &[2, 0, 1, 9, 0, 0, 0x80]),
        (124, &[2, 0, 1, 2]),
        (124, &[2, 0, 1, 0x14]),
    ] {
        assert_eq!(told_by(Server, &asdu(type_id, 13, 1, element)).status, 0x40);
    }
}

#[test]
fn neighbours_are_one_range() {
    // SQ = 1: three scaled values from 257 on.
    let sequence = [11, 0x83, 20, 0, 7, 0, 1, 1, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0];
    // SQ = 0: 10, 11, 20.
    let single = [11, 3, 20, 0, 7, 0, 10, 0, 0, 1, 0, 0, 11, 0, 0, 2, 0, 0, 20, 0, 0, 3, 0, 0];
    let range = |address, count| ("scaled-value", address, count, Access::Report, 0);
    let value = |object, offset, raw| (object, offset, ValueKind::Signed, raw);
    let told = told_by(Server, &sequence);
    assert_eq!(told.objects, [range(257, 3)]);
    assert_eq!(told.values, [value(0, 0, 1), value(0, 1, 2), value(0, 2, 3)]);
    let told = told_by(Server, &single);
    assert_eq!(told.objects, [range(10, 2), range(20, 1)]);
    assert_eq!(told.values, [value(0, 0, 1), value(0, 1, 2), value(1, 0, 3)]);
}

#[test]
fn the_highest_address_has_no_neighbour_beyond_it() {
    let told = told_by(Server, &[1, 0x82, 3, 0, 7, 0, 0xFF, 0xFF, 0xFF, 1, 0]);
    assert_eq!(told.objects, [("single-point", 0xFF_FFFF, 2, Access::Report, 0)]);
}

#[test]
fn initialization_originator_and_test() {
    let told = told_by(Server, &asdu(70, 4, 0, &[1]));
    assert_eq!((told.role, told.activity), (Role::Report, Activity::Report));
    assert_eq!(told.values, [(0, 0, ValueKind::Unsigned, 1)]);
    let told = told_by(Client, &asdu(45, 0x80 | 6, 9, &[1]));
    assert_eq!(told.subfunction, 0x86, "a test is another operation");
    let mut flow = flow();
    for originator in [0, 5, 5, 6] {
        flow.feed(Client, &info(0, 0, &[100, 1, 6, originator, 7, 0, 0, 0, 0, 20]));
    }
    let facts: Vec<_> = flow.out.facts.iter().map(|(of, key, text)| (*of, *key, &**text)).collect();
    assert_eq!(facts, [(Client, "originator", "5"), (Client, "originator", "6")]);
}

#[test]
fn a_type_without_a_layout_is_a_message() {
    let told = told_by(Server, &asdu(200, 3, 9, &[1, 2, 3]));
    assert_eq!((told.function, told.activity), (200, Activity::Other));
    assert_eq!(told.objects, [("information-object", 9, 1, Access::Report, 0)]);
    assert_eq!(told.values, []);
}

/// What is told of an ASDU that breaks a rule: how many objects and values, and the notice.
fn broken(asdu: &[u8]) -> (usize, usize, String) {
    let mut flow = flow();
    flow.feed(Server, &info(0, 0, asdu));
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "{asdu:02x?}");
    let told = flow.out.said.first().map_or((0, 0), |it| (it.objects.len(), it.values.len()));
    (told.0, told.1, flow.out.noticed[0].detail.clone())
}

#[test]
fn lengths_that_contradict_the_type() {
    let short = "the ASDU is shorter than its type and number of objects demand";
    let long = "the ASDU is longer than its type and number of objects demand";
    assert_eq!(broken(&[1, 2, 3, 0, 7, 0, 1, 0, 0, 1]), (0, 0, short.into()));
    assert_eq!(broken(&[13, 1, 3, 0, 7, 0, 1, 0, 0, 1]), (0, 0, short.into()));
    assert_eq!(broken(&[200, 1, 3, 0, 7, 0, 1]), (0, 0, short.into()));
    assert_eq!(broken(&[125, 1, 13, 0, 7, 0, 1, 0, 0, 2, 0, 1, 9, 1]), (0, 0, short.into()));
    assert_eq!(broken(&[1, 1, 3, 0, 7, 0, 1, 0, 0, 1, 9]), (1, 1, long.into()));
    assert_eq!(broken(&[1, 0, 3, 0, 7, 0, 1]), (0, 0, long.into()));
    let head = "the APDU ends inside the data unit identifier";
    assert_eq!(broken(&[1, 1, 3, 0, 7]), (0, 0, head.into()));
}

#[test]
fn names() {
    let Protocol { function_name, status_name, .. } = PROTOCOL;
    let named = |function, subfunction| function_name(function, subfunction).unwrap();
    assert_eq!(named(45, NO_SUBFUNCTION), "C_SC_NA_1 single command");
    assert_eq!(named(45, 6), "C_SC_NA_1 single command: activation");
    assert_eq!(named(45, 0x106), "C_SC_NA_1 single command: activation (select)");
    assert_eq!(named(45, 0x87), "C_SC_NA_1 single command: activation confirmation (test)");
    assert_eq!(named(122, 0x40D), "F_SC_NA_1 call or select: file transfer (delete file)");
    assert_eq!(named(0x143, NO_SUBFUNCTION), "TESTFR test frame");
    let all = (0..=0x7FF).flat_map(|sub| (1..=127).map(move |of| (of, sub)));
    assert!(all.filter_map(|(of, sub)| function_name(of, sub)).all(|name| !name.contains(',')));
    assert_eq!(function_name(200, 6), None);
    assert_eq!(function_name(45, 63), None);
    let types = (1..=127).filter(|one| function_name(*one, NO_SUBFUNCTION).is_some()).count();
    assert_eq!(types, 21 + 11 + 7 + 7 + 1 + 13 + 8 + 4 + 8);
    assert_eq!(status_name(0x40), Some("negative confirmation"));
    assert_eq!(status_name(46), Some("unknown common address"));
    assert_eq!(status_name(7), None);
}
