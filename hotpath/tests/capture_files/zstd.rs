//! Captures compressed with zstd.

use zstd_safe::{CCtx, CParameter};

use super::*;

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut into = Vec::with_capacity(bytes.len() + 1024);
    let mut encoder = CCtx::create();
    encoder.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
    encoder.compress2(&mut into, bytes).unwrap();
    into
}

#[test]
fn frames_may_end_within_a_record() {
    for plain in [crate::pcap::valid(), crate::pcapng::valid()] {
        for cut in [0, 1, 30, plain.len()] {
            let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7];
            let halves = [compress(&plain[..cut]), compress(&plain[cut..])].concat();
            for file in [halves.clone(), [&skippable[..], &halves].concat()] {
                let (frames, health) = read(&file);
                assert_eq!(frames, read(&plain).0);
                let compressed = file.len() as u64;
                assert_eq!((health.damages, health.read), (vec![], compressed));
            }
        }
    }
}

#[test]
fn damage_is_told_by_its_place_in_the_decompressed_stream() {
    let plain = crate::pcap::valid();
    // A raw block: frame header, size and kind, then the bytes themselves.
    let size = (plain.len() << 3 | 1) as u32;
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let raw = [&head[..], &size.to_le_bytes()[..3], &plain].concat();
    assert_eq!(read(&raw).0, read(&plain).0);
    let (frames, health) = read(&raw[..9 + 50]);
    assert_eq!((frames.len(), health.damages), (1, damage(43, "the zstd stream ends early")));
    let mut bad = compress(&plain);
    *bad.last_mut().unwrap() ^= 1;
    let (_, health) = read(&bad);
    assert_eq!(health.damages[0].what, "the zstd stream is corrupt (checksum)");
}

#[test]
fn what_is_inside_decides() {
    let error = |bytes: &[u8]| open(bytes).err().unwrap();
    assert_eq!(error(&compress(b"")), "x.pcap: is empty (at byte 0)");
    let what = "x.pcap: is not a capture file (pcap or pcapng) (at byte 0)";
    assert_eq!(error(&compress(b"hello")), what);
    assert!(error(&compress(&compress(&crate::pcap::valid()))).contains("compressed twice"));
    let too_large = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 1, 0, 0];
    assert!(error(&too_large).contains("a window beyond 128 MiB"));
}
