//! Whoever cuts bytes in odd places, or says something else first, hides nothing.

use super::frames::{ask, host};
use super::heard::Heard;
use super::wire::{Dialogue, Wire};

/// A connection to port 502 that begins with `first`, and then asks in segments of `size` bytes.
fn hear(first: &[u8], size: usize) -> Heard {
    let mut wire = Wire::default();
    let mut dialogue = Dialogue::new(host(1, 50_000), host(2, 502));
    dialogue.open(&mut wire);
    if !first.is_empty() {
        dialogue.ask(&mut wire, first);
    }
    let requests: Vec<u8> = (0..10).flat_map(|number| ask(number, number)).collect();
    for piece in requests.chunks(size) {
        dialogue.ask(&mut wire, piece);
    }
    dialogue.close(&mut wire);
    wire.finish()
}

#[test]
fn garbage_before_requests_in_pieces_hides_none() {
    for first in [&b""[..], b"\xFF", b"GET / HTTP/1.1\r\n\r\n", &[0xFF; 700]] {
        for size in [1, 5, 7, 12, 17, 120] {
            let heard = hear(first, size);
            assert_eq!(heard.messages.len(), 10, "{} bytes, then by {size}", first.len());
            let first_frame = heard.messages[0].first_frame;
            assert_eq!(first_frame, if first.is_empty() { 4 } else { 5 });
        }
    }
}

#[test]
fn what_is_kept_of_what_nobody_understands_is_little() {
    let mut wire = Wire::default();
    let mut dialogue = Dialogue::new(host(1, 50_000), host(2, 502));
    dialogue.open(&mut wire);
    let mut most = 0;
    for size in [1, 60_000, 1, 1, 60_000].into_iter().cycle().take(2_000) {
        dialogue.ask(&mut wire, &vec![0xFF; size]);
        most = most.max(wire.engine.held()[2]);
    }
    assert!(most < 32 << 10, "{most} bytes");
}
