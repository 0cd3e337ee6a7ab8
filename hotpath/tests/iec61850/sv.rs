//! Sampled Values: ASDUs and samples.

use hotpath::protocols::NO_SUBFUNCTION;
use hotpath::protocols::iec61850::sv::PROTOCOL;
use hotpath::words::{Activity, Role, ValueKind};

use crate::bytes::{asdu, framed, padded, pairs, samples, tlv};
use crate::recorder::Flow;

/// Two's complement as it is meant.
fn signed(raw: u64) -> i64 {
    i64::from_ne_bytes(raw.to_ne_bytes())
}

fn flow() -> Flow {
    Flow::new(&PROTOCOL)
}

#[test]
fn the_eight_channels_of_a_merging_unit() {
    let channels: Vec<(i32, u32)> =
        (0..8).map(|place| (place * 1_000 - 4_000, if place == 3 { 0x2000 } else { 0 })).collect();
    let one = asdu("MU01", 3_999, &pairs(&channels));
    let mut flow = flow();
    flow.frame(0, &samples(std::slice::from_ref(&one)));
    let said = &flow.out.said[0];
    assert_eq!((said.role, said.activity), (Role::Report, Activity::Report));
    assert_eq!((said.function, said.subfunction), (0, NO_SUBFUNCTION));
    assert_eq!(said.length as usize, one.len() - 2);
    assert_eq!(said.objects[0], ("sample", 1, 8, "MU01".to_owned()));
    let found: Vec<(u64, i64, u32)> =
        said.values[..8].iter().map(|value| (value.1, signed(value.3), value.5)).collect();
    let expected: Vec<(u64, i64, u32)> =
        (1..).zip(&channels).map(|(at, (number, bad))| (at, i64::from(*number), *bad)).collect();
    assert_eq!(found, expected);
    assert!(said.values[..8].iter().all(|value| value.2 == ValueKind::Signed));
    assert_eq!(said.numbers("sample-count"), [3_999]);
    assert_eq!(said.numbers("configuration-revision"), [1]);
    assert_eq!(said.numbers("synchronisation"), [2]);
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn each_asdu_is_a_message() {
    let frame = samples(&[
        asdu("MU01", 7, &pairs(&[(1, 0)])),
        asdu("MU01", 8, &pairs(&[(2, 0)])),
        asdu("MU02", 7, &pairs(&[(3, 0), (4, 0)])),
    ]);
    let mut flow = flow();
    flow.frame(0, &padded(&frame));
    let told: Vec<(String, Vec<u64>)> =
        flow.out.said.iter().map(|it| (it.objects[0].3.clone(), it.numbers("sample"))).collect();
    let name = str::to_owned;
    let expected = [(name("MU01"), vec![1]), (name("MU01"), vec![2]), (name("MU02"), vec![3, 4])];
    assert_eq!(told, expected);
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn every_field() {
    let fields = [
        tlv(0x80, b"MU01"),
        tlv(0x81, b"MU01/LLN0$DS1"),
        tlv(0x82, &[0x00, 0x07]),
        tlv(0x83, &[0, 0, 0, 9]),
        tlv(0x84, &[0x66, 0xD2, 0xB2, 0x04, 0x80, 0, 0, 0]),
        tlv(0x85, &[1]),
        tlv(0x86, &[0x12, 0xC0]),
        tlv(0x87, &pairs(&[(-1, 0x3FFF)])),
        tlv(0x88, &[1]),
        tlv(0x89, &[0, 0x1D, 0xC1, 0xFF, 0xFE, 0, 0, 1]),
        tlv(0x8F, &[1]), // unknown
    ];
    let mut flow = flow();
    flow.frame(0, &samples(&[tlv(0x30, &fields.concat())]));
    assert_eq!(flow.notices(), [""; 0]);
    let said = &flow.out.said[0];
    assert_eq!(said.source_time, 1_725_084_164_500_000_000);
    assert_eq!(signed(said.values[0].3), -1);
    assert_eq!(said.values[0].5, 0x3FFF);
    for (kind, number) in [
        ("sample-count", 7),
        ("configuration-revision", 9),
        ("synchronisation", 1),
        ("sample-rate", 4_800),
        ("sample-mode", 1),
        ("clock-identity", 0x001D_C1FF_FE00_0001),
    ] {
        assert_eq!(said.numbers(kind), [number], "{kind}");
    }
    let text = said.values.iter().find(|value| value.0 == "data-set").unwrap();
    assert_eq!(text.4, "MU01/LLN0$DS1");
}

#[test]
fn what_is_no_pairs_is_told_in_words() {
    for (data, expected) in [
        // A number, and a time stamp.
        (
            &[0, 0, 0, 17, 0x66, 0xD2, 0xB2, 5, 0xF0, 0x20, 0xC4, 0][..],
            vec![17, 0x66D2_B205, -266_288_128],
        ),
        (&[0xFF, 0xFE, 0, 3, 0, 4][..], vec![-2, 3, 4]),
        (&[1, 2, 255][..], vec![1, 2, -1]),
        (&[], vec![]),
    ] {
        let mut flow = flow();
        flow.frame(0, &samples(&[asdu("S", 1, data)]));
        let found: Vec<i64> =
            flow.out.said[0].numbers("sample").iter().map(|raw| signed(*raw)).collect();
        assert_eq!(found, expected);
        assert_eq!(flow.notices(), [""; 0]);
    }
}

#[test]
fn a_stream_that_had_no_pairs_once_has_none_later() {
    let mut flow = flow();
    let zeros = pairs(&[(0, 0)]);
    flow.frame(0, &samples(&[asdu("A", 1, &zeros), asdu("B", 1, &zeros)]));
    flow.frame(250, &samples(&[asdu("A", 2, &[0x40, 0x45, 0, 0, 0x41, 0, 0, 0])]));
    flow.frame(250, &samples(&[asdu("A", 3, &zeros), asdu("B", 2, &zeros)]));
    let counts: Vec<usize> =
        flow.out.said.iter().map(|said| said.numbers("sample").len()).collect();
    assert_eq!(counts, [1, 1, 2, 2, 1]);
}

#[test]
fn many_streams_are_bounded() {
    let mut flow = flow();
    for number in 0..1_000 {
        let name = format!("stream {number}");
        flow.frame(250, &samples(&[asdu(&name, number, &[1, 2, 3])]));
    }
    assert_eq!(flow.out.said.len(), 1_000);
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn simulated_samples_are_told_apart() {
    let one = asdu("MU01", 1, &pairs(&[(1, 0)]));
    let apdu = tlv(0x60, &[tlv(0x80, &[1]), tlv(0xA2, &one)].concat());
    let mut flow = flow();
    flow.frame(0, &framed(0x8000, &apdu));
    assert_eq!(flow.out.said[0].subfunction, 1);
    assert_eq!((PROTOCOL.function_name)(0, 1), Some("Sampled Values (simulated)"));
}

#[test]
fn what_is_broken_is_noticed_once_a_frame() {
    let good = asdu("MU01", 1, &pairs(&[(1, 0)]));
    let short = tlv(0x30, &tlv(0x80, b"MU01"));
    let list = |number: u8, asdus: &[u8]| {
        framed(0, &tlv(0x60, &[tlv(0x80, &[number]), tlv(0xA2, asdus)].concat()))
    };
    for (frame, messages, detail) in [
        (list(2, &good), 1, "there is another number of ASDUs than the message says"),
        (list(2, &[&short[..], &short].concat()), 2, "a mandatory field is missing"),
        (list(1, &[0x31, 0x00]), 0, "a field is not well-formed"),
        (list(1, &tlv(0x30, &tlv(0x82, &[1, 0, 0]))), 1, "a field is not well-formed"),
        (framed(0, &tlv(0x61, &[1])), 0, "no sampled values begin here"),
        (Vec::from([0x40, 0x00, 0x00]), 0, "no sampled values begin here"),
    ] {
        let mut flow = flow();
        flow.frame(0, &frame);
        assert_eq!((flow.out.said.len(), flow.notices()), (messages, vec![detail.to_owned()]));
    }
}
