//! Gzip (RFC 1952), member after member. Unlike a ready-made decoder it hands out every byte that
//! came before a corruption, so that the frames there are kept.

use std::io::{BufRead, BufReader, ErrorKind, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// How a gzip member begins.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

const CUT_SHORT: &str = "the gzip stream ends early";
const FAILED: &str = "reading the file failed";
const BAD_HEADER: &str = "the gzip stream is corrupt (header)";
const BAD_DATA: &str = "the gzip stream is corrupt (data)";
const BAD_CHECKSUM: &str = "the gzip stream is corrupt (checksum)";
const TRAILING: &str = "other bytes follow the gzip stream";

/// The compression method of every gzip file.
const DEFLATE: u8 = 8;

// Flags of the header, RFC 1952 section 2.3.1.
const HAS_HEADER_CRC: u8 = 0x02;
const HAS_EXTRA: u8 = 0x04;
const HAS_NAME: u8 = 0x08;
const HAS_COMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;

enum State {
    /// A member may begin here; the first one must.
    Member,
    /// In the compressed data of a member.
    Data,
    /// Everything was told.
    Over,
    /// To be told at the next call.
    Failed(&'static str),
}

/// Decompresses a gzip file.
pub(super) struct Gunzip<R> {
    input: BufReader<R>,
    inflate: Decompress,
    crc: Crc,
    members: u64,
    state: State,
}

impl<R: Read> Gunzip<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            input: BufReader::with_capacity(1 << 16, reader),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            members: 0,
            state: State::Member,
        }
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
                State::Member => match self.begin_member() {
                    Ok(true) => self.state = State::Data,
                    Ok(false) => self.state = State::Over,
                    Err(fault) => self.state = State::Failed(fault),
                },
                State::Data => {
                    let count = self.inflate(into);
                    if count > 0 {
                        return Ok(count);
                    }
                }
            }
        }
    }

    /// Decompresses some bytes of a member; at its end, or where it is damaged, changes the state.
    fn inflate(&mut self, into: &mut [u8]) -> usize {
        let input = match self.input.fill_buf() {
            Ok(input) => input,
            Err(error) if error.kind() == ErrorKind::Interrupted => return 0,
            Err(_) => {
                self.state = State::Failed(FAILED);
                return 0;
            }
        };
        let ended = input.is_empty();
        let (had, gave) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, into, FlushDecompress::None);
        let consumed = self.inflate.total_in().saturating_sub(had) as usize;
        let count = self.inflate.total_out().saturating_sub(gave) as usize;
        self.input.consume(consumed);
        self.crc.update(into.get(..count).unwrap_or_default());
        match status {
            Ok(Status::StreamEnd) => match self.end_member() {
                Ok(()) => self.state = State::Member,
                Err(fault) => self.state = State::Failed(fault),
            },
            Ok(_) if count > 0 || consumed > 0 => {}
            // No step forward is possible: without input the file ends here, with input it is
            // damaged; either way the loop must not go on.
            Ok(_) if ended => self.state = State::Failed(CUT_SHORT),
            Ok(_) | Err(_) => self.state = State::Failed(BAD_DATA),
        }
        count
    }

    /// Reads the header of a member; false at the end of the file.
    fn begin_member(&mut self) -> Result<bool, &'static str> {
        if self.members > 0 && self.input.fill_buf().is_ok_and(<[u8]>::is_empty) {
            return Ok(false);
        }
        let magic = self.array::<2>();
        if magic != Ok(MAGIC) {
            return Err(if self.members > 0 { TRAILING } else { BAD_HEADER });
        }
        let [method, flags, _time @ .., _level, _system] = self.array::<8>()?;
        if method != DEFLATE || flags & RESERVED != 0 {
            return Err(BAD_HEADER);
        }
        if flags & HAS_EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(self.array()?) {
                self.array::<1>()?;
            }
        }
        for text in [HAS_NAME, HAS_COMMENT] {
            while flags & text != 0 && self.array()? != [0] {}
        }
        if flags & HAS_HEADER_CRC != 0 {
            self.array::<2>()?;
        }
        self.members = self.members.saturating_add(1);
        self.inflate.reset(false);
        self.crc.reset();
        Ok(true)
    }

    /// Checks what follows the data of a member: its checksum and length.
    fn end_member(&mut self) -> Result<(), &'static str> {
        let checksum = u32::from_le_bytes(self.array()?);
        let length = u32::from_le_bytes(self.array()?);
        if checksum == self.crc.sum() && length == self.crc.amount() {
            Ok(())
        } else {
            Err(BAD_CHECKSUM)
        }
    }

    /// The next `N` bytes of the file.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let mut bytes = [0; N];
        match self.input.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(CUT_SHORT),
            Err(_) => Err(FAILED),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::{BAD_CHECKSUM, BAD_DATA, BAD_HEADER, CUT_SHORT, Gunzip, TRAILING};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Everything that can be read, and how it ended.
    fn gunzip(file: &[u8]) -> (Vec<u8>, Result<(), &'static str>) {
        let mut gunzip = Gunzip::new(file);
        let mut all = Vec::new();
        let mut window = [0; 700];
        loop {
            match gunzip.read(&mut window) {
                Ok(0) => return (all, Ok(())),
                Ok(count) => all.extend_from_slice(&window[..count]),
                Err(fault) => {
                    assert_eq!(gunzip.read(&mut window), Ok(0), "the end follows a fault");
                    return (all, Err(fault));
                }
            }
        }
    }

    /// Bytes that do not compress well.
    fn noise(count: u32) -> Vec<u8> {
        let next = |seed: &mut u32| {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*seed >> 24) as u8)
        };
        std::iter::repeat_with(|| ()).scan(7, |seed, ()| next(seed)).take(count as usize).collect()
    }

    #[test]
    fn reads_members_with_every_optional_field() {
        let plain = [noise(5000), noise(3000)];
        let second = gzip(&plain[1]);
        let mut file = gzip(&plain[0]);
        file.extend_from_slice(&[0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 255]);
        file.extend_from_slice(&[3, 0, 1, 2, 3]); // extra field of 3 bytes
        file.extend_from_slice(b"name\0comment\0");
        file.extend_from_slice(&[0xaa, 0xbb]); // checksum of the header, not checked
        file.extend_from_slice(&second[10..]);
        file.extend_from_slice(&gzip(&[]));
        assert_eq!(gunzip(&file), (plain.concat(), Ok(())));
    }

    #[test]
    fn keeps_every_byte_before_the_file_was_cut() {
        let plain = noise(4000);
        let file = gzip(&plain);
        assert_eq!(gunzip(&file[..file.len() - 1]), (plain.clone(), Err(CUT_SHORT)));
        let (half, end) = gunzip(&file[..file.len() / 2]);
        assert_eq!(end, Err(CUT_SHORT));
        assert!(half.len() > 1500 && plain.starts_with(&half), "{}", half.len());
        assert_eq!(gunzip(&file[..7]), (vec![], Err(CUT_SHORT)));
        assert_eq!(gunzip(&[]), (vec![], Err(BAD_HEADER)));
    }

    #[test]
    fn keeps_every_byte_before_a_corruption() {
        // A stored block (RFC 1951 section 3.2.4), then a block of the reserved type 3.
        let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        file.extend_from_slice(&[0, 3, 0, !3, !0, b'a', b'b', b'c', 0x07]);
        assert_eq!(gunzip(&file), (b"abc".to_vec(), Err(BAD_DATA)));
    }

    #[test]
    fn tells_what_is_wrong() {
        let plain = noise(100);
        let mut file = gzip(&plain);
        let end = file.len();
        file[end - 5] ^= 1;
        assert_eq!(gunzip(&file), (plain.clone(), Err(BAD_CHECKSUM)));
        file[end - 5] ^= 1;
        file[end - 1] ^= 1;
        assert_eq!(gunzip(&file), (plain.clone(), Err(BAD_CHECKSUM)), "wrong length");
        file[end - 1] ^= 1;
        file.push(0);
        assert_eq!(gunzip(&file), (plain, Err(TRAILING)));
        file[3] = 0x20;
        assert_eq!(gunzip(&file), (vec![], Err(BAD_HEADER)), "a reserved flag");
        file[2] = 7;
        assert_eq!(gunzip(&file), (vec![], Err(BAD_HEADER)), "an unknown method");
    }
}
