//! Messages over segments and fragments: which frame began them, which one completed them.

use super::frames::{ACK, answer, ask, fragment, host, segment, tcp};
use super::wire::{Dialogue, MILLISECOND, Wire};

fn opened() -> (Wire, Dialogue) {
    let (mut wire, mut talk) = (Wire::default(), Dialogue::new(host(1, 40_000), host(2, 502)));
    talk.open(&mut wire);
    (wire, talk)
}

#[test]
fn a_pdu_over_several_segments_begins_where_its_first_byte_is() {
    let (mut wire, mut talk) = opened();
    let bytes = [ask(1, 0), ask(2, 0)].concat();
    let frames: Vec<u64> = bytes.chunks(8).map(|part| talk.ask(&mut wire, part)).collect();
    let heard = wire.finish();
    let places = [(1, frames[0], frames[1], 0), (2, frames[1], frames[2], 0)];
    assert_eq!(heard.places(), places);
}

#[test]
fn several_pdus_in_one_segment_have_parts() {
    let (mut wire, mut talk) = opened();
    let frame = talk.ask(&mut wire, &[ask(1, 0), ask(2, 0), ask(3, 0)].concat());
    talk.answer(&mut wire, &answer(3));
    let heard = wire.finish();
    let parts: Vec<_> =
        heard.places()[..3].iter().map(|place| (place.1, place.2, place.3)).collect();
    assert_eq!(parts, [(frame, frame, 0), (frame, frame, 1), (frame, frame, 2)]);
    assert_eq!((heard.messages[3].reply_to, heard.messages[3].latency), (3, MILLISECOND));
}

#[test]
fn segments_out_of_order_complete_with_the_one_that_was_missing() {
    let (mut wire, talk) = opened();
    let bytes = ask(1, 0);
    let (begin, rest) = bytes.split_at(5);
    let put = |wire: &mut Wire, offset: u32, part: &[u8]| {
        let sequence = talk.asked + offset;
        wire.put(&tcp(talk.client, talk.server, sequence, talk.answered, ACK, part))
    };
    let early = put(&mut wire, 5, rest);
    let late = put(&mut wire, 0, begin);
    let heard = wire.finish();
    assert_eq!(heard.places(), [(1, late, late, 0)]);
    assert!(early < late);
}

#[test]
fn a_fragmented_segment_begins_in_its_first_fragment() {
    let (mut wire, talk) = opened();
    let (from, to) = (talk.client.address, talk.server.address);
    let whole = segment(talk.client, talk.server, talk.asked, talk.answered, ACK, &ask(1, 0));
    let (begin, rest) = whole.split_at(16);
    let first = wire.put(&fragment(from, to, 6, (9, 0, true), begin));
    let last = wire.put(&fragment(from, to, 6, (9, 16, false), rest));
    let heard = wire.finish();
    assert_eq!(heard.places(), [(1, first, last, 0)]);
    let frames: u32 = heard.traffic.iter().map(|(_, row)| row.client_frames).sum();
    let bytes: u64 = heard.traffic.iter().map(|(_, row)| row.client_bytes).sum();
    assert_eq!(frames, 4, "SYN, ACK and both fragments");
    assert_eq!(bytes, (54 + 54 + 34 + 16 + 34 + rest.len()) as u64);
}

#[test]
fn a_pdu_after_a_gap_is_its_own() {
    let (mut wire, mut talk) = opened();
    talk.ask(&mut wire, &ask(1, 0));
    talk.ask(&mut wire, &ask(2, 0)[..7]);
    talk.asked = talk.asked.wrapping_add(1_000);
    let frame = talk.ask(&mut wire, &ask(3, 0));
    talk.answer(&mut wire, &answer(3));
    let heard = wire.finish();
    assert_eq!(heard.places()[1].1, frame);
    assert_eq!(heard.messages[2].reply_to, 2);
    assert_eq!(heard.kinds(), ["gap"]);
    assert_eq!(heard.traffic.iter().map(|(_, row)| row.gaps).sum::<u32>(), 1);
}

#[test]
fn single_bytes_cost_no_more_than_their_number() {
    let count = |bytes: usize| {
        let (mut wire, mut talk) = opened();
        let stream: Vec<u8> = (0..).flat_map(|number| ask(number, 0)).take(bytes).collect();
        let clock = std::time::Instant::now();
        for byte in &stream {
            talk.ask(&mut wire, std::slice::from_ref(byte));
        }
        let spent = clock.elapsed();
        (wire.finish().messages.len(), spent)
    };
    let (few, short) = count(1 << 13);
    let (many, long) = count(1 << 17);
    assert_eq!((few, many), ((1 << 13) / 12, (1 << 17) / 12));
    // Sixteen times the bytes; quadratic work would take 256 times as long.
    assert!(long < short.max(std::time::Duration::from_millis(5)) * 64, "{short:?}, {long:?}");
}
