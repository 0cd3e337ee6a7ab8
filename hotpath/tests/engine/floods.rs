//! Floods cost their own quotas, reach a plateau, and blind nothing.

use hotpath::engine::Settings;
use hotpath::flows::FlowLimits;
use hotpath::protocols::NO_SUBFUNCTION;
use hotpath::scribe::{Learned, Quotas};
use hotpath::table::Limits;

use super::frames::{Host, adu, ask, ethernet, host, tcp, udp};
use super::heard::Heard;
use super::wire::{SECOND, START, Wire};

const fn limits(total: u32, per_client: u32) -> Limits {
    Limits { total, per_client }
}

fn small() -> Settings {
    Settings {
        quotas: Quotas {
            endpoints: limits(256, 64),
            conversations: limits(256, 64),
            objects: limits(256, 64),
            symbols: limits(512, 64),
            pages: limits(64, 16),
            texts: limits(128, 32),
        },
        flows: FlowLimits { flows: 128, heard_bytes: 8_192, ..FlowLimits::default() },
    }
}

/// The most ids that the small quotas allow, reserves and finite names included.
const PLATEAU: usize = 2_048;

fn assert_plateau(heard: &Heard) {
    let sizes = [
        heard.texts.len(),
        heard.endpoints.len(),
        heard.conversations.len(),
        heard.symbols.len(),
        heard.points.len(),
    ];
    assert!(sizes.iter().all(|size| *size <= PLATEAU), "{sizes:?}");
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        self.0 >> 24
    }

    fn host(&mut self, port: u16) -> Host {
        let [.., b, c, d] = self.next().to_be_bytes();
        Host { address: [192, b, c, d], port }
    }
}

/// Everything that is asked by the HMI: what a detector would have learned.
fn of_the_hmi(heard: &Heard) -> Learned {
    let is_hmi = |id: &u32| heard.endpoints.get(id).is_some_and(|address| address == "10.0.0.1");
    let conversations: Vec<u32> = heard
        .conversations
        .iter()
        .filter(|(_, conversation)| is_hmi(&conversation.0))
        .map(|(id, _)| *id)
        .collect();
    let symbols = heard.symbols.values().filter(|one| conversations.contains(&one.conversation));
    let symbols = symbols.map(|one| one.id).collect();
    Learned { conversations, symbols, ..Learned::default() }
}

#[test]
fn random_hosts_units_and_addresses_reach_a_plateau() {
    let mut wire = Wire::with(&small());
    wire.learned = of_the_hmi;
    wire.cut = 1_000;
    let (hmi, plc) = (host(1, 50_000), host(2, 502));
    let mut random = Random(7);
    let mut known = Vec::new();
    for round in 0..150 {
        wire.time = START + i64::from(round) * 30 * SECOND;
        wire.put(&udp(hmi, plc, &ask(round, 100)));
        for _ in 0..500 {
            let (from, mut to) = (random.host(random.0 as u16), random.host(502));
            if random.next() % 2 == 0 {
                to = plc;
            }
            let dice = random.next();
            let frame = match dice % 5 {
                0 => udp(from, to, &adu(1, dice as u8, &[3, (dice >> 8) as u8, 0, 0, 1])),
                1 => udp(from, to, &[(dice >> 8) as u8; 40]),
                2 => ethernet(from.address, to.address, 0x8000 | dice as u16, b"hello"),
                3 => tcp(from, to, dice as u32, 0, dice as u8, &ask(1, dice as u16)[..7]),
                _ => udp(from, to, &adu(1, 1, &[(dice >> 8) as u8 & 0x7F, dice as u8, 0])),
            };
            wire.put(&frame);
        }
        wire.heard.take(&wire.engine.take_batch(false));
        assert_plateau(&wire.heard);
        // What was learned is spelled as ever, and by the same id.
        let said =
            wire.heard.messages.iter().filter(|one| one.conversation.starts_with("10.0.0.1 >"));
        known.extend(said.map(|one| one.symbol.clone()));
        wire.heard.messages.clear();
        wire.heard.notices.clear();
        wire.heard.traffic.clear();
    }
    assert_eq!(known.len(), 150);
    assert!(known.iter().all(|one| *one == known[0] && !one.coarse && one.objects.len() == 1));
    assert!(wire.heard.retired > 100, "what was long unused makes room");
    let (evicted, refused) = wire.engine.refusals();
    assert!(evicted > 0 && refused > 0, "loss is counted");
}

/// Every client is spoofed, and tries every unit, function and sub-function. Then somebody does
/// what rules forbid: its conversations and whether each message is spelled coarsely.
fn what_rules_see(settings: &Settings) -> Vec<String> {
    let mut wire = Wire::with(settings);
    let plc = host(2, 502);
    let mut random = Random(3);
    for number in 0..5_000_u32 {
        let dice = random.next();
        let pdu = [dice as u8 & 0x7F, (dice >> 8) as u8, (dice >> 16) as u8, 0, 1];
        let from = random.host(number as u16);
        wire.put(&udp(from, plc, &adu(1, number as u8, &pdu)));
    }
    let frames = [
        &[8, 0, 4, 0, 0][..],    // force listen only
        &[5, 0, 3, 0xFF, 0],     // write coil 3
        &[90, 0, 0x40, 0, 0xFF], // UMAS: start
    ]
    .map(|pdu| wire.put(&udp(random.host(1), plc, &adu(1, 9, pdu))));
    let heard = wire.finish();
    let forbidden = || heard.messages.iter().filter(|said| frames.contains(&said.frame));
    let done: Vec<(u32, u32, bool)> = forbidden()
        .map(|said| (said.symbol.function, said.symbol.subfunction, said.symbol.coarse))
        .collect();
    assert_eq!(done, [(8, 4, true), (5, NO_SUBFUNCTION, true), (90, 0x40, true)]);
    forbidden().map(|said| heard.spell(said.symbol.conversation)).collect()
}

#[test]
fn rules_see_what_is_done_however_many_do_it() {
    assert_eq!(what_rules_see(&small()), ["anybody > anybody modbus/0"; 3]);
    let mut tiny = small();
    tiny.quotas.symbols = limits(16, 4);
    assert_eq!(what_rules_see(&tiny), ["anybody > anybody modbus/0"; 3]);
    tiny.quotas.conversations = limits(4, 1);
    tiny.quotas.endpoints = limits(4, 1);
    what_rules_see(&tiny);
}

#[test]
fn a_port_scan_does_not_hide_whom_the_scanner_talks_to() {
    let mut wire = Wire::with(&small());
    for port in 1_000..3_000 {
        wire.put(&tcp(host(66, 60_000), host(2, port), 1, 0, super::frames::SYN, &[]));
    }
    wire.put(&udp(host(66, 60_000), host(2, 502), &adu(1, 1, &[5, 0, 3, 0xFF, 0])));
    wire.put(&udp(host(67, 60_000), host(2, 502), &adu(1, 1, &[5, 0, 3, 0xFF, 0])));
    let heard = wire.finish();
    let names: Vec<&str> = heard.messages.iter().map(|said| said.conversation.as_str()).collect();
    assert_eq!(names, ["10.0.0.66 > 10.0.0.2 modbus/0", "10.0.0.67 > 10.0.0.2 modbus/502"]);
    assert_eq!(heard.kinds().iter().filter(|kind| **kind == "table-full").count(), 1);
}

#[test]
fn protocols_are_spelled_though_texts_are_full() {
    let mut wire = Wire::with(&small());
    for number in 0..2_000_u16 {
        // A server tells a new name each time: vendor name, as read device identification does.
        let name = format!("vendor {number}");
        let head = [43, 14, 1, 1, 0, 0, 1, 0, name.len() as u8];
        let from = Host { address: [10, 1, (number >> 5) as u8, 1], port: 502 };
        wire.put(&udp(host(1, 50_000), from, &adu(number, 1, &[43, 14, 1, 0])));
        wire.put(&udp(
            from,
            host(1, 50_000),
            &adu(number, 1, &[&head[..], name.as_bytes()].concat()),
        ));
    }
    let facts = wire.engine.refusals().1;
    wire.put(&udp(host(3, 50_000), host(4, 502), &ask(1, 0)));
    wire.put(&udp(host(3, 50_000), host(4, 53), b"?"));
    wire.put(&ethernet([10, 0, 0, 3], [10, 0, 0, 4], 0x9999, b"?"));
    let heard = wire.finish();
    assert!(facts > 1_000);
    assert!(heard.facts.iter().all(|(key, value)| key == "vendor" && !value.is_empty()));
    assert!(heard.texts.len() <= PLATEAU);
    let is_told = |name: &str| heard.traffic.iter().any(|(told, _)| told == name);
    assert!(is_told("10.0.0.3 > 10.0.0.4 modbus/502"));
    assert!(is_told("10.0.0.3 > 10.0.0.4 udp/53"));
    assert!(is_told("02:00:0a:00:00:03 > 02:00:0a:00:00:04 link/0"));
}

#[test]
fn one_full_quota_is_given_back_after_a_while() {
    let mut wire = Wire::with(&small());
    let client = host(5, 50_000);
    for address in 0..100 {
        wire.put(&udp(client, host(2, 502), &ask(1, address)));
    }
    // Odd seconds only: a census must not wait for a certain second.
    for minute in 1..20 {
        wire.put_at(START + (minute * 60 + 1) * SECOND, &udp(host(8, 9), host(9, 9), b"x"));
    }
    wire.put(&udp(client, host(2, 502), &ask(1, 500)));
    let heard = wire.finish();
    assert!(heard.messages[99].symbol.coarse);
    assert!(!heard.messages[100].symbol.coarse);
}

#[test]
fn what_waits_to_be_understood_is_bounded() {
    let mut wire = Wire::with(&small());
    let mut random = Random(1);
    // Heads of PDUs on unregistered ports, which nobody answers.
    for _ in 0..5_000 {
        let from = random.host(1_234);
        wire.put(&udp(from, host(2, 9_999), &ask(1, 0)[..10]));
    }
    wire.heard.take(&wire.engine.take_batch(false));
    let told = wire.heard.notices.iter().any(|one| one.detail == "held bytes");
    assert!(told, "{:?}", wire.heard.kinds());
}
