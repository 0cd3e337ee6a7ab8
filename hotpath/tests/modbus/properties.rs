//! What holds for all bytes.

use hotpath::protocols::modbus::PROTOCOL;
use hotpath::protocols::{Party, Probe, Transport};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::recorder::{Flow, Said, adu, rtu};

/// A request that keeps to the specification.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let address = any::<[u8; 2]>;
    prop_oneof![
        (1..=4_u8, address(), 1..=125_u8).prop_map(|(code, at, n)| vec![code, at[0], at[1], 0, n]),
        (address(), any::<bool>()).prop_map(|(at, on)| vec![
            5,
            at[0],
            at[1],
            if on { 0xFF } else { 0 },
            0
        ]),
        (address(), any::<[u8; 2]>()).prop_map(|(at, v)| vec![6, at[0], at[1], v[0], v[1]]),
        (address(), vec(any::<[u8; 2]>(), 1..=123)).prop_map(|(at, registers)| {
            let count = registers.len() as u8;
            [&[16, at[0], at[1], 0, count, count * 2], &registers.concat()[..]].concat()
        }),
        Just(vec![7]),
        Just(vec![17]),
        Just(vec![0x2B, 0x0E, 1, 0]),
        (address(), any::<[u8; 4]>())
            .prop_map(|(at, masks)| [&[22, at[0], at[1]], &masks[..]].concat()),
    ]
}

/// The messages but for what they reply to, which damage before them may change.
fn messages(flow: &Flow) -> Vec<Said> {
    flow.out.said.clone()
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

proptest! {
    /// Nothing panics, everything makes progress, and where segments end changes nothing.
    #[test]
    fn noise(
        client in vec(any::<u8>(), 0..400),
        server in vec(any::<u8>(), 0..400),
        sizes in vec(1..50_usize, 1..8),
    ) {
        for transport in [Transport::Tcp, Transport::Udp] {
            let mut whole = Flow::new(transport);
            whole.feed(Party::Client, &client).flush(Party::Client);
            whole.feed(Party::Server, &server).flush(Party::Server);
            if transport == Transport::Tcp {
                let mut split = Flow::new(transport);
                split_feed(&mut split, Party::Client, &client, &sizes);
                split_feed(&mut split, Party::Server, &server, &sizes);
                prop_assert_eq!(messages(&split), messages(&whole));
            }
            whole.expire(i64::MAX);
        }
    }

    /// As above, of bytes that often look like headers and counts.
    #[test]
    fn likely_noise(
        bytes in vec(prop_oneof![
            4 => Just(0_u8), 2 => 0..=8_u8, 1 => Just(0x5A), 1 => Just(0x2B), 1 => Just(0x0E),
            1 => Just(0x83), 1 => 0..=25_u8, 1 => any::<u8>(),
        ], 0..600),
        sizes in vec(1..50_usize, 1..8),
        framed in any::<bool>(),
        gap in any::<bool>(),
    ) {
        for from in [Party::Client, Party::Server] {
            let first = if framed { rtu(1, &[7]) } else { adu(1, 1, &[7]) };
            let mut whole = Flow::tcp();
            let mut split = Flow::tcp();
            whole.feed(Party::Client, &first);
            split.feed(Party::Client, &first);
            if gap {
                whole.gap(from);
                split.gap(from);
            }
            whole.feed(from, &bytes).flush(from);
            split_feed(&mut split, from, &bytes, &sizes);
            prop_assert_eq!(messages(&split), messages(&whole));
        }
    }

    /// A valid stream is decoded alike however it is split, and every request is told.
    #[test]
    fn valid_streams(pdus in vec(request(), 1..12), sizes in vec(1..300_usize, 1..8)) {
        let adus: Vec<_> = (1..).zip(&pdus).map(|(unit, pdu)| adu(7, unit, pdu)).collect();
        let frames: Vec<_> = (1..).zip(&pdus).map(|(unit, pdu)| rtu(unit, pdu)).collect();
        for bytes in [adus.concat(), frames.concat()] {
            let mut flow = Flow::tcp();
            split_feed(&mut flow, Party::Client, &bytes, &sizes);
            let codes: Vec<_> = pdus.iter().map(|pdu| u32::from(pdu[0])).collect();
            prop_assert_eq!(flow.functions(), codes);
            prop_assert_eq!(flow.kinds(), []);
        }
    }

    /// After bytes that are no PDU, whatever they are, decoding goes on: what follows within
    /// 260 bytes may be taken for their rest, nothing later.
    #[test]
    fn decoding_goes_on_after_garbage(
        pdus in vec(request(), 2..6),
        garbage in vec(any::<u8>(), 1..300),
        sizes in vec(1..300_usize, 1..8),
    ) {
        let padding: Vec<_> = (0..25).map(|_| adu(7, 200, &[3, 0, 0, 0, 1])).collect();
        let after: Vec<_> = (1..).zip(&pdus).map(|(unit, pdu)| adu(7, unit, pdu)).collect();
        let bytes = [adu(7, 100, &[7]), garbage, padding.concat(), after.concat()].concat();
        let mut flow = Flow::tcp();
        split_feed(&mut flow, Party::Client, &bytes, &sizes);
        let mut clean = Flow::tcp();
        clean.feed(Party::Client, &after.concat());
        let decoded = messages(&flow);
        let expected = messages(&clean);
        prop_assert!(decoded.len() >= expected.len());
        prop_assert_eq!(&decoded[decoded.len() - expected.len()..], &expected[..]);
    }

    /// A PDU of which one byte was changed, in its header or its body, costs no other PDU.
    #[test]
    fn one_changed_byte(
        pdus in vec(request(), 4..7),
        place in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        sizes in vec(1..300_usize, 1..8),
    ) {
        let adus: Vec<_> = (1..).zip(&pdus).map(|(unit, pdu)| adu(7, unit, pdu)).collect();
        let mut changed = adus.clone();
        let at = place.index(changed[1].len());
        changed[1][at] ^= flip;
        let mut flow = Flow::tcp();
        split_feed(&mut flow, Party::Client, &changed.concat(), &sizes);
        let decoded = messages(&flow);
        let mut clean = Flow::tcp();
        clean.feed(Party::Client, &adus.concat());
        let expected = messages(&clean);
        prop_assert_eq!(&decoded[0], &expected[0]);
        let tail = &expected[2..];
        prop_assert!(decoded.len() >= tail.len());
        prop_assert_eq!(&decoded[decoded.len() - tail.len()..], tail);
    }

    /// The probe never panics, and what it once denied or affirmed it does not take back.
    #[test]
    fn probe_is_monotone(head in prop_oneof![
        vec(any::<u8>(), 0..64),
        request().prop_map(|pdu| adu(1, 1, &pdu)),
        request().prop_map(|pdu| rtu(1, &pdu)),
        vec(prop_oneof![3 => Just(0_u8), 1 => 0..=9_u8], 0..64),
    ]) {
        for transport in [Transport::Tcp, Transport::Udp] {
            let mut before = Probe::More;
            for end in 0..=head.len() {
                let answer = (PROTOCOL.probe)(transport, &head[..end]);
                if before != Probe::More {
                    prop_assert_eq!(answer, before, "at {}", end);
                }
                before = answer;
            }
        }
    }
}
