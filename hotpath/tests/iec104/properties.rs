//! What holds for all bytes.

use hotpath::protocols::iec104::PROTOCOL;
use hotpath::protocols::{Party, Probe, Transport};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::apdus::{STARTDT, TESTFR, ack, asdu, flow, info};
use crate::common::{Flow, Said};

/// An APDU that keeps to the specification.
fn apdu() -> impl Strategy<Value = Vec<u8>> {
    let number = 0..0x8000_u16;
    prop_oneof![
        Just(STARTDT.to_vec()),
        Just(TESTFR.to_vec()),
        number.clone().prop_map(ack),
        (number.clone(), number.clone(), any::<u16>(), any::<u8>())
            .prop_map(|(send, receive, at, siq)| info(send, receive, &asdu(1, 3, at, &[siq]))),
        (number.clone(), number.clone(), any::<u16>(), any::<[u8; 5]>())
            .prop_map(|(send, receive, at, value)| info(send, receive, &asdu(13, 1, at, &value))),
        (number.clone(), number.clone(), any::<u16>(), any::<[u8; 8]>())
            .prop_map(|(send, receive, at, value)| info(send, receive, &asdu(58, 6, at, &value))),
        (number.clone(), number, 1..60_u8, any::<u8>()).prop_map(|(send, receive, count, fill)| {
            let head = [11, 0x80 | count, 20, 0, 1, 0, 1, 1, 0];
            info(send, receive, &[&head[..], &vec![fill; usize::from(count) * 3]].concat())
        }),
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

    /// As above, of bytes that often look like headers and types.
    #[test]
    fn likely_noise(
        bytes in vec(prop_oneof![
            4 => Just(0_u8), 3 => Just(0x68), 2 => Just(4), 2 => Just(14), 2 => 0..=20_u8,
            1 => prop::sample::select(vec![0x07, 0x0B, 0x13, 0x23, 0x43, 0x83]),
            1 => 100..=127_u8, 1 => any::<u8>(),
        ], 0..600),
        sizes in vec(1..50_usize, 1..8),
        gap in any::<bool>(),
    ) {
        for from in [Party::Client, Party::Server] {
            let (mut whole, mut split) = (flow(), flow());
            for flow in [&mut whole, &mut split] {
                flow.feed(from, &STARTDT);
                if gap {
                    flow.gap(from);
                }
            }
            whole.feed(from, &bytes).flush(from);
            split_feed(&mut split, from, &bytes, &sizes);
            prop_assert_eq!(&split.out.said, &whole.out.said);
        }
    }

    /// Any ASDU in a right frame is told, however wrong it is, and costs no other.
    #[test]
    fn any_asdu(body in vec(any::<u8>(), 6..=249), from_client in any::<bool>()) {
        let from = if from_client { Party::Client } else { Party::Server };
        let mut flow = flow();
        flow.feed(from, &[info(0, 0, &body), TESTFR.to_vec()].concat());
        let functions = flow.functions();
        prop_assert_eq!(functions, vec![u32::from(body[0]), 0x143]);
        let values: usize = flow.out.said.iter().map(|said| said.values.len()).sum();
        prop_assert!(values <= 127);
    }

    /// A valid stream is decoded alike however it is split, and nothing is malformed.
    #[test]
    fn valid_streams(apdus in vec(apdu(), 1..12), sizes in vec(1..300_usize, 1..8)) {
        let mut whole = flow();
        for apdu in &apdus {
            whole.feed(Party::Client, apdu);
        }
        let mut split = flow();
        split_feed(&mut split, Party::Client, &apdus.concat(), &sizes);
        prop_assert_eq!(messages(&split), messages(&whole));
        let expected = apdus.iter().filter(|apdu| apdu[2] & 3 != 1).count();
        prop_assert_eq!(split.out.said.len(), expected);
    }

    /// After bytes that are no APDU, whatever they are, decoding goes on: what follows within
    /// 255 bytes may be taken for their rest, nothing later.
    #[test]
    fn decoding_goes_on_after_garbage(
        apdus in vec(apdu(), 2..6),
        garbage in vec(any::<u8>(), 1..300),
        sizes in vec(1..300_usize, 1..8),
    ) {
        let padding = TESTFR.repeat(50);
        let bytes = [STARTDT.to_vec(), garbage, padding, apdus.concat()].concat();
        let mut flow = flow();
        split_feed(&mut flow, Party::Client, &bytes, &sizes);
        let mut clean = crate::apdus::flow();
        clean.feed(Party::Client, &apdus.concat());
        let (decoded, expected) = (messages(&flow), messages(&clean));
        prop_assert!(decoded.len() >= expected.len());
        prop_assert_eq!(&decoded[decoded.len() - expected.len()..], &expected[..]);
    }

    /// The probe never panics, and what it once denied or affirmed it does not take back.
    #[test]
    fn probe_is_monotone(head in prop_oneof![
        vec(any::<u8>(), 0..64),
        apdu(),
        vec(prop_oneof![3 => Just(0x68_u8), 3 => Just(0), 1 => 0..=20_u8], 0..64),
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
