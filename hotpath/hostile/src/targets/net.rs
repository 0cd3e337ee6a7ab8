use hotpath::net::fragments::{Datagram, Fragments, Limits};
use hotpath::net::tcp::{self, Budget, Connection, MAX_PENDING_BYTES};
use hotpath::net::{Arrival, Body, IpPacket, Receiver, Side, link, udp};
use hotpath::source::Frame;
use hotpath::words::{ConnectionState, NoticeKind};

use crate::frames;
use crate::reader::START;

const LIMITS: Limits = Limits { packets: 4, bytes: 16_384, fragments: 8, wait: 30_000_000_000 };

/// Bytes that the one connection may hold back.
const BUDGET: usize = 8_192;

/// Frames down to what a TCP connection delivers, as if all segments were of one connection.
pub fn net(bytes: &[u8]) {
    let mut stack = Stack {
        fragments: Fragments::new(LIMITS),
        connection: Connection::new(),
        budget: Budget::new(BUDGET),
        heard: Heard::default(),
    };
    let mut now = Arrival { frame: 0, time: START };
    for listed in frames::read(bytes) {
        now = Arrival { frame: now.frame + 1, time: now.time.saturating_add(listed.wait()) };
        stack.frame(&listed, now);
        if listed.ends_batch() {
            stack.connection.expire(now, &mut stack.budget, &mut stack.heard);
        }
    }
    stack.connection.finish(now, &mut stack.budget, &mut stack.heard);
    assert_eq!(stack.budget.used(), 0, "what was held is given back");
    let Heard { offered, delivered, .. } = stack.heard;
    assert!(delivered <= offered, "{delivered} bytes came of {offered}");
    stack.fragments.finish(&mut Vec::new());
    assert_eq!((stack.fragments.pending(), stack.fragments.bytes()), (0, 0));
}

struct Stack {
    fragments: Fragments,
    connection: Connection,
    budget: Budget,
    heard: Heard,
}

impl Stack {
    fn frame(&mut self, listed: &frames::Listed, now: Arrival) {
        let data = listed.bytes();
        let frame = Frame {
            number: now.frame,
            time: now.time,
            link: listed.link(),
            interface: 0,
            data: &data,
            original_length: data.len() as u32 + listed.cut(),
        };
        let Ok(packet) = link::parse(&frame) else { return };
        let Body::Ip(ip) = &packet.body else { return };
        assert!(ip.payload.len() <= data.len(), "a payload longer than its frame");
        if ip.fragment.is_none() {
            self.packet(ip, now);
            return;
        }
        let mut troubles = Vec::new();
        let whole =
            self.fragments.accept(packet.vlan, packet.unwrapped.tunnels(), ip, now, &mut troubles);
        assert!(self.fragments.pending() <= LIMITS.packets);
        assert!(self.fragments.bytes() <= LIMITS.bytes);
        if let Some(Ok(ip)) = whole.as_ref().map(Datagram::packet) {
            self.packet(&ip, now);
        }
    }

    fn packet(&mut self, ip: &IpPacket<'_>, now: Arrival) {
        if ip.protocol == udp::PROTOCOL {
            let _ = udp::parse(ip);
            return;
        }
        if ip.protocol != tcp::PROTOCOL {
            return;
        }
        let Ok(segment) = tcp::parse(ip) else { return };
        let side =
            if segment.source_port <= segment.target_port { Side::First } else { Side::Second };
        self.heard.offered += segment.payload.len();
        self.connection.accept(side, &segment, now, &mut self.budget, &mut self.heard);
        assert!(self.budget.used() <= BUDGET.max(2 * MAX_PENDING_BYTES));
    }
}

#[derive(Default)]
struct Heard {
    offered: usize,
    delivered: usize,
}

impl Receiver for Heard {
    fn data(&mut self, _: Side, bytes: &[u8], carried: u64, now: Arrival) {
        assert!(!bytes.is_empty() && carried <= now.frame);
        self.delivered += bytes.len();
    }

    fn gap(&mut self, _: Side, _: u64, _: Arrival) {}

    fn state(&mut self, _: ConnectionState, _: Arrival) {}

    fn notice(&mut self, _: NoticeKind, _: Side, detail: &'static str, _: Arrival) {
        assert!(!detail.is_empty());
    }
}
