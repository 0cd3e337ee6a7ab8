//! Rows of connections, and how conversations are named.

use super::frames::{ACK, RST, answer, ask, host, tcp};
use super::wire::{Dialogue, MILLISECOND, SECOND, START, Wire};

const TALK: &str = "10.0.0.1 > 10.0.0.2 modbus/502";

fn dialogue() -> Dialogue {
    Dialogue::new(host(1, 40_000), host(2, 502))
}

#[test]
fn a_connection_is_attempted_open_and_closed() {
    let (mut wire, mut talk) = (Wire::default(), dialogue());
    talk.open(&mut wire);
    talk.ask(&mut wire, &ask(1, 0));
    talk.answer(&mut wire, &answer(1));
    talk.close(&mut wire);
    let heard = wire.finish();
    assert_eq!(heard.states(), [(TALK, "attempted"), (TALK, "open"), (TALK, "closed")]);
    let frames: Vec<u64> = heard.connections.iter().map(|row| row.frame).collect();
    assert_eq!(frames, [1, 3, 7]);
    assert_eq!(heard.connections[0].time, START + MILLISECOND);
    assert_eq!(heard.kinds(), [""; 0]);
}

#[test]
fn a_refused_connection_has_the_name_of_its_port() {
    let (mut wire, mut talk) = (Wire::default(), dialogue());
    talk.syn(&mut wire);
    wire.put(&tcp(talk.server, talk.client, 0, talk.asked, RST | ACK, &[]));
    assert_eq!(wire.finish().states(), [(TALK, "attempted"), (TALK, "refused")]);
}

#[test]
fn half_open_connections_are_told_within_two_seconds() {
    let mut wire = Wire::default();
    for port in [502, 80] {
        Dialogue::new(host(1, 40_000), host(2, port)).syn(&mut wire);
    }
    // Somebody else keeps the clock going.
    for second in 1..4 {
        wire.put_at(START + second * SECOND, &super::frames::udp(host(8, 9), host(9, 9), b"x"));
    }
    wire.heard.take(&wire.engine.take_batch(false));
    let tcp = "10.0.0.1 > 10.0.0.2 tcp/80";
    assert_eq!(wire.heard.states(), [(TALK, "attempted"), (tcp, "attempted")]);
    let heard = wire.finish();
    assert_eq!(heard.states().len(), 2, "that the capture ended says nothing of a connection");
}

#[test]
fn a_silent_connection_is_closed_after_an_hour() {
    let (mut wire, mut talk) = (Wire::default(), dialogue());
    talk.open(&mut wire);
    wire.put_at(START + 3_700 * SECOND, &super::frames::udp(host(8, 9), host(9, 9), b"x"));
    assert_eq!(wire.finish().states(), [(TALK, "attempted"), (TALK, "open"), (TALK, "closed")]);
}

#[test]
fn the_middle_of_a_connection_is_open() {
    let (mut wire, mut talk) = (Wire::default(), dialogue());
    talk.answer(&mut wire, &answer(1));
    talk.ask(&mut wire, &ask(2, 0));
    talk.answer(&mut wire, &answer(2));
    let heard = wire.finish();
    assert_eq!(heard.states(), [(TALK, "open")]);
    let replies: Vec<u64> = heard.messages.iter().map(|said| said.reply_to).collect();
    assert_eq!(replies, [0, 0, 2]);
    assert_eq!(heard.kinds(), [""; 0], "its first answer's request lies before the capture");
}

#[test]
fn a_reset_is_told_once() {
    let (mut wire, mut talk) = (Wire::default(), dialogue());
    talk.open(&mut wire);
    talk.ask(&mut wire, &ask(1, 0));
    talk.reset(&mut wire);
    talk.reset(&mut wire);
    let heard = wire.finish();
    assert_eq!(heard.states(), [(TALK, "attempted"), (TALK, "open"), (TALK, "reset")]);
    assert_eq!(heard.kinds(), ["unanswered-request"]);
}

#[test]
fn a_connection_reborn_on_the_same_ports_starts_anew() {
    let (mut wire, mut talk) = (Wire::default(), dialogue());
    for _ in 0..2 {
        talk.open(&mut wire);
        talk.ask(&mut wire, &ask(1, 0));
        talk.answer(&mut wire, &answer(1));
        talk.close(&mut wire);
        talk.asked = talk.asked.wrapping_add(1_000_000);
        talk.answered = talk.answered.wrapping_add(1_000_000);
    }
    let heard = wire.finish();
    let one = [(TALK, "attempted"), (TALK, "open"), (TALK, "closed")];
    assert_eq!(heard.states(), [one, one].concat());
    assert_eq!(heard.messages.len(), 4);
}

#[test]
fn a_reborn_connection_may_go_the_other_way() {
    // Picked up in the middle, the lower port seems to serve; then a handshake tells.
    let mut wire = Wire::default();
    let mut wrong = Dialogue::new(host(1, 6_000), host(2, 5_000));
    wrong.ask(&mut wire, b"hello there");
    wire.put_at(START + 3 * SECOND, &super::frames::udp(host(8, 9), host(9, 9), b"x"));
    let mut right = Dialogue::new(host(2, 5_000), host(1, 6_000));
    (right.asked, right.answered) = (70_000_000, 80_000_000);
    right.open(&mut wire);
    let heard = wire.finish();
    let (old, new) = ("10.0.0.1 > 10.0.0.2 tcp/5000", "10.0.0.2 > 10.0.0.1 tcp/6000");
    let states = heard.states();
    assert_eq!(states, [(old, "open"), (old, "closed"), (new, "attempted"), (new, "open")]);
}
