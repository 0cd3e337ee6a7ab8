//! The bytes of a capture file, decompressed, through one bounded buffer.

use std::io::{Chain, Cursor as Bytes, ErrorKind, Read};
use std::ops::Range;

use crate::bytes::{Cursor, Short};

use super::gzip::{self, Gunzip};
use super::zstd::{self, Unzstd};

/// What is read at once; holds the largest record of a pcap file.
const BUFFER: usize = 1 << 20;

/// So many bytes tell how a file is compressed.
const LONGEST_MAGIC: u64 = 4;

/// In which order the bytes of a field stand: that of the host that wrote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Reads the fields of a record in the byte order of its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    cursor: Cursor<'a>,
    order: Order,
}

impl<'a> Fields<'a> {
    /// Starts at the head of `bytes`.
    #[inline]
    pub(super) const fn new(bytes: &'a [u8], order: Order) -> Self {
        Self { cursor: Cursor::new(bytes), order }
    }

    /// Whether everything was read.
    pub(super) const fn is_empty(&self) -> bool {
        self.cursor.is_empty()
    }

    /// Skips `count` bytes.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) -> Result<(), Short> {
        self.cursor.skip(count)
    }

    /// The next `count` bytes.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Short> {
        self.cursor.take(count)
    }

    /// Reads a 16-bit field.
    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16, Short> {
        match self.order {
            Order::Little => self.cursor.u16_le(),
            Order::Big => self.cursor.u16_be(),
        }
    }

    /// Reads a 32-bit field.
    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, Short> {
        match self.order {
            Order::Little => self.cursor.u32_le(),
            Order::Big => self.cursor.u32_be(),
        }
    }

    /// Reads a signed 64-bit field.
    pub(super) fn i64(&mut self) -> Result<i64, Short> {
        let bytes = self.cursor.array()?;
        Ok(match self.order {
            Order::Little => i64::from_le_bytes(bytes),
            Order::Big => i64::from_be_bytes(bytes),
        })
    }
}

/// Counts what was read of the file as it lies on the disk.
pub(super) struct Counted {
    inner: Box<dyn Read + Send>,
    count: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.count = self.count.saturating_add(count as u64);
        Ok(count)
    }
}

/// A file whose first bytes were looked at and put back.
pub(super) type Rewound = Chain<Bytes<Vec<u8>>, Counted>;

/// Where the bytes come from.
enum Input {
    Plain(Rewound),
    Gzip(Box<Gunzip<Rewound>>),
    Zstd(Box<Unzstd<Rewound>>),
}

impl Input {
    /// Looks at the first bytes of `reader`, not at its name, to tell whether it is compressed.
    fn new(reader: Box<dyn Read + Send>) -> Self {
        let mut reader = Counted { inner: reader, count: 0 };
        let mut head = Vec::new();
        // An error here comes again when the rest is read, and is told then.
        let _ = (&mut reader).take(LONGEST_MAGIC).read_to_end(&mut head);
        let is_gzip = head.starts_with(&gzip::MAGIC);
        let is_zstd = head.first_chunk().is_some_and(|head| zstd::is_magic(*head));
        let rewound = Bytes::new(head).chain(reader);
        if is_gzip {
            Self::Gzip(Box::new(Gunzip::new(rewound)))
        } else if is_zstd {
            Self::Zstd(Box::new(Unzstd::new(rewound)))
        } else {
            Self::Plain(rewound)
        }
    }

    /// Reads some bytes; 0 at the end.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, &'static str> {
        match self {
            Self::Plain(file) => loop {
                match file.read(into) {
                    Ok(count) => return Ok(count),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return Err("reading the file failed"),
                }
            },
            Self::Gzip(gunzip) => gunzip.read(into),
            Self::Zstd(unzstd) => unzstd.read(into),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Plain(file) => file.get_ref().1.count,
            Self::Gzip(gunzip) => gunzip.get_ref().get_ref().1.count,
            Self::Zstd(unzstd) => unzstd.get_ref().get_ref().1.count,
        }
    }
}

/// A window on the bytes of a capture file. It slides: memory does not depend on the file's size.
pub(super) struct Stream {
    input: Input,
    buffer: Vec<u8>,
    /// `buffer[start..end]` was read and not consumed.
    start: usize,
    end: usize,
    /// Where in the stream `buffer` begins.
    base: u64,
    /// Bytes of the file as it lies on the disk that were read.
    read: u64,
    ended: bool,
    fault: Option<&'static str>,
}

impl Stream {
    /// Starts at the head of `reader`.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self {
            input: Input::new(reader),
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            base: 0,
            read: 0,
            ended: false,
            fault: None,
        }
    }

    /// Where in the decompressed stream the next byte stands.
    pub(super) const fn offset(&self) -> u64 {
        self.base.saturating_add(self.start as u64)
    }

    /// Bytes of the file as it lies on the disk that were read.
    #[inline]
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// All that lies in the buffer if that is at least `count` bytes, after reading on if need be;
    /// `None` if the stream ends before.
    #[inline]
    pub(super) fn peek(&mut self, count: usize) -> Option<&[u8]> {
        if self.end.saturating_sub(self.start) < count && !self.fill(count) {
            return None;
        }
        self.buffer.get(self.start..self.end)
    }

    /// Consumes `count` bytes that were peeked, and says where in the buffer they begin. They
    /// stay there until the next peek.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) -> usize {
        let start = self.start;
        self.start = start.saturating_add(count).min(self.end);
        start
    }

    /// Consumes `count` bytes without keeping them; false if the stream ends before.
    pub(super) fn skip(&mut self, mut count: usize) -> bool {
        while count > 0 {
            let step = count.min(BUFFER);
            if self.peek(step).is_none() {
                return false;
            }
            self.consume(step);
            count = count.saturating_sub(step);
        }
        true
    }

    /// Bytes that were consumed since the last peek.
    #[inline]
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// Whether the stream has ended, in order: nothing is left, and nothing went wrong.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) fn at_end(&mut self) -> Result<bool, &'static str> {
        let more = self.peek(1).is_some();
        match self.fault {
            Some(fault) if !more => Err(fault),
            _ => Ok(!more),
        }
    }

    /// Why the stream ended too early: what went wrong in reading, else `otherwise`.
    pub(super) fn shortfall(&self, otherwise: &'static str) -> &'static str {
        self.fault.unwrap_or(otherwise)
    }

    /// Reads until `count` bytes lie in the buffer; false if the stream ends before.
    #[cold]
    fn fill(&mut self, count: usize) -> bool {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base = self.offset();
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        if self.buffer.len() < count {
            self.buffer.resize(count, 0);
        }
        while self.end < count && !self.ended {
            let Some(vacant) = self.buffer.get_mut(self.end..) else { break };
            match self.input.read(vacant) {
                Ok(0) => self.ended = true,
                Ok(more) => self.end = self.end.saturating_add(more),
                Err(fault) => {
                    self.fault = Some(fault);
                    self.ended = true;
                }
            }
        }
        self.read = self.input.count();
        self.end >= count
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::{BUFFER, Stream};

    /// Gives one byte at a time, and interruptions in between.
    struct Trickle {
        left: Vec<u8>,
        interrupted: bool,
    }

    impl Read for Trickle {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let Some(byte) = self.left.pop() else { return Ok(0) };
            into[0] = byte;
            Ok(1)
        }
    }

    #[test]
    fn peeks_and_consumes_across_reads() {
        let mut stream =
            Stream::new(Box::new(Trickle { left: vec![5, 4, 3, 2, 1], interrupted: false }));
        assert_eq!(stream.peek(2), Some(&[1, 2, 3, 4][..]));
        let start = stream.consume(1);
        assert_eq!(stream.bytes(std::ops::Range { start, end: start + 1 }), [1]);
        assert_eq!((stream.offset(), stream.read()), (1, 4));
        assert_eq!(stream.peek(4), Some(&[2, 3, 4, 5][..]));
        assert_eq!(stream.peek(5), None);
        assert!(stream.skip(4));
        assert!(!stream.skip(1));
        assert_eq!((stream.at_end(), stream.offset()), (Ok(true), 5));
    }

    #[test]
    fn slides_over_a_stream_longer_than_the_buffer() {
        let length = 3 * BUFFER + 7;
        let mut stream = Stream::new(Box::new(io::repeat(7).take(length as u64)));
        let mut seen = 0;
        while stream.peek(1000).is_some() {
            stream.consume(1000);
            seen += 1000;
        }
        assert_eq!((seen, stream.offset()), (length / 1000 * 1000, seen as u64));
        assert_eq!(stream.buffer.len(), BUFFER);
        assert!(stream.skip(length - seen));
        assert_eq!(stream.at_end(), Ok(true));
    }

    #[test]
    fn an_error_in_reading_is_told_after_what_came_before_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::Other.into())
            }
        }
        let mut stream = Stream::new(Box::new(io::repeat(7).take(3).chain(Broken)));
        assert_eq!(stream.peek(3), Some(&[7, 7, 7][..]));
        stream.consume(3);
        assert_eq!(stream.at_end(), Err("reading the file failed"));
        assert_eq!(stream.shortfall("short"), "reading the file failed");
    }
}
