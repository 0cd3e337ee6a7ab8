//! Records: golden lines of what decoders may say, however hostile its texts.
#![cfg(test)]

use hotpath::net::{Address, Arrival, Vlan};
use hotpath::protocols::{
    Blocks, Message, NO_SUBFUNCTION, Object, ObjectKind, Party, Probe, Protocol, Told, Value,
    Values, modbus,
};
use hotpath::record::{Recorder, Socket};
use hotpath::words::{Access, Activity, Role, ValueKind};
use proptest::prelude::*;

static PROTOCOL: Protocol = Protocol {
    name: "tested",
    tcp_ports: &[],
    udp_ports: &[],
    link: None,
    probe: |_, _| Probe::No,
    decoder: modbus::PROTOCOL.decoder,
    function_name: |function, _| (function == 1).then_some("Say \"it\""),
    status_name: |status| (status == 2).then_some("Refused"),
    objects: &[ObjectKind { name: "tag", dense: false }],
};

const CLIENT: Socket = Socket { address: Address::V4([10, 0, 0, 9]), port: 40_001 };
const SERVER: Socket = Socket { address: Address::V4([10, 0, 0, 1]), port: 502 };
/// 2023-11-14T22:13:20.000000007Z
const NOW: Arrival = Arrival { frame: 12, time: 1_700_000_000_000_000_007 };

const REQUEST: Message<'static> = Message {
    role: Role::Request,
    activity: Activity::Read,
    function: 1,
    subfunction: NO_SUBFUNCTION,
    unit: 3,
    status: 0,
    objects: &[],
    values: Values::Each(&[]),
    reply_to: None,
    length: 8,
};

const OBJECT: Object<'static> =
    Object { kind: 0, address: 7, count: 9, access: Access::Read, status: 0, name: None };

fn value(object: u16, offset: u32, kind: ValueKind, raw: u64) -> Value<'static> {
    Value { object, offset, kind, raw, text: None, quality: 0, source_time: 0 }
}

fn words(offsets: &[u32]) -> Vec<Value<'static>> {
    offsets.iter().map(|&at| value(0, at, ValueKind::Unsigned, u64::from(at))).collect()
}

fn line_of(vlan: u32, from: Party, message: &Message<'_>, now: Arrival) -> String {
    let mut recorder = Recorder::new(None);
    let route = recorder.route(&PROTOCOL, Vlan(vlan), CLIENT, SERVER).unwrap();
    recorder.message(&route, from, message, 5, 11, now);
    let line = String::from_utf8(recorder.take()).unwrap();
    assert!(recorder.is_empty());
    assert_eq!(line.matches('\n').count(), 1);
    line.strip_suffix('\n').unwrap().to_owned()
}

fn line(message: &Message<'_>) -> String {
    line_of(0, Party::Client, message, NOW)
}

/// What stands in the lists of `values`.
fn values_of<'a>(objects: usize, values: impl Into<Values<'a>>) -> String {
    let objects = vec![OBJECT; objects];
    let line = line(&Message { objects: &objects, values: values.into(), ..REQUEST });
    let (_, rest) = line.split_once("\"values\":").unwrap();
    rest.split_once(",\"status\"").unwrap().0.to_owned()
}

fn time_of(time: i64) -> String {
    let line = line_of(0, Party::Client, &REQUEST, Arrival { frame: 1, time });
    line.split('"').nth(5).unwrap().to_owned()
}

#[test]
fn a_request() {
    assert_eq!(
        line(&REQUEST),
        "{\"id\":5,\"time\":\"2023-11-14T22:13:20.000000007Z\",\"first_frame\":11,\"frame\":12,\
         \"protocol\":\"tested\",\"src\":\"10.0.0.9\",\"dst\":\"10.0.0.1\",\"sport\":40001,\
         \"dport\":502,\"role\":\"request\",\"activity\":\"read\",\"function\":1,\
         \"subfunction\":null,\"function_name\":\"Say \\\"it\\\"\",\"unit\":3,\"items\":[],\
         \"values\":[],\"status\":0,\"status_name\":null,\"reply_to\":null,\"latency\":null,\
         \"length\":8}"
    );
}

#[test]
fn a_response_of_a_refused_control() {
    let objects = [
        Object { access: Access::Control, ..OBJECT },
        Object { kind: 9, access: Access::Report, status: 4, name: Some("a/b"), ..OBJECT },
    ];
    let response = Message {
        role: Role::Response,
        activity: Activity::Control,
        function: 200,
        subfunction: 0,
        status: 2,
        objects: &objects,
        reply_to: Some(Told { id: 4, frame: 2, time: NOW.time - 250 }),
        ..REQUEST
    };
    assert_eq!(
        line_of(100, Party::Server, &response, NOW),
        "{\"id\":5,\"time\":\"2023-11-14T22:13:20.000000007Z\",\"first_frame\":11,\"frame\":12,\
         \"protocol\":\"tested\",\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.9\",\"sport\":502,\
         \"dport\":40001,\"vlan\":[100],\"role\":\"response\",\"activity\":\"control\",\
         \"function\":200,\"subfunction\":0,\"function_name\":\"function 200/0\",\"unit\":3,\
         \"items\":[{\"type\":\"tag\",\"address\":7,\"count\":9,\"access\":\"control\"},\
         {\"type\":\"object type 9\",\"name\":\"a/b\",\"count\":9,\"access\":\"report\",\
         \"status\":4}],\"values\":[[],[]],\"status\":2,\"status_name\":\"Refused\",\
         \"reply_to\":4,\"latency\":250,\"length\":8}"
    );
}

#[test]
fn what_has_no_name_keeps_its_number() {
    let line = line(&Message { function: 99, status: 77, ..REQUEST });
    assert!(
        line.contains("\"function\":99,\"subfunction\":null,\"function_name\":\"function 99\"")
    );
    assert!(line.contains("\"status\":77,\"status_name\":\"status 77\""));
}

#[test]
fn addresses_and_tags_of_every_kind() {
    let recorder = Recorder::new(None);
    let mut far = [0; 16];
    far[0] = 0xFE;
    far[1] = 0x80;
    far[15] = 1;
    let client = Socket { address: Address::V6(far), port: 1 };
    let server = Socket { address: Address::Mac([0, 1, 2, 0xAB, 4, 5]), port: 2 };
    let route = recorder.route(&PROTOCOL, Vlan((10 << 12) + 100), client, server);
    let mut recorder = recorder;
    recorder.message(&route.unwrap(), Party::Client, &REQUEST, 1, 1, NOW);
    let line = String::from_utf8(recorder.take()).unwrap();
    assert!(line.contains(
        "\"src\":\"fe80::1\",\"dst\":\"00:01:02:ab:04:05\",\"sport\":1,\"dport\":2,\
         \"vlan\":[10,100],"
    ));
}

#[test]
fn values_of_every_kind() {
    let numbers = [
        (ValueKind::Bit, 0),
        (ValueKind::Bit, 1),
        (ValueKind::Bit, 8),
        (ValueKind::Unsigned, u64::MAX),
        (ValueKind::Signed, u64::MAX),
        (ValueKind::Signed, 1 << 63),
        (ValueKind::Float, 0.1_f64.to_bits()),
        (ValueKind::Float, 20.0_f64.to_bits()),
        (ValueKind::Float, 1e300_f64.to_bits()),
        (ValueKind::Float, (-5e-324_f64).to_bits()),
        (ValueKind::Float, (-0.0_f64).to_bits()),
        (ValueKind::Float, f64::NAN.to_bits()),
        (ValueKind::Float, f64::INFINITY.to_bits()),
        (ValueKind::Float, f64::NEG_INFINITY.to_bits()),
    ];
    let mut values: Vec<_> =
        (0..).zip(numbers).map(|(at, (kind, raw))| value(0, at, kind, raw)).collect();
    values.push(Value { text: Some("on"), ..value(0, 14, ValueKind::Text, 0) });
    values.push(value(0, 15, ValueKind::Text, 0));
    values.push(value(0, 16, ValueKind::Time, 1_700_000_000_000_000_007));
    values.push(value(0, 17, ValueKind::Time, u64::MAX)); // a nanosecond before the epoch
    values.push(value(0, 18, ValueKind::Sequence, 70_000));
    assert_eq!(
        values_of(1, &values),
        "[[0,1,1,18446744073709551615,-1,-9223372036854775808,0.1,20.0,1e300,-5e-324,-0.0,\
         \"NaN\",\"Infinity\",\"-Infinity\",\"on\",\"\",\"2023-11-14T22:13:20.000000007Z\",\
         \"1969-12-31T23:59:59.999999999Z\",70000]]"
    );
}

#[test]
fn every_word_is_spelled_like_any_other_number() {
    for word in 0..=u64::from(u16::MAX) + 1 {
        let spelled = values_of(1, &[value(0, 0, ValueKind::Unsigned, word)]);
        assert_eq!(spelled, format!("[[{word}]]"));
    }
}

#[test]
fn every_word_of_a_block_too() {
    let all: Vec<u64> = (0..=u64::from(u16::MAX)).collect();
    for words in all.chunks(125) {
        let mut blocks = Blocks::default();
        blocks.push(0, 0, ValueKind::Unsigned, |raws| raws.extend(words));
        let expected: Vec<String> = words.iter().map(u64::to_string).collect();
        assert_eq!(values_of(1, &blocks), format!("[[{}]]", expected.join(",")));
    }
}

#[test]
fn values_stand_at_the_place_of_their_object() {
    assert_eq!(values_of(1, &words(&[0, 2, 5])), "[[0,null,2,null,null,5]]");
    assert_eq!(values_of(1, &words(&[2])), "[[null,null,2]]");
    let values = [value(1, 1, ValueKind::Bit, 1), value(3, 0, ValueKind::Bit, 0)];
    assert_eq!(values_of(5, &values), "[[],[null,1],[],[0],[]]");
}

#[test]
fn values_out_of_order_are_told_in_order_and_once() {
    assert_eq!(values_of(1, &words(&[2, 0, 1, 2])), "[[0,1,2]]");
    let values = [value(1, 0, ValueKind::Bit, 1), value(0, 0, ValueKind::Unsigned, 70_000)];
    assert_eq!(values_of(2, &values), "[[70000],[1]]");
}

#[test]
fn values_of_no_object_are_not_told() {
    assert_eq!(values_of(1, &[value(1, 0, ValueKind::Bit, 1)]), "[[]]");
    assert_eq!(values_of(0, &words(&[0])), "[]");
}

#[test]
fn far_places_cost_no_room() {
    let far = [
        value(0, 0, ValueKind::Bit, 1),
        value(0, u32::MAX, ValueKind::Bit, 1),
        value(0, u32::MAX, ValueKind::Bit, 1),
        value(1, 1, ValueKind::Bit, 1),
    ];
    assert_eq!(values_of(2, &far), "[[1],[null,1]]");
    let many: Vec<_> = (0..9).map(|object| value(object, 2_000, ValueKind::Bit, 1)).collect();
    assert_eq!(values_of(9, &many).matches("null").count(), 2_000, "one bound for all lists");
}

#[test]
fn times_of_every_year_that_fits() {
    assert_eq!(time_of(0), "1970-01-01T00:00:00.000000000Z");
    assert_eq!(time_of(-1), "1969-12-31T23:59:59.999999999Z");
    assert_eq!(time_of(951_782_400_123_456_789), "2000-02-29T00:00:00.123456789Z");
    assert_eq!(time_of(4_107_542_399_000_000_000), "2100-02-28T23:59:59.000000000Z");
    assert_eq!(time_of(4_107_542_400_000_000_000), "2100-03-01T00:00:00.000000000Z");
    assert_eq!(time_of(i64::MAX), "2262-04-11T23:47:16.854775807Z");
    assert_eq!(time_of(i64::MIN), "1677-09-21T00:12:43.145224192Z");
}

#[test]
fn time_that_runs_back_gives_no_negative_latency() {
    let told = Told { id: 1, frame: 1, time: NOW.time + 5 };
    assert!(line(&Message { reply_to: Some(told), ..REQUEST }).contains("\"latency\":0,"));
}

#[test]
fn only_protocols_that_are_asked_for_have_a_route() {
    let route = |asked| Recorder::new(asked).route(&PROTOCOL, Vlan(0), CLIENT, SERVER).is_some();
    assert!(route(None));
    assert!(route(Some(vec!["other", "tested"])));
    assert!(!route(Some(vec!["other"])));
}

fn named(name: &str) -> String {
    let objects = [Object { name: Some(name), ..OBJECT }];
    let line = line(&Message { objects: &objects, ..REQUEST });
    let (_, rest) = line.split_once("\"name\":\"").unwrap();
    rest.rsplit_once("\",\"count\":9").unwrap().0.to_owned()
}

#[test]
fn texts_cannot_leave_their_string_nor_steer_a_terminal() {
    assert_eq!(named("\",\"id\":1,\"x\":\"\\"), r#"\",\"id\":1,\"x\":\"\\"#);
    assert_eq!(named("a\n\r\t\0\u{1b}[31m\u{7f}"), r"a\n\r\t\u0000\u001b[31m\u007f");
    assert_eq!(named("\u{9b}\u{202e}\u{2028}\u{feff}"), r"\u009b\u202e\u2028\ufeff");
    assert_eq!(named("\u{e0041}"), r"\udb40\udc41");
    assert_eq!(named("Füllstand 水 😀"), "Füllstand 水 😀");
}

/// Reads a JSON string back (RFC 8259, clause 7), refusing what must not stand in one.
fn unescape(text: &str) -> String {
    let mut units = Vec::new();
    let mut rest = text.chars();
    while let Some(one) = rest.next() {
        assert!(one >= ' ' && one != '"', "{one:?} must be escaped");
        let meant = match (one, one == '\\') {
            (plain, false) => plain,
            (_, true) => match rest.next().unwrap() {
                same @ ('"' | '\\') => same,
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = rest.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).unwrap());
                    continue;
                }
                other => panic!("no such escape: {other:?}"),
            },
        };
        units.extend_from_slice(meant.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).unwrap()
}

proptest! {
    #[test]
    fn any_text_reads_back(text in any::<String>(), odd in "[\\x00-\\x20\"\\\\\\x7f-\\u{ff}]*") {
        prop_assert_eq!(unescape(&named(&text)), text);
        prop_assert_eq!(unescape(&named(&odd)), odd);
    }

    #[test]
    fn blocks_are_spelled_like_their_values(
        spans in prop::collection::vec(
            (0_u16..4, 0_u32..9, 0_usize..4, prop::collection::vec(any::<u64>(), 0..9), 0_u32..64),
            0..6,
        ),
    ) {
        use ValueKind::{Bit, Float, Signed, Unsigned};
        let mut blocks = Blocks::default();
        for (object, offset, kind, raws, shift) in spans {
            let kind = [Bit, Unsigned, Signed, Float][kind];
            blocks.push(object, offset, kind, |all| all.extend(raws.iter().map(|raw| raw >> shift)));
        }
        let each: Vec<Value<'_>> = Values::from(&blocks).iter().collect();
        prop_assert_eq!(values_of(3, &blocks), values_of(3, &each));
    }

    #[test]
    fn any_double_reads_back(value: f64) {
        let spelled = values_of(1, &[self::value(0, 0, ValueKind::Float, value.to_bits())]);
        let number = spelled.trim_matches(['[', ']']);
        if value.is_finite() {
            prop_assert_eq!(number.parse::<f64>().unwrap().to_bits(), value.to_bits());
        } else {
            prop_assert!(number.starts_with('"'));
        }
    }
}
