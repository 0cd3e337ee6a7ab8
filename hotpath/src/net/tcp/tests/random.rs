//! Properties over random dialogues and random attacks.

use super::{
    ACK, Attempted, Closed, Event, FIN_ACK, First, Line, Open, RST_ACK, SYN, SYN_ACK, Second,
    config, data,
};
use crate::net::Side;
use crate::net::tcp::Flags;
use proptest::prelude::*;

/// One turn of a dialogue: who speaks, what, and in which pieces (start and length as parts of
/// the whole), in which order, with which of them twice.
#[derive(Debug, Clone)]
struct Turn {
    side: Side,
    bytes: Vec<u8>,
    pieces: Vec<(usize, usize)>,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = (any::<bool>(), prop::collection::vec(any::<u8>(), 1..300)).prop_flat_map(
        |(is_first, bytes)| {
            let length = bytes.len();
            let cuts = prop::collection::vec(0..=length, 0..8);
            let repeated = prop::collection::vec((0..length, 1..=length), 0..4);
            let pieces = (cuts, repeated).prop_map(move |(mut cuts, repeated)| {
                cuts.extend([0, length]);
                cuts.sort_unstable();
                cuts.dedup();
                let cut = cuts.windows(2).map(|pair| (pair[0], pair[1]));
                cut.chain(
                    repeated.into_iter().map(|(from, count)| (from, (from + count).min(length))),
                )
                .collect::<Vec<_>>()
            });
            let side = if is_first { First } else { Second };
            (Just(side), Just(bytes), pieces.prop_shuffle())
        },
    );
    let turn = turn.prop_map(|(side, bytes, pieces)| Turn { side, bytes, pieces });
    prop::collection::vec(turn, 1..12)
}

/// The data of `events`, joined where one side goes on.
fn joined(events: impl IntoIterator<Item = Event>) -> Vec<(Side, Vec<u8>)> {
    let mut all: Vec<(Side, Vec<u8>)> = Vec::new();
    for event in events {
        let Event::Data(side, bytes) = event else { continue };
        match all.last_mut() {
            Some((last, before)) if *last == side => before.extend(bytes),
            _ => all.push((side, bytes)),
        }
    }
    all
}

proptest! {
    #![proptest_config(config(256))]

    /// However a dialogue is cut, repeated and reordered before the other side answers, and
    /// wherever its numbers begin, the same bytes are delivered in the same order of causes.
    #[test]
    fn segmentation_changes_nothing(
        turns in turns(),
        bases in prop_oneof![
            any::<(u32, u32)>(),
            (u32::MAX - 500..=u32::MAX, u32::MAX - 500..=u32::MAX),
        ],
    ) {
        let mut line = Line::new();
        let (mut first, mut second) = bases;
        line.send(First, SYN, first, 0, b"");
        first = first.wrapping_add(1);
        line.send(Second, SYN_ACK, second, first, b"");
        second = second.wrapping_add(1);
        line.send(First, ACK, first, second, b"");
        for turn in &turns {
            let (mine, theirs) = match turn.side {
                First => (&mut first, second),
                Second => (&mut second, first),
            };
            for (from, to) in &turn.pieces {
                let sequence = mine.wrapping_add(*from as u32);
                line.send(turn.side, ACK, sequence, theirs, &turn.bytes[*from..*to]);
            }
            *mine = mine.wrapping_add(turn.bytes.len() as u32);
        }
        line.send(First, FIN_ACK, first, second, b"");
        line.send(Second, FIN_ACK, second, first.wrapping_add(1), b"");
        let told = line.take();
        let others: Vec<_> =
            told.iter().filter(|event| !matches!(event, Event::Data(..))).cloned().collect();
        prop_assert_eq!(others, [Attempted, Open, Closed].map(Event::State));
        let said = turns.into_iter().map(|turn| data(turn.side, &turn.bytes));
        prop_assert_eq!(joined(told), joined(said));
        prop_assert_eq!(line.budget.used(), 0);
    }
}

proptest! {
    #![proptest_config(config(256))]

    /// A mirror port may capture an answer before its question: the order of causes stays.
    #[test]
    fn answers_come_after_their_questions(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 2..300), 2..30),
        swaps in any::<u32>(),
    ) {
        let mut line = Line::opened();
        let (mut first, mut second) = (101_u32, 501_u32);
        let mut frames = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let (side, mine, theirs) = if index % 2 == 0 {
                (First, &mut first, second)
            } else {
                (Second, &mut second, first)
            };
            frames.push((side, *mine, theirs, text));
            *mine += text.len() as u32;
        }
        for (index, pair) in frames.chunks_mut(2).enumerate() {
            if (swaps >> (index % 32)) & 1 == 1 {
                pair.reverse();
            }
        }
        for (side, mine, theirs, text) in frames {
            line.send(side, ACK, mine, theirs, text);
        }
        let told = line.take();
        prop_assert!(told.iter().all(|event| matches!(event, Event::Data(..))), "{told:?}");
        let said = texts.iter().enumerate();
        let said = said.map(|(index, text)| data([First, Second][index % 2], text));
        prop_assert_eq!(joined(told), joined(said));
    }
}

/// A segment that could be anything, near to where the dialogue is or far from it.
#[derive(Debug, Clone)]
struct Forged {
    side: Side,
    flags: u8,
    sequence: u32,
    acknowledgment: u32,
    length: usize,
    missing: u32,
    later: i64,
}

fn forged(longest: usize) -> impl Strategy<Value = Forged> {
    let number = || {
        prop_oneof![
            4 => 0_u32..600,
            2 => (0_u32..400).prop_map(|behind| 0_u32.wrapping_sub(behind)),
            1 => 2_000_u32..5_000_000,
            1 => any::<u32>(),
        ]
    };
    let flags = prop_oneof![6 => Just(0x10_u8), 1 => Just(0x11), 2 => any::<u8>()];
    let missing = prop_oneof![6 => Just(0_u32), 1 => 0_u32..2000, 1 => any::<u32>()];
    let later = prop_oneof![6 => Just(0_i64), 1 => 0..5_000_000_000_i64, 1 => any::<i64>()];
    (any::<bool>(), flags, number(), number(), 0..longest, missing, later).prop_map(
        |(is_first, flags, sequence, acknowledgment, length, missing, later)| Forged {
            side: if is_first { First } else { Second },
            flags,
            sequence,
            acknowledgment,
            length,
            missing,
            later,
        },
    )
}

proptest! {
    #![proptest_config(config(512))]

    /// Whatever comes, nothing panics, nothing is delivered that was not sent, what is held is
    /// bounded, and the work is bounded by the number of segments.
    #[test]
    fn anything_is_borne(
        segments in prop::collection::vec(forged(300), 1..150), limit in 0_usize..20_000,
    ) {
        let mut line = Line::with_budget(limit);
        let mut sent = 0;
        for segment in &segments {
            line.now.time = line.now.time.saturating_add(segment.later).clamp(-1 << 60, 1 << 60);
            let payload = vec![segment.length as u8; segment.length];
            sent += payload.len();
            line.send_cut(
                segment.side,
                Flags(segment.flags),
                segment.sequence,
                segment.acknowledgment,
                &payload,
                segment.missing,
            );
            prop_assert!(line.budget.used() <= limit + 256 * 64, "{}", line.budget.used());
        }
        line.connection.forget(line.now, &mut line.budget, &mut line.heard);
        prop_assert_eq!(line.budget.used(), 0);
        prop_assert!(line.heard.events.len() <= 10 * segments.len() + 10);
        let delivered: usize = joined(line.take()).iter().map(|(_, bytes)| bytes.len()).sum();
        prop_assert!(delivered <= sent);
    }

    /// No forged segments make the rest of a dialogue unreadable: each may spoil the rounds in
    /// which its bytes come first, and once the dialogue is past those, all of it is understood.
    #[test]
    fn forgery_does_not_silence(
        forged in prop::collection::vec((FORGED, forged(64)), 1..20),
        middle in any::<bool>(),
        pace in prop::sample::select(&[1_000_000_i64, 1_000_000_000, 10_000_000_000]),
    ) {
        let spoilt = spoilt_rounds(&forged, middle, pace);
        prop_assert!(spoilt.iter().all(|round| *round < PAST_FORGED), "{spoilt:?}");
    }
}

/// The rounds before which something is forged.
const FORGED: std::ops::Range<usize> = 3..8;
/// The first round that no forged bytes can spoil: those near lie less than 664 bytes ahead, a
/// round has ten or more, and the one behind them may fall into their gap.
const PAST_FORGED: usize = FORGED.end + 68;

/// The rounds of a dialogue, one each `pace` nanoseconds, that are not understood where segments
/// are forged before the rounds they come with.
fn spoilt_rounds(forged: &[(usize, Forged)], middle: bool, pace: i64) -> Vec<usize> {
    let mut line = if middle { Line::new() } else { Line::opened() };
    let (mut first, mut second) = (101_u32, 501_u32);
    let mut spoilt = Vec::new();
    for round in 0..120 {
        for (_, segment) in forged.iter().filter(|(before, _)| *before == round) {
            let (mine, theirs) = match segment.side {
                First => (first, second),
                Second => (second, first),
            };
            line.now.time += segment.later % 100_000_000_000;
            line.send_cut(
                segment.side,
                Flags(segment.flags),
                mine.wrapping_add(segment.sequence),
                theirs.wrapping_add(segment.acknowledgment),
                &vec![0xEE; segment.length],
                segment.missing,
            );
        }
        line.take();
        let (question, answer) = ([round as u8; 12], [round as u8; 10]);
        line.send(First, ACK, first, second, &question);
        first += 12;
        line.send(Second, ACK, second, first, &answer);
        second += 10;
        line.now.time += pace;
        if joined(line.take()) != [(First, question.to_vec()), (Second, answer.to_vec())] {
            spoilt.push(round);
        }
    }
    spoilt
}

const FORGED_DATA: Forged = Forged {
    side: Second,
    flags: 0x10,
    sequence: 0,
    acknowledgment: 0,
    length: 1,
    missing: 0,
    later: 0,
};

#[test]
fn a_forged_beginning_and_gap_do_not_hide_what_lies_before_both() {
    let forged = [
        (3, Forged { side: First, flags: SYN.0, length: 0, ..FORGED_DATA }),
        (3, Forged { sequence: 962, length: 9, ..FORGED_DATA }),
        (3, Forged { sequence: 972, ..FORGED_DATA }),
        (3, Forged { flags: RST_ACK.0, length: 0, ..FORGED_DATA }),
    ];
    assert_eq!(spoilt_rounds(&forged, false, 1_000_000_000), []);
}

#[test]
fn a_step_back_does_not_hide_what_lies_before_it() {
    let forged = [
        (3, Forged { sequence: 3_146_435, length: 34, missing: 1 << 20, ..FORGED_DATA }),
        (4, Forged { sequence: 2000, later: 2_000_000_000, ..FORGED_DATA }),
    ];
    assert_eq!(spoilt_rounds(&forged, false, 1_000_000_000), []);
}

#[test]
fn forged_bytes_that_come_first_spoil_one_round_though_they_reach_further() {
    let forged = [(3, Forged { length: 60, ..FORGED_DATA })];
    assert_eq!(spoilt_rounds(&forged, false, 1_000_000_000), [3]);
}
