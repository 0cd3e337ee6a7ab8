//! System status lists and what they say, cyclic data, tables of programming devices, and the rest.

use hotpath::protocols::Party;
use hotpath::words::{Access, Activity, Role, ValueKind};

use crate::recorder::{Flow, userdata};

use Party::{Client, Server};

#[test]
fn a_list_tells_facts() {
    let mut flow = Flow::s7();
    flow.feed(Client, &userdata(1, 0x44, 1, 0, &[0, 0x11, 0, 0]));
    assert_eq!(flow.last().objects, [("szl", 0x11_0000.to_string(), 1, Access::Read, 0)]);
    let module = |index: u8, version: [u8; 4]| {
        [&[0, index], &b"6ES7 315-2EH14-0AB0 "[..], &[0, 0xC0], &version].concat()
    };
    let list =
        [&[0, 0x11, 0, 0, 0, 28, 0, 2][..], &module(1, [0, 4, 0, 1]), &module(7, [b'V', 3, 2, 6])];
    flow.feed(Server, &userdata(1, 0x84, 1, 1, &list.concat()));
    let facts =
        [("vendor", "Siemens"), ("product-code", "6ES7 315-2EH14-0AB0"), ("revision", "V3.2.6")];
    assert_eq!(flow.out.facts, facts.map(|(key, value)| (key, value.to_owned())));
    assert_eq!((flow.last().activity, flow.last().reply_to), (Activity::Browse, Some(1)));
}

/// One of a list's fragments: the sixth byte from behind says that more follow.
fn fragment(reference: u16, is_cut: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = userdata(reference, 0x84, 1, 3, body);
    // TPKT, COTP, header, parameters up to the number of the fragment.
    bytes[4 + 3 + 10 + 8 + 1] = u8::from(is_cut);
    bytes
}

#[test]
fn a_list_in_fragments_tells_facts_once() {
    let record = |index: u8, text: &[u8]| {
        let mut record = vec![0, index];
        record.extend_from_slice(text);
        record.resize(34, 0);
        record
    };
    let list = [
        vec![0, 0x1C, 0, 0, 0, 34, 0, 4],
        record(1, b"Line 4"),
        record(3, b"Plant North"),
        record(5, b"S C-X4U421302009"),
        record(7, b"CPU 315-2 PN/DP"),
    ];
    let list = list.concat();
    let mut flow = Flow::s7();
    flow.feed(Client, &userdata(1, 0x44, 1, 0, &[0, 0x1C, 0, 0]));
    flow.feed(Server, &fragment(1, true, &list[..60]));
    assert_eq!(flow.out.facts, []);
    flow.feed(Client, &userdata(2, 0x44, 1, 3, &[]));
    assert_eq!(flow.last().objects, []);
    flow.feed(Server, &fragment(2, false, &list[60..]));
    let facts = [
        ("name", "Line 4"),
        ("plant", "Plant North"),
        ("serial", "S C-X4U421302009"),
        ("product", "CPU 315-2 PN/DP"),
    ];
    assert_eq!(flow.out.facts, facts.map(|(key, value)| (key, value.to_owned())));
    assert_eq!(flow.kinds(), []);
}

#[test]
fn cyclic_data_have_the_objects_of_their_subscription() {
    let mut flow = Flow::s7();
    let item = [0x12, 10, 0x10, 4, 0, 1, 0, 1, 0x84, 0, 0, 80];
    flow.feed(Client, &userdata(1, 0x42, 1, 0, &[&[0, 1, 1, 2], &item[..]].concat()));
    assert_eq!(flow.last().objects, [("db-word", "1:10".to_owned(), 2, Access::Report, 0)]);
    let data = |value| [0, 1, 0xFF, 4, 0, 16, 0, value];
    flow.feed(Server, &userdata(1, 0x82, 1, 5, &data(7)));
    assert_eq!(flow.last().values, [(0, 0, ValueKind::Unsigned, 7)]);
    flow.feed(Server, &userdata(0, 0x02, 1, 5, &data(8)));
    assert_eq!((flow.last().role, flow.last().objects.len()), (Role::Report, 1));
    assert_eq!(flow.last().values, [(0, 0, ValueKind::Unsigned, 8)]);
    flow.feed(Server, &userdata(0, 0x02, 1, 6, &data(8)));
    assert_eq!(flow.last().objects, [], "a job that was not seen");
    flow.feed(Client, &userdata(2, 0x42, 4, 0, &[5, 5]));
    flow.feed(Server, &userdata(0, 0x02, 1, 5, &data(8)));
    assert_eq!(flow.last().objects, [], "a job that was ended");
    assert_eq!(flow.kinds(), []);
}

#[test]
fn jobs_are_bounded() {
    let mut flow = Flow::s7();
    let item = [0, 1, 1, 2, 0x12, 10, 0x10, 4, 0, 1, 0, 1, 0x84, 0, 0, 80];
    for number in 0..40 {
        flow.feed(Client, &userdata(1, 0x42, 1, 0, &item));
        flow.feed(Server, &userdata(1, 0x82, 1, number, &[]));
    }
    let mut known = 0;
    for number in 0..40 {
        flow.feed(Server, &userdata(0, 0x02, 1, number, &[0, 1, 0xFF, 4, 0, 16, 0, 1]));
        known += flow.last().objects.len();
    }
    assert_eq!(known, 16);
}

/// A table as STEP 7 sends it: 20 bytes of parameters, three operands, and their values.
const TABLE: &[u8] = &[
    0, 20, 0, 40, 0, 0, 0, 1, 0, 1, 0, 6, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 0, // parameters
    0, 3, 3, 1, 0, 0, 0, 0, 2, 1, 0, 0, 0, 4, 0x10, 1, 0, 0, 0, 8, // MD0, MW4, I8.1
    0, 9, 0, 4, 0x41, 0x33, 0x85, 0x1F, 0, 9, 0, 2, 0xDE, 0xAD, 0, 9, 0, 1, 1, 0,
];

#[test]
fn a_table_that_modifies_or_forces() {
    for (subfunction, access) in [(2, Access::Read), (8, Access::Control), (9, Access::Control)] {
        let mut flow = Flow::s7();
        flow.feed(Client, &userdata(1, 0x41, subfunction, 0, TABLE));
        let object = |kind, address: &str, count| (kind, address.to_owned(), count, access, 0);
        let objects =
            [object("m-dword", "0", 4), object("m-word", "4", 2), object("i-bit", "65", 1)];
        assert_eq!(flow.last().objects, objects);
        let values: Vec<_> = flow.last().values.iter().map(|value| value.3).collect();
        let expected = if access == Access::Read { vec![] } else { vec![0x4133_851F, 0xDEAD, 1] };
        assert_eq!(values, expected);
        assert_eq!(flow.kinds(), []);
    }
}

#[test]
fn names_and_activities() {
    let protocol = &hotpath::protocols::s7comm::PROTOCOL;
    for (group, subfunction, name, activity) in [
        (1, 12, "Memory Reset", Activity::Control),
        (1, 10, "Breakpoint", Activity::Control),
        (3, 1, "List Blocks", Activity::Browse),
        (5, 1, "PLC Password", Activity::Session),
        (7, 1, "Read Clock", Activity::Time),
        (7, 2, "Set Clock", Activity::Time),
    ] {
        let mut flow = Flow::s7();
        flow.feed(Client, &userdata(1, 0x40 | group, subfunction, 0, &[]));
        assert_eq!(
            (flow.last().function, flow.last().subfunction),
            (0x100 + u32::from(group), u32::from(subfunction))
        );
        assert_eq!(flow.last().activity, activity);
        let told = (protocol.function_name)(flow.last().function, flow.last().subfunction);
        assert_eq!(told, Some(name));
    }
    let mut flow = Flow::s7();
    flow.feed(Client, &userdata(1, 0x4E, 77, 0, &[1, 2, 3]));
    assert_eq!((flow.last().function, flow.last().subfunction), (0x10E, 77));
    assert_eq!((flow.last().activity, flow.kinds().len()), (Activity::Other, 0));
}

#[test]
fn blocks_that_are_asked_about() {
    let mut flow = Flow::s7();
    flow.feed(Client, &userdata(1, 0x43, 2, 0, b"0A"));
    assert_eq!(flow.last().objects[0].1, "DB");
    flow.feed(Client, &userdata(2, 0x43, 3, 0, b"0E00012A"));
    assert_eq!(flow.last().objects[0].1, "FB12");
}

#[test]
fn a_change_of_mode_is_reported() {
    let mut flow = Flow::s7();
    flow.feed(Server, &userdata(0, 0x00, 0, 0, &[]));
    assert_eq!((flow.last().role, flow.last().function), (Role::Report, 0x100));
    assert_eq!(flow.last().activity, Activity::Report);
}
