//! GOOSE: fields and data.

use hotpath::protocols::NO_SUBFUNCTION;
use hotpath::protocols::iec61850::goose::PROTOCOL;
use hotpath::words::{Activity, NoticeKind, Role, ValueKind};

use crate::bytes::{BLOCK, Goose, framed, of_fields, padded, tlv};
use crate::recorder::{Flow, Said};

/// What one frame says, and what is wrong with it.
fn told(frame: &[u8]) -> (Said, Vec<(NoticeKind, String)>) {
    let mut flow = Flow::new(&PROTOCOL);
    flow.frame(0, frame);
    assert_eq!(flow.out.said.len(), 1);
    (flow.out.said.remove(0), flow.out.noticed)
}

/// The values of a data set of these elements.
fn data(elements: &[Vec<u8>]) -> (Said, Vec<String>) {
    let goose =
        Goose { data: elements.concat(), entries: elements.len() as u8, ..Goose::default() };
    let (said, noticed) = told(&goose.frame());
    (said, noticed.into_iter().map(|(_, detail)| detail).collect())
}

fn entry(
    place: u64,
    kind: ValueKind,
    raw: u64,
) -> (&'static str, u64, ValueKind, u64, String, u32) {
    ("data-set-entry", place, kind, raw, String::new(), 0)
}

#[test]
fn every_field() {
    let mut flow = Flow::new(&PROTOCOL);
    let frame = Goose::default().frame();
    flow.frame(0, &frame);
    let said = &flow.out.said[0];
    assert_eq!((said.role, said.activity), (Role::Report, Activity::Report));
    assert_eq!((said.function, said.subfunction), (1, NO_SUBFUNCTION));
    assert_eq!(said.length, frame.len() as u32);
    assert!(said.objects.iter().all(|object| object.3 == BLOCK));
    assert_eq!(said.source_time, 1_725_084_164_500_000_000);
    let alone = |kind, raw| (kind, 0, ValueKind::Unsigned, raw, String::new(), 0);
    let numbered = |kind, raw| (kind, 0, ValueKind::Sequence, raw, String::new(), 0);
    let text = |kind, text: &str| (kind, 0, ValueKind::Text, 0, text.to_owned(), 0);
    let expected = [
        entry(1, ValueKind::Bit, 1),
        entry(2, ValueKind::Unsigned, 0b10),
        numbered("state-number", 5),
        numbered("sequence-number", 100),
        alone("time-allowed-to-live", 2_000),
        alone("configuration-revision", 200),
        alone("number-of-entries", 2),
        alone("time-quality", 0x0A),
        text("data-set", "IED1LD0/LLN0$DS1"),
        text("goose-id", "IED1_gcb1"),
    ];
    assert_eq!(said.values, expected);
    assert_eq!(said.objects[0], ("data-set-entry", 1, 2, BLOCK.to_owned()));
    assert_eq!(flow.out.facts, [("name", "IED1LD0".to_owned())]);
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn padding_says_nothing() {
    let frame = Goose::default().frame();
    assert_eq!(told(&padded(&frame)), told(&frame));
}

#[test]
fn what_may_be_left_out() {
    let mut fields = Goose::default().fields();
    fields.retain(|(tag, _)| ![0x83, 0x87, 0x89].contains(tag));
    let (said, noticed) = told(&of_fields(0, &fields));
    assert_eq!(noticed, []);
    assert_eq!(said.subfunction, NO_SUBFUNCTION);
    assert_eq!(said.numbers("goose-id"), [0; 0]);
}

#[test]
fn every_other_field_is_mandatory() {
    for missing in [0x80, 0x81, 0x82, 0x84, 0x85, 0x86, 0x88, 0x8A, 0xAB] {
        let mut fields = Goose::default().fields();
        fields.retain(|(tag, _)| *tag != missing);
        let (_, noticed) = told(&of_fields(0, &fields));
        let expected = (NoticeKind::MalformedPdu, "a mandatory field is missing".to_owned());
        assert_eq!(noticed, [expected], "{missing:#x}");
    }
}

#[test]
fn no_field_comes_twice_and_none_is_empty() {
    let fields = Goose::default().fields();
    for field in &fields {
        let more = [&fields[..], std::slice::from_ref(field)].concat();
        assert_eq!(told(&of_fields(0, &more)).1[0].1, "a field is given twice");
    }
    for place in [1, 4, 5, 6, 7, 8, 9, 10] {
        let mut fields = fields.clone();
        fields[place].1.clear();
        assert_eq!(told(&of_fields(0, &fields)).1[0].1, "a field is not well-formed", "{place}");
    }
}

#[test]
fn unknown_fields_are_passed_over() {
    let fields = [Goose::default().fields(), vec![(0xAC, vec![1, 2, 3])]].concat();
    assert_eq!(told(&of_fields(0, &fields)).1, []);
}

#[test]
fn simulation_and_commissioning_are_told_apart() {
    for (reserved, simulation, commissioning, expected) in [
        (0x8000, 1, 0, 1),
        (0, 0xFF, 0, 1), // edition 1: a test
        (0, 0, 1, 2),
        (0x8000, 1, 1, 3),
    ] {
        let goose = Goose { reserved, simulation, commissioning, ..Goose::default() };
        let (said, noticed) = told(&goose.frame());
        assert_eq!((said.subfunction, noticed.len()), (expected, 0));
        assert!((PROTOCOL.function_name)(1, expected).unwrap().starts_with("GOOSE ("));
    }
    let (said, noticed) = told(&Goose { reserved: 0x8000, ..Goose::default() }.frame());
    assert_eq!((said.subfunction, noticed.len()), (1, 1));
}

#[test]
fn every_type_of_data() {
    let (said, faults) = data(&[
        tlv(0x83, &[0x00]),                                  // boolean: false
        tlv(0x84, &[3, 0x08, 0x00]),                         // 13 bits of quality
        tlv(0x85, &[0xFF, 0x38]),                            // integer: -200
        tlv(0x86, &[0x00, 0xFF, 0xFF, 0xFF, 0xFF]),          // unsigned
        tlv(0x87, &[8, 0x42, 0x28, 0x00, 0x00]),             // float: 42
        tlv(0x87, &[11, 0x40, 0x45, 0, 0, 0, 0, 0, 0]),      // double: 42
        tlv(0x89, &[0xDE, 0xAD]),                            // octets
        tlv(0x8A, b"open"),                                  // visible string
        tlv(0x90, "geöffnet".as_bytes()),                    // MMS string
        tlv(0x8C, &[0, 0, 0, 1, 0, 1]),                      // 1 ms into 1984-01-02
        tlv(0x8C, &[0, 0, 0, 9]),                            // time of day
        tlv(0x91, &[0x66, 0xD2, 0xB2, 0x04, 0x80, 0, 0, 0]), // UTC time
        tlv(0x84, &[&[0_u8], &[0xA5_u8; 9][..]].concat()),   // 72 bits
        tlv(0x8D, &[0x12]),                                  // BCD
    ]);
    assert_eq!(faults, [""; 0]);
    let text =
        |place, text: &str| ("data-set-entry", place, ValueKind::Text, 0, text.to_owned(), 0);
    let expected = [
        entry(1, ValueKind::Bit, 0),
        entry(2, ValueKind::Unsigned, 0x0100),
        entry(3, ValueKind::Signed, u64::MAX - 199),
        entry(4, ValueKind::Unsigned, 0xFFFF_FFFF),
        entry(5, ValueKind::Float, 42_f64.to_bits()),
        entry(6, ValueKind::Float, 42_f64.to_bits()),
        text(7, "dead"),
        text(8, "open"),
        text(9, "geöffnet"),
        entry(10, ValueKind::Time, 441_849_600_001_000_000),
        entry(11, ValueKind::Unsigned, 9),
        entry(12, ValueKind::Time, 1_725_084_164_500_000_000),
        text(13, "a5a5a5a5a5a5a5a5a5"),
        entry(14, ValueKind::Signed, 0x12),
    ];
    assert_eq!(said.values[..14], expected);
}

#[test]
fn members_of_structures_stand_at_places_of_their_own() {
    let pair = |on| [tlv(0x83, &[on]), tlv(0x84, &[3, 0, 0])].concat();
    let array = tlv(0xA1, &[tlv(0xA2, &pair(1)), tlv(0xA2, &pair(0))].concat());
    let (said, faults) = data(&[tlv(0x85, &[7]), array, tlv(0x83, &[1])]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(said.objects[0].2, 6);
    assert_eq!(said.numbers("data-set-entry"), [7, 1, 0, 0, 0, 1]);
}

#[test]
fn nesting_is_bounded() {
    let deep = (0..200).fold(tlv(0x83, &[1]), |inner, _| tlv(0xA2, &inner));
    assert_eq!(data(&[deep]).1, ["the data are nested too deeply"]);
    let allowed = (0..8).fold(tlv(0x83, &[1]), |inner, _| tlv(0xA2, &inner));
    assert_eq!(data(&[allowed]).1, [""; 0]);
}

#[test]
fn what_is_broken_keeps_its_place() {
    for (broken, detail) in [
        (tlv(0x83, &[1, 1]), "a field is not well-formed"),
        (tlv(0x84, &[9, 0]), "a field is not well-formed"),
        (tlv(0x87, &[8, 0, 0]), "a field is not well-formed"),
        (tlv(0x85, &[0; 9]), "a field is not well-formed"),
        (tlv(0x91, &[0; 7]), "a field is not well-formed"),
        (tlv(0x9A, &[0]), "the data are of an unknown type"),
    ] {
        let (said, faults) = data(&[tlv(0x83, &[1]), broken, tlv(0x85, &[7])]);
        assert_eq!(faults, [detail]);
        assert_eq!(said.objects[0].2, 3);
        let found: Vec<(u64, u64)> = said
            .values
            .iter()
            .filter(|value| value.0 == "data-set-entry")
            .map(|v| (v.1, v.3))
            .collect();
        assert_eq!(found, [(1, 1), (3, 7)]);
    }
}

#[test]
fn the_number_of_entries_is_held_against_the_data() {
    let goose = Goose { entries: 3, ..Goose::default() };
    let (_, noticed) = told(&goose.frame());
    assert_eq!(noticed.len(), 1);
    assert!(noticed[0].1.contains("number of entries"));
}

#[test]
fn a_length_that_is_wrong_is_noticed_and_the_message_told() {
    let right = Goose::default().frame();
    for length in [0, 8, right.len() as u16 - 4, right.len() as u16 + 1, u16::MAX] {
        let mut frame = right.clone();
        frame[2..4].copy_from_slice(&length.to_be_bytes());
        let (said, noticed) = told(&padded(&frame));
        assert_eq!(noticed[0].1, "the length field does not fit the APDU");
        assert_eq!(said.numbers("state-number"), [5]);
        assert_eq!(said.length as usize, right.len());
    }
}

#[test]
fn management_is_told_by_its_service() {
    let ident = tlv(0x80, b"IED1LD0/LLN0");
    let request = tlv(0xA1, &tlv(0xA1, &[ident.clone(), tlv(0xA1, &[])].concat()));
    let response = tlv(0xA2, &tlv(0xA2, &ident));
    for (body, role, service, name) in [
        (request, Role::Request, 1, "GetGoReference"),
        (response, Role::Response, 2, "GetGOOSEElementNumber"),
    ] {
        let frame = framed(0, &tlv(0x60, &[tlv(0x80, &[1]), body].concat()));
        let (said, noticed) = told(&frame);
        assert_eq!((said.role, said.activity, noticed.len()), (role, Activity::Browse, 0));
        assert_eq!((said.function, said.subfunction), (0, service));
        assert_eq!((PROTOCOL.function_name)(0, service), Some(name));
        assert_eq!(said.objects[0].3, "IED1LD0/LLN0");
    }
    let (said, noticed) = told(&framed(0, &tlv(0x60, &tlv(0x80, &[1]))));
    assert_eq!((said.subfunction, noticed.len()), (NO_SUBFUNCTION, 1));
}

#[test]
fn something_else_is_passed_over_as_a_whole() {
    let mut flow = Flow::new(&PROTOCOL);
    for frame in [&[0x31][..], &framed(0, &[0x61, 0x80, 1, 2]), &framed(0, &tlv(0x30, &[1]))] {
        flow.frame(0, frame);
        assert_eq!(flow.notices(), ["no GOOSE message begins here"]);
    }
    assert_eq!(flow.out.said, []);
}
