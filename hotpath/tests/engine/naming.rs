//! What a flow is said to speak.

use super::frames::{adu, answer, arp, ask, ethernet, host, udp};
use super::wire::{Dialogue, SECOND, START, Wire};

/// The head of a TLS client hello.
const HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x00, 0xC8, 0x01, 0x00, 0x00, 0xC4, 0x03, 0x03];

fn tick(wire: &mut Wire, second: i64) {
    wire.put_at(START + second * SECOND, &udp(host(8, 9), host(9, 9), b"x"));
}

#[test]
fn a_silent_connection_to_a_registered_port_has_its_name() {
    let (mut wire, mut talk) = (Wire::default(), Dialogue::new(host(1, 40_000), host(2, 502)));
    talk.open(&mut wire);
    tick(&mut wire, 3);
    let heard = wire.finish();
    assert!(heard.traffic.iter().any(|(name, _)| name == "10.0.0.1 > 10.0.0.2 modbus/502"));
    assert_eq!(heard.kinds(), [""; 0]);
}

#[test]
fn what_is_foreign_to_a_registered_port_is_told_once() {
    for hello in [HELLO, b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n"] {
        let mut wire = Wire::default();
        let mut talk = Dialogue::new(host(1, 40_000), host(2, 502));
        talk.open(&mut wire);
        for _ in 0..5 {
            talk.ask(&mut wire, hello);
            talk.answer(&mut wire, hello);
        }
        let heard = wire.finish();
        assert_eq!(heard.kinds(), ["foreign-protocol"]);
        assert_eq!(heard.notices[0].detail, "modbus");
        let names: Vec<&str> = heard.traffic.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["10.0.0.1 > 10.0.0.2 tcp/502"]);
        assert_eq!(heard.traffic[0].1.client_largest, hello.len() as u32);
        assert_eq!(heard.messages, []);
    }
}

#[test]
fn who_is_deaf_weighs_what_is_said() {
    let (mut wire, mut talk) = (Wire::default(), Dialogue::new(host(1, 40_000), host(2, 502)));
    wire.engine.deafen();
    talk.open(&mut wire);
    talk.ask(&mut wire, &ask(7, 100));
    talk.answer(&mut wire, &answer(7));
    let heard = wire.finish();
    assert_eq!((heard.messages.len(), heard.kinds().len()), (0, 0));
    assert_eq!(heard.traffic[0].0, "10.0.0.1 > 10.0.0.2 tcp/502");
    assert_eq!(heard.traffic[0].1.client_largest, ask(7, 100).len() as u32);
}

#[test]
fn the_first_pdu_after_noise_is_heard() {
    let (mut wire, mut talk) = (Wire::default(), Dialogue::new(host(1, 40_000), host(2, 502)));
    talk.open(&mut wire);
    talk.ask(&mut wire, HELLO);
    let frame = talk.ask(&mut wire, &ask(7, 100));
    talk.answer(&mut wire, &answer(7));
    let heard = wire.finish();
    assert_eq!(heard.places()[0], (1, frame, frame, 0));
    assert_eq!(heard.messages.len(), 2);
    assert_eq!(heard.messages[1].reply_to, 1);
}

#[test]
fn elsewhere_both_sides_must_have_spoken() {
    let (mut wire, mut talk) = (Wire::default(), Dialogue::new(host(1, 40_000), host(2, 1502)));
    talk.open(&mut wire);
    let first = talk.ask(&mut wire, &ask(1, 0));
    let second = talk.ask(&mut wire, &ask(2, 0));
    let times = (wire.time - 1_000_000, wire.time);
    wire.heard.take(&wire.engine.take_batch(false));
    assert_eq!(wire.heard.messages, []);
    let third = talk.answer(&mut wire, &[answer(1), answer(2)].concat());
    let heard = wire.finish();
    let places = [(1, first, first, 0), (2, second, second, 0), (3, third, third, 0)];
    assert_eq!(heard.places()[..3], places);
    assert_eq!(heard.places()[3], (4, third, third, 1));
    assert_eq!((heard.messages[0].time, heard.messages[1].time), times);
    assert_eq!(heard.messages[2].latency, 2_000_000);
    assert_eq!(heard.messages[3].reply_to, 2);
    assert_eq!(heard.messages[0].conversation, "10.0.0.1 > 10.0.0.2 modbus/1502");
}

#[test]
fn what_was_said_long_ago_is_not_waited_for() {
    let (mut wire, mut talk) = (Wire::default(), Dialogue::new(host(1, 40_000), host(2, 1502)));
    talk.open(&mut wire);
    talk.ask(&mut wire, &ask(1, 0));
    for second in 1..20 {
        tick(&mut wire, second);
    }
    talk.ask(&mut wire, &ask(2, 0));
    talk.answer(&mut wire, &answer(2));
    let heard = wire.finish();
    let times: Vec<i64> = heard.messages.iter().map(|said| (said.time - START) / SECOND).collect();
    assert_eq!(times, [19, 19]);
}

#[test]
fn what_a_protocol_shows_counts_more_than_a_lower_port() {
    // Told plainly at first, for nobody answered within a second; then by what is said.
    let mut wire = Wire::default();
    let mut talk = Dialogue::new(host(1, 2_000), host(2, 3_000));
    talk.ask(&mut wire, &ask(1, 0));
    tick(&mut wire, 2);
    talk.answer(&mut wire, &answer(1));
    let heard = wire.finish();
    assert_eq!(heard.messages[0].conversation, "10.0.0.1 > 10.0.0.2 modbus/3000");
    assert!(heard.messages[0].symbol.from_client);
}

#[test]
fn what_is_not_ip_has_a_conversation_too() {
    let mut wire = Wire::default();
    wire.put(&arp([10, 0, 0, 1], [10, 0, 0, 1], [10, 0, 0, 2]));
    for length in [60_u16, 61, 62] {
        wire.put(&ethernet([10, 0, 0, 1], [10, 0, 0, 2], length, &[0x42; 62]));
    }
    wire.put(&ethernet([10, 0, 0, 1], [10, 0, 0, 2], 0x88B5, &[0; 60]));
    let heard = wire.finish();
    let told: Vec<(&str, u32)> =
        heard.traffic.iter().map(|(name, row)| (name.as_str(), row.client_frames)).collect();
    let link = "02:00:0a:00:00:01 > 02:00:0a:00:00:02";
    let (llc, other) = (format!("{link} llc/0"), format!("{link} ethertype-0x88b5/0"));
    assert_eq!(told, [("10.0.0.1 > 10.0.0.2 arp/0", 1), (llc.as_str(), 3), (other.as_str(), 1)]);
}

#[test]
fn a_datagram_on_a_registered_port_is_decoded() {
    let mut wire = Wire::default();
    let (client, server) = (host(1, 50_000), host(2, 502));
    wire.put(&udp(client, server, &[ask(1, 0), ask(2, 0)].concat()));
    wire.put(&udp(server, client, &adu(1, 1, &[0x83, 0x02])));
    let heard = wire.finish();
    assert_eq!(heard.places(), [(1, 1, 1, 0), (2, 1, 1, 1), (3, 2, 2, 0)]);
    assert_eq!(heard.messages[2].symbol.status, 2);
    assert_eq!(heard.kinds(), ["unanswered-request"]);
}
