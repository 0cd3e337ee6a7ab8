//! A packet socket: opening it, what it is bound to, and what the kernel counts for it.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::{fmt, io, mem, ptr};

use libc::{c_int, c_void, socklen_t};

/// An instruction of a classic BPF program, as `pcap_compile` makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump if true.
    pub yes: u8,
    /// Jump if false.
    pub no: u8,
    /// Operand.
    pub operand: u32,
}

/// How frames are received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether frames for other stations are received too.
    pub promiscuous: bool,
    /// Bytes of the ring; rounded up to whole blocks.
    pub ring_bytes: usize,
    /// Which frames are wanted; empty: all.
    pub filter: Vec<Instruction>,
}

/// What frames of an interface begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Ethernet; loopback interfaces have it too.
    Ethernet,
    /// An IP packet: tunnels without a link layer.
    RawIp,
    /// Something else, by the kernel's number (ARPHRD).
    Other(u16),
}

/// What the kernel counted since the socket was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames that passed the filter, also those dropped.
    pub received: u64,
    /// Frames for which the ring had no room.
    pub dropped: u64,
    /// How often the ring was full.
    pub freezes: u64,
}

/// Why an interface cannot be listened to (any more).
#[derive(Debug)]
pub enum Trouble {
    /// There is no such interface, or it went away.
    Gone,
    /// It is there, but down.
    Down,
    /// We may not.
    Denied,
    /// Anything else: what was tried, and what came of it.
    Failed(&'static str, io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => formatter.write_str("there is no such interface"),
            Self::Down => formatter.write_str("the interface is down"),
            Self::Denied => {
                formatter.write_str("listening is not permitted (it takes CAP_NET_RAW)")
            }
            Self::Failed(what, error) => write!(formatter, "{what}: {error}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    pub(crate) fn last(what: &'static str) -> Self {
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Denied,
            Some(libc::ENODEV | libc::ENXIO) => Self::Gone,
            Some(libc::ENETDOWN) => Self::Down,
            _ => Self::Failed(what, error),
        }
    }
}

/// Opens a socket that receives nothing yet.
pub(crate) fn open() -> Result<OwnedFd, Trouble> {
    // SAFETY: no pointers are passed.
    let descriptor =
        unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(Trouble::last("opening a packet socket"));
    }
    // SAFETY: the descriptor is new, open, and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

pub(crate) fn set<T>(
    socket: &OwnedFd,
    level: c_int,
    name: c_int,
    value: &T,
    what: &'static str,
) -> Result<(), Trouble> {
    // SAFETY: the pointer and the length are those of a live value; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(value).cast::<c_void>(),
            mem::size_of::<T>() as socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(Trouble::last(what)) }
}

/// Attaches a filter program; frames that it refuses never reach the ring.
pub(crate) fn filter(socket: &OwnedFd, program: &[Instruction]) -> Result<(), Trouble> {
    if program.is_empty() {
        return Ok(());
    }
    let mut program: Vec<libc::sock_filter> = program
        .iter()
        .map(|one| libc::sock_filter { code: one.code, jt: one.yes, jf: one.no, k: one.operand })
        .collect();
    let Ok(len) = u16::try_from(program.len()) else {
        let error = io::Error::from(io::ErrorKind::InvalidInput);
        return Err(Trouble::Failed("the filter is too long", error));
    };
    let described = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // The kernel copies the program before it returns.
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &described, "attaching the filter")
}

/// The kernel's number of an interface.
pub(crate) fn index(name: &str) -> Result<c_int, Trouble> {
    let Ok(name) = CString::new(name) else { return Err(Trouble::Gone) };
    // SAFETY: the string ends with a zero byte and outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    match c_int::try_from(index) {
        Ok(index) if index > 0 => Ok(index),
        _ => Err(Trouble::Gone),
    }
}

/// Binds to an interface: frames are received from now on.
pub(crate) fn bind(socket: &OwnedFd, index: c_int) -> Result<(), Trouble> {
    // SAFETY: all zero bytes are a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    // SAFETY: pointer and length are those of a live sockaddr_ll.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            ptr::from_ref(&address).cast::<libc::sockaddr>(),
            mem::size_of::<libc::sockaddr_ll>() as socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(Trouble::last("binding to the interface")) }
}

/// What frames of the bound interface begin with.
pub(crate) fn link(socket: &OwnedFd) -> Result<Link, Trouble> {
    // SAFETY: all zero bytes are a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    let mut length = mem::size_of::<libc::sockaddr_ll>() as socklen_t;
    // SAFETY: pointers are to live values, and the length is that of the first.
    let result = unsafe {
        libc::getsockname(
            socket.as_raw_fd(),
            ptr::from_mut(&mut address).cast::<libc::sockaddr>(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(Trouble::last("asking for the kind of interface"));
    }
    Ok(match address.sll_hatype {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Link::Ethernet,
        libc::ARPHRD_NONE | libc::ARPHRD_TUNNEL | libc::ARPHRD_TUNNEL6 => Link::RawIp,
        other => Link::Other(other),
    })
}

/// Receives frames for other stations too, as long as the socket is open.
pub(crate) fn promiscuous(socket: &OwnedFd, index: c_int) -> Result<(), Trouble> {
    let membership = libc::packet_mreq {
        mr_ifindex: index,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    let what = "listening to frames for other stations";
    set(socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership, what)
}

/// The error that waits at the socket, if one does: an interface that went down or away.
pub(crate) fn pending_error(socket: &OwnedFd) -> Option<Trouble> {
    let mut error: c_int = 0;
    let mut length = mem::size_of::<c_int>() as socklen_t;
    // SAFETY: pointers are to live values, and the length is that of the first.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            ptr::from_mut(&mut error).cast::<c_void>(),
            &raw mut length,
        )
    };
    match (result, error) {
        (0, 0) => None,
        (0, libc::ENETDOWN) => Some(Trouble::Down),
        (0, libc::ENODEV | libc::ENXIO) => Some(Trouble::Gone),
        (0, other) => Some(Trouble::Failed("listening", io::Error::from_raw_os_error(other))),
        _ => Some(Trouble::last("asking for errors")),
    }
}

/// What the kernel counted since this was last asked.
pub(crate) fn counted(socket: &OwnedFd) -> Option<libc::tpacket_stats_v3> {
    let mut counted = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
    let mut length = mem::size_of::<libc::tpacket_stats_v3>() as socklen_t;
    // SAFETY: pointers are to live values, and the length is that of the first.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            ptr::from_mut(&mut counted).cast::<c_void>(),
            &raw mut length,
        )
    };
    (result == 0).then_some(counted)
}

/// Waits until something can be received, at most so many milliseconds; true if it may be.
pub(crate) fn wait(socket: &OwnedFd, milliseconds: c_int) -> Result<bool, Trouble> {
    let events = libc::POLLIN | libc::POLLERR;
    let mut waiting = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    // SAFETY: the pointer is to one live pollfd.
    let result = unsafe { libc::poll(&raw mut waiting, 1, milliseconds) };
    if result < 0 {
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::Interrupted {
            return Ok(false);
        }
        return Err(Trouble::Failed("waiting for frames", error));
    }
    if waiting.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
        if let Some(trouble) = pending_error(socket) {
            return Err(trouble);
        }
    }
    Ok(result > 0)
}
