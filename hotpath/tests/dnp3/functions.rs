//! Each function of a master, and its answer.

use hotpath::protocols::dnp3::PROTOCOL;
use hotpath::words::{Access, Activity, NoticeKind, Role, ValueKind};

use crate::recorder::{Flow, Touched};

/// Function, activity, objects on the wire, and what they are.
type Case = (u8, Activity, &'static [u8], &'static [Touched]);

const CASES: &[Case] = &[
    (
        1,
        Activity::Read,
        &[60, 2, 6, 60, 3, 6, 60, 4, 6, 60, 1, 6],
        &[("class", 1, 3, Access::Read, 0), ("class", 0, 1, Access::Read, 0)],
    ),
    (1, Activity::Read, &[30, 2, 1, 5, 0, 9, 1], &[("analog-input", 5, 261, Access::Read, 0)]),
    (
        1,
        Activity::Read,
        &[20, 0, 0x17, 2, 3, 9],
        &[("counter", 3, 1, Access::Read, 0), ("counter", 9, 1, Access::Read, 0)],
    ),
    (1, Activity::Browse, &[0, 254, 0, 0, 0], &[("device-attribute", 254, 1, Access::Read, 0)]),
    (1, Activity::Time, &[50, 1, 7, 1], &[("time", 0, 1, Access::Read, 0)]),
    (2, Activity::Write, &[80, 1, 0, 7, 7, 0], &[("internal-indication", 7, 1, Access::Write, 0)]),
    (2, Activity::Time, &[50, 1, 7, 1, 1, 2, 3, 4, 5, 0], &[("time", 0, 1, Access::Write, 0)]),
    (
        2,
        Activity::Configure,
        &[34, 1, 0x17, 1, 4, 10, 0],
        &[("analog-input-deadband", 4, 1, Access::Write, 0)],
    ),
    (7, Activity::Control, &[20, 0, 0, 2, 3], &[("counter", 2, 2, Access::Control, 0)]),
    (9, Activity::Control, &[20, 0, 0, 0, 0], &[("counter", 0, 1, Access::Control, 0)]),
    (
        11,
        Activity::Control,
        &[50, 2, 7, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 1, 1],
        &[("time", 0, 1, Access::Control, 0), ("counter", 1, 1, Access::Control, 0)],
    ),
    (13, Activity::Control, &[], &[]),
    (14, Activity::Control, &[], &[]),
    (15, Activity::Control, &[], &[]),
    (
        16,
        Activity::Control,
        &[90, 1, 0x5B, 1, 2, 0, b'a', b'b'],
        &[("object", 0x5A01, 1, Access::Control, 0)],
    ),
    (17, Activity::Control, &[], &[]),
    (18, Activity::Control, &[], &[]),
    (19, Activity::Configure, &[], &[]),
    (20, Activity::Configure, &[60, 2, 6], &[("class", 1, 1, Access::Write, 0)]),
    (21, Activity::Configure, &[60, 2, 6, 60, 3, 6], &[("class", 1, 2, Access::Write, 0)]),
    (
        22,
        Activity::Configure,
        &[60, 3, 6, 1, 0, 0, 4, 7],
        &[("class", 2, 1, Access::Write, 0), ("binary-input", 4, 4, Access::Write, 0)],
    ),
    (23, Activity::Time, &[], &[]),
    (24, Activity::Time, &[], &[]),
    (32, Activity::Session, &[120, 4, 7, 1, 1, 0], &[("authentication", 4, 1, Access::Read, 0)]),
];

#[test]
fn each_function_and_an_answer_without_objects() {
    for (function, activity, wire, objects) in CASES {
        let mut flow = Flow::tcp();
        flow.ask(&[&[0xC5, *function], *wire].concat());
        let asked = flow.last().clone();
        assert_eq!(asked.role, Role::Request);
        assert_eq!((asked.function, asked.activity), (u32::from(*function), *activity));
        assert_eq!((asked.unit, asked.objects.as_slice()), (10, *objects), "{wire:02x?}");
        flow.answer(&[0xC5, if *function == 32 { 131 } else { 129 }, 0, 0]);
        let told = flow.last();
        assert_eq!((told.role, told.function), (Role::Response, u32::from(*function)));
        assert_eq!((told.reply_to, told.unit, told.status), (Some(1), 10, 0));
        assert_eq!((told.activity, &told.objects), (*activity, &asked.objects));
        assert_eq!(flow.expire(i64::MAX).kinds(), []);
    }
}

#[test]
fn refusals() {
    for (indications, status, name) in [
        (0x01, 0x0100, "Function Not Supported"),
        (0x02, 0x0200, "Object Unknown"),
        (0x04, 0x0400, "Parameter Error"),
        (0x06, 0x0600, "Object Unknown, Parameter Error"),
        (0x10, 0x1000, "Already Executing"),
    ] {
        let mut flow = Flow::tcp();
        flow.ask(&[0xC1, 1, 30, 0, 0, 0, 9]).answer(&[0xC1, 129, 0x00, indications]);
        assert_eq!(flow.last().status, status);
        assert_eq!((PROTOCOL.status_name)(status), Some(name));
        assert_eq!(flow.last().objects, [("analog-input", 0, 10, Access::Read, status)]);
    }
}

#[test]
fn states_of_a_device_are_objects_where_they_are_set() {
    let mut flow = Flow::tcp();
    // Events of all classes, and broadcast: no states.
    flow.ask(&[0xC1, 13]).answer(&[0xC1, 129, 0x0F, 0x00]);
    assert_eq!((flow.last().objects.as_slice(), flow.last().status), (&[][..], 0));
    flow.ask(&[0xC2, 13]).answer(&[0xC2, 129, 0x90, 0x28]);
    assert_eq!(
        flow.last().objects,
        [
            ("internal-indication", 4, 1, Access::Read, 0),
            ("internal-indication", 7, 1, Access::Read, 0),
            ("internal-indication", 11, 1, Access::Read, 0),
            ("internal-indication", 13, 1, Access::Read, 0),
        ]
    );
    assert_eq!(flow.last().values, (0..4).map(|it| (it, 0, ValueKind::Bit, 1)).collect::<Vec<_>>());
    assert_eq!(flow.last().status, 0, "none of them refuses anything");
}

// --- commands ------------------------------------------------------------------------------------

/// Latch on, and close for a pulse of 250 ms, 500 ms off; statuses to fill in.
fn blocks(function: u8, statuses: [u8; 2]) -> Vec<u8> {
    let mut bytes = vec![0xC3, function];
    if function == 129 {
        bytes.extend([0, 0]);
    }
    bytes.extend([12, 1, 0x28, 2, 0]);
    bytes.extend([7, 0, 0x03, 1, 0, 0, 0, 0, 0, 0, 0, 0, statuses[0]]);
    bytes.extend([9, 1, 0x41, 2, 250, 0, 0, 0, 0xF4, 1, 0, 0, statuses[1]]);
    bytes
}

#[test]
fn control_relay_output_blocks() {
    for function in [3, 4, 5] {
        let mut flow = Flow::tcp();
        flow.ask(&blocks(function, [0, 0])).answer(&blocks(129, [0, 4]));
        let [asked, told] = flow.out.said.as_slice() else { panic!("{:?}", flow.out.said) };
        let access = Access::Control;
        assert_eq!(
            asked.objects,
            [
                ("binary-output-command", 7, 1, access, 0),
                ("binary-output-command", 265, 1, access, 0),
                ("pulse-count", 265, 1, access, 0),
                ("pulse-on-time", 265, 1, access, 0),
                ("pulse-off-time", 265, 1, access, 0),
            ]
        );
        let raw: Vec<u64> = asked.values.iter().map(|value| value.3).collect();
        assert_eq!(raw, [3, 0x41, 2, 250, 500]);
        assert_eq!((told.function, told.status), (u32::from(function), 4));
        assert_eq!((told.objects[0].4, told.objects[1].4), (0, 4));
        assert_eq!((PROTOCOL.status_name)(4), Some("Command Not Supported"));
        assert_eq!((told.activity, told.values.len()), (Activity::Control, 5));
    }
}

#[test]
fn neighbouring_commands_are_one_range() {
    let mut flow = Flow::tcp();
    let block = |index: u8| [index, 0x04, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    flow.ask(&[&[0xC1, 5, 12, 1, 0x17, 2][..], &block(3), &block(4)].concat());
    assert_eq!(flow.last().objects, [("binary-output-command", 3, 2, Access::Control, 0)]);
}

#[test]
fn analog_commands() {
    let mut flow = Flow::tcp();
    flow.ask(&[0xC1, 5, 41, 2, 0x17, 1, 6, 0x9C, 0xFF, 0]); // -100, 16 bits
    assert_eq!(flow.last().objects, [("analog-output", 6, 1, Access::Control, 0)]);
    assert_eq!(flow.last().values, [(0, 0, ValueKind::Signed, u64::MAX - 99)]);
    flow.answer(&[0xC1, 129, 0, 0, 41, 2, 0x17, 1, 6, 0x9C, 0xFF, 7]);
    assert_eq!((flow.last().status, flow.last().objects[0].4), (7, 7));
    flow.ask(&[&[0xC2, 5, 41, 3, 0x17, 1, 6][..], &1.5_f32.to_le_bytes(), &[0]].concat());
    assert_eq!(flow.last().values, [(0, 0, ValueKind::Float, 1.5_f64.to_bits())]);
}

#[test]
fn no_answer_is_owed_where_none_is_wanted() {
    for function in [6, 8, 10, 12, 33] {
        let mut flow = Flow::tcp();
        flow.ask(&[0xC1, function]).expire(i64::MAX);
        assert_eq!((flow.functions(), flow.kinds()), (vec![u32::from(function)], vec![]));
    }
    let mut flow = Flow::tcp();
    flow.ask(&[0xC1, 13]).expire(i64::MAX);
    assert_eq!(flow.kinds(), [NoticeKind::UnansweredRequest]);
}

#[test]
fn codes_that_are_not_defined() {
    for function in [34, 77, 127] {
        let mut flow = Flow::tcp();
        flow.ask(&[0xC1, function, 1, 2, 3]).answer(&[0xC1, 129, 0, 1]);
        assert_eq!(flow.functions(), [u32::from(function); 2]);
        assert_eq!((PROTOCOL.function_name)(u32::from(function), u32::MAX), None);
        assert_eq!((flow.out.said[0].activity, flow.kinds()), (Activity::Other, vec![]));
    }
}

#[test]
fn fragments_that_are_too_short() {
    for fragment in [&[][..], &[0xC1], &[0xC1, 129], &[0xC1, 129, 0]] {
        let mut flow = Flow::tcp();
        flow.answer(fragment);
        assert_eq!((flow.functions(), flow.kinds()), (vec![], vec![NoticeKind::MalformedPdu]));
    }
}
