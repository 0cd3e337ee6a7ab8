use std::io::Cursor;

use hotpath::source::Source;
use hotpath::source::file::{CaptureFile, LARGEST_FRAME};

/// More frames than any small file holds uncompressed.
const MOST: u64 = 100_000;

/// A capture file, plain or compressed: frames are counted, in bounds, and damage is told once.
pub fn readers(bytes: &[u8]) {
    let reader = Cursor::new(bytes.to_vec());
    let mut capture = match CaptureFile::new("any", bytes.len() as u64, reader) {
        Ok(capture) => capture,
        Err(error) => {
            assert!(!error.what.is_empty());
            return;
        }
    };
    let (mut last, mut frames, mut total) = (0, 0, 0);
    while let Some(frame) = capture.next_frame() {
        assert!(frame.number > last, "frames are numbered in order");
        assert!(frame.data.len() <= LARGEST_FRAME as usize);
        (last, frames, total) = (frame.number, frames + 1, total + frame.data.len() as u64);
        if frames == MOST {
            return;
        }
    }
    assert!(capture.next_frame().is_none(), "the end is the end");
    let health = capture.health();
    assert_eq!((health.frames, health.bytes), (frames, total));
    assert!(health.damages.len() <= 1 && health.read <= bytes.len() as u64);
}
