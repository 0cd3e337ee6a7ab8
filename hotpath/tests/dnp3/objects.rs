//! Objects of each group and variation, behind each sort of header.

use hotpath::words::{Access, NoticeKind, Role, ValueKind};

use crate::recorder::{Carried, Flow};

/// What a response with these objects tells: a flow whose last message it is.
fn response(objects: &[u8]) -> Flow {
    let mut flow = Flow::tcp();
    flow.ask(&[0xC1, 1, 60, 1, 6]).answer(&[&[0xC1, 129, 0, 0], objects].concat());
    flow
}

fn values(flow: &Flow) -> Vec<(ValueKind, u64)> {
    flow.last().values.iter().map(|&(_, _, kind, raw)| (kind, raw)).collect()
}

/// One object of a variation at index 5, without prefix.
fn one(group: u8, variation: u8, data: &[u8]) -> Flow {
    response(&[&[group, variation, 0, 5, 5], data].concat())
}

/// Group, variation, data, and what it is: its type, its form and its bits.
type Case = (u8, u8, &'static [u8], &'static str, ValueKind, u64);

#[test]
fn points_of_every_variation() {
    use ValueKind::{Bit, Float, Signed, Unsigned};
    let minus = |number: i64| u64::from_ne_bytes(number.to_ne_bytes());
    let float = |number: f64| number.to_bits();
    let cases: &[Case] = &[
        (1, 2, &[0x81], "binary-input", Bit, 1),
        (3, 2, &[0x81], "double-bit-input", Unsigned, 2),
        (10, 2, &[0x01], "binary-output", Bit, 0),
        (20, 1, &[1, 4, 3, 2, 1], "counter", Unsigned, 0x0102_0304),
        (20, 2, &[1, 4, 3], "counter", Unsigned, 0x0304),
        (20, 5, &[4, 3, 2, 1], "counter", Unsigned, 0x0102_0304),
        (20, 6, &[4, 3], "counter", Unsigned, 0x0304),
        (21, 1, &[1, 4, 3, 2, 1], "frozen-counter", Unsigned, 0x0102_0304),
        (21, 2, &[1, 4, 3], "frozen-counter", Unsigned, 0x0304),
        (21, 5, &[1, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0], "frozen-counter", Unsigned, 0x0102_0304),
        (21, 6, &[1, 4, 3, 0, 0, 0, 0, 0, 0], "frozen-counter", Unsigned, 0x0304),
        (21, 9, &[4, 3, 2, 1], "frozen-counter", Unsigned, 0x0102_0304),
        (21, 10, &[4, 3], "frozen-counter", Unsigned, 0x0304),
        (30, 1, &[1, 0xFE, 0xFF, 0xFF, 0xFF], "analog-input", Signed, minus(-2)),
        (30, 2, &[1, 0xFE, 0xFF], "analog-input", Signed, minus(-2)),
        (30, 3, &[7, 0, 0, 0], "analog-input", Signed, 7),
        (30, 4, &[7, 0], "analog-input", Signed, 7),
        (30, 5, &[1, 0, 0, 0xC0, 0x3F], "analog-input", Float, float(1.5)),
        (30, 6, &[1, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F], "analog-input", Float, float(1.5)),
        (31, 1, &[1, 7, 0, 0, 0], "frozen-analog-input", Signed, 7),
        (31, 3, &[1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0], "frozen-analog-input", Signed, 7),
        (31, 5, &[7, 0, 0, 0], "frozen-analog-input", Signed, 7),
        (31, 7, &[1, 0, 0, 0xC0, 0x3F], "frozen-analog-input", Float, float(1.5)),
        (34, 1, &[7, 0], "analog-input-deadband", Unsigned, 7),
        (34, 2, &[7, 0, 0, 1], "analog-input-deadband", Unsigned, 0x0100_0007),
        (34, 3, &[0, 0, 0xC0, 0x3F], "analog-input-deadband", Float, float(1.5)),
        (40, 1, &[1, 7, 0, 0, 0], "analog-output", Signed, 7),
        (40, 2, &[1, 7, 0], "analog-output", Signed, 7),
        (40, 3, &[1, 0, 0, 0xC0, 0x3F], "analog-output", Float, float(1.5)),
        (40, 4, &[1, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F], "analog-output", Float, float(1.5)),
        (50, 1, &[1, 2, 0, 0, 0, 0], "time", Unsigned, 0x0201),
        (52, 1, &[9, 0], "time-delay-coarse", Unsigned, 9),
        (52, 2, &[9, 0], "time-delay", Unsigned, 9),
        (101, 1, &[0x12, 0x34], "bcd-point", Unsigned, 0x3412),
        (102, 1, &[9], "unsigned-integer", Unsigned, 9),
    ];
    for (group, variation, data, kind, form, raw) in cases {
        let flow = one(*group, *variation, data);
        let object = (*kind, 5, 1, Access::Read, 0);
        assert_eq!(flow.last().objects, [object], "g{group}v{variation}");
        assert_eq!(values(&flow), [(*form, *raw)], "g{group}v{variation}");
        assert_eq!((flow.last().marks[0].0, flow.kinds()), (0, vec![]), "g{group}v{variation}");
        for cut in 0..data.len() {
            let short = one(*group, *variation, &data[..cut]);
            assert_eq!(values(&short), [], "g{group}v{variation} cut at {cut}");
            assert_eq!(short.kinds(), [NoticeKind::MalformedPdu]);
        }
    }
}

#[test]
fn packed_points() {
    let flow = response(&[1, 1, 0, 3, 12, 0b1010_0101, 0b10, 3, 1, 0, 0, 4, 0b1110_0100, 0b01]);
    assert_eq!(
        flow.last().objects,
        [("binary-input", 3, 10, Access::Read, 0), ("double-bit-input", 0, 5, Access::Read, 0),]
    );
    let raw: Vec<u64> = flow.last().values.iter().map(|value| value.3).collect();
    assert_eq!(raw, [1, 0, 1, 0, 0, 1, 0, 1, 0, 1, /* two bits each */ 0, 1, 2, 3, 1]);
    let third: Carried = (0, 2, ValueKind::Bit, 1);
    assert_eq!((flow.last().values[2], flow.kinds()), (third, vec![]));
}

#[test]
fn quality() {
    for (group, variation, flags, quality) in [
        (1, 2, 0x81, 0),    // on line
        (1, 2, 0x80, 1),    // off line
        (1, 2, 0x2F, 0x2E), // restart, lost, forced, forced, chatter
        (3, 2, 0xC1, 0),
        (3, 2, 0x04, 5),
    ] {
        let flow = one(group, variation, &[flags]);
        assert_eq!(flow.last().marks, [(quality, 0)], "g{group} {flags:02x}");
    }
    let flow = one(30, 2, &[0x61, 1, 0]); // over range, reference check
    assert_eq!(flow.last().marks, [(0x60, 0)]);
}

/// 2020-09-13T12:26:40.123Z in milliseconds, as six bytes.
const MOMENT: [u8; 6] = [0x7B, 0x78, 0x8D, 0x87, 0x74, 0x01];
const MOMENT_NS: i64 = 1_599_999_999_123_000_000;

fn moment() -> i64 {
    let bytes = [MOMENT[0], MOMENT[1], MOMENT[2], MOMENT[3], MOMENT[4], MOMENT[5], 0, 0];
    i64::from_le_bytes(bytes) * 1_000_000
}

#[test]
fn events_with_their_time() {
    assert!((moment() - MOMENT_NS).abs() < 86_400_000_000_000 * 30, "a month of 2020");
    let cases: &[(u8, u8, &[u8], &str, u64)] = &[
        (2, 2, &[0x81], "binary-input", 1),
        (4, 2, &[0x41], "double-bit-input", 1),
        (11, 2, &[0x81], "binary-output", 1),
        (22, 5, &[1, 9, 0, 0, 0], "counter", 9),
        (22, 6, &[1, 9, 0], "counter", 9),
        (23, 5, &[1, 9, 0, 0, 0], "frozen-counter", 9),
        (32, 3, &[1, 9, 0, 0, 0], "analog-input", 9),
        (32, 4, &[1, 9, 0], "analog-input", 9),
        (32, 7, &[1, 0, 0, 0xC0, 0x3F], "analog-input", 1.5_f64.to_bits()),
        (33, 3, &[1, 9, 0, 0, 0], "frozen-analog-input", 9),
        (42, 4, &[1, 9, 0], "analog-output", 9),
    ];
    for (group, variation, data, kind, raw) in cases {
        let object = [&[7][..], data, &MOMENT].concat();
        let mut flow = response(&[&[*group, *variation, 0x17, 1][..], &object].concat());
        assert_eq!(flow.last().objects, [(*kind, 7, 1, Access::Report, 0)], "g{group}");
        assert_eq!(flow.last().values[0].3, *raw, "g{group}v{variation}");
        assert_eq!(flow.last().marks, [(0, moment())], "g{group}v{variation}");
        // Unsolicited, it is told as a report.
        flow.answer(&[&[0xF0, 130, 0, 0, *group, *variation, 0x17, 1][..], &object].concat());
        assert_eq!((flow.last().role, flow.last().function), (Role::Report, 130));
        assert_eq!(flow.kinds(), []);
    }
}

#[test]
fn events_of_commands() {
    let flow = response(&[&[13, 2, 0x17, 1, 7, 0x84][..], &MOMENT].concat());
    assert_eq!(flow.last().objects, [("binary-output-command-event", 7, 1, Access::Report, 4)]);
    assert_eq!((values(&flow), flow.last().status), (vec![(ValueKind::Bit, 1)], 4));
    let flow = response(&[&[43, 4, 0x17, 1, 7, 9, 5, 0][..], &MOMENT].concat());
    assert_eq!(flow.last().objects, [("analog-output-command-event", 7, 1, Access::Report, 9)]);
    assert_eq!(values(&flow), [(ValueKind::Signed, 5)]);
}

#[test]
fn relative_times_follow_a_common_one() {
    let common = [&[51, 1, 7, 1][..], &MOMENT].concat();
    let event = [2, 3, 0x17, 2, 4, 0x81, 10, 0, 5, 0x01, 0xE8, 3];
    let flow = response(&[common, event.to_vec()].concat());
    assert_eq!(
        flow.last().objects,
        [("common-time", 0, 1, Access::Report, 0), ("binary-input", 4, 2, Access::Report, 0),]
    );
    let times: Vec<i64> = flow.last().marks.iter().map(|mark| mark.1).collect();
    assert_eq!(times, [0, moment() + 10_000_000, moment() + 1_000_000_000]);
    assert_eq!(response(&event).last().marks[0].1, 0, "without a common time there is none");
}

#[test]
fn several_headers_in_a_response() {
    let flow = response(&[1, 1, 0, 0, 3, 0x05, 30, 4, 0, 0, 1, 5, 0, 6, 0, 20, 6, 0, 2, 2, 9, 0]);
    assert_eq!(flow.last().function, 1, "the function is the request's for all of them");
    assert_eq!(
        flow.last().objects,
        [
            ("binary-input", 0, 4, Access::Read, 0),
            ("analog-input", 0, 2, Access::Read, 0),
            ("counter", 2, 1, Access::Read, 0),
        ]
    );
    let places: Vec<(u16, u32)> = flow.last().values.iter().map(|it| (it.0, it.1)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (2, 0)]);
}

#[test]
fn qualifiers() {
    let object = |range: &[u8], data: &[u8]| response(&[&[30, 4], range, data].concat());
    for (range, address) in [
        (&[0x00, 5, 5][..], 5),
        (&[0x01, 5, 1, 5, 1], 261),
        (&[0x02, 5, 1, 0, 1, 5, 1, 0, 1], 0x0100_0105),
        (&[0x03, 5, 5], 5), // virtual addresses
        (&[0x07, 1], 0),
        (&[0x08, 1, 0], 0),
        (&[0x09, 1, 0, 0, 0], 0),
        (&[0x17, 1, 5], 5),
        (&[0x27, 1, 5, 1], 261),
        (&[0x28, 1, 0, 5, 1], 261),
        (&[0x39, 1, 0, 0, 0, 5, 1, 0, 1], 0x0100_0105),
    ] {
        let flow = object(range, &[9, 0]);
        assert_eq!(flow.last().objects, [("analog-input", address, 1, Access::Read, 0)]);
        assert_eq!((values(&flow), flow.kinds()), (vec![(ValueKind::Signed, 9)], vec![]));
    }
    for range in [
        &[0x0A][..],
        &[0x0F],
        &[0x70, 1, 1],
        &[0x80, 1, 1], // not defined
        &[0x10, 1, 1, 1],
        &[0x16],             // a prefix where nothing is counted
        &[0x00, 6, 5],       // ends before it begins
        &[0x47, 1, 2, 9, 0], // an analog input has no size before it
        &[0x00, 5],
        &[0x00],
        &[0x01, 5, 0],
        &[0x17],
        &[0x17, 1],
        &[0x09, 1, 0], // cut
    ] {
        let flow = object(range, &[]);
        assert_eq!(values(&flow), [], "{range:02x?}");
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "{range:02x?}");
    }
}

#[test]
fn what_is_read_without_an_index() {
    for (wire, name) in
        [(&[30, 0, 6][..], "all"), (&[32, 0, 6], "events"), (&[32, 0, 7, 9], "events")]
    {
        let mut flow = Flow::tcp();
        flow.ask(&[&[0xC1, 1], wire].concat());
        assert_eq!(flow.last().objects, [("analog-input", 0, 1, Access::Read, 0)]);
        assert_eq!(flow.last().names, [Some(name.to_owned())]);
    }
}

#[test]
fn an_object_of_unknown_size_ends_what_is_told() {
    let flow = response(&[30, 4, 0, 0, 0, 7, 0, 99, 9, 0, 0, 0, 1, 2, 3, 30, 4, 0, 1, 1, 8, 0]);
    assert_eq!(flow.last().objects, [("analog-input", 0, 1, Access::Read, 0)]);
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
    // One whose size stands before it is passed over.
    let flow = response(&[99, 9, 0x5B, 1, 3, 0, 1, 2, 3, 30, 4, 0, 1, 1, 8, 0]);
    assert_eq!(
        flow.last().objects,
        [("object", 0x6309, 1, Access::Read, 0), ("analog-input", 1, 1, Access::Read, 0),]
    );
    assert_eq!(flow.kinds(), []);
}

#[test]
fn counts_that_promise_more_than_there_is() {
    for wire in [
        &[30, 4, 0x09, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0][..],
        &[1, 1, 0x02, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1],
        &[110, 0, 0x02, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        &[60, 1, 0x09, 0xFF, 0xFF, 0xFF, 0xFF],
        &[12, 3, 0x09, 0xFF, 0xFF, 0xFF, 0xFF, 1],
    ] {
        assert!(response(wire).last().values.len() <= 1, "{wire:02x?}");
    }
}

#[test]
fn texts() {
    let flow =
        response(&[110, 5, 0, 3, 4, b'h', b'e', b'l', b'l', b'o', b'w', b'o', b'r', b'l', b'd']);
    assert_eq!(flow.last().objects, [("octet-string", 3, 2, Access::Read, 0)]);
    assert_eq!(flow.last().texts, [Some("hello".to_owned()), Some("world".to_owned())]);
}

#[test]
fn what_a_device_says_of_itself() {
    let attribute = |variation: u8, text: &str| {
        [&[0, variation, 0, 0, 0, 1, text.len() as u8], text.as_bytes()].concat()
    };
    let mut flow = Flow::tcp();
    flow.ask(&[0xC1, 1, 0, 254, 0, 0, 0]);
    let objects = [
        attribute(252, "Maker"),
        attribute(250, "RTU 7"),
        attribute(248, "0815"),
        attribute(242, "1.2"),
        attribute(247, "Substation"),
        vec![0, 240, 0, 0, 0, 2, 2, 0, 8],
    ];
    flow.answer(&[&[0xC1, 129, 0, 0][..], &objects.concat()].concat());
    let facts: Vec<_> = flow.out.facts.iter().map(|(_, key, text)| (*key, text.as_str())).collect();
    assert_eq!(
        facts,
        [
            ("vendor", "Maker"),
            ("product", "RTU 7"),
            ("serial", "0815"),
            ("revision", "1.2"),
            ("name", "Substation"),
        ]
    );
    assert_eq!(values(&flow).last(), Some(&(ValueKind::Unsigned, 2048)));
    assert_eq!(flow.kinds(), []);
}

#[test]
fn authentication_is_told_by_its_objects() {
    let mut flow = Flow::tcp();
    flow.ask(&[0xC1, 5, 12, 1, 0x17, 1, 3, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    flow.answer(&[0xC1, 131, 0, 0, 120, 1, 0x5B, 1, 4, 0, 1, 0, 0, 0]); // a challenge
    assert_eq!((flow.last().function, flow.last().reply_to), (131, None));
    assert_eq!(flow.last().objects, [("authentication", 1, 1, Access::Read, 0)]);
    flow.ask(&[0xC1, 32, 120, 2, 0x5B, 1, 4, 0, 1, 0, 0, 0]); // the reply
    flow.answer(&[0xC1, 129, 0, 0, 12, 1, 0x17, 1, 3, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        (flow.last().function, flow.last().reply_to),
        (5, Some(1)),
        "then it is carried out"
    );
    flow.answer(&[0xC1, 131, 0, 0, 120, 7, 0x5B, 1, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(flow.last().status, 0x2001, "authentication failed");
    assert_eq!(flow.expire(i64::MAX).kinds(), []);
}
