//! The pcap format.

use super::*;

#[rustfmt::skip]
const LITTLE: [u8; 24] = [
    0xd4, 0xc3, 0xb2, 0xa1, // magic: little-endian, microseconds
    2, 0, 4, 0,             // version 2.4
    0, 0, 0, 0, 0, 0, 0, 0, // time zone, accuracy
    0, 0, 4, 0,             // snap length
    1, 0, 0, 0,             // Ethernet
];

#[rustfmt::skip]
const ONE: [u8; 19] = [
    5, 0, 0, 0, // 5 s
    6, 0, 0, 0, // 6 us
    3, 0, 0, 0, // captured length
    9, 0, 0, 0, // original length
    b'o', b'n', b'e',
];

#[rustfmt::skip]
const TWO: [u8; 20] = [
    5, 0, 0, 0,
    7, 0, 0, 0,
    4, 0, 0, 0,
    4, 0, 0, 0,
    b't', b'w', b'o', b'.',
];

pub(super) fn valid() -> Vec<u8> {
    [&LITTLE[..], &ONE, &TWO].concat()
}

pub(super) fn record_ends() -> Vec<usize> {
    vec![24 + 19, 24 + 19 + 20]
}

fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = valid();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn frames_and_health() {
    let (frames, health) = read(&valid());
    let one = Kept {
        number: 1,
        time: 5 * SECOND + 6000,
        link: LinkType::Ethernet,
        interface: 0,
        data: b"one".to_vec(),
        original_length: 9,
    };
    let time = 5 * SECOND + 7000;
    let two = Kept { number: 2, time, data: b"two.".to_vec(), original_length: 4, ..one.clone() };
    assert_eq!(frames, [one, two]);
    let expected =
        SourceHealth { frames: 2, bytes: 7, snapped: 1, skipped: 0, read: 63, damages: vec![] };
    assert_eq!(health, expected);
    assert_eq!(open(&valid()).unwrap().size(), 63);
}

#[test]
fn big_endian_with_nanoseconds() {
    #[rustfmt::skip]
    let file = [
        0xa1, 0xb2, 0x3c, 0x4d, // magic: big-endian, nanoseconds
        0, 2, 0, 4,
        0, 0, 0, 0, 0, 0, 0, 0,
        0, 4, 0, 0,
        0, 0, 0, 113,           // Linux cooked
        0xff, 0xff, 0xff, 0xff, // seconds are unsigned
        0, 0, 0, 6,
        0, 0, 0, 1,
        0, 0, 0, 1,
        b'x',
    ];
    let (frames, _) = read(&file);
    assert_eq!(frames[0].time, i64::from(u32::MAX) * SECOND + 6);
    assert_eq!((frames[0].link, &frames[0].data[..]), (LinkType::LinuxSll, &b"x"[..]));
}

#[test]
fn modified_record_header() {
    let mut file = LITTLE.to_vec();
    file[..4].copy_from_slice(&[0x34, 0xcd, 0xb2, 0xa1]);
    for record in [&ONE[..], &TWO] {
        file.extend_from_slice(&record[..16]);
        file.extend_from_slice(&[2, 0, 0, 0, 0x08, 0x00, 4, 0]); // interface, protocol, type
        file.extend_from_slice(&record[16..]);
    }
    let (frames, health) = read(&file);
    assert_eq!((&frames[0].data[..], &frames[1].data[..]), (&b"one"[..], &b"two."[..]));
    assert_eq!(health.damages, []);
}

#[test]
fn link_types() {
    let link = |number: [u8; 4]| read(&with(20, &number)).0[0].link;
    assert_eq!(link([1, 0, 0, 0x24]), LinkType::Ethernet, "a frame check sequence of 2 words");
    assert_eq!([link([0; 4]), link([108, 0, 0, 0])], [LinkType::Null; 2]);
    for number in [12, 14, 101, 228, 229] {
        assert_eq!(link([number, 0, 0, 0]), LinkType::RawIp);
    }
    assert_eq!(link([20, 1, 0, 0]), LinkType::LinuxSll2);
    assert_eq!(link([105, 0, 0, 0]), LinkType::Other(105));
}

#[test]
fn lengths_of_old_versions() {
    let lengths = |version: [u8; 4], lengths: [u8; 2]| {
        let mut file = with(4, &version);
        (file[32], file[36]) = (lengths[0], lengths[1]);
        let (frames, _) = read(&file);
        (frames[0].data.len(), frames[0].original_length)
    };
    assert_eq!(lengths([2, 0, 2, 0], [9, 3]), (3, 9), "2.2 tells the original length first");
    assert_eq!(lengths([2, 0, 3, 0], [9, 3]), (3, 9), "2.3 may");
    assert_eq!(lengths([2, 0, 3, 0], [3, 9]), (3, 9), "or may not");
    assert_eq!(lengths([31, 2, 0, 0], [9, 3]), (3, 9), "543.0 does");
    assert_eq!(lengths([2, 0, 4, 0], [9, 3]), (9, 3), "2.4 does not");
    let error = open(&with(4, &[1, 0])).err().unwrap();
    assert_eq!(error, "x.pcap: a pcap version before 2.0 is not supported (at byte 0)");
}

#[test]
fn fractions_beyond_a_second_and_below_zero() {
    let time = |fraction: i32| times(&with(28, &fraction.to_le_bytes()))[0];
    assert_eq!(time(1_000_000), 6 * SECOND);
    assert_eq!(time(-1), 5 * SECOND - 1000);
}

#[test]
fn only_a_header_is_a_capture() {
    assert_eq!(read(&LITTLE), (vec![], SourceHealth { read: 24, ..SourceHealth::default() }));
}

#[test]
fn damage_ends_reading_and_keeps_what_was_before() {
    let cut_short = "the file ends within a record";
    for (length, kept, offset) in [(62, 1, 43), (59, 1, 43), (44, 1, 43), (42, 0, 24)] {
        let (frames, health) = read(&valid()[..length]);
        assert_eq!((frames.len(), health.damages), (kept, damage(offset, cut_short)));
    }
    let too_long = (LARGEST_FRAME + 1).to_le_bytes();
    let (frames, health) = read(&with(43 + 8, &too_long));
    assert_eq!(frames.len(), 1);
    assert_eq!(health.damages, damage(43, "a record is longer than any frame"));
    let (frames, health) = read(&with(24 + 8, &[0xff; 4]));
    assert_eq!((frames, health.damages.len()), (vec![], 1));
}

#[test]
fn the_longest_frame_and_many_buffers_of_frames() {
    let mut file = LITTLE.to_vec();
    for number in 0..20_u8 {
        file.extend_from_slice(&[0; 8]);
        file.extend_from_slice(&LARGEST_FRAME.to_le_bytes());
        file.extend_from_slice(&LARGEST_FRAME.to_le_bytes());
        file.resize(file.len() + LARGEST_FRAME as usize, number);
    }
    let (frames, health) = read(&file);
    assert_eq!((frames.len(), health.damages), (20, vec![]));
    for (number, frame) in (0..20).zip(frames) {
        assert!(frame.data.len() == LARGEST_FRAME as usize, "{number}");
        assert!(frame.data.iter().all(|byte| *byte == number));
    }
}
