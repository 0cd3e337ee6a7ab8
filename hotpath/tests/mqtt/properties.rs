//! What holds for all bytes.

use hotpath::protocols::mqtt::PROTOCOL;
use hotpath::protocols::{Party, Probe, Transport};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::{Flow, Said};
use crate::packets::{PINGREQ, connect, flow, packet, publish, publish_5, text};

/// A packet of MQTT 3.1.1 that keeps to the specification.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let topic = "[a-z/]{1,12}";
    let flags = prop::sample::select(vec![0_u8, 1, 2, 3, 4, 5, 10]);
    prop_oneof![
        Just(PINGREQ.to_vec()),
        (flags, topic, 1_u16.., vec(any::<u8>(), 0..300))
            .prop_map(|(flags, topic, id, payload)| publish(flags, &topic, id, &payload)),
        (1_u16.., vec((topic, 0_u8..3), 1..4)).prop_map(|(id, filters)| {
            let filters =
                filters.iter().map(|(name, quality)| [text(name), vec![*quality]].concat());
            packet(
                0x82,
                &[id.to_be_bytes().to_vec(), filters.collect::<Vec<_>>().concat()].concat(),
            )
        }),
        (prop::sample::select(vec![0x40_u8, 0x50, 0x62, 0x70]), 1_u16..)
            .prop_map(|(first, id)| packet(first, &id.to_be_bytes())),
    ]
}

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

/// The messages but for what they answer, which damage before them may change.
fn messages(flow: &Flow) -> Vec<Said> {
    flow.out.said.iter().map(|said| Said { reply_to: None, ..said.clone() }).collect()
}

proptest! {
    /// Nothing panics, everything makes progress, and where segments end changes nothing.
    #[test]
    fn noise(
        client in vec(any::<u8>(), 0..400),
        server in vec(any::<u8>(), 0..400),
        sizes in vec(1..50_usize, 1..8),
    ) {
        let mut whole = flow();
        whole.feed(Party::Client, &client).flush(Party::Client);
        whole.feed(Party::Server, &server).flush(Party::Server);
        let mut split = flow();
        split_feed(&mut split, Party::Client, &client, &sizes);
        split_feed(&mut split, Party::Server, &server, &sizes);
        prop_assert_eq!(messages(&split), messages(&whole));
        whole.expire(i64::MAX);
    }

    /// As above, of bytes that often look like headers, lengths and properties.
    #[test]
    fn likely_noise(
        bytes in vec(prop_oneof![
            4 => Just(0_u8), 3 => 0..=9_u8, 2 => prop::sample::select(vec![
                0x10, 0x20, 0x30, 0x32, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xA2, 0xB0, 0xC0, 0xD0,
                0xE0, 0xF0,
            ]),
            2 => prop::sample::select(vec![0x23, 0x26, 0x0B, 0x12, 0x15, b'a', b'{', b'1']),
            1 => any::<u8>(),
        ], 0..600),
        sizes in vec(1..50_usize, 1..8),
        level in prop::sample::select(vec![3_u8, 4, 5]),
        gap in any::<bool>(),
    ) {
        for from in [Party::Client, Party::Server] {
            let (mut whole, mut split) = (flow(), flow());
            for flow in [&mut whole, &mut split] {
                flow.feed(Party::Client, &connect(level, 2, &[]));
                if gap {
                    flow.gap(from);
                }
            }
            whole.feed(from, &bytes).flush(from);
            split_feed(&mut split, from, &bytes, &sizes);
            prop_assert_eq!(&split.out.said, &whole.out.said);
        }
    }

    /// Any body in a right frame is told, however wrong it is, and costs no other.
    #[test]
    fn any_body(
        first in 0x10_u8..=0xFF,
        body in vec(any::<u8>(), 0..300),
        level in prop::sample::select(vec![3_u8, 4, 5]),
        from_client in any::<bool>(),
    ) {
        let from = if from_client { Party::Client } else { Party::Server };
        let body = if matches!(first >> 4, 12 | 13) { Vec::new() } else { body };
        let mut flow = flow();
        flow.feed(Party::Client, &connect(level, 2, &[]));
        flow.feed(from, &[packet(first, &body), PINGREQ.to_vec()].concat());
        prop_assert_eq!(flow.functions(), vec![1, u32::from(first >> 4), 12]);
    }

    /// A valid stream is decoded alike however it is split, and nothing is malformed.
    #[test]
    fn valid_streams(packets in vec(valid(), 1..12), sizes in vec(1..300_usize, 1..8)) {
        let bytes = [connect(4, 2, &[]), packets.concat()].concat();
        let mut whole = flow();
        whole.feed(Party::Client, &bytes);
        let mut split = flow();
        split_feed(&mut split, Party::Client, &bytes, &sizes);
        prop_assert_eq!(&split.out.said, &whole.out.said);
        prop_assert_eq!(split.out.said.len(), packets.len() + 1);
        prop_assert_eq!(split.kinds(), vec![]);
    }

    /// After bytes that are no packet, whatever they are, decoding goes on at a CONNECT.
    #[test]
    fn decoding_goes_on_after_garbage(
        packets in vec(valid(), 1..6),
        garbage in vec(any::<u8>(), 1..300),
        sizes in vec(1..300_usize, 1..8),
    ) {
        let valid = [connect(4, 2, &[]), packets.concat()].concat();
        let bytes = [&garbage[..], &[0; 300], &valid].concat();
        let mut flow = flow();
        // Behind a gap nothing is taken for the rest of what garbage began.
        flow.gap(Party::Client);
        split_feed(&mut flow, Party::Client, &bytes, &sizes);
        let mut clean = crate::packets::flow();
        clean.feed(Party::Client, &valid);
        let (decoded, expected) = (messages(&flow), messages(&clean));
        prop_assert!(decoded.len() >= expected.len());
        prop_assert_eq!(&decoded[decoded.len() - expected.len()..], &expected[..]);
    }

    /// The probe never panics, and what it once denied or affirmed it does not take back.
    #[test]
    fn probe_is_monotone(head in prop_oneof![
        vec(any::<u8>(), 0..64),
        valid(),
        ("[a-z]{0,3}", vec(any::<u8>(), 0..20)).prop_map(|(topic, rest)| publish_5(&topic, &rest, b"1")),
        vec(prop_oneof![3 => Just(0_u8), 1 => 0..=20_u8, 1 => Just(0x30)], 0..64),
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
