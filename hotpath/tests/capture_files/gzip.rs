//! Compressed captures.

use super::*;

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn members_may_end_within_a_record() {
    for plain in [crate::pcap::valid(), crate::pcapng::valid()] {
        for cut in [0, 1, 30, plain.len()] {
            let file = [compress(&plain[..cut]), compress(&plain[cut..])].concat();
            let (frames, health) = read(&file);
            assert_eq!(frames, read(&plain).0);
            let compressed = file.len() as u64;
            assert_eq!((health.damages, health.read), (vec![], compressed));
        }
    }
}

#[test]
fn damage_is_told_by_its_place_in_the_decompressed_stream() {
    let plain = crate::pcap::valid();
    // A stored block, cut within the second record: 18 bytes of the file go before the data.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(&plain).unwrap();
    let stored = encoder.finish().unwrap();
    let at = stored.windows(plain.len()).position(|window| window == plain).unwrap();
    let (frames, health) = read(&stored[..at + 50]);
    assert_eq!((frames.len(), health.damages), (1, damage(43, "the gzip stream ends early")));
    let mut bad = compress(&plain);
    let end = bad.len();
    bad[end - 8] ^= 1;
    let (frames, health) = read(&bad);
    let what = "the gzip stream is corrupt (checksum)";
    assert_eq!((frames.len(), health.damages), (2, damage(63, what)));
}

#[test]
fn what_is_inside_decides() {
    let error = |bytes: &[u8]| open(&compress(bytes)).err().unwrap();
    assert_eq!(error(b""), "x.pcap: is empty (at byte 0)");
    assert_eq!(error(b"hello"), "x.pcap: is not a capture file (pcap or pcapng) (at byte 0)");
    let twice = compress(&crate::pcap::valid());
    assert!(error(&twice).contains("compressed twice"));
}
