//! Connections, reads and writes, with every area.

use hotpath::protocols::{NO_SUBFUNCTION, Party};
use hotpath::words::{Access, Activity, NoticeKind, Role, ValueKind};

use crate::recorder::{Flow, answer, connection, job, refusal, tpkt, userdata};

use Party::{Client, Server};

/// Function, count, and specifications of S7ANY items.
fn specifications(function: u8, items: &[[u8; 9]]) -> Vec<u8> {
    let each = items.iter().map(|item| [&[0x12, 0x0A, 0x10], &item[..]].concat());
    [vec![function, items.len() as u8], each.collect::<Vec<_>>().concat()].concat()
}

/// Size, count, block, area, byte and bit.
fn any(size: u8, count: u8, block: u8, area: u8, byte: u16, bit: u8) -> [u8; 9] {
    let [_, high, middle, low] = (u32::from(byte) * 8 + u32::from(bit)).to_be_bytes();
    [size, 0, count, 0, block, area, high, middle, low]
}

#[test]
fn a_connection_names_rack_and_slot() {
    let mut flow = Flow::s7();
    flow.feed(Client, &connection(0xE0, &[1, 0], &[2, 0x22]));
    flow.feed(Server, &connection(0xD0, &[1, 0], &[2, 0x22]));
    let [asked, told] = &flow.out.said[..] else { panic!("{:?}", flow.out.said) };
    assert_eq!((asked.function, asked.role, asked.unit), (0x2E0, Role::Request, 0x22));
    assert_eq!(asked.activity, Activity::Session);
    let ends: Vec<_> = asked.objects.iter().map(|object| object.1.as_str()).collect();
    assert_eq!(ends, ["OP rack 1 slot 2", "PG rack 0 slot 0"]);
    assert_eq!((told.role, told.status, told.reply_to), (Role::Response, 0, Some(1)));
    assert_eq!(told.unit, 0x22);
    assert_eq!(told.objects.len(), 2, "those of its request");
}

#[test]
fn a_refused_connection() {
    let mut flow = Flow::s7();
    flow.feed(Client, &connection(0xE0, &[1, 0], &[1, 5]));
    flow.feed(Server, &tpkt(&[6, 0x80, 0, 1, 0, 0, 3]));
    assert_eq!((flow.last().status, flow.last().reply_to), (0x103, Some(1)));
    flow.feed(Client, &tpkt(&[6, 0x80, 0, 1, 0, 0, 0x80]));
    assert_eq!((flow.last().function, flow.last().role), (0x280, Role::Report));
    flow.feed(Server, &tpkt(&[5, 0xC0, 0, 1, 0, 1]));
    assert_eq!((flow.last().function, flow.last().role), (0x280, Role::Response));
    assert_eq!(flow.kinds(), []);
}

#[test]
fn setup_communication() {
    let mut flow = Flow::s7();
    flow.feed(Client, &job(1, &[0xF0, 0, 0, 1, 0, 1, 1, 0xE0], &[]));
    flow.feed(Server, &answer(1, &[0xF0, 0, 0, 1, 0, 1, 0, 0xF0], &[]));
    assert_eq!(flow.functions(), [0xF0, 0xF0]);
    assert_eq!(flow.last().activity, Activity::Session);
    assert_eq!(flow.last().length, 27);
}

#[test]
fn a_read_of_several_items() {
    let mut flow = Flow::s7();
    let items = [
        any(8, 2, 1, 0x84, 10, 0), // DB1.DBD10 and 14, real
        any(1, 1, 0, 0x83, 4, 3),  // M4.3
        any(5, 1, 0, 0x82, 2, 0),  // QW2, int
        any(4, 1, 9, 0x84, 0, 0),  // DB9.DBW0, which does not exist
    ];
    flow.feed(Client, &job(7, &specifications(4, &items), &[]));
    let mut data = vec![0xFF, 7, 0, 8, 0x41, 0x20, 0, 0, 0xC1, 0x20, 0, 0];
    data.extend([0xFF, 3, 0, 1, 1, 0]); // a bit, and a fill byte
    data.extend([0xFF, 5, 0, 16, 0xFF, 0xFE]);
    data.extend([0x0A, 0, 0, 0]);
    flow.feed(Server, &answer(7, &[4, 4], &data));
    assert_eq!(flow.kinds(), []);
    let [asked, told] = &flow.out.said[..] else { panic!("{:?}", flow.out.said) };
    assert_eq!((asked.function, asked.subfunction, asked.unit), (4, NO_SUBFUNCTION, 0));
    assert_eq!((asked.activity, asked.role), (Activity::Read, Role::Request));
    let object = |kind, address: &str, count, status| {
        (kind, address.to_owned(), count, Access::Read, status)
    };
    let objects = [
        object("db-real", "1:10", 8, 0),
        object("m-bit", "35", 1, 0),
        object("q-int", "2", 2, 0),
        object("db-word", "9:0", 2, 0x0A),
    ];
    assert_eq!(told.objects, objects);
    assert_eq!(told.status, 0, "three of four were read");
    let values = [
        (0, 0, ValueKind::Float, 10_f64.to_bits()),
        (0, 4, ValueKind::Float, (-10_f64).to_bits()),
        (1, 0, ValueKind::Bit, 1),
        (2, 0, ValueKind::Signed, u64::MAX - 1),
    ];
    assert_eq!(told.values, values);
}

#[test]
fn every_area_and_size() {
    let cases = [
        (any(2, 3, 1, 0x85, 5, 0), "di-byte", "1:5", 3),
        (any(3, 3, 0, 0x81, 5, 0), "i-byte", "5", 3),
        (any(4, 2, 0, 0x80, 256, 0), "p-word", "256", 4),
        (any(6, 1, 0, 0x86, 8, 0), "l-dword", "8", 4),
        (any(7, 2, 0, 0x87, 8, 0), "v-dint", "8", 8),
        (any(9, 1, 2, 0x84, 8, 0), "db-word", "2:8", 2), // DATE
        (any(10, 1, 2, 0x84, 8, 0), "db-dword", "2:8", 4), // TIME_OF_DAY
        (any(11, 1, 2, 0x84, 8, 0), "db-dint", "2:8", 4), // TIME
        (any(12, 1, 2, 0x84, 8, 0), "db-word", "2:8", 2), // S5TIME
        (any(15, 1, 2, 0x84, 8, 0), "db-byte", "2:8", 8), // DATE_AND_TIME
        ([29, 0, 2, 0, 0, 0x1D, 0, 0, 5], "timer", "5", 2),
        ([28, 0, 1, 0, 0, 0x1C, 0, 0, 6], "counter", "6", 1),
        (any(2, 4, 0, 0x03, 2, 0), "s7-200-info", "2", 4),
        (any(2, 4, 0, 0x05, 2, 0), "s7-200-sm", "2", 4),
        (any(4, 2, 0, 0x06, 2, 0), "s7-200-ai", "2", 4),
        (any(4, 2, 0, 0x07, 2, 0), "s7-200-aq", "2", 4),
        (any(2, 1, 0, 0x1E, 2, 0), "s7-200-counter", "2", 1),
        (any(2, 1, 0, 0x1F, 2, 0), "s7-200-timer", "2", 1),
        (any(2, 1, 0, 0x44, 2, 0), "area", "4456448:16", 1),
    ];
    for (item, kind, address, count) in cases {
        let mut flow = Flow::s7();
        flow.feed(Client, &job(1, &specifications(4, &[item]), &[]));
        let (told, place, touched, access, _) = &flow.last().objects[0];
        assert_eq!((*told, place.as_str(), *touched), (kind, address, count), "{item:02x?}");
        assert_eq!(*access, Access::Read);
    }
}

#[test]
fn items_that_are_no_operands() {
    let symbol = [
        0x12, 0x12, 0xB2, 0xFF, 0x8A, 0x0E, 0, 5, 0xAB, 0xCD, 0xEF, 1, 0x20, 0, 0, 9, 0x30, 0, 0, 2,
    ];
    for (item, kind, name) in [
        (&symbol[..], "symbol", "DB5 crc abcdef01 lid 9.2"),
        (&[0x12, 8, 0x82, 0x41, 0, 46, 0, 1, 0x1A, 1], "nck", "8241002e00011a01"),
        (&[0x12, 3, 0xA2, 1, 2], "item", "a20102"),
        (&[0x12, 10, 0x10, 2, 0, 0, 0, 1, 0x84, 0, 0, 0], "item", "10020000000184000000"),
        (&[0x12, 10, 0x10, 99, 0, 1, 0, 1, 0x84, 0, 0, 0], "item", "10630001000184000000"),
    ] {
        let mut flow = Flow::s7();
        flow.feed(Client, &job(1, &[&[4, 1], item].concat(), &[]));
        let (told, place, count, ..) = &flow.last().objects[0];
        assert_eq!((*told, place.as_str(), *count), (kind, name, 1));
        flow.feed(Server, &answer(1, &[4, 1], &[0xFF, 4, 0, 8, 1]));
        assert_eq!((flow.last().values.len(), flow.kinds().len()), (0, 0), "{kind}");
    }
}

#[test]
fn a_data_block_read_has_several_objects() {
    let mut flow = Flow::s7();
    let areas = [2, 0, 0x4A, 0, 0x6C, 4, 0, 0x4C, 1, 0x94];
    flow.feed(Client, &job(1, &[&[4, 1, 0x12, 12, 0xB0, 2], &areas[..]].concat(), &[]));
    let data = [0xFF, 9, 0, 8, 0xFF, 1, 2, 0xFF, 3, 4, 5, 6];
    flow.feed(Server, &answer(1, &[4, 1], &data));
    let places: Vec<_> = flow.last().objects.iter().map(|object| object.1.as_str()).collect();
    assert_eq!(places, ["74:108", "76:404"]);
    let raw: Vec<_> = flow.last().values.iter().map(|value| (value.0, value.3)).collect();
    assert_eq!(raw, [(0, 1), (0, 2), (1, 3), (1, 4), (1, 5), (1, 6)]);
    flow.feed(Client, &job(2, &[4, 1, 0x12, 7, 0xB0, 1, 2, 0, 0x4A, 0, 0x6C], &[]));
    flow.feed(Server, &answer(2, &[4, 1], &[0xFF, 9, 0, 3, 0xFF, 1, 2]));
    let raw: Vec<_> = flow.last().values.iter().map(|value| value.3).collect();
    assert_eq!(raw, [1, 2], "of one area likewise");
    flow.feed(Client, &job(3, &[4, 1, 0x12, 7, 0xB0, 1, 2, 0, 0x4A, 0, 0x6C], &[]));
    flow.feed(Server, &answer(3, &[4, 1], &[0xFF, 9, 0, 3, 0x0A, 1, 2]));
    assert_eq!((flow.last().status, flow.last().values.len()), (0x0A, 0));
    assert_eq!(flow.kinds(), []);
}

#[test]
fn a_write_carries_values_and_gets_codes() {
    let mut flow = Flow::s7();
    let items = [any(2, 1, 0, 0x83, 7, 0), any(4, 2, 1, 0x84, 0, 0)];
    let data = [0, 4, 0, 8, 0x55, 0, 0, 4, 0, 32, 0x12, 0x34, 0x56, 0x78];
    flow.feed(Client, &job(3, &specifications(5, &items), &data));
    assert_eq!(flow.last().activity, Activity::Write);
    let values = [
        (0, 0, ValueKind::Unsigned, 0x55),
        (1, 0, ValueKind::Unsigned, 0x1234),
        (1, 2, ValueKind::Unsigned, 0x5678),
    ];
    assert_eq!(flow.last().values, values);
    flow.feed(Server, &answer(3, &[5, 2], &[0xFF, 5]));
    let codes: Vec<_> = flow.last().objects.iter().map(|object| object.4).collect();
    assert_eq!((codes, flow.last().status), (vec![0, 5], 0));
    flow.feed(Client, &job(4, &specifications(5, &items[..1]), &data[..5]));
    flow.feed(Server, &answer(4, &[5, 1], &[3]));
    assert_eq!(flow.last().status, 3, "nothing was written");
    flow.feed(Client, &job(5, &specifications(5, &items[..1]), &data[..5]));
    flow.feed(Server, &answer(5, &[5, 1], &[0]));
    assert_eq!(flow.last().status, 0xFF, "0 is no success on the wire");
    assert_eq!(flow.kinds(), []);
}

#[test]
fn answers_that_do_not_fit() {
    let read = specifications(4, &[any(4, 2, 1, 0x84, 0, 0)]);
    for (data, is_noticed) in [
        (&[0xFF, 4, 0, 16, 1, 2][..], false), // fewer than were asked for: no values
        (&[0xFF, 4, 0, 32, 1, 2, 3], true),   // ends inside
        (&[], true),
    ] {
        let mut flow = Flow::s7();
        flow.feed(Client, &job(1, &read, &[]));
        flow.feed(Server, &answer(1, &[4, 1], data));
        assert_eq!((flow.last().reply_to, flow.last().values.len()), (Some(1), 0));
        assert_eq!(flow.kinds().contains(&NoticeKind::MalformedPdu), is_noticed, "{data:02x?}");
    }
    let mut flow = Flow::s7();
    flow.feed(Client, &job(1, &read, &[]));
    flow.feed(Server, &answer(1, &[4, 2], &[0xFF, 4, 0, 8, 1, 0, 0xFF, 4, 0, 8, 1]));
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
    assert_eq!(flow.last().values, [], "whose values these are is not sure");
}

#[test]
fn errors_and_refusals() {
    let mut flow = Flow::s7();
    flow.feed(Client, &job(6, &specifications(4, &[any(2, 1, 1, 0x84, 0, 0)]), &[]));
    flow.feed(Server, &refusal(6, [0xD2, 0x41]));
    assert_eq!((flow.last().function, flow.last().status), (4, 0xD241), "its request tells what");
    assert_eq!(flow.last().objects[0].4, 0xD241);
}

#[test]
fn answers_without_a_request() {
    let mut flow = Flow::s7();
    flow.feed(Server, &answer(9, &[4, 1], &[0xFF, 4, 0, 8, 1]));
    assert_eq!((flow.last().objects.len(), flow.kinds().len()), (0, 0), "it may lie before");
    flow.feed(Client, &job(1, &[0xF0, 0, 0, 1, 0, 1, 1, 0xE0], &[]));
    flow.feed(Server, &answer(1, &[0xF0, 0, 0, 1, 0, 1, 1, 0xE0], &[]));
    flow.feed(Server, &answer(9, &[4, 1], &[0xFF, 4, 0, 8, 1]));
    flow.feed(Server, &userdata(9, 0x84, 1, 1, &[0; 8]));
    assert_eq!(flow.kinds(), [NoticeKind::UnaskedResponse; 2]);
    flow.feed(Client, &job(2, &[0xF0, 0, 0, 1, 0, 1, 1, 0xE0], &[])).expire(6_000_000_000);
    assert_eq!(flow.kinds()[2], NoticeKind::UnansweredRequest);
}

#[test]
fn requests_that_are_broken_are_told() {
    for (parameters, data) in [
        (&[4][..], &[][..]),
        (&[4, 1], &[]),
        (&[4, 1, 0x12, 0x0A, 0x10, 2, 0], &[]),
        (&[4, 1, 0x13, 0x0A, 0x10, 2, 0, 1, 0, 1, 0x84, 0, 0, 0], &[]),
        (&[5, 1, 0x12, 0x0A, 0x10, 2, 0, 1, 0, 1, 0x84, 0, 0, 0], &[0, 4, 0, 8]),
        (&[0x1A, 0, 1, 0, 0, 0, 0, 0, 9, b'_'], &[]),
        (&[0x28, 0, 0], &[]),
    ] {
        let mut flow = Flow::s7();
        flow.feed(Client, &job(1, parameters, data));
        assert_eq!(flow.functions(), [u32::from(parameters[0])]);
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "{parameters:02x?}");
    }
    let mut flow = Flow::s7();
    flow.feed(Client, &job(1, &[], &[]));
    assert_eq!((flow.functions(), flow.kinds()), (vec![], vec![NoticeKind::MalformedPdu]));
}
