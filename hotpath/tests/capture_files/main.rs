//! Capture files, written byte by byte: every format, and every kind of damage.
#![cfg(test)]

use std::io::{Cursor, Write};
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use hotpath::source::file::{self, CaptureFile, LARGEST_FRAME};
use hotpath::source::{Damage, LinkType, Source, SourceHealth};
use proptest::prelude::*;

mod gzip;
mod pcap;
mod pcapng;
mod zstd;

const SECOND: i64 = 1_000_000_000;

/// A frame, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    number: u64,
    time: i64,
    link: LinkType,
    interface: u32,
    data: Vec<u8>,
    original_length: u32,
}

fn open(bytes: &[u8]) -> Result<CaptureFile, String> {
    let size = bytes.len() as u64;
    CaptureFile::new("x.pcap", size, Cursor::new(bytes.to_vec())).map_err(|error| error.to_string())
}

/// Every frame of a capture, and its health in the end.
fn read(bytes: &[u8]) -> (Vec<Kept>, SourceHealth) {
    let mut capture = open(bytes).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = capture.next_frame() {
        frames.push(Kept {
            number: frame.number,
            time: frame.time,
            link: frame.link,
            interface: frame.interface,
            data: frame.data.to_vec(),
            original_length: frame.original_length,
        });
    }
    assert!(capture.next_frame().is_none(), "the end stays the end");
    (frames, capture.health().clone())
}

fn times(bytes: &[u8]) -> Vec<i64> {
    let (frames, health) = read(bytes);
    assert_eq!(health.damages, []);
    frames.iter().map(|frame| frame.time).collect()
}

fn damage(offset: usize, what: &'static str) -> Vec<Damage> {
    vec![Damage { offset: offset as u64, what }]
}

#[test]
fn what_is_no_capture_is_told_in_one_line() {
    let error = |bytes: &[u8]| open(bytes).err().unwrap();
    assert_eq!(error(b""), "x.pcap: is empty (at byte 0)");
    assert_eq!(error(b"#!"), "x.pcap: is not a capture file (pcap or pcapng) (at byte 0)");
    assert_eq!(error(b"#!/bin/sh"), "x.pcap: is not a capture file (pcap or pcapng) (at byte 0)");
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0];
    assert_eq!(error(&zstd), "x.pcap: the zstd stream ends early (at byte 0)");
    let xz = [0xfd, b'7', b'z', b'X', b'Z', 0];
    assert_eq!(error(&xz), "x.pcap: is compressed with xz: decompress it first (at byte 0)");
    let half_a_header = &pcap::valid()[..23];
    assert_eq!(error(half_a_header), "x.pcap: the file ends within its header (at byte 0)");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let error = file::open(path).err().unwrap().to_string();
    assert!(error.ends_with(": is a directory, not a capture file (at byte 0)"), "{error}");
    let error = file::open(&path.join("no such file")).err().unwrap().to_string();
    assert!(error.contains("no such file: No such file or directory"), "{error}");
}

proptest! {
    #[test]
    fn random_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
        for magic in [&[0xd4, 0xc3, 0xb2, 0xa1][..], &[0x1f, 0x8b, 8, 0], &zstd, &[]] {
            let file = [magic, &bytes].concat();
            if open(&file).is_ok() {
                let (frames, _) = read(&file);
                prop_assert!(frames.len() <= file.len());
            }
        }
    }

    #[test]
    fn frames_before_the_damage_are_kept(
        cut in 0..100_usize,
        random in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let files = [
            (pcap::valid(), pcap::record_ends()),
            (pcapng::valid(), pcapng::record_ends()),
        ];
        for (valid, ends) in files {
            let cut = cut * valid.len() / 99;
            let file = [&valid[..cut], &random].concat();
            let whole = ends.iter().filter(|end| **end <= cut).count();
            if open(&file).is_ok() {
                let (frames, _) = read(&file);
                prop_assert_eq!(&frames[..whole], &read(&valid).0[..whole]);
            } else {
                prop_assert_eq!(whole, 0);
            }
        }
    }

    #[test]
    fn a_changed_byte_never_harms(at in 0..100_usize, byte in any::<u8>()) {
        for mut file in [pcap::valid(), pcapng::valid()] {
            let at = at * (file.len() - 1) / 99;
            file[at] = byte;
            if open(&file).is_ok() {
                let (frames, health) = read(&file);
                prop_assert!(frames.len() <= 3 && health.damages.len() <= 1);
            }
        }
    }
}
