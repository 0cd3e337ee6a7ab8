//! Evidence, cut out of captures written byte by byte.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hotpath::source::evidence::{Cut, CutError, CutReport, MOST_BYTES, MOST_FRAMES, cut};
use hotpath::source::{LinkType, Source, file};
use proptest::prelude::*;

/// A folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evidence").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn listing(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A pcap of nanoseconds, of frames (seconds, nanoseconds, original length, bytes).
fn pcap(link: u32, frames: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
    let mut file = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    file.extend(link.to_le_bytes());
    for (seconds, nanos, original, data) in frames {
        for field in [*seconds, *nanos, data.len() as u32, *original] {
            file.extend(field.to_le_bytes());
        }
        file.extend(*data);
    }
    file
}

/// A pcap of `count` frames of two bytes, one a second.
fn count_up(path: &Path, count: u32) {
    let frames: Vec<(u32, u32, u32, &[u8])> =
        (1..=count).map(|at| (at, 0, 2, &b"ok"[..])).collect();
    fs::write(path, pcap(1, &frames)).unwrap();
}

fn order(target: PathBuf, frames: &[u64], context: u64) -> Cut {
    Cut { target, frames: frames.to_vec(), context, comment: "why".to_owned() }
}

/// The frames of a file: time, link type, bytes and original length.
fn read(path: &Path) -> Vec<(i64, LinkType, Vec<u8>, u32)> {
    let mut source = file::open(path).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = source.next_frame() {
        frames.push((frame.time, frame.link, frame.data.to_vec(), frame.original_length));
    }
    assert_eq!(source.health().damages, []);
    assert_eq!(source.health().skipped, 0);
    frames
}

/// The seconds at which the frames of a file were captured: for [`count_up`] their numbers.
fn numbers(path: &Path) -> Vec<u64> {
    read(path).iter().map(|frame| u64::try_from(frame.0 / 1_000_000_000).unwrap()).collect()
}

#[test]
fn a_file_written_out() {
    let folder = folder("written-out");
    let capture = folder.join("day.pcap");
    let first: (u32, u32, u32, &[u8]) = (5, 999_999_999, 3, b"one");
    fs::write(&capture, pcap(1, &[first, (7, 1, 60, b"two.")])).unwrap();
    let target = folder.join("x.pcapng");
    let reports = cut(&capture, &[order(target.clone(), &[2], 1)]).unwrap();
    assert_eq!(reports, [CutReport { written: 2, missing: vec![] }]);
    #[rustfmt::skip]
    let expected = [
        // Section header
        &[0x0a, 0x0d, 0x0d, 0x0a, 52, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..],
        &[0xff; 8],
        &[1, 0, 3, 0], b"why\0",                     // comment
        &[4, 0, 5, 0], b"otids\0\0\0",               // application
        &[0, 0, 0, 0, 52, 0, 0, 0],
        // Interface description: Ethernet, snap length
        &[1, 0, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0],
        &[3, 0, 23, 0], b"interface 0 of day.pcap\0", // description
        &[9, 0, 1, 0, 9, 0, 0, 0],                   // nanoseconds
        &[0, 0, 0, 0, 60, 0, 0, 0],
        // Enhanced packet: interface, 5.999999999 s, captured and original length
        &[6, 0, 0, 0, 72, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0, 0xff, 0xbb, 0xa0, 0x65, 3, 0, 0, 0, 3, 0, 0, 0],
        b"one\0",
        &[1, 0, 28, 0], b"frame 1 of day.pcap: context",
        &[0, 0, 0, 0, 72, 0, 0, 0],
        // Enhanced packet: 7.000000001 s
        &[6, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0, 1, 0x86, 0x3b, 0xa1, 4, 0, 0, 0, 60, 0, 0, 0],
        b"two.",
        &[1, 0, 34, 0], b"frame 2 of day.pcap: part of alert\0\0",
        &[0, 0, 0, 0, 80, 0, 0, 0],
    ]
    .concat();
    assert_eq!(fs::read(&target).unwrap(), expected);
    let mode = fs::metadata(&target).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}: others read it, or the group writes it");
    assert_eq!(listing(&folder).len(), 2, "a temporary file is left");
}

#[test]
fn what_is_not_in_the_capture_is_missing() {
    let folder = folder("missing");
    let capture = folder.join("x.pcap");
    count_up(&capture, 9);
    let kept = folder.join("kept.pcapng");
    fs::write(&kept, "older evidence").unwrap();
    let cuts = [
        order(folder.join("one.pcapng"), &[10, 4, 0, u64::MAX, 4], 1),
        order(kept.clone(), &[11, 12], 2),
        order(folder.join("none.pcapng"), &[], 5),
    ];
    let report = |written, missing| CutReport { written, missing };
    let expected =
        [report(5, vec![0, 10, u64::MAX]), report(0, vec![11, 12]), report(0, Vec::new())];
    assert_eq!(cut(&capture, &cuts).unwrap(), expected);
    assert_eq!(numbers(&folder.join("one.pcapng")), [1, 3, 4, 5, 9]);
    assert_eq!(fs::read(&kept).unwrap(), b"older evidence", "nothing better came");
    assert_eq!(listing(&folder).len(), 3);
}

#[test]
fn a_number_without_a_frame_is_missing() {
    let folder = folder("numbers");
    let capture = folder.join("x.pcap");
    count_up(&capture, 3);
    let evidence = folder.join("all.pcapng");
    cut(&capture, &[order(evidence.clone(), &[1, 2, 3], 0)]).unwrap();
    // A custom block before the last frame has a number in Wireshark.
    let mut bytes = fs::read(&evidence).unwrap();
    let custom = [0xad, 0x0b, 0, 0, 16, 0, 0, 0, 1, 2, 3, 4, 16, 0, 0, 0];
    let last = bytes.len() - usize::from(bytes[bytes.len() - 4]);
    bytes.splice(last..last, custom);
    fs::write(&evidence, bytes).unwrap();
    let again = folder.join("again.pcapng");
    let reports = cut(&evidence, &[order(again.clone(), &[3, 4], 0)]).unwrap();
    assert_eq!(reports, [CutReport { written: 1, missing: vec![3] }]);
    assert_eq!(numbers(&again), [3]);
}

#[test]
fn link_types_and_times_stay() {
    let folder = folder("links");
    // Microseconds that some writer left negative: 1 ns before 1970.
    let frame: (u32, u32, u32, &[u8]) = (0, u32::MAX, 9, b"....");
    let later: (u32, u32, u32, &[u8]) = (u32::MAX, 999_999_999, 4, b"....");
    for (link, expected) in [
        (0, LinkType::Null),
        (108, LinkType::Null),
        (1, LinkType::Ethernet),
        (12, LinkType::RawIp),
        (229, LinkType::RawIp),
        (113, LinkType::LinuxSll),
        (276, LinkType::LinuxSll2),
        (147, LinkType::Other(147)),
        (65_535, LinkType::Other(65_535)),
    ] {
        let capture = folder.join(format!("{link}.pcap"));
        fs::write(&capture, pcap(link, &[frame, later])).unwrap();
        let target = folder.join(format!("{link}.pcapng"));
        cut(&capture, &[order(target.clone(), &[1, 2], 0)]).unwrap();
        assert_eq!(read(&target), read(&capture));
        assert_eq!(read(&target)[0].0, -1);
        assert_eq!(read(&target)[1].1, expected);
    }
}

#[test]
fn interfaces_are_kept_apart() {
    let folder = folder("interfaces");
    let capture = folder.join("x.pcap");
    let parts = [(1, "a"), (147, "b")].map(|(link, name)| {
        fs::write(&capture, pcap(link, &[(1, 2, 2, b"ok")])).unwrap();
        let target = folder.join(name);
        cut(&capture, &[order(target.clone(), &[1], 0)]).unwrap();
        fs::read(target).unwrap()
    });
    // Three sections, three interfaces: two of one link type, one of another.
    fs::write(&capture, [&parts[0][..], &parts[1], &parts[0]].concat()).unwrap();
    let target = folder.join("all.pcapng");
    cut(&capture, &[order(target.clone(), &[2], 1)]).unwrap();
    assert_eq!(read(&target), read(&capture));
    let mut source = file::open(&target).unwrap();
    for interface in 0..3 {
        assert_eq!(source.next_frame().unwrap().interface, interface);
    }
}

#[test]
fn many_cuts_of_the_same_frames_in_one_pass() {
    let folder = folder("many");
    let capture = folder.join("x.pcap");
    count_up(&capture, 40);
    let target = |index: u64| folder.join(format!("{index:03}.pcapng"));
    let cuts: Vec<Cut> = (0..700).map(|index| order(target(index), &[20], index % 9)).collect();
    let reports = cut(&capture, &cuts).unwrap();
    for (index, report) in (0..700).zip(reports) {
        let context = index % 9;
        assert_eq!(report.written, 2 * context + 1);
        assert_eq!(numbers(&target(index)), (20 - context..=20 + context).collect::<Vec<_>>());
    }
}

#[test]
fn frames_beyond_the_limit_are_missing() {
    let folder = folder("frames");
    let capture = folder.join("x.pcap");
    count_up(&capture, 10_100);
    let target = folder.join("x.pcapng");
    let all: Vec<u64> = (1..=10_100).collect();
    let reports = cut(&capture, &[order(target.clone(), &all, 3)]).unwrap();
    assert_eq!(reports[0].written, MOST_FRAMES as u64);
    assert_eq!(reports[0].missing, (10_001..=10_100).collect::<Vec<_>>());
    assert_eq!(read(&target).len(), MOST_FRAMES);
}

#[test]
fn bytes_beyond_the_limit_are_missing() {
    let folder = folder("bytes");
    let capture = folder.join("x.pcap");
    let large = vec![7; 262_144];
    let mut frames = vec![(1, 0, 262_144, &large[..]); 130];
    frames.push((1, 0, 1, b"."));
    fs::write(&capture, pcap(1, &frames)).unwrap();
    let target = folder.join("x.pcapng");
    let reports = cut(&capture, &[order(target.clone(), &[1, 2, 129, 131], 200)]).unwrap();
    let length = fs::metadata(&target).unwrap().len();
    assert!(length <= MOST_BYTES as u64 && length > MOST_BYTES as u64 - 300_000, "{length}");
    assert_eq!(reports[0].written, 128, "127 large frames, and the small one");
    assert_eq!(reports[0].missing, [129]);
    assert_eq!(read(&target).len(), 128);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_cannot_be_done_is_told_and_leaves_nothing() {
    let folder = folder("errors");
    let capture = folder.join("x.pcap");
    count_up(&capture, 3);
    let good = order(folder.join("good.pcapng"), &[1], 0);
    let missing = order(folder.join("nowhere").join("x.pcapng"), &[3], 0);
    let Err(error) = cut(&capture, &[good.clone(), missing.clone()]) else { panic!() };
    assert!(error.to_string().contains("nowhere/x.pcapng: No such file"), "{error}");
    assert!(matches!(error, CutError::Write { target, .. } if target == missing.target));
    assert_eq!(listing(&folder), BTreeSet::from(["x.pcap".to_owned()]));

    fs::create_dir(folder.join("taken")).unwrap();
    let Err(error) = cut(&capture, &[order(folder.join("taken"), &[3], 0)]) else { panic!() };
    assert!(matches!(error, CutError::Write { .. }), "{error}");
    assert_eq!(listing(&folder).len(), 2);

    let Err(error) = cut(&folder.join("gone.pcap"), &[good]) else { panic!() };
    assert!(matches!(error, CutError::Capture(_)), "{error}");
    assert!(error.to_string().contains("gone.pcap: No such file"), "{error}");
}

#[test]
fn what_came_before_damage_is_cut() {
    let folder = folder("damage");
    let capture = folder.join("x.pcap");
    count_up(&capture, 9);
    let bytes = fs::read(&capture).unwrap();
    fs::write(&capture, &bytes[..bytes.len() - 1]).unwrap();
    let target = folder.join("x.pcapng");
    let reports = cut(&capture, &[order(target.clone(), &[8, 9], 1)]).unwrap();
    assert_eq!(reports, [CutReport { written: 2, missing: vec![9] }]);
    assert_eq!(numbers(&target), [7, 8]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cut_has_the_wanted_frames_and_those_around_them(
        cuts in prop::collection::vec((prop::collection::vec(0..50_u64, 0..6), 0..9_u64), 1..5),
    ) {
        let folder = folder("any");
        let capture = folder.join("x.pcap");
        count_up(&capture, 40);
        let target = |index: usize| folder.join(format!("{index}.pcapng"));
        let orders: Vec<Cut> = cuts
            .iter()
            .enumerate()
            .map(|(index, (frames, context))| order(target(index), frames, *context))
            .collect();
        let reports = cut(&capture, &orders).unwrap();
        for (index, ((frames, context), report)) in cuts.iter().zip(reports).enumerate() {
            let wanted: BTreeSet<u64> = frames.iter().copied().collect();
            let near = |number: &u64| wanted.iter().any(|frame| frame.abs_diff(*number) <= *context);
            let (met, missing): (Vec<u64>, Vec<u64>) =
                wanted.iter().partition(|frame| (1..=40).contains(*frame));
            let mut expected: Vec<u64> = (1..=40).filter(near).collect();
            if met.is_empty() {
                expected.clear();
            }
            prop_assert_eq!(report.written, expected.len() as u64);
            prop_assert_eq!(report.missing, missing);
            prop_assert_eq!(target(index).exists(), !expected.is_empty());
            if !expected.is_empty() {
                prop_assert_eq!(numbers(&target(index)), expected);
            }
        }
    }
}
