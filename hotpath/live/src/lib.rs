//! Receives frames from a network interface of Linux: a packet socket with a ring of blocks that
//! the kernel fills (`TPACKET_V3`), as described in the kernel's `packet_mmap.rst`.
//!
//! Nothing is ever sent. This crate holds all unsafe code of the hot path: system calls, and
//! reading what the kernel wrote. A block belongs either to the kernel or to us; its status word
//! says to whom, and is read and written with acquire and release order.
#![deny(unsafe_op_in_unsafe_fn)]

mod ring;
mod socket;

pub use ring::{Packet, Ring};
pub use socket::{Instruction, Link, Options, Statistics, Trouble};
