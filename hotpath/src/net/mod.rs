//! From a frame down to transport payloads: link layer, IP (fragments), TCP (reassembly), UDP.

use std::fmt;

use crate::words::{ConnectionState, Encapsulation, NoticeKind};

pub mod copies;
pub mod fragments;
pub mod ip;
pub mod link;
mod shims;
pub mod tcp;
pub mod tunnels;
pub mod udp;

/// Six bytes of a link-layer address.
pub type Mac = [u8; 6];

/// VLAN of a frame: 0 for none, the id for one tag, `outer << 12 | inner` for two.
/// A priority tag (id 0) counts as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Vlan(pub u32);

/// An address that speaks. IPv4-mapped IPv6 addresses stay IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
    /// Link layer, where there is no IP.
    Mac(Mac),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(octets) => std::net::Ipv4Addr::from(*octets).fmt(formatter),
            Self::V6(octets) => std::net::Ipv6Addr::from(*octets).fmt(formatter),
            Self::Mac(octets) => {
                formatter.write_str(&octets.map(|octet| format!("{octet:02x}")).join(":"))
            }
        }
    }
}

/// Why a header cannot be read: the peer's fault, told as a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Encapsulations that may stand one inside the other; more are hostile.
pub const MAX_ENCAPSULATIONS: u8 = 8;

/// The encapsulations that a packet was taken out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unwrapped {
    /// A bit for each kind.
    kinds: u16,
    count: u8,
    tunnels: u8,
}

impl Unwrapped {
    /// One more, around what follows.
    ///
    /// # Errors
    /// [`Malformed`] beyond [`MAX_ENCAPSULATIONS`].
    pub fn with(self, kind: Encapsulation) -> Result<Self, Malformed> {
        if self.count >= MAX_ENCAPSULATIONS {
            return Err(Malformed("more than eight encapsulations"));
        }
        let kinds = self.kinds | (1 << kind as u8);
        Ok(Self { kinds, count: self.count.saturating_add(1), tunnels: self.tunnels })
    }

    /// One more that is carried by IP: anyone who can send to any address can make it.
    ///
    /// # Errors
    /// As for [`Unwrapped::with`].
    pub fn through(self, kind: Encapsulation) -> Result<Self, Malformed> {
        let tunnels = self.tunnels.saturating_add(1);
        Ok(Self { tunnels, ..self.with(kind)? })
    }

    /// Whether there was none.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// How many of them were carried by IP.
    #[inline]
    #[must_use]
    pub const fn tunnels(self) -> u8 {
        self.tunnels
    }

    /// The kinds among them that were not known `before`.
    pub fn since(self, before: Self) -> impl Iterator<Item = Encapsulation> {
        let new = self.kinds & !before.kinds;
        Encapsulation::ALL.iter().copied().filter(move |kind| new & (1 << *kind as u8) != 0)
    }
}

/// A frame with its link layer taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What stood between the frame and this.
    pub unwrapped: Unwrapped,
    /// VLAN tags.
    pub vlan: Vlan,
    /// Sender on the link, where the link type tells.
    pub source_mac: Option<Mac>,
    /// Receiver on the link, where the link type tells.
    pub target_mac: Option<Mac>,
    /// Whether the snap length cut its end off.
    pub is_cut: bool,
    /// What it carries.
    pub body: Body<'a>,
}

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// Address resolution (RFC 826), Ethernet and IPv4 only.
    Arp(Arp),
    /// IPv4 or IPv6.
    Ip(IpPacket<'a>),
    /// Anything else, by `EtherType` (a value below 0x600 is an 802.3 length: LLC).
    Other {
        /// The `EtherType`, or the 802.3 length.
        ether_type: u16,
        /// The bytes after it.
        payload: &'a [u8],
    },
}

/// An ARP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply; others are kept as they are.
    pub operation: u16,
    /// Who says so, link layer.
    pub sender_mac: Mac,
    /// Who says so, network layer.
    pub sender_ip: Address,
    /// Whom it concerns, link layer (zero in requests).
    pub target_mac: Mac,
    /// Whom it concerns, network layer.
    pub target_ip: Address,
}

/// An IP packet, or a fragment of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpPacket<'a> {
    /// Sender.
    pub source: Address,
    /// Receiver.
    pub target: Address,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// The protocol after all extension headers (6 TCP, 17 UDP).
    pub protocol: u8,
    /// Set if this is a fragment.
    pub fragment: Option<Fragment>,
    /// The payload as far as captured, without link-layer padding.
    pub payload: &'a [u8],
    /// Payload bytes that the header promises but the snap length cut off.
    pub missing: u32,
    /// Header and payload as they stood in the frame; empty if it was put together of fragments.
    pub bytes: &'a [u8],
}

/// Place of a fragment in its packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Identification (16 bits in IPv4, 32 in IPv6).
    pub id: u32,
    /// Offset of the payload in bytes.
    pub offset: u32,
    /// Whether more fragments follow.
    pub more: bool,
}

/// One of the two ends of a flow: `First` sent the first frame of it that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Sent the first frame that was seen.
    First,
    /// The other one.
    Second,
}

impl Side {
    /// The opposite end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// What belongs to this end, of what there is for each: the first end's stands first.
    #[inline]
    #[must_use]
    pub const fn of<T>(self, pair: &[T; 2]) -> &T {
        let [first, second] = pair;
        match self {
            Self::First => first,
            Self::Second => second,
        }
    }

    /// As [`Side::of`], to change it.
    #[inline]
    #[must_use]
    pub const fn of_mut<T>(self, pair: &mut [T; 2]) -> &mut T {
        let [first, second] = pair;
        match self {
            Self::First => first,
            Self::Second => second,
        }
    }
}

/// The frame that is being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its number.
    pub frame: u64,
    /// Its capture time in nanoseconds.
    pub time: i64,
}

/// Hears what a TCP connection yields, in stream order.
pub trait Receiver {
    /// The next bytes of `side`'s stream. `carried` is the number of the frame that brought them;
    /// `now` is the frame that made them deliverable (the same one unless out of order).
    fn data(&mut self, side: Side, bytes: &[u8], carried: u64, now: Arrival);

    /// `lost` bytes of `side`'s stream are not in the capture (0: unknown how many).
    fn gap(&mut self, side: Side, lost: u64, now: Arrival);

    /// The connection changed its state.
    fn state(&mut self, state: ConnectionState, now: Arrival);

    /// A rule was broken.
    fn notice(&mut self, kind: NoticeKind, side: Side, detail: &'static str, now: Arrival);
}
