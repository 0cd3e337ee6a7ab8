//! What holds for all bytes.

use hotpath::protocols::Transport;
use hotpath::protocols::iec61850::{goose, sv};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::bytes::{Goose, asdu, padded, pairs, samples, tlv};
use crate::recorder::Flow;

/// Elements of any type, within each other.
fn elements() -> impl Strategy<Value = Vec<u8>> {
    let leaf = (0x80..=0x9F_u8, vec(any::<u8>(), 0..12)).prop_map(|(tag, bytes)| tlv(tag, &bytes));
    leaf.prop_recursive(6, 40, 6, |inner| {
        (prop_oneof![Just(0xA1_u8), Just(0xA2)], vec(inner, 0..6))
            .prop_map(|(tag, parts)| tlv(tag, &parts.concat()))
    })
}

proptest! {
    #[test]
    fn noise(frames in vec(vec(any::<u8>(), 0..200), 0..20)) {
        for protocol in [&goose::PROTOCOL, &sv::PROTOCOL] {
            let mut flow = Flow::new(protocol);
            for frame in &frames {
                (protocol.probe)(Transport::Link, frame);
                flow.frame(1, frame);
            }
        }
    }

    /// Any data set is told, each element at a place, whatever is in it.
    #[test]
    fn any_data(parts in vec(elements(), 0..20)) {
        let (entries, data) = (parts.len() as u8, parts.concat());
        let frame = Goose { entries, data, ..Goose::default() }.frame();
        let mut flow = Flow::new(&goose::PROTOCOL);
        flow.frame(0, &frame).frame(SOON, &padded(&frame));
        prop_assert_eq!(flow.out.said.len(), 2);
        prop_assert_eq!(&flow.out.said[0], &flow.out.said[1]);
        prop_assert_eq!(flow.out.said[0].numbers("state-number"), vec![5]);
    }

    /// One byte changed, or the end cut off: told or noticed, never passed over.
    #[test]
    fn damage(place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let sample = asdu("MU01", 1, &pairs(&[(1, 0), (2, 0)]));
        let frames = [Goose::default().frame(), samples(&[sample.clone(), sample])];
        for (protocol, mut frame) in [&goose::PROTOCOL, &sv::PROTOCOL].into_iter().zip(frames) {
            let at = place.index(frame.len());
            if cut { frame.truncate(at) } else { frame[at] = byte }
            let mut flow = Flow::new(protocol);
            flow.frame(0, &frame);
            prop_assert!(!(flow.out.said.is_empty() && flow.out.noticed.is_empty()));
        }
    }

    /// Numbers that follow from each other are never told, at whatever pace they come.
    #[test]
    fn a_true_publisher(steps in vec((0_i64..5_000_000, any::<bool>()), 1..60)) {
        let mut flow = Flow::new(&goose::PROTOCOL);
        let (mut state, mut number) = (1, 0);
        for (after, changes) in steps {
            (state, number) = if changes { (state + 1, 0) } else { (state, number + 1) };
            let data = [tlv(0x86, &[state as u8]), tlv(0x83, &[1])].concat();
            flow.frame(after, &Goose { state, number, data, ..Goose::default() }.frame());
        }
        prop_assert_eq!(flow.notices(), Vec::<String>::new());
    }
}

/// Microseconds within which a copy comes.
const SOON: i64 = 100;
