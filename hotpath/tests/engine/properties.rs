//! What holds of any traffic.

use hotpath::engine::Settings;
use hotpath::flows::FlowLimits;
use proptest::prelude::*;

use super::frames::{ask, host, tcp, udp};
use super::heard::Heard;
use super::wire::{MILLISECOND, START, Wire};

/// A frame between few hosts and ports, and how long after the last one it comes.
#[derive(Debug, Clone)]
struct Step {
    wait: i64,
    ends: (u8, u8),
    ports: (u16, u16),
    sequence: u32,
    flags: u8,
    payload: Vec<u8>,
    is_tcp: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let ports = prop::sample::select(vec![502_u16, 80, 1_502, 40_000]);
    let wait = prop_oneof![
        20 => 0..400 * MILLISECOND,
        2 => 0..9_000 * MILLISECOND,
        1 => -4_000 * MILLISECOND..0,
    ];
    let payload = prop_oneof![
        3 => (0..4_u16, 0..3_u16).prop_map(|(transaction, address)| ask(transaction, address)),
        1 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ];
    let flags = prop::sample::select(vec![0x10_u8, 0x10, 0x10, 0x02, 0x12, 0x11, 0x04]);
    let ends = (1..4_u8, 1..4_u8);
    (wait, ends, (ports.clone(), ports), 0..200_u32, flags, payload, any::<bool>()).prop_map(
        |(wait, ends, ports, sequence, flags, payload, is_tcp)| Step {
            wait,
            ends,
            ports,
            sequence,
            flags,
            payload,
            is_tcp,
        },
    )
}

fn hear(steps: &[Step], cut: u64) -> (Heard, u64) {
    let flows = FlowLimits { flows: 5, ..FlowLimits::default() };
    let mut wire = Wire::with(&Settings { flows, ..Settings::default() });
    (wire.cut, wire.time) = (cut, START);
    let mut bytes = 0;
    for step in steps {
        let (from, to) = (host(step.ends.0, step.ports.0), host(step.ends.1, step.ports.1));
        let frame = if step.is_tcp {
            tcp(from, to, step.sequence, 50, step.flags, &step.payload)
        } else {
            udp(from, to, &step.payload)
        };
        bytes += frame.len() as u64;
        wire.put_at(wire.time + step.wait, &frame);
    }
    (wire.finish(), bytes)
}

proptest! {
    /// Every frame that reached a flow is in exactly one row of traffic, evicted flows included.
    #[test]
    fn traffic_adds_up_to_the_capture(steps in prop::collection::vec(step(), 1..120)) {
        let (heard, bytes) = hear(&steps, u64::MAX);
        let rows = || heard.traffic.iter().map(|(_, row)| row);
        let frames: u64 = rows().map(|row| u64::from(row.client_frames + row.server_frames)).sum();
        prop_assert_eq!(frames, steps.len() as u64);
        prop_assert_eq!(rows().map(|row| row.client_bytes + row.server_bytes).sum::<u64>(), bytes);
        prop_assert!(rows().all(|row| row.first_frame <= row.last_frame));
    }

    /// A conversation has one row in a second.
    #[test]
    fn traffic_is_told_once_a_second(steps in prop::collection::vec(step(), 1..120)) {
        let (heard, _) = hear(&steps, 1);
        let mut from = 0;
        for (_, _, stops) in &heard.marks {
            let to = stops[3] as usize;
            let mut ids: Vec<u32> =
                heard.traffic[from..to].iter().map(|(_, row)| row.conversation).collect();
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), all);
            from = to;
        }
        prop_assert_eq!(from, heard.traffic.len(), "no row stands behind the last mark");
    }

    /// However batches are cut, the rows and the ticks are the same.
    #[test]
    fn cuts_change_nothing(steps in prop::collection::vec(step(), 1..120), cut in 1..40_u64) {
        let (whole, _) = hear(&steps, u64::MAX);
        let (parts, _) = hear(&steps, cut);
        prop_assert_eq!(&whole.messages, &parts.messages);
        prop_assert_eq!(&whole.notices, &parts.notices);
        prop_assert_eq!(&whole.connections, &parts.connections);
        prop_assert_eq!(&whole.traffic, &parts.traffic);
        prop_assert_eq!(&whole.marks, &parts.marks);
    }

    /// Ids, parts and frames are dense and in order; replies come after what they answer.
    #[test]
    fn messages_are_counted_without_holes(steps in prop::collection::vec(step(), 1..120)) {
        let (heard, _) = hear(&steps, 3);
        for (place, said) in heard.messages.iter().enumerate() {
            prop_assert_eq!(said.id, place as u64 + 1);
            prop_assert!(said.reply_to < said.id);
            prop_assert!(said.first_frame <= said.frame);
            prop_assert_eq!(said.latency >= 0, said.reply_to > 0);
        }
    }
}
