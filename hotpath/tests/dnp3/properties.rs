//! What holds for all bytes.

use hotpath::protocols::dnp3::PROTOCOL;
use hotpath::protocols::{Party, Probe, Transport};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::recorder::{Flow, MASTER, OUTSTATION, answered, asked, frame};

fn split_feed(flow: &mut Flow, from: Party, bytes: &[u8], sizes: &[usize]) {
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at(rest.len().min(*size));
        flow.feed(from, head);
        rest = tail;
    }
    flow.flush(from);
}

/// A fragment: headers of objects that often exist, and bytes behind them.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let group = prop_oneof![
        Just(1_u8),
        Just(2),
        Just(4),
        Just(12),
        Just(22),
        Just(30),
        Just(32),
        Just(41),
        Just(51),
        Just(60),
        Just(70),
        Just(80),
        Just(110),
        Just(120),
        Just(0),
        any::<u8>(),
    ];
    let qualifier = prop_oneof![
        Just(0_u8),
        Just(1),
        Just(6),
        Just(7),
        Just(0x17),
        Just(0x28),
        Just(0x5B),
        any::<u8>()
    ];
    let object = (group, 0..9_u8, qualifier, vec(0..6_u8, 0..20)).prop_map(
        |(group, variation, qualifier, rest)| [&[group, variation, qualifier], &rest[..]].concat(),
    );
    let function = prop_oneof![
        4 => 0..34_u8, 3 => Just(129_u8), 2 => Just(130), 1 => Just(131), 1 => any::<u8>(),
    ];
    (any::<u8>(), function, vec(object, 0..5)).prop_map(|(control, function, objects)| {
        let indications: &[u8] = if function >= 0x80 { &[0x90, 0x02] } else { &[] };
        [&[control, function], indications, &objects.concat()].concat()
    })
}

fn frames() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    vec(
        (
            any::<bool>(),
            prop_oneof![
                3 => fragment().prop_map(|it| [&[0xC0][..], &it[..it.len().min(240)]].concat()),
                1 => vec(any::<u8>(), 0..250),
            ],
        ),
        1..10,
    )
}

fn framed(from_master: bool, user: &[u8]) -> Vec<u8> {
    if from_master {
        frame(0xC4, OUTSTATION, MASTER, user)
    } else {
        frame(0x44, MASTER, OUTSTATION, user)
    }
}

proptest! {
    /// Nothing panics, everything makes progress, and where segments end changes nothing.
    #[test]
    fn noise(
        bytes in vec(prop_oneof![2 => Just(0x05_u8), 2 => Just(0x64), 1 => 0..8_u8, 3 => any::<u8>()], 0..600),
        sizes in vec(1..50_usize, 1..8),
        gap in any::<bool>(),
    ) {
        for transport in [Transport::Tcp, Transport::Udp] {
            let mut whole = Flow::new(transport);
            let mut split = Flow::new(transport);
            if gap {
                whole.gap(Party::Server);
                split.gap(Party::Server);
            }
            whole.feed(Party::Server, &bytes).flush(Party::Server).expire(i64::MAX);
            if transport == Transport::Tcp {
                split_feed(&mut split, Party::Server, &bytes, &sizes);
                prop_assert_eq!(&split.out.said, &whole.out.said);
            }
        }
    }

    /// Frames that are sound carry whatever they will: nothing panics, and cuts change nothing.
    #[test]
    fn whatever_frames_carry(frames in frames(), sizes in vec(1..300_usize, 1..8)) {
        let mut whole = Flow::tcp();
        for (from_master, user) in &frames {
            let from = if *from_master { Party::Client } else { Party::Server };
            whole.feed(from, &framed(*from_master, user));
        }
        whole.expire(i64::MAX);
        // One side's stream, cut in two ways.
        let bytes: Vec<u8> = frames.iter().flat_map(|(it, user)| framed(*it, user)).collect();
        let mut once = Flow::tcp();
        let mut split = Flow::tcp();
        once.feed(Party::Server, &bytes).flush(Party::Server);
        split_feed(&mut split, Party::Server, &bytes, &sizes);
        prop_assert_eq!(&split.out.said, &once.out.said);
    }

    /// After bytes that are no frame, whatever they are, every later frame is told.
    #[test]
    fn decoding_goes_on_after_garbage(
        garbage in vec(prop_oneof![1 => Just(0x05_u8), 1 => Just(0x64), 2 => any::<u8>()], 1..300),
        sizes in vec(1..300_usize, 1..8),
    ) {
        let good: Vec<_> = (0..4_u8).map(|it| asked(&[0xC0 | it, 1, 60, 2, 6])).collect();
        let bytes = [&asked(&[0xC9, 13]), &garbage[..], &good.concat()].concat();
        let mut flow = Flow::tcp();
        split_feed(&mut flow, Party::Client, &bytes, &sizes);
        prop_assert_eq!(flow.functions(), [13, 1, 1, 1, 1]);
    }

    /// A fragment is told alike in however many segments it comes.
    #[test]
    fn segments_change_nothing(fragment in fragment(), size in 1..249_usize, first in 0..64_u8) {
        let mut one = Flow::tcp();
        one.feed(Party::Server, &answered(&fragment));
        let mut many = Flow::tcp();
        for part in crate::recorder::segments(&fragment, first, size) {
            many.feed(Party::Server, &part);
        }
        let plain = |flow: &Flow| {
            flow.out.said.iter().map(|it| (it.function, it.objects.clone(), it.values.clone())).collect::<Vec<_>>()
        };
        prop_assert_eq!(plain(&many), plain(&one));
        prop_assert_eq!(many.kinds(), one.kinds());
    }

    /// The probe never panics, and what it once denied or affirmed it does not take back.
    #[test]
    fn probe_is_monotone(head in prop_oneof![
        vec(any::<u8>(), 0..32),
        fragment().prop_map(|it| asked(&it[..it.len().min(240)])),
        vec(prop_oneof![Just(0x05_u8), Just(0x64)], 0..32),
    ]) {
        let mut before = Probe::More;
        for end in 0..=head.len() {
            let answer = (PROTOCOL.probe)(Transport::Tcp, &head[..end]);
            if before != Probe::More {
                prop_assert_eq!(answer, before, "at {}", end);
            }
            before = answer;
        }
    }
}
