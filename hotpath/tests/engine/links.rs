//! Frames without IP whose `EtherType` belongs to a protocol.

use hotpath::source::{Frame, LinkType};

use super::frames::ethernet;
use super::wire::{START, Wire};

const PUBLISHER: [u8; 4] = [10, 0, 0, 1];
const OTHER: [u8; 4] = [10, 0, 0, 2];
const GROUP: [u8; 4] = [10, 0, 0, 255];
const GOOSE: u16 = 0x88B8;

/// A GOOSE message without most of its fields.
fn event(appid: u16) -> Vec<u8> {
    let apdu = [&[0x61, 6, 0x80, 1, b'G'][..], &[0x85, 1, 1]].concat();
    let head = [appid, 8 + apdu.len() as u16, 0, 0].map(u16::to_be_bytes).concat();
    [head, apdu].concat()
}

#[test]
fn each_publisher_and_each_appid_is_a_conversation() {
    let mut wire = Wire::default();
    wire.put(&ethernet(PUBLISHER, GROUP, GOOSE, &event(1)));
    wire.put(&ethernet(PUBLISHER, GROUP, GOOSE, &event(2)));
    wire.put(&ethernet(OTHER, GROUP, GOOSE, &event(1)));
    wire.put(&ethernet(PUBLISHER, GROUP, GOOSE, &event(1)));
    let heard = wire.finish();
    let names: Vec<&str> = heard.messages.iter().map(|said| said.conversation.as_str()).collect();
    let from = |mac: &str, port: u16| format!("02:00:{mac} > 02:00:0a:00:00:ff goose/{port}");
    let first = from("0a:00:00:01", 1);
    assert_eq!(names, [&first, &from("0a:00:00:01", 2), &from("0a:00:00:02", 1), &first]);
    assert!(heard.messages.iter().all(|said| said.symbol.from_client));
}

#[test]
fn two_that_send_to_each_other_are_two_publishers() {
    let mut wire = Wire::default();
    wire.put(&ethernet(PUBLISHER, OTHER, GOOSE, &event(1)));
    wire.put(&ethernet(OTHER, PUBLISHER, GOOSE, &event(1)));
    let heard = wire.finish();
    assert!(heard.messages.iter().all(|said| said.symbol.from_client));
    assert_ne!(heard.messages[0].conversation, heard.messages[1].conversation);
}

#[test]
fn a_vlan_of_priority_only_changes_nothing() {
    let mut wire = Wire::default();
    let plain = ethernet(PUBLISHER, GROUP, GOOSE, &event(1));
    let tag = [0x81, 0x00, 0x80, 0x00]; // 802.1Q, priority 4, VLAN 0
    wire.put(&plain);
    wire.put(&[&plain[..12], &tag, &plain[12..]].concat());
    let heard = wire.finish();
    assert_eq!(heard.messages.len(), 2);
    assert_eq!(heard.messages[0].conversation, heard.messages[1].conversation);
}

#[test]
fn what_is_foreign_is_told_and_the_next_message_heard() {
    let mut wire = Wire::default();
    for _ in 0..3 {
        wire.put(&ethernet(PUBLISHER, GROUP, GOOSE, &[0, 1, 0x5A, 0x5A, 0x5A]));
    }
    let frame = wire.put(&ethernet(PUBLISHER, GROUP, GOOSE, &event(1)));
    let heard = wire.finish();
    assert_eq!(heard.kinds(), ["foreign-protocol", "malformed-pdu"]);
    assert_eq!(heard.places(), [(1, frame, frame, 0)]);
}

#[test]
fn a_frame_that_the_snap_length_cut_is_a_gap() {
    let mut wire = Wire::default();
    let whole = ethernet(PUBLISHER, GROUP, GOOSE, &event(1));
    wire.put(&whole);
    wire.engine.frame(&Frame {
        number: 2,
        time: START + 2_000_000,
        link: LinkType::Ethernet,
        interface: 0,
        data: &whole[..20],
        original_length: whole.len() as u32,
    });
    let heard = wire.finish();
    assert_eq!(heard.messages.len(), 1);
    assert_eq!(heard.kinds(), ["malformed-pdu", "gap"]);
}
