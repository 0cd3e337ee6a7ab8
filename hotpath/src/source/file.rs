//! Capture files: pcap and pcapng, plain, gzip or zstd, told by how they begin and not by their names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::pcap::Pcap;
use super::pcapng::{Block, Pcapng, SECTION_HEADER};
use super::stream::Stream;
use super::{Damage, Frame, LinkType, Source, SourceError, SourceHealth};

/// The longest captured length that is held for possible, as in Wireshark.
pub const LARGEST_FRAME: u32 = 262_144;

/// A frame, as a place in the stream's buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) time: i64,
    pub(super) link: LinkType,
    pub(super) interface: u32,
    /// Where its bytes begin in the stream's buffer.
    pub(super) start: usize,
    pub(super) captured: u32,
    pub(super) original_length: u32,
}

/// What the bytes of a file mean.
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// A capture file that is being read. Memory does not depend on the length of the file, and a
/// frame's bytes lie in the buffer into which the file was read: nothing is allocated for a frame.
pub struct CaptureFile {
    stream: Stream,
    format: Format,
    health: SourceHealth,
    /// The number of the last frame, or of what Wireshark numbers like one.
    number: u64,
    size: u64,
    over: bool,
}

/// Opens a capture file.
///
/// # Errors
/// The file cannot be read, is empty, or is not a capture.
pub fn open(path: &Path) -> Result<CaptureFile, SourceError> {
    let name = path.display().to_string();
    let fault = |what: String| SourceError { name: name.clone(), offset: 0, what };
    let file = File::open(path).map_err(|error| fault(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| fault(error.to_string()))?;
    if metadata.is_dir() {
        return Err(fault("is a directory, not a capture file".to_owned()));
    }
    CaptureFile::new(&name, metadata.len(), file)
}

impl CaptureFile {
    /// Reads a capture of `size` bytes (0 if that is not known) from any reader; `name` is for
    /// messages.
    ///
    /// # Errors
    /// It cannot be read, is empty, or is not a capture.
    pub fn new(
        name: &str,
        size: u64,
        reader: impl Read + Send + 'static,
    ) -> Result<Self, SourceError> {
        let mut stream = Stream::new(Box::new(reader));
        let format = recognise(&mut stream).map_err(|what| SourceError {
            name: name.to_owned(),
            offset: stream.offset(),
            what: what.to_owned(),
        })?;
        let health = SourceHealth { read: stream.read(), ..SourceHealth::default() };
        Ok(Self { stream, format, health, number: 0, size, over: false })
    }

    /// The length of the file as it lies on the disk, in bytes; what [`SourceHealth::read`] grows
    /// to.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Finds the next frame; `None` at the end.
    #[inline]
    fn next_record(&mut self) -> Result<Option<Record>, Damage> {
        let pcapng = match &mut self.format {
            Format::Pcap(pcap) => return pcap.next(&mut self.stream),
            Format::Pcapng(pcapng) => pcapng,
        };
        loop {
            match pcapng.next(&mut self.stream)? {
                Some(Block::Frame(record)) => return Ok(Some(record)),
                Some(Block::Skipped { numbered }) => {
                    self.health.skipped = self.health.skipped.saturating_add(1);
                    self.number = self.number.saturating_add(u64::from(numbered));
                }
                Some(Block::Described) => {}
                None => return Ok(None),
            }
        }
    }
}

impl Source for CaptureFile {
    #[inline]
    fn next_frame(&mut self) -> Option<Frame<'_>> {
        if self.over {
            return None;
        }
        let next = self.next_record();
        self.health.read = self.stream.read();
        let record = match next {
            Ok(Some(record)) => record,
            Ok(None) => {
                self.over = true;
                return None;
            }
            Err(damage) => {
                self.over = true;
                self.health.damages.push(damage);
                return None;
            }
        };
        let Record { time, link, interface, start, captured, original_length } = record;
        let data = self.stream.bytes(start..start.saturating_add(captured as usize));
        self.number = self.number.saturating_add(1);
        self.health.frames = self.health.frames.saturating_add(1);
        self.health.bytes = self.health.bytes.saturating_add(data.len() as u64);
        if captured < original_length {
            self.health.snapped = self.health.snapped.saturating_add(1);
        }
        Some(Frame { number: self.number, time, link, interface, data, original_length })
    }

    fn health(&self) -> &SourceHealth {
        &self.health
    }
}

/// Tells the format by the first bytes.
fn recognise(stream: &mut Stream) -> Result<Format, &'static str> {
    let Some(magic) = stream.peek(4).and_then(|head| head.first_chunk().copied()) else {
        return Err(if stream.at_end()? { "is empty" } else { NOT_A_CAPTURE });
    };
    if Pcap::is_magic(magic) {
        return Pcap::open(stream).map(Format::Pcap);
    }
    if u32::from_be_bytes(magic) == SECTION_HEADER {
        let mut pcapng = Pcapng::new();
        // The first section header is read here, so that what is no capture is told at once.
        return match pcapng.next(stream) {
            Ok(_) => Ok(Format::Pcapng(pcapng)),
            Err(damage) => Err(damage.what),
        };
    }
    let other = OTHER_FORMATS.iter().find(|(prefix, _)| magic.starts_with(prefix));
    Err(other.map_or(NOT_A_CAPTURE, |(_, what)| what))
}

const NOT_A_CAPTURE: &str = "is not a capture file (pcap or pcapng)";

/// What people pass by mistake, and what to do about it.
const OTHER_FORMATS: [(&[u8], &str); 8] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "is compressed twice with zstd: decompress it first"),
    (&[0x04, 0x22, 0x4d, 0x18], "is compressed with lz4: decompress it first"),
    (&[0xfd, b'7', b'z', b'X'], "is compressed with xz: decompress it first"),
    (b"BZh", "is compressed with bzip2: decompress it first"),
    (b"PK\x03\x04", "is a zip archive: unpack it first"),
    (&[0x1f, 0x8b], "is compressed twice with gzip: decompress it first"),
    (b"snoo", "is a snoop capture: convert it with editcap -F pcapng"),
    (b"GMBU", "is a Network Monitor capture: convert it with editcap -F pcapng"),
];
