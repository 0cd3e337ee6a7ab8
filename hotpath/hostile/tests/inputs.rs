//! Seeds, inputs that were once findings, and some mutations of both, through every target.
#![cfg(test)]

use std::fs;
use std::path::Path;

use hostile::mutation::{Dice, damage};
use hostile::{seeds, targets};

/// Mutations of each seed.
const MUTATIONS: usize = 12;

/// Inputs that were found once; each is named by what was wrong.
fn found(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(target);
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn try_all(name: &str) {
    let (_, target) = *targets::ALL.iter().find(|(other, _)| *other == name).unwrap();
    let mut inputs = seeds::of(name);
    assert!(inputs.len() > 10, "the project's captures give seeds");
    inputs.extend(found(name));
    let mut dice = Dice::new(1);
    for (place, input) in inputs.iter().enumerate() {
        target(input);
        for _ in 0..MUTATIONS {
            let mut changed = input.clone();
            for _ in 0..=dice.below(4) {
                damage(&mut changed, &inputs[(place + 1) % inputs.len()], &mut dice);
            }
            target(&changed);
        }
    }
}

#[test]
fn readers() {
    try_all("readers");
}

#[test]
fn net() {
    try_all("net");
}

#[test]
fn modbus() {
    try_all("modbus");
}

#[test]
fn engine() {
    try_all("engine");
}

#[test]
fn dnp3() {
    try_all("dnp3");
}

#[test]
fn iec104() {
    try_all("iec104");
}

#[test]
fn goose() {
    try_all("goose");
}

#[test]
fn sv() {
    try_all("sv");
}

#[test]
fn s7comm() {
    try_all("s7comm");
}

#[test]
fn s7plus() {
    try_all("s7plus");
}
