//! Who is seen with which MAC and TTL, and what ARP claims.

use super::frames::{ethernet, host, udp};
use super::wire::{MILLISECOND, SECOND, START, Wire};

const HMI: [u8; 4] = [10, 0, 0, 1];
const PLC: [u8; 4] = [10, 0, 0, 2];
const ROGUE: [u8; 4] = [10, 0, 0, 66];
const ASK: u16 = 1;
const ANSWER: u16 = 2;

fn mac(owner: [u8; 4]) -> [u8; 6] {
    let [a, b, c, d] = owner;
    [2, 0, a, b, c, d]
}

fn number(owner: [u8; 4]) -> u64 {
    mac(owner).iter().fold(0, |sum, octet| (sum << 8) | u64::from(*octet))
}

/// ARP: `sender` has the MAC of `owner`, and is told or asked about `target`.
fn arp(operation: u16, owner: [u8; 4], sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let head = [&[0, 1, 8, 0, 6, 4][..], &operation.to_be_bytes()].concat();
    let body = [&head[..], &mac(owner), &sender, &[0; 6], &target].concat();
    ethernet(owner, target, 0x0806, &body)
}

/// A datagram from the PLC, in a frame from `owner`.
fn from_plc(owner: [u8; 4], ttl: u8, port: u16) -> Vec<u8> {
    let mut frame = udp(host(2, port), host(1, 9_999), b"x");
    frame[6..12].copy_from_slice(&mac(owner));
    frame[22] = ttl;
    frame
}

/// What was seen of the PLC: how, whose MAC, TTL.
fn seen(wire: Wire) -> Vec<(&'static str, u64, u8, u64)> {
    let of_plc = |one: &&super::heard::Seen| one.endpoint == "10.0.0.2";
    let heard = wire.finish();
    let rows = heard.sightings.iter().filter(of_plc);
    rows.map(|one| (one.how, one.mac, one.ttl, one.frame)).collect()
}

#[test]
fn what_stays_as_it_is_is_told_once() {
    let mut wire = Wire::default();
    for second in 0..5 {
        for port in [5_000, 6_000] {
            wire.put_at(START + second * SECOND, &from_plc(PLC, 64, port));
        }
        wire.put(&arp(ASK, HMI, HMI, PLC));
        wire.put(&arp(ANSWER, PLC, PLC, HMI));
    }
    assert_eq!(seen(wire), [("used", number(PLC), 64, 1), ("reply", number(PLC), 0, 4)]);
}

#[test]
fn arp_is_told_apart() {
    let mut wire = Wire::default();
    let frames = [
        arp(ASK, PLC, PLC, HMI),
        arp(ASK, PLC, PLC, PLC),
        arp(ANSWER, PLC, PLC, PLC),
        arp(ANSWER, PLC, PLC, HMI),
        arp(ASK, HMI, HMI, PLC),
        arp(ANSWER, ROGUE, PLC, HMI),
        arp(ANSWER, PLC, PLC, HMI),
    ];
    for (second, frame) in (0..).zip(&frames) {
        wire.put_at(START + second * SECOND, frame);
    }
    wire.put_at(START + 20 * SECOND, &arp(ANSWER, PLC, PLC, HMI));
    let told: Vec<_> =
        seen(wire).into_iter().map(|(how, mac, _, frame)| (how, mac, frame)).collect();
    let (plc, rogue) = (number(PLC), number(ROGUE));
    assert_eq!(
        told,
        [
            ("request", plc, 1),
            ("announcement", plc, 2),
            ("announcement", plc, 3),
            ("unasked", plc, 4),
            ("reply", rogue, 6),
            ("reply", plc, 7),
            ("unasked", plc, 8), // asked for long ago
        ]
    );
}

#[test]
fn a_claim_asks_who_is_still_there() {
    let mut wire = Wire::default();
    for second in 0..3 {
        wire.put_at(START + second * SECOND, &from_plc(PLC, 64, 5_000));
        wire.put(&arp(ANSWER, ROGUE, PLC, HMI));
        wire.put(&from_plc(PLC, 64, 5_000));
        wire.put(&from_plc(PLC, 64, 5_000));
    }
    let (used, claimed) = (("used", number(PLC), 64), ("unasked", number(ROGUE), 0));
    let told: Vec<_> = seen(wire).into_iter().map(|(how, mac, ttl, _)| (how, mac, ttl)).collect();
    // It was told in the same second before the claim, so that it waits for the next one.
    assert_eq!(told, [used, claimed, used, claimed, used, claimed]);
}

#[test]
fn flapping_is_told_once_a_second() {
    let mut wire = Wire::default();
    for step in 0..300 {
        let (owner, ttl) = if step % 2 == 0 { (PLC, 64) } else { (ROGUE, 63) };
        wire.put_at(START + step * 10 * MILLISECOND, &from_plc(owner, ttl, 5_000));
        wire.put(&arp(ANSWER, ROGUE, PLC, HMI));
    }
    let told = seen(wire);
    for owner in [PLC, ROGUE] {
        let rows = told.iter().filter(|(how, mac, ..)| (*how, *mac) == ("used", number(owner)));
        assert_eq!(rows.count(), 3);
    }
    assert_eq!(told.iter().filter(|(how, ..)| *how == "unasked").count(), 3);
}

#[test]
fn endless_macs_of_one_address_are_counted() {
    let mut wire = Wire::default();
    for last in 0..200 {
        wire.put(&from_plc([1, 2, 3, last], 64, 5_000 + u16::from(last)));
    }
    assert!(wire.engine.refusals().1 > 190);
    assert_eq!(seen(wire).len(), 4);
}

#[test]
fn services_with_other_ttls_are_told_once_each() {
    let mut wire = Wire::default();
    for second in 0..5 {
        wire.put_at(START + second * SECOND, &from_plc(PLC, 64, 5_000));
        wire.put(&from_plc(PLC, 255, 5_353));
        wire.put(&from_plc(PLC, 64, 5_001));
    }
    wire.put_at(START + 9 * SECOND, &from_plc(PLC, 63, 5_000));
    let ttls: Vec<_> = seen(wire).into_iter().map(|(_, _, ttl, _)| ttl).collect();
    assert_eq!(ttls, [64, 255, 63]);
}

#[test]
fn another_session_tells_all_anew() {
    let mut wire = Wire::default();
    wire.put(&from_plc(PLC, 64, 5_000));
    wire.end();
    wire.engine.begin_session();
    wire.put(&from_plc(PLC, 64, 5_000));
    assert_eq!(seen(wire).len(), 2);
}

#[test]
fn time_that_runs_back_tells_all_anew() {
    let mut wire = Wire::default();
    wire.put(&from_plc(PLC, 64, 5_000));
    wire.put_at(START - 60 * SECOND, &from_plc(PLC, 64, 5_000));
    assert_eq!(seen(wire).len(), 2);
}
