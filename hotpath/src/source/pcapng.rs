//! The pcapng format: sections of blocks (draft-ietf-opsawg-pcapng). What is damaged is what
//! Wireshark holds for damaged, and reading ends there as it does in Wireshark.

use crate::bytes::Short;

use super::file::{LARGEST_FRAME, Record};
use super::stream::{Fields, Order, Stream};
use super::{Damage, LinkType};

/// The block type of a section header, the same in both byte orders.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;

pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
pub(super) const ENHANCED_PACKET: u32 = 6;

/// Blocks that Wireshark numbers among the frames although they hold none: the systemd journal
/// export block, and custom blocks.
const NUMBERED: [u32; 3] = [9, 0x0000_0bad, 0x4000_0bad];

/// Sysdig events, which Wireshark numbers too.
const NUMBERED_SYSDIG: [u32; 6] = [0x204, 0x208, 0x216, 0x217, 0x221, 0x222];

pub(super) const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Type and total length before a block's body, total length after it.
const BLOCK_HEADER: usize = 8;
const BLOCK_TRAILER: usize = 4;

/// The shortest block of all.
const SMALLEST_BLOCK: usize = 12;

/// The longest block that is held for possible, as in Wireshark.
const LARGEST_BLOCK: usize = 16 << 20;

/// Header of an enhanced or obsolete packet block, up to the frame.
const PACKET_HEADER: usize = 28;

/// Header of a simple packet block, up to the frame.
const SIMPLE_PACKET_HEADER: usize = 12;

/// A bound on memory: who has more interfaces than this in one section is lying.
const MOST_INTERFACES: usize = 1 << 16;

pub(super) const IF_TSRESOL: u16 = 9;
pub(super) const IF_TSOFFSET: u16 = 14;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

const CUT_SHORT: &str = "the file ends within a block";
const TOO_SHORT: &str = "a block is too short for what it holds";

/// How the timestamps of an interface become nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolution {
    /// Each unit is that many nanoseconds.
    Multiply(u32),
    /// Each nanosecond is that many units.
    Divide(u64),
    /// A second is two to the power of that many units.
    Binary(u8),
}

impl Resolution {
    /// Reads an `if_tsresol`; `None` if a second's units do not fit 64 bits.
    fn new(exponent: u8) -> Option<Self> {
        match exponent {
            0..=9 => {
                10_u32.checked_pow(u32::from(9_u8.saturating_sub(exponent))).map(Self::Multiply)
            }
            10..=19 => 10_u64.checked_pow(u32::from(exponent.saturating_sub(9))).map(Self::Divide),
            0x80..=0xbf => Some(Self::Binary(exponent & 0x7f)),
            _ => None,
        }
    }

    /// Nanoseconds of a timestamp.
    #[inline]
    fn nanos(self, units: u64) -> i128 {
        let units = i128::from(units);
        // Cannot overflow: 64 bits times at most 30 bits fit 127.
        match self {
            Self::Multiply(factor) => units * i128::from(factor),
            Self::Divide(divisor) => units.checked_div(i128::from(divisor)).unwrap_or_default(),
            Self::Binary(exponent) => (units * NANOS_PER_SECOND) >> exponent,
        }
    }
}

/// What an interface description block tells.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: LinkType,
    snap_length: u32,
    resolution: Resolution,
    /// To be added to its timestamps, in nanoseconds.
    offset: i128,
}

impl Interface {
    /// Reads the body of an interface description block.
    fn new(body: &[u8], order: Order) -> Result<Self, &'static str> {
        let mut fields = Fields::new(body, order);
        let mut fixed = || {
            let link = fields.u16()?;
            fields.skip(2)?;
            Ok((link, fields.u32()?))
        };
        let (link, snap_length) = fixed().map_err(|_: Short| TOO_SHORT)?;
        let link = LinkType::from_number(link);
        let mut interface =
            Self { link, snap_length, resolution: Resolution::Multiply(1000), offset: 0 };
        while !fields.is_empty() {
            let (code, value) = option(&mut fields).map_err(|_| "an option is cut short")?;
            match (code, value) {
                (0, _) => break,
                (IF_TSRESOL, &[exponent]) => {
                    interface.resolution = Resolution::new(exponent)
                        .ok_or("an interface's timestamps are finer than 64 bits can tell")?;
                }
                (IF_TSOFFSET, value) => {
                    if let Ok(seconds) = Fields::new(value, order).i64() {
                        interface.offset = i128::from(seconds).saturating_mul(NANOS_PER_SECOND);
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }

    /// The time of a frame, held within what 64 bits can tell.
    #[inline]
    fn time(&self, units: u64) -> i64 {
        let nanos = self.resolution.nanos(units).saturating_add(self.offset);
        nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

/// Reads an option: its code and its value without padding.
fn option<'a>(fields: &mut Fields<'a>) -> Result<(u16, &'a [u8]), Short> {
    let (code, length) = (fields.u16()?, usize::from(fields.u16()?));
    let value = fields.take(length)?;
    fields.skip(length.next_multiple_of(4).saturating_sub(length))?;
    Ok((code, value))
}

/// What a block was.
#[derive(Debug)]
pub(super) enum Block {
    /// A frame.
    Frame(Record),
    /// Nothing that is read here.
    Skipped {
        /// Whether Wireshark gives it a frame number nevertheless.
        numbered: bool,
    },
    /// The description of a section or an interface.
    Described,
}

/// Reads the blocks of a pcapng file.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    /// The interfaces of the section.
    interfaces: Vec<Interface>,
    /// How many interfaces the sections before had.
    earlier_interfaces: u32,
    /// The time of the section's last frame that had one.
    last_time: i64,
}

impl Pcapng {
    /// Starts before the first section.
    pub(super) const fn new() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), earlier_interfaces: 0, last_time: 0 }
    }

    /// The next block; `None` at the end.
    ///
    /// # Errors
    /// The damage after which nothing is read.
    #[inline]
    pub(super) fn next(&mut self, stream: &mut Stream) -> Result<Option<Block>, Damage> {
        let offset = stream.offset();
        self.block(stream).map_err(|what| Damage { offset, what })
    }

    fn block(&mut self, stream: &mut Stream) -> Result<Option<Block>, &'static str> {
        let Some(head) = stream.peek(SMALLEST_BLOCK) else {
            return if stream.at_end()? { Ok(None) } else { Err(stream.shortfall(CUT_SHORT)) };
        };
        let kind = Fields::new(head, self.order).u32().map_err(|_| CUT_SHORT)?;
        if kind == SECTION_HEADER {
            self.section(stream)?;
            return Ok(Some(Block::Described));
        }
        let total = total_length(head, self.order)?;
        match kind {
            INTERFACE_DESCRIPTION => {
                let interface = Interface::new(body(stream, total, self.order)?, self.order)?;
                if self.interfaces.len() >= MOST_INTERFACES {
                    return Err("a section describes too many interfaces");
                }
                self.interfaces.push(interface);
                stream.consume(total);
                Ok(Some(Block::Described))
            }
            ENHANCED_PACKET | PACKET => self.packet(stream, kind, total).map(Some),
            SIMPLE_PACKET => self.simple_packet(stream, total).map(Some),
            _ => {
                skip(stream, total, self.order)?;
                let numbered = NUMBERED.contains(&kind) || NUMBERED_SYSDIG.contains(&kind);
                Ok(Some(Block::Skipped { numbered }))
            }
        }
    }

    /// Reads a section header: byte order and interfaces start anew.
    fn section(&mut self, stream: &mut Stream) -> Result<(), &'static str> {
        const SECTION_HEADER_LENGTH: usize = 28;
        let Some(head) = stream.peek(SECTION_HEADER_LENGTH) else {
            return Err(stream.shortfall(CUT_SHORT));
        };
        let magic = |order| {
            let mut fields = Fields::new(head, order);
            fields.skip(BLOCK_HEADER).and_then(|()| fields.u32()) == Ok(BYTE_ORDER_MAGIC)
        };
        let order = [Order::Little, Order::Big].into_iter().find(|order| magic(*order));
        let order = order.ok_or("a section has an unknown byte order")?;
        let total = total_length(head, order)?;
        if total < SECTION_HEADER_LENGTH {
            return Err(TOO_SHORT);
        }
        let mut fields = Fields::new(head, order);
        let mut version = || {
            fields.skip(SMALLEST_BLOCK)?;
            Ok((fields.u16()?, fields.u16()?))
        };
        match version().map_err(|_: Short| CUT_SHORT)? {
            (1, 0 | 2) => {}
            _ => return Err("a section has an unsupported pcapng version"),
        }
        skip(stream, total, order)?;
        self.order = order;
        self.earlier_interfaces =
            self.earlier_interfaces.saturating_add(self.interfaces.len() as u32);
        self.interfaces.clear();
        self.last_time = 0;
        Ok(())
    }

    /// Reads an enhanced packet block, or an obsolete packet block: they differ in the interface.
    #[inline]
    fn packet(
        &mut self,
        stream: &mut Stream,
        kind: u32,
        total: usize,
    ) -> Result<Block, &'static str> {
        let mut fields = Fields::new(body(stream, total, self.order)?, self.order);
        let mut fixed = || {
            let interface = if kind == PACKET {
                // Its other half counts drops.
                let interface = u32::from(fields.u16()?);
                fields.skip(2)?;
                interface
            } else {
                fields.u32()?
            };
            Ok((interface, [fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?]))
        };
        let (number, [high, low, captured, original_length]) =
            fixed().map_err(|_: Short| TOO_SHORT)?;
        holds(fields, captured)?;
        let interface = self.interface(number)?;
        let time = interface.time((u64::from(high) << 32) | u64::from(low));
        let link = interface.link;
        self.last_time = time;
        let start = stream.consume(total).saturating_add(PACKET_HEADER);
        let interface = self.earlier_interfaces.saturating_add(number);
        Ok(Block::Frame(Record { time, link, interface, start, captured, original_length }))
    }

    /// Reads a simple packet block.
    fn simple_packet(&mut self, stream: &mut Stream, total: usize) -> Result<Block, &'static str> {
        let mut fields = Fields::new(body(stream, total, self.order)?, self.order);
        let original_length = fields.u32().map_err(|_| TOO_SHORT)?;
        let Interface { link, snap_length, .. } = *self.interface(0)?;
        // It does not tell the captured length: the snap length cut it, unless there is none.
        let captured = match snap_length {
            0 => original_length,
            limit => original_length.min(limit),
        };
        holds(fields, captured)?;
        let start = stream.consume(total).saturating_add(SIMPLE_PACKET_HEADER);
        Ok(Block::Frame(Record {
            // It has no timestamp. The capture's clock must not run back to 1970 for it: it was
            // captured no earlier than the frame before it.
            time: self.last_time,
            link,
            interface: self.earlier_interfaces,
            start,
            captured,
            original_length,
        }))
    }

    #[inline]
    fn interface(&self, number: u32) -> Result<&Interface, &'static str> {
        self.interfaces
            .get(number as usize)
            .ok_or("a frame is of an interface that was not described")
    }
}

/// Whether the rest of a block's body holds a frame of `captured` bytes and its padding.
#[inline]
fn holds(mut rest: Fields<'_>, captured: u32) -> Result<(), &'static str> {
    if captured > LARGEST_FRAME {
        return Err("a block's frame is longer than any frame");
    }
    rest.skip((captured as usize).next_multiple_of(4)).map_err(|_| TOO_SHORT)
}

/// The total length of the block that `head` begins, padding included: some writers leave it out.
#[inline]
fn total_length(head: &[u8], order: Order) -> Result<usize, &'static str> {
    let mut fields = Fields::new(head, order);
    let length = fields.skip(4).and_then(|()| fields.u32()).map_err(|_| CUT_SHORT)?;
    match (length as usize).checked_next_multiple_of(4) {
        Some(0..SMALLEST_BLOCK) => Err("a block is shorter than any block"),
        Some(total @ ..=LARGEST_BLOCK) => Ok(total),
        _ => Err("a block is longer than any block"),
    }
}

/// The body of the next block, which is left in the stream, with the trailer checked.
#[inline]
fn body(stream: &mut Stream, total: usize, order: Order) -> Result<&[u8], &'static str> {
    // Asked for twice, because a borrow that is returned in one branch lasts in the other.
    if stream.peek(total).is_none() {
        return Err(stream.shortfall(CUT_SHORT));
    }
    let block = stream.peek(total).ok_or(CUT_SHORT)?;
    let body = block
        .get(BLOCK_HEADER..total.saturating_sub(BLOCK_TRAILER))
        .ok_or("a block is shorter than any block")?;
    check_trailer(block.get(total.saturating_sub(BLOCK_TRAILER)..), total, order)?;
    Ok(body)
}

/// Passes over the next block, with the trailer checked.
fn skip(stream: &mut Stream, total: usize, order: Order) -> Result<(), &'static str> {
    if !stream.skip(total.saturating_sub(BLOCK_TRAILER)) {
        return Err(stream.shortfall(CUT_SHORT));
    }
    let Some(trailer) = stream.peek(BLOCK_TRAILER) else {
        return Err(stream.shortfall(CUT_SHORT));
    };
    check_trailer(Some(trailer), total, order)?;
    stream.consume(BLOCK_TRAILER);
    Ok(())
}

/// The total length at the end of a block must be that at its beginning.
#[inline]
fn check_trailer(trailer: Option<&[u8]>, total: usize, order: Order) -> Result<(), &'static str> {
    let length = Fields::new(trailer.unwrap_or_default(), order).u32().map_err(|_| CUT_SHORT)?;
    if (length as usize).checked_next_multiple_of(4) == Some(total) {
        Ok(())
    } else {
        Err("a block's two lengths do not agree")
    }
}
