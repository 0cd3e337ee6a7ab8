//! Real captures, if they are there: the readers agree with a parse that knows nothing but the
//! most plain files.
#![cfg(test)]

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use hotpath::source::{Source, file};

/// What both must agree on: time in nanoseconds, original length, bytes.
type Plain<'a> = (i64, u32, &'a [u8]);

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|field| u32::from_le_bytes(field.try_into().unwrap()))
}

/// Little-endian pcap with microseconds.
fn parse_pcap(bytes: &[u8]) -> Vec<Plain<'_>> {
    let mut frames = Vec::new();
    let mut at = 24;
    while let Some(original) = u32_at(bytes, at + 12) {
        let [seconds, micros, captured] = [0, 4, 8].map(|field| u32_at(bytes, at + field).unwrap());
        let Some(data) = bytes.get(at + 16..at + 16 + captured as usize) else { break };
        // The shift of 32 bits makes a field signed.
        let micros = i64::from(micros) << 32 >> 32;
        frames.push((i64::from(seconds) * 1_000_000_000 + micros * 1000, original, data));
        at += 16 + captured as usize;
    }
    frames
}

/// Little-endian pcapng with one section and enhanced packet blocks.
fn parse_pcapng(bytes: &[u8]) -> Option<Vec<Plain<'_>>> {
    let mut frames = Vec::new();
    let mut nanos = Vec::new();
    let mut at = 0;
    while let (Some(kind), Some(total)) = (u32_at(bytes, at), u32_at(bytes, at + 4)) {
        let body = &bytes[at + 8..at + total as usize - 4];
        match kind {
            0x0a0d_0d0a if at == 0 && body[0] == 0x4d => {}
            1 => {
                // The option if_tsresol of one byte, padded, as bytes.
                let is = |exponent: &u32| {
                    let option = [9, 0, 1, 0, *exponent as u8, 0, 0, 0];
                    body.windows(8).any(|bytes| bytes == option)
                };
                let exponent = (0..=9).find(is).unwrap_or(6);
                nanos.push(10_i64.pow(9 - exponent));
            }
            6 => {
                let [interface, high, low, captured, original] =
                    [0, 4, 8, 12, 16].map(|field| u32_at(body, field).unwrap());
                let units = (i64::from(high) << 32) | i64::from(low);
                let time = units * nanos[interface as usize];
                frames.push((time, original, &body[20..20 + captured as usize]));
            }
            4 | 5 => {}
            _ => return None,
        }
        at += total as usize;
    }
    Some(frames)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn agree_with_a_plain_parse() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    if !shared.is_dir() {
        // Not `eprintln!`, which the test harness would swallow.
        let told = format!("SKIPPED: no captures in {}\n", shared.display());
        stderr().write_all(told.as_bytes()).unwrap();
        return;
    }
    let mut paths = Vec::new();
    files(&shared.join("captures"), &mut paths);
    files(&shared.join("labelled"), &mut paths);
    let (mut compared, mut frames) = (0, 0);
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let plain = match bytes.first_chunk() {
            Some([0xd4, 0xc3, 0xb2, 0xa1]) => parse_pcap(&bytes),
            Some([0x0a, 0x0d, 0x0d, 0x0a]) => match parse_pcapng(&bytes) {
                Some(frames) => frames,
                None => continue,
            },
            _ => continue,
        };
        let mut capture = file::open(&path).unwrap();
        for (number, expected) in (1..).zip(&plain) {
            let frame = capture.next_frame().unwrap();
            assert_eq!(frame.number, number, "{}", path.display());
            let seen = (frame.time, frame.original_length, frame.data);
            assert_eq!(seen, *expected, "frame {number} of {}", path.display());
        }
        assert_eq!(capture.next_frame(), None, "{}", path.display());
        assert_eq!(capture.health().read, bytes.len() as u64);
        compared += 1;
        frames += plain.len();
    }
    assert!(compared >= 500 && frames >= 500_000, "{compared} files, {frames} frames");
}
