//! The rules of fragments, one by one, and over random cuts.

use super::{Datagram, Fragments, Limits, Trouble};
use crate::net::{Address, Arrival, Fragment, IpPacket, Vlan};
use crate::words::NoticeKind;
use proptest::prelude::*;

const V4: [Address; 2] = [Address::V4([10, 0, 0, 1]), Address::V4([10, 0, 0, 2])];
const V6: [Address; 2] = [Address::V6([1; 16]), Address::V6([2; 16])];

struct Wire {
    fragments: Fragments,
    troubles: Vec<Trouble>,
    now: Arrival,
    addresses: [Address; 2],
    protocol: u8,
    missing: u32,
}

impl Wire {
    fn new(addresses: [Address; 2]) -> Self {
        Self::limited(addresses, Limits::default())
    }

    fn limited(addresses: [Address; 2], limits: Limits) -> Self {
        Self {
            fragments: Fragments::new(limits),
            troubles: Vec::new(),
            now: Arrival { frame: 0, time: 0 },
            addresses,
            protocol: 17,
            missing: 0,
        }
    }

    fn send(&mut self, id: u32, offset: u32, more: bool, payload: &[u8]) -> Option<Datagram> {
        self.now.frame += 1;
        self.now.time += 1_000_000;
        let [source, target] = self.addresses;
        let packet = IpPacket {
            source,
            target,
            ttl: 64,
            protocol: self.protocol,
            fragment: Some(Fragment { id, offset, more }),
            payload,
            missing: self.missing,
            bytes: &[],
        };
        self.fragments.accept(Vlan(7), 0, &packet, self.now, &mut self.troubles)
    }

    /// The kinds of trouble since the last call, with the frame of the first fragment.
    fn kinds(&mut self) -> Vec<(NoticeKind, u64)> {
        self.troubles.drain(..).map(|trouble| (trouble.kind, trouble.first.frame)).collect()
    }
}

fn payload(datagram: Option<&Datagram>) -> &[u8] {
    datagram.expect("the packet is whole").packet().unwrap().payload
}

#[test]
fn fragments_become_a_packet() {
    for addresses in [V4, V6] {
        let mut wire = Wire::new(addresses);
        assert_eq!(wire.send(1, 16, false, b"end"), None);
        assert_eq!(wire.send(1, 0, true, b"first..."), None);
        let whole = wire.send(1, 8, true, b"middle..");
        assert_eq!(payload(whole.as_ref()), b"first...middle..end");
        let whole = whole.unwrap();
        assert_eq!((whole.first.frame, whole.fragments), (1, 3));
        let packet = whole.packet().unwrap();
        assert_eq!((packet.source, packet.target), (addresses[0], addresses[1]));
        assert_eq!((packet.ttl, packet.protocol, packet.fragment), (64, 17, None));
        assert_eq!((wire.fragments.pending(), wire.fragments.bytes()), (0, 0));
        assert_eq!(wire.kinds(), []);
    }
}

#[test]
fn a_packet_that_is_no_fragment_gives_nothing() {
    let mut fragments = Fragments::new(Limits::default());
    let [source, target] = V4;
    let packet = IpPacket {
        source,
        target,
        ttl: 1,
        protocol: 17,
        fragment: None,
        payload: b"x",
        missing: 0,
        bytes: &[],
    };
    let now = Arrival { frame: 1, time: 1 };
    assert_eq!(fragments.accept(Vlan(0), 0, &packet, now, &mut Vec::new()), None);
    assert_eq!(fragments.pending(), 0);
}

#[test]
fn packets_are_told_apart_by_id_vlan_and_in_ipv4_protocol() {
    let mut wire = Wire::new(V4);
    wire.send(1, 0, true, b"one.....");
    assert_eq!(wire.send(2, 8, false, b"two"), None);
    wire.protocol = 6;
    assert_eq!(wire.send(1, 8, false, b"three"), None);
    wire.protocol = 17;
    assert_eq!(payload(wire.send(1, 8, false, b"four").as_ref()), b"one.....four");

    let mut wire = Wire::new(V6);
    wire.send(1, 0, true, b"one.....");
    wire.protocol = 6;
    let whole = wire.send(1, 8, false, b"two").unwrap();
    assert_eq!(whole.packet().unwrap().protocol, 17, "that of the first fragment");
}

#[test]
fn extension_headers_inside_are_walked() {
    let mut wire = Wire::new(V6);
    wire.protocol = 60;
    wire.send(1, 0, true, &[17, 0, 0, 0, 0, 0, 0, 0]);
    let whole = wire.send(1, 8, false, b"data").unwrap();
    let packet = whole.packet().unwrap();
    assert_eq!((packet.protocol, packet.payload), (17, &b"data"[..]));

    wire.protocol = 44;
    wire.send(2, 0, true, &[17, 0, 0, 1, 0, 0, 0, 9]);
    let whole = wire.send(2, 8, false, b"data").unwrap();
    assert!(whole.packet().is_err(), "a fragment of a fragment");
}

#[test]
fn the_same_bytes_again_are_fine() {
    for addresses in [V4, V6] {
        let mut wire = Wire::new(addresses);
        wire.send(1, 0, true, b"first...");
        wire.send(1, 0, true, b"first...");
        let whole = wire.send(1, 8, false, b"end");
        assert_eq!(payload(whole.as_ref()), b"first...end");
        assert_eq!(whole.unwrap().fragments, 2);
        assert_eq!(wire.kinds(), []);
    }
}

#[test]
fn in_ipv4_the_first_bytes_win() {
    let mut wire = Wire::new(V4);
    wire.send(1, 8, true, b"middle..");
    wire.send(1, 0, true, b"first...MIDDLE..third...");
    let whole = wire.send(1, 24, false, b"end");
    assert_eq!(payload(whole.as_ref()), b"first...middle..third...end");
    assert_eq!(wire.kinds(), [(NoticeKind::OverlapDisagrees, 1)]);
}

#[test]
fn in_ipv6_an_overlap_drops_the_packet() {
    let mut wire = Wire::new(V6);
    wire.send(1, 0, true, b"first...middle..");
    wire.send(1, 8, true, b"middle..");
    assert_eq!(wire.kinds(), [(NoticeKind::OverlapDisagrees, 1)], "even if it agrees");
    assert_eq!(wire.send(1, 16, false, b"end"), None, "and those that follow are ignored");
    wire.now.time += Limits::default().wait + 1;
    assert_eq!(wire.send(2, 8, false, b"end"), None);
    assert_eq!(wire.kinds(), [], "told once");
    wire.send(1, 0, true, b"first...");
    assert_eq!(payload(wire.send(1, 8, false, b"end").as_ref()), b"first...end", "forgotten");
}

#[test]
fn fragments_must_agree_on_the_end() {
    let mut wire = Wire::new(V4);
    wire.send(1, 8, false, b"end");
    wire.send(1, 16, true, b"beyond..");
    assert_eq!(wire.kinds(), [(NoticeKind::OverlapDisagrees, 1)]);
    assert_eq!(wire.send(1, 0, true, b"first..."), None);
    wire.send(2, 16, true, b"beyond..");
    wire.send(2, 8, false, b"end");
    assert_eq!(wire.kinds(), [(NoticeKind::OverlapDisagrees, 4)]);
}

#[test]
fn places_that_cannot_be_right() {
    let mut wire = Wire::new(V4);
    wire.send(1, 65_528, false, b"too long");
    wire.send(1, 8, true, b"");
    wire.send(1, 0, true, b"odd");
    assert_eq!(wire.kinds(), [1, 2, 3].map(|frame| (NoticeKind::MalformedHeader, frame)));
    assert_eq!(wire.fragments.pending(), 0);
}

#[test]
fn a_snap_length_leaves_missing_bytes() {
    let mut wire = Wire::new(V4);
    wire.missing = 4;
    wire.send(1, 0, true, b"firs");
    wire.missing = 0;
    let whole = wire.send(1, 8, false, b"end").unwrap();
    let packet = whole.packet().unwrap();
    assert_eq!((packet.payload, packet.missing), (&b"firs"[..], 7));
}

#[test]
fn a_packet_is_waited_for_so_long() {
    let mut wire = Wire::new(V4);
    wire.send(1, 0, true, b"first...");
    let due = wire.now.time + Limits::default().wait;
    wire.fragments.expire(due, &mut wire.troubles);
    assert_eq!(wire.kinds(), []);
    wire.fragments.expire(due + 1, &mut wire.troubles);
    assert_eq!(wire.kinds(), [(NoticeKind::FragmentsIncomplete, 1)]);
    assert_eq!((wire.fragments.pending(), wire.fragments.bytes()), (0, 0));
}

#[test]
fn the_oldest_goes_when_the_table_is_full() {
    let mut wire = Wire::limited(V4, Limits { packets: 2, ..Limits::default() });
    for id in 1..=3 {
        wire.send(id, 0, true, b"first...");
    }
    assert_eq!(wire.kinds(), [(NoticeKind::TableFull, 1)]);
    assert_eq!(wire.send(1, 8, false, b"end"), None);
    assert_eq!(wire.kinds(), [(NoticeKind::TableFull, 2)]);
    assert_eq!(payload(wire.send(3, 8, false, b"end").as_ref()), b"first...end");
}

#[test]
fn the_oldest_goes_when_the_bytes_are_spent() {
    let mut wire = Wire::limited(V4, Limits { bytes: 2000, ..Limits::default() });
    wire.send(1, 0, true, &[0; 800]);
    wire.send(2, 0, true, &[0; 800]);
    assert_eq!(wire.kinds(), [(NoticeKind::TableFull, 1)]);
    assert!(wire.fragments.bytes() <= 2000);
}

#[test]
fn the_fragments_of_a_packet_are_bounded() {
    let mut wire = Wire::limited(V4, Limits { fragments: 3, ..Limits::default() });
    for index in 0..4 {
        wire.send(1, 16 * index, true, b"........");
    }
    assert_eq!(wire.kinds(), [(NoticeKind::TableFull, 1)]);
}

#[test]
fn the_end_of_the_capture_tells_what_is_incomplete() {
    let mut wire = Wire::new(V4);
    wire.send(1, 0, true, b"first...");
    wire.fragments.finish(&mut wire.troubles);
    assert_eq!(wire.kinds(), [(NoticeKind::FragmentsIncomplete, 1)]);
}

proptest! {
    /// Cut anywhere, in any order, with repetitions: the payload is what was cut.
    #[test]
    fn any_cut_in_any_order_gives_the_payload(
        payload in prop::collection::vec(any::<u8>(), 9..3000),
        cuts in prop::collection::btree_set(1_usize..375, 1..20),
        repeated in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        order in any::<u64>(),
        is_v6 in any::<bool>(),
    ) {
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut * 8).collect();
        bounds.retain(|bound| *bound < payload.len());
        bounds.insert(0, 0);
        bounds.push(payload.len());
        let mut pieces: Vec<(usize, usize)> =
            bounds.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let needed = pieces.len();
        pieces.extend(repeated.iter().map(|index| pieces[index.index(needed)]).collect::<Vec<_>>());
        // A cheap shuffle that depends on `order` alone.
        pieces.sort_by_key(|piece| (piece.0 as u64 + 1).wrapping_mul(order | 1));
        let mut wire = Wire::new(if is_v6 { V6 } else { V4 });
        let mut told = Vec::new();
        for (from, to) in pieces {
            let more = to < payload.len();
            told.extend(wire.send(9, from as u32, more, &payload[from..to]));
        }
        if needed == 1 {
            told.truncate(1);
        }
        prop_assert_eq!(told.len(), 1);
        let whole = told[0].packet().unwrap();
        prop_assert_eq!((whole.payload, whole.missing), (&payload[..], 0));
        prop_assert_eq!(wire.kinds(), []);
    }

    /// Whatever comes, what is held is bounded.
    #[test]
    fn anything_is_borne(
        fragments in prop::collection::vec(
            (0_u32..6, 0_u32..8200, any::<bool>(), 0_usize..120, 0_u32..20, any::<i32>()), 1..200,
        ),
        is_v6 in any::<bool>(),
    ) {
        let limits = Limits { packets: 4, bytes: 3000, fragments: 8, ..Limits::default() };
        let mut wire = Wire::limited(if is_v6 { V6 } else { V4 }, limits);
        for (index, (id, place, more, length, missing, later)) in fragments.iter().enumerate() {
            wire.now.time += i64::from(*later) * 8;
            wire.missing = *missing;
            let place = if index % 2 == 0 { place % 20 } else { *place };
            wire.send(*id, place * 8, *more, &vec![*id as u8; *length]);
            prop_assert!(wire.fragments.pending() <= 4);
            prop_assert!(wire.fragments.bytes() <= 3000);
        }
        prop_assert!(wire.troubles.len() <= 2 * fragments.len() + 4);
        wire.fragments.finish(&mut wire.troubles);
        prop_assert_eq!((wire.fragments.pending(), wire.fragments.bytes()), (0, 0));
    }
}
