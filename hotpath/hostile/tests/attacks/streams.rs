//! Segments that are tiny, come out of order, or overlap; garbage in place of PDUs.

use hostile::frames::Listed;
use hostile::mutation::Dice;
use hostile::wire::{Socket, adu, tcp};

use super::measure::assert_linear;

const CLIENT: Socket = ([10, 0, 0, 1], 50_000);
const SERVER: Socket = ([10, 0, 0, 2], 502);
const ACK: u8 = 0x10;

/// A segment of the one stream: where, and what.
fn segment(place: usize, bytes: &[u8]) -> Listed {
    tcp(CLIENT, SERVER, (1 + place as u32, 1, ACK), bytes)
}

fn requests(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| adu(number as u16, 1, &[3, 0, number as u8, 0, 1])).collect()
}

#[test]
fn one_byte_a_segment() {
    let cost = assert_linear("tiny segments in order", 30_000, 30.0, |count| {
        let stream = requests(count.div_ceil(12));
        (0..count).map(move |place| segment(place, &stream[place..=place]))
    });
    assert!(cost.messages > 4_000 && cost.most < 1_000);
}

#[test]
fn one_byte_a_segment_backwards() {
    let cost = assert_linear("tiny segments backwards, 100 at a time", 30_000, 120.0, |count| {
        let stream = requests(count.div_ceil(12) + 10);
        // The first byte comes first: the stream is known to begin there.
        (0..count).map(move |number| {
            let place = if number == 0 {
                0
            } else {
                1 + (number - 1) / 100 * 100 + 99 - (number - 1) % 100
            };
            segment(place, &stream[place..=place])
        })
    });
    assert!(cost.messages > 4_000 && cost.most < 4_000);
}

#[test]
fn segments_that_never_get_their_turn() {
    let cost = assert_linear("holes that are never filled", 40_000, 300.0, |count| {
        let mut dice = Dice::new(5);
        (0..count).map(move |number| segment(2 + 3 * number + dice.below(90), b"x"))
    });
    assert!(cost.held[1] <= 64 << 10 && cost.most < 2_000);
}

#[test]
fn segments_that_overlap_and_disagree() {
    let cost = assert_linear("overlaps that disagree", 20_000, 500.0, |count| {
        let mut dice = Dice::new(6);
        (0..count).map(move |number| {
            let bytes = vec![dice.roll() as u8; 1 + dice.below(900)];
            segment(2 + number + dice.below(600), &bytes)
        })
    });
    assert!(cost.most < 40_000);
}

#[test]
fn garbage_in_place_of_pdus() {
    let cost = assert_linear("garbage on port 502", 20_000, 40_000.0, |count| {
        let mut dice = Dice::new(7);
        let first = segment(0, &requests(1));
        let garbage = move |number: usize| {
            let likely = [0, 0, 0, 1, 3, 6, 16, 0x83];
            let bytes: Vec<u8> = (0..1_400).map(|_| likely[dice.below(8)]).collect();
            segment(12 + 1_400 * number, &bytes)
        };
        std::iter::once(first).chain((0..count).map(garbage))
    });
    assert!(cost.most < 200_000);
}

#[test]
fn frames_that_could_go_on_for_ever() {
    // 65 names no length in RTU: every length may be right, and each byte is looked at.
    assert_linear("RTU frames without an end", 20_000, 600.0, |count| {
        let first = segment(0, &[0x11, 0x07, 0x4C, 0x22]);
        let rest = (0..count).map(|place| segment(4 + place, &[65]));
        std::iter::once(first).chain(rest)
    });
}
