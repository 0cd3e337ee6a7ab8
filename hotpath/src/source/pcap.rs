//! The pcap format: a file header, then records (draft-ietf-opsawg-pcap).

use super::file::{LARGEST_FRAME, Record};
use super::stream::{Fields, Order, Stream};
use super::{Damage, LinkType};

/// Length of the file header.
const FILE_HEADER: usize = 24;

/// Length of a record's header.
const RECORD_HEADER: usize = 16;

/// Length of a record's header in the format of Kuznetzov's patch: interface index, protocol,
/// packet type and padding follow.
const PATCHED_RECORD_HEADER: usize = 24;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// In which order a record tells the captured and the original length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    /// Captured first, as versions since 2.4 do.
    CapturedFirst,
    /// Original first, as versions before 2.3 do.
    OriginalFirst,
    /// Version 2.3 has both; the original length is the larger one.
    Unsure,
}

/// Reads the records of a pcap file.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    nanos_per_fraction: i64,
    record_header: usize,
    lengths: Lengths,
    link: LinkType,
}

impl Pcap {
    /// Whether `magic` begins a pcap file.
    pub(super) fn is_magic(magic: [u8; 4]) -> bool {
        read_magic(magic).is_some()
    }

    /// Reads the file header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn open(stream: &mut Stream) -> Result<Self, &'static str> {
        const CUT_SHORT: &str = "the file ends within its header";
        let Some(head) = stream.peek(FILE_HEADER) else {
            return Err(stream.shortfall(CUT_SHORT));
        };
        let magic = head.first_chunk().copied().and_then(read_magic);
        let (order, nanos_per_fraction, record_header) = magic.ok_or("not a pcap file")?;
        let mut fields = Fields::new(head, order);
        let mut next = || {
            fields.skip(4)?;
            let version = (fields.u16()?, fields.u16()?);
            fields.skip(12)?;
            Ok((version, fields.u32()?))
        };
        let (version, link) = next().map_err(|_: crate::bytes::Short| CUT_SHORT)?;
        let lengths = match version {
            (0 | 1, _) => return Err("a pcap version before 2.0 is not supported"),
            (2, 0..=2) | (543, _) => Lengths::OriginalFirst,
            (2, 3) => Lengths::Unsure,
            _ => Lengths::CapturedFirst,
        };
        stream.consume(FILE_HEADER);
        // The upper 16 bits tell the length of the frame check sequence.
        let link = LinkType::from_number(link as u16);
        Ok(Self { order, nanos_per_fraction, record_header, lengths, link })
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// The damage after which nothing can be read: there is no way to find the next record but to
    /// guess.
    #[inline]
    pub(super) fn next(&mut self, stream: &mut Stream) -> Result<Option<Record>, Damage> {
        match self.record(stream) {
            Ok(record) => Ok(record),
            Err(what) => Err(Damage { offset: stream.offset(), what }),
        }
    }

    #[inline]
    fn record(&mut self, stream: &mut Stream) -> Result<Option<Record>, &'static str> {
        const CUT_SHORT: &str = "the file ends within a record";
        let Some(head) = stream.peek(self.record_header) else {
            return if stream.at_end()? { Ok(None) } else { Err(stream.shortfall(CUT_SHORT)) };
        };
        let mut fields = Fields::new(head, self.order);
        let mut next = || Ok([fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?]);
        let [seconds, fraction, first, second] =
            next().map_err(|_: crate::bytes::Short| CUT_SHORT)?;
        let (captured, original_length) = match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::OriginalFirst => (second, first),
            Lengths::Unsure => (first.min(second), first.max(second)),
        };
        if captured > LARGEST_FRAME {
            return Err("a record is longer than any frame");
        }
        let header = self.record_header;
        let length = header.saturating_add(captured as usize);
        if stream.peek(length).is_none() {
            return Err(stream.shortfall(CUT_SHORT));
        }
        let start = stream.consume(length).saturating_add(header);
        // Some writers subtract from the fraction and leave it negative.
        let fraction = i64::from(i32::from_ne_bytes(fraction.to_ne_bytes()));
        // Cannot overflow: 32 bits of seconds make less than 2^62 nanoseconds, and so on.
        let time = i64::from(seconds) * NANOS_PER_SECOND + fraction * self.nanos_per_fraction;
        Ok(Some(Record { time, link: self.link, interface: 0, start, captured, original_length }))
    }
}

/// Byte order, nanoseconds per unit of the fraction of a second, and length of record headers.
fn read_magic(magic: [u8; 4]) -> Option<(Order, i64, usize)> {
    let read = |order, number| match number {
        0xa1b2_c3d4 => Some((order, 1000, RECORD_HEADER)),
        0xa1b2_3c4d => Some((order, 1, RECORD_HEADER)),
        0xa1b2_cd34 => Some((order, 1000, PATCHED_RECORD_HEADER)),
        _ => None,
    };
    read(Order::Little, u32::from_le_bytes(magic))
        .or_else(|| read(Order::Big, u32::from_be_bytes(magic)))
}
