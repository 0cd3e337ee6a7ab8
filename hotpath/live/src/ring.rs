//! The ring of blocks that the kernel fills.

use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{io, mem};

use libc::{c_int, c_void};

use crate::socket::{self, Link, Options, Statistics, Trouble};

const BLOCK_BYTES: usize = 1 << 20;
const FRAME_BYTES: u32 = 2048;
/// After so many milliseconds the kernel hands over a block that is not full.
const HANDOVER_MILLISECONDS: u32 = 50;
const LEAST_BLOCKS: usize = 4;
const MOST_BLOCKS: usize = 4096;
/// Both MAC addresses: behind them a VLAN tag stands.
const MACS: usize = 12;
const TAG: usize = 4;
const TPID_VLAN: u16 = 0x8100;

/// A received frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Nanoseconds since the epoch, stamped by the kernel.
    pub time: i64,
    /// The bytes; a VLAN tag that the kernel took out stands where it was on the wire.
    pub data: &'a [u8],
    /// The length on the wire.
    pub original_length: u32,
}

/// An interface that is listened to.
#[derive(Debug)]
pub struct Ring {
    socket: OwnedFd,
    memory: NonNull<u8>,
    blocks: usize,
    next: usize,
    link: Link,
    statistics: Statistics,
    tagged: Vec<u8>,
}

// SAFETY: the mapping is used through this value only, and by one thread at a time.
unsafe impl Send for Ring {}

impl Ring {
    /// Listens to an interface from now on.
    ///
    /// # Errors
    /// There is no such interface, it is down, it is not permitted, or the kernel refuses.
    pub fn open(interface: &str, options: &Options) -> Result<Self, Trouble> {
        let socket = socket::open()?;
        let index = socket::index(interface)?;
        let version: c_int = libc::tpacket_versions::TPACKET_V3 as c_int;
        let ring = libc::SOL_PACKET;
        socket::set(&socket, ring, libc::PACKET_VERSION, &version, "asking for TPACKET_V3")?;
        let one: c_int = 1;
        // What this host sends is not the plant's; kernels before 4.20 do not know the option.
        let _ = socket::set(&socket, ring, libc::PACKET_IGNORE_OUTGOING, &one, "");
        socket::filter(&socket, &options.filter)?;
        let blocks = options.ring_bytes.div_ceil(BLOCK_BYTES).clamp(LEAST_BLOCKS, MOST_BLOCKS);
        let wanted = libc::tpacket_req3 {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: blocks as u32,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: (BLOCK_BYTES as u32 / FRAME_BYTES).saturating_mul(blocks as u32),
            tp_retire_blk_tov: HANDOVER_MILLISECONDS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        socket::set(&socket, ring, libc::PACKET_RX_RING, &wanted, "making the ring")?;
        let memory = map(&socket, blocks.saturating_mul(BLOCK_BYTES))?;
        let mut made = Self {
            socket,
            memory,
            blocks,
            next: 0,
            link: Link::Ethernet,
            statistics: Statistics::default(),
            tagged: Vec::new(),
        };
        socket::bind(&made.socket, index)?;
        if let Some(trouble) = socket::pending_error(&made.socket) {
            return Err(trouble);
        }
        made.link = socket::link(&made.socket)?;
        if options.promiscuous {
            socket::promiscuous(&made.socket, index)?;
        }
        Ok(made)
    }

    /// What frames begin with.
    #[must_use]
    pub const fn link(&self) -> Link {
        self.link
    }

    /// What the kernel counted so far.
    pub fn statistics(&mut self) -> Statistics {
        if let Some(more) = socket::counted(&self.socket) {
            let sum = &mut self.statistics;
            sum.received = sum.received.saturating_add(u64::from(more.tp_packets));
            sum.dropped = sum.dropped.saturating_add(u64::from(more.tp_drops));
            sum.freezes = sum.freezes.saturating_add(u64::from(more.tp_freeze_q_cnt));
        }
        self.statistics
    }

    /// Hands the frames of at most one block to `take`, in the order in which they came; waits for
    /// a block at most so many milliseconds. Returns how many there were.
    ///
    /// # Errors
    /// The interface went down or away.
    pub fn receive(
        &mut self,
        milliseconds: u16,
        take: impl FnMut(Packet<'_>),
    ) -> Result<usize, Trouble> {
        if !self.is_ours() {
            socket::wait(&self.socket, c_int::from(milliseconds))?;
            if !self.is_ours() {
                return Ok(0);
            }
        }
        let count = self.walk(take);
        self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = self.next.saturating_add(1).checked_rem(self.blocks).unwrap_or(0);
        Ok(count)
    }

    fn is_ours(&self) -> bool {
        self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// Where the present block begins.
    fn block(&self) -> NonNull<u8> {
        // SAFETY: `next` is less than `blocks`, so the block lies within the mapping.
        unsafe { self.memory.add(self.next.saturating_mul(BLOCK_BYTES)) }
    }

    /// The status word of the present block, which the kernel writes too.
    fn status(&self) -> &AtomicU32 {
        let offset = mem::offset_of!(libc::tpacket_block_desc, hdr);
        // SAFETY: the word lies within the block, aligned (blocks are pages), and both sides treat
        // it as atomic; it is the first field of the header behind `offset`.
        unsafe { AtomicU32::from_ptr(self.block().add(offset).cast::<u32>().as_ptr()) }
    }

    /// Goes through the frames of the present block, which is ours.
    fn walk(&mut self, mut take: impl FnMut(Packet<'_>)) -> usize {
        let link = self.link;
        let mut tagged = mem::take(&mut self.tagged);
        // SAFETY: the block is ours until its status is given back, so that nothing writes here;
        // it lies within the mapping, which lives as long as `self`.
        let block: &[u8] = unsafe { slice::from_raw_parts(self.block().as_ptr(), BLOCK_BYTES) };
        let mut count: usize = 0;
        if let Some(head) = read::<libc::tpacket_block_desc>(block, 0) {
            // SAFETY: TPACKET_V3 has one kind of header only.
            let head = unsafe { head.hdr.bh1 };
            let mut at = head.offset_to_first_pkt as usize;
            for _ in 0..head.num_pkts {
                let Some(header) = read::<libc::tpacket3_hdr>(block, at) else { break };
                let start = at.saturating_add(usize::from(header.tp_mac));
                let end = start.saturating_add(header.tp_snaplen as usize);
                let Some(data) = block.get(start..end) else { break };
                let time = i64::from(header.tp_sec)
                    .saturating_mul(1_000_000_000)
                    .saturating_add(i64::from(header.tp_nsec));
                take(whole(&header, data, time, link, &mut tagged));
                count = count.saturating_add(1);
                at = at.saturating_add(header.tp_next_offset as usize);
            }
        }
        self.tagged = tagged;
        count
    }
}

/// A frame as it was on the wire: with the VLAN tag that the kernel took out.
fn whole<'a>(
    header: &libc::tpacket3_hdr,
    data: &'a [u8],
    time: i64,
    link: Link,
    tagged: &'a mut Vec<u8>,
) -> Packet<'a> {
    let is_stripped = header.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
    match data.split_at_checked(MACS) {
        Some((macs, rest)) if is_stripped && link == Link::Ethernet => {
            let has_tpid = header.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
            let tpid = if has_tpid { header.hv1.tp_vlan_tpid } else { TPID_VLAN };
            tagged.clear();
            tagged.extend_from_slice(macs);
            tagged.extend_from_slice(&tpid.to_be_bytes());
            tagged.extend_from_slice(&(header.hv1.tp_vlan_tci as u16).to_be_bytes());
            tagged.extend_from_slice(rest);
            let original_length = header.tp_len.saturating_add(TAG as u32);
            Packet { time, data: tagged, original_length }
        }
        _ => Packet { time, data, original_length: header.tp_len },
    }
}

/// Reads a plain structure at an offset of a block, if it lies within.
fn read<T: Copy>(block: &[u8], at: usize) -> Option<T> {
    let end = at.checked_add(mem::size_of::<T>())?;
    let bytes = block.get(at..end)?;
    // SAFETY: the bytes are as many as the structure has; those read here are made of integers
    // only, for which every pattern is valid.
    Some(unsafe { ptr::read_unaligned(bytes.as_ptr().cast::<T>()) })
}

fn map(socket: &OwnedFd, length: usize) -> Result<NonNull<u8>, Trouble> {
    // SAFETY: a new mapping is asked for, of the ring of this socket; nothing is overwritten.
    let memory = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            socket.as_raw_fd(),
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return Err(Trouble::last("mapping the ring"));
    }
    NonNull::new(memory.cast::<u8>()).ok_or_else(|| {
        Trouble::Failed("mapping the ring", io::Error::from(io::ErrorKind::OutOfMemory))
    })
}

impl Drop for Ring {
    fn drop(&mut self) {
        let length = self.blocks.saturating_mul(BLOCK_BYTES);
        // SAFETY: the mapping is ours, of this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast::<c_void>(), length) };
    }
}
