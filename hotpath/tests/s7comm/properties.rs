//! What holds for all bytes.

use hotpath::protocols::{Party, Probe, Protocol, Transport, s7comm, s7plus};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::plus;
use crate::recorder::{Flow, answer, connection, job, part, tsdu, userdata};

const BOTH: [&Protocol; 2] = [&s7comm::PROTOCOL, &s7plus::PROTOCOL];

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

/// A PDU whose frame is right, whatever stands in it.
fn framed() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || vec(any::<u8>(), 0..60);
    let likely = || {
        vec(
            prop_oneof![2 => Just(0_u8), 1 => Just(0x12), 1 => Just(10), 1 => Just(0x10),
            1 => Just(0x84), 1 => Just(0xFF), 1 => Just(4), 1 => Just(1), 1 => any::<u8>()],
            0..60,
        )
    };
    let code = prop_oneof![Just(4_u8), Just(5), 0x1A..=0x1F_u8, Just(0x28), any::<u8>()];
    prop_oneof![
        (any::<u16>(), code.clone(), likely(), likely()).prop_map(|(at, code, more, data)| job(
            at,
            &[&[code], &more[..]].concat(),
            &data
        )),
        (0..4_u16, code, likely(), likely()).prop_map(|(at, code, more, data)| answer(
            at,
            &[&[code], &more[..]].concat(),
            &data
        )),
        (0..4_u16, any::<u8>(), 0..20_u8, 0..3_u8, likely())
            .prop_map(|(at, what, sub, number, data)| userdata(at, what, sub, number, &data)),
        (bytes(), any::<bool>()).prop_map(|(bytes, is_last)| part(&bytes, is_last)),
        (vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..20))
            .prop_map(|(calling, called)| connection(0xE0, &calling, &called)),
        (1..4_u8, bytes()).prop_map(|(version, body)| plus::pdu(version, &body)),
        (0..4_u16, likely()).prop_map(|(at, body)| plus::pdu(2, &plus::request(0x04F2, at, &body))),
        bytes().prop_map(|bytes| tsdu(&[&[0x32, 1, 0, 0], &bytes[..]].concat())),
    ]
}

proptest! {
    /// Nothing panics, everything makes progress, and where segments end changes nothing.
    #[test]
    fn noise(
        client in vec(any::<u8>(), 0..300),
        server in vec(framed(), 0..6),
        sizes in vec(1..50_usize, 1..8),
    ) {
        for spoken in BOTH {
            let mut whole = Flow::new(spoken);
            whole.feed(Party::Client, &client).flush(Party::Client);
            whole.feed(Party::Server, &server.concat()).flush(Party::Server);
            let mut split = Flow::new(spoken);
            split_feed(&mut split, Party::Client, &client, &sizes);
            split_feed(&mut split, Party::Server, &server.concat(), &sizes);
            prop_assert_eq!(&split.out.said, &whole.out.said);
            whole.expire(i64::MAX);
        }
    }

    /// As above, of packets with garbage between them, and a gap.
    #[test]
    fn packets_and_garbage(
        packets in vec((framed(), vec(any::<u8>(), 0..6)), 0..12),
        sizes in vec(1..90_usize, 1..8),
        gap in any::<bool>(),
    ) {
        let bytes: Vec<u8> = packets.into_iter().flat_map(|(one, two)| [one, two].concat()).collect();
        for spoken in BOTH {
            for from in [Party::Client, Party::Server] {
                let (mut whole, mut split) = (Flow::new(spoken), Flow::new(spoken));
                if gap {
                    whole.gap(from);
                    split.gap(from);
                }
                whole.feed(from, &bytes).flush(from);
                split_feed(&mut split, from, &bytes, &sizes);
                prop_assert_eq!(&split.out.said, &whole.out.said);
            }
        }
    }

    /// After garbage decoding goes on at the next packet that begins like one.
    #[test]
    fn decoding_goes_on_after_garbage(garbage in vec(4..=255_u8, 1..80), count in 1..6_u16) {
        let after: Vec<u8> =
            (0..count).flat_map(|at| job(at, &[0xF0, 0, 0, 1, 0, 1, 1, 0xE0], &[])).collect();
        let mut flow = Flow::s7();
        flow.feed(Party::Client, &[&garbage[..], &after].concat());
        prop_assert_eq!(flow.functions(), vec![0xF0; usize::from(count)]);
    }

    /// The probes never panic, and what one once denied or affirmed it does not take back.
    #[test]
    fn probes_are_monotone(head in prop_oneof![
        vec(any::<u8>(), 0..64),
        vec(framed(), 1..5).prop_map(|packets| packets.concat()),
    ]) {
        let mut both = [Probe::More; 2];
        for end in 0..=head.len() {
            for (spoken, before) in BOTH.iter().zip(&mut both) {
                let answer = (spoken.probe)(Transport::Tcp, &head[..end]);
                if matches!(before, Probe::Yes(_) | Probe::No) {
                    prop_assert_eq!(answer, *before, "{} at {}", spoken.name, end);
                }
                *before = answer;
            }
        }
    }
}
