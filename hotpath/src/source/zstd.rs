//! Zstandard (RFC 8878), frame after frame. As with gzip, every byte that came before a corruption
//! is handed out, so that the capture's frames there are kept.

use std::io::{BufRead, BufReader, ErrorKind, Read};

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// The largest window that a frame may ask for, as a power of two: 128 MiB, which the format
/// recommends to support, and what `zstd --long` makes.
const WINDOW_LOG: u32 = 27;

/// How long the header of a block is.
const BLOCK_HEADER: usize = 3;

const CUT_SHORT: &str = "the zstd stream ends early";
const FAILED: &str = "reading the file failed";
const BAD_HEADER: &str = "the zstd stream is corrupt (header)";
const BAD_DATA: &str = "the zstd stream is corrupt (data)";
const BAD_CHECKSUM: &str = "the zstd stream is corrupt (checksum)";
const TRAILING: &str = "other bytes follow the zstd stream";
const WINDOW: &str = "the zstd stream needs a window beyond 128 MiB: decompress it first";
const DICTIONARY: &str = "the zstd stream needs a dictionary: decompress it first";

/// How a zstd file begins: with a frame, or with one that is to be skipped.
pub(super) fn is_magic(head: [u8; 4]) -> bool {
    let [first, rest @ ..] = head;
    head == MAGIC || (first & 0xf0 == 0x50 && rest == SKIPPABLE)
}

enum State {
    /// There may be more.
    Data,
    /// Everything was told.
    Over,
    /// To be told at the next call.
    Failed(&'static str),
}

/// Decompresses a zstd file.
pub(super) struct Unzstd<R> {
    input: BufReader<R>,
    decoder: DCtx<'static>,
    /// Frames that are whole.
    frames: u64,
    is_in_frame: bool,
    /// How much input the decoder asks for.
    hint: usize,
    state: State,
}

impl<R: Read> Unzstd<R> {
    pub(super) fn new(reader: R) -> Self {
        let mut decoder = DCtx::create();
        let state = match decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)) {
            Ok(_) => State::Data,
            Err(_) => State::Failed(WINDOW),
        };
        let input = BufReader::with_capacity(1 << 16, reader);
        Self { input, decoder, frames: 0, is_in_frame: false, hint: 1, state }
    }

    pub(super) fn get_ref(&self) -> &R {
        self.input.get_ref()
    }

    /// Reads some decompressed bytes; 0 at the end.
    ///
    /// # Errors
    /// What is wrong, after all bytes before it were read; then the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, &'static str> {
        loop {
            match self.state {
                State::Over => return Ok(0),
                State::Failed(fault) => {
                    self.state = State::Over;
                    return Err(fault);
                }
                State::Data => {
                    let count = self.decompress(into);
                    if count > 0 {
                        return Ok(count);
                    }
                }
            }
        }
    }

    /// Decompresses some bytes; at the end, or where the file is damaged, changes the state.
    fn decompress(&mut self, into: &mut [u8]) -> usize {
        let input = match self.input.fill_buf() {
            Ok(input) => input,
            Err(error) if error.kind() == ErrorKind::Interrupted => return 0,
            Err(_) => {
                self.state = State::Failed(FAILED);
                return 0;
            }
        };
        let ended = input.is_empty();
        if ended && !self.is_in_frame && self.frames > 0 {
            self.state = State::Over;
            return 0;
        }
        // The decoder does not say how many bytes it wrote before it met a fault. It asks for a
        // block and the header of the next one: apart, a fault there comes after the block.
        let step = self.hint.saturating_sub(BLOCK_HEADER).max(1);
        let input = input.get(..step).unwrap_or(input);
        let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(into));
        let outcome = self.decoder.decompress_stream(&mut to, &mut from);
        let (consumed, count) = (from.pos(), to.pos());
        self.input.consume(consumed);
        self.hint = outcome.unwrap_or_default();
        match outcome {
            Ok(0) => {
                self.is_in_frame = false;
                self.frames = self.frames.saturating_add(1);
            }
            Ok(_) if count > 0 || consumed > 0 => self.is_in_frame = true,
            // No step forward is possible: without input the file ends here, with input it is
            // damaged; either way the loop must not go on.
            Ok(_) if ended => self.state = State::Failed(CUT_SHORT),
            Ok(_) => self.state = State::Failed(BAD_DATA),
            Err(code) => self.state = State::Failed(self.fault(get_error_name(code))),
        }
        count
    }

    /// What is wrong, by the name that the library gives it.
    fn fault(&self, name: &str) -> &'static str {
        match name {
            "Frame requires too much memory for decoding" => WINDOW,
            "Restored data doesn't match checksum" => BAD_CHECKSUM,
            "Dictionary mismatch" => DICTIONARY,
            "Unknown frame descriptor" if self.frames > 0 => TRAILING,
            "Unknown frame descriptor" | "Unsupported frame parameter" => BAD_HEADER,
            _ => BAD_DATA,
        }
    }
}

#[cfg(test)]
mod tests {
    use zstd_safe::{CCtx, CParameter};

    use super::{
        BAD_CHECKSUM, BAD_DATA, BAD_HEADER, CUT_SHORT, DICTIONARY, TRAILING, Unzstd, WINDOW,
        is_magic,
    };

    /// A frame with a checksum.
    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut into = Vec::with_capacity(bytes.len() + 1024);
        let mut encoder = CCtx::create();
        encoder.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
        encoder.compress2(&mut into, bytes).unwrap();
        into
    }

    /// Everything that can be read, and how it ended.
    fn unzstd(file: &[u8]) -> (Vec<u8>, Result<(), &'static str>) {
        let mut unzstd = Unzstd::new(file);
        let mut all = Vec::new();
        let mut window = [0; 700];
        loop {
            match unzstd.read(&mut window) {
                Ok(0) => return (all, Ok(())),
                Ok(count) => all.extend_from_slice(&window[..count]),
                Err(fault) => {
                    assert_eq!(unzstd.read(&mut window), Ok(0), "the end follows a fault");
                    return (all, Err(fault));
                }
            }
        }
    }

    /// Bytes that do not compress well.
    fn noise(count: u32) -> Vec<u8> {
        let mut seed = 7_u32;
        (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn reads_frames_and_skips_what_is_to_be_skipped() {
        let plain = [noise(500_000), vec![7; 300_000], noise(3000)];
        let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let frames = plain.each_ref().map(|one| zstd(one));
        let [first, second, third] = &frames;
        let file = [&skippable[..], first, second, &zstd(&[]), &skippable, third].concat();
        assert!(unzstd(&file) == (plain.concat(), Ok(())));
        assert!(is_magic(*file.first_chunk().unwrap()) && is_magic(*first.first_chunk().unwrap()));
        assert!(!is_magic([0x28, 0xb5, 0x2f, 0xfc]) && !is_magic([0x60, 0x2a, 0x4d, 0x18]));
    }

    #[test]
    fn keeps_every_block_before_the_file_was_cut() {
        let plain = noise(400_000);
        let file = zstd(&plain);
        assert!(unzstd(&file[..file.len() - 1]) == (plain.clone(), Err(CUT_SHORT)));
        let (half, end) = unzstd(&file[..file.len() / 2]);
        assert_eq!(end, Err(CUT_SHORT));
        assert!(half.len() >= 128 << 10 && plain.starts_with(&half), "{}", half.len());
        for cut in 4..30 {
            let (head, end) = unzstd(&file[..cut]);
            assert!(plain.starts_with(&head) && end == Err(CUT_SHORT), "{cut}");
        }
        let whole = zstd(b"abc");
        let cut = [&whole[..], &file[..7]].concat();
        assert_eq!(unzstd(&cut), (b"abc".to_vec(), Err(CUT_SHORT)));
    }

    #[test]
    fn keeps_every_block_before_a_corruption() {
        // A frame of a 1 KiB window: a raw block of three bytes, then one of the reserved type 3.
        let mut file = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00];
        file.extend_from_slice(&[3 << 3, 0, 0, b'a', b'b', b'c', 3 << 1, 0, 0]);
        assert_eq!(unzstd(&file), (b"abc".to_vec(), Err(BAD_DATA)));
    }

    #[test]
    fn tells_what_is_wrong() {
        let plain = noise(100);
        let mut file = zstd(&plain);
        *file.last_mut().unwrap() ^= 1;
        assert_eq!(unzstd(&file).1, Err(BAD_CHECKSUM));
        *file.last_mut().unwrap() ^= 1;
        file.extend_from_slice(b"more");
        assert_eq!(unzstd(&file), (plain, Err(TRAILING)));
        file[4] |= 0x08;
        assert_eq!(unzstd(&file), (vec![], Err(BAD_HEADER)), "a reserved bit");
        let named = [0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x00, 0x2a, 0x01, 0x00, 0x00];
        assert_eq!(unzstd(&named), (vec![], Err(DICTIONARY)));
    }

    #[test]
    fn a_window_is_bounded() {
        let frame = |log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3, 0x01, 0x00, 0x00];
        assert_eq!(unzstd(&frame(27)), (vec![], Ok(())));
        assert_eq!(unzstd(&frame(28)), (vec![], Err(WINDOW)));
        assert_eq!(unzstd(&frame(41)), (vec![], Err(WINDOW)));
    }

    #[test]
    fn a_bomb_costs_no_memory() {
        // Blocks that stand for 128 KiB of one byte each.
        let mut file = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
        let block = (128_u32 << 10 << 3) | (1 << 1);
        for _ in 0..1000 {
            file.extend_from_slice(&block.to_le_bytes()[..3]);
            file.push(7);
        }
        let mut unzstd = Unzstd::new(&file[..]);
        let (mut window, mut total) = (vec![0; 1 << 20], 0);
        let end = loop {
            match unzstd.read(&mut window) {
                Ok(0) => break Ok(()),
                Ok(count) => total += count,
                Err(fault) => break Err(fault),
            }
        };
        assert_eq!((total, end), (1000 * (128 << 10), Err(CUT_SHORT)));
        assert!(unzstd.decoder.sizeof() < 1 << 20, "{}", unzstd.decoder.sizeof());
    }
}
