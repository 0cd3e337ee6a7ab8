//! Mutated frames by the hundred thousand: nothing ends, nothing grows, and what is valid decodes.
#![cfg(test)]

use std::fs;

use hostile::frames::{Listed, turn};
use hostile::mutation::{Dice, damage};
use hostile::reader::Listener;
use hostile::seeds;
use hotpath::engine::Settings;

/// Frames between two looks at whether a valid PDU is understood.
const STRETCH: usize = 1_000;

/// More ids than the default bounds of any dictionary allow, reserves and names included.
const MOST_IDS: usize = 4_096 * 80;

/// A Modbus request over UDP between two who are never mutated; `number` is its transaction.
fn valid(number: u16) -> Listed {
    let adu = [&number.to_be_bytes()[..], &[0, 0, 0, 6, 7, 3, 0, 9, 0, 2]].concat();
    let udp = [&[0xC0, 0, 0x01, 0xF6, 0, 8 + adu.len() as u8, 0, 0][..], &adu].concat();
    let ip = [
        &[0x45, 0, 0, 20 + udp.len() as u8, 0, 0, 0, 0, 64, 17, 0, 0][..],
        &[10, 250, 0, 1, 10, 250, 0, 2],
        &udp,
    ];
    let link = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0][..], &ip.concat()];
    Listed::ethernet(link.concat())
}

/// Resident memory in KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// One to four frames made of one: damaged, doubled, turned, spliced with another.
fn mutate(frames: &[Listed], dice: &mut Dice) -> Vec<Listed> {
    let (one, other) = (&frames[dice.below(frames.len())], &frames[dice.below(frames.len())]);
    let mut made = one.clone();
    if dice.below(4) > 0 {
        damage(&mut made.data, &other.data, dice);
    }
    if dice.below(8) == 0 {
        turn(&mut made.data);
    }
    made.how = if dice.below(16) == 0 { dice.roll() as u8 & 0x0F } else { 0 };
    // Time moves on as it does in a plant, and now and then it jumps, or runs back.
    made.wait = if dice.below(2_000) == 0 { 200 + dice.below(56) as u8 } else { 1 };
    let copies = if dice.below(16) == 0 { 2 + dice.below(3) } else { 1 };
    vec![made; copies]
}

fn hear_mutated(count: usize) -> Vec<usize> {
    let mut frames = Vec::new();
    for capture in ["normal/normal", "attacks/attacks", "plant-attacks/plant-attacks"] {
        frames.extend(seeds::frames_of(capture, 0, 5_000));
    }
    let mut listener = Listener::new(&Settings::default());
    let mut dice = Dice::new(20_261_129);
    let (mut heard, mut memory) = (0, Vec::new());
    for stretch in 0.. {
        let before = heard;
        while heard < before + STRETCH {
            for frame in mutate(&frames, &mut dice) {
                listener.hear(&frame);
                heard += 1;
            }
        }
        let said = listener.take_and_count();
        listener.hear(&valid(stretch));
        assert_eq!(listener.take_and_count(), said + 1, "a valid PDU after {heard} frames");
        if heard / (count / 10) > memory.len() {
            memory.push(resident());
        }
        if heard >= count {
            break;
        }
    }
    listener.finish();
    assert!(listener.engine.health().frames as usize >= count);
    assert!(listener.reader.sizes().iter().all(|size| *size < MOST_IDS));
    memory
}

#[test]
fn a_hundred_thousand() {
    hear_mutated(100_000);
}

/// `cargo test --release -p otids-hostile --test mutated -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes where the build is not optimised"]
fn a_million() {
    let memory = hear_mutated(1_000_000);
    println!("resident KiB after each tenth: {memory:?}");
    let (half, last) = (memory[4], memory[memory.len() - 1]);
    assert!(last <= half + 32 * 1024, "memory grows: {memory:?}");
}
