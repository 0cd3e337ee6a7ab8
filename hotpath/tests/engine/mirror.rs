//! What mirror ports carry: encapsulations, and the same packet more than once.

use hotpath::words::Encapsulation;

use super::frames::{ACK, Host, RST, answer, ask, ethernet, fragment, host, ip, tcp, udp};
use super::heard::Heard;
use super::wire::{MILLISECOND, SECOND, START, Wire};

const CLIENT: Host = host(1, 40_000);
const SERVER: Host = host(2, 502);
const SWITCH: [u8; 4] = [10, 0, 0, 100];
const SENSOR: [u8; 4] = [10, 0, 0, 101];
const READ: &str = "10.0.0.1 > 10.0.0.2 modbus/502";

type Wrap = fn(&[u8]) -> Vec<u8>;

fn gre(frame: &[u8]) -> Vec<u8> {
    ip(SWITCH, SENSOR, 47, &[&[0, 0, 0x65, 0x58][..], frame].concat())
}

fn erspan(frame: &[u8]) -> Vec<u8> {
    let head = [0x10, 0, 0x88, 0xBE, 0, 0, 0, 1, 0x10, 0x05, 0, 9, 0, 0, 0, 3];
    ip(SWITCH, SENSOR, 47, &[&head[..], frame].concat())
}

fn vxlan(frame: &[u8]) -> Vec<u8> {
    let (from, to) = (Host { address: SWITCH, port: 50_000 }, Host { address: SENSOR, port: 4789 });
    udp(from, to, &[&[0x08, 0, 0, 0, 0, 0, 42, 0][..], frame].concat())
}

fn ip_in_ip(frame: &[u8]) -> Vec<u8> {
    ip(SWITCH, SENSOR, 4, &frame[14..])
}

fn mpls(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x88, 0x47, 0x00, 0x06, 0x41, 0x40], &frame[14..]].concat()
}

/// The frame in a VLAN.
fn tagged(frame: &[u8], vlan: u8) -> Vec<u8> {
    [&frame[..12], &[0x81, 0x00, 0x00, vlan], &frame[12..]].concat()
}

/// The frame as it is behind a router.
fn routed(frame: &[u8]) -> Vec<u8> {
    let mut copy = frame.to_vec();
    copy[..12].fill(0x06);
    copy[22] -= 1;
    copy[24] ^= 0xFF;
    copy
}

/// A connection with three requests and answers.
fn dialogue() -> Vec<Vec<u8>> {
    let (mut asked, mut answered) = (1_000, 5_000);
    let mut frames = vec![
        tcp(CLIENT, SERVER, asked - 1, 0, 0x02, &[]),
        tcp(SERVER, CLIENT, answered - 1, asked, 0x12, &[]),
        tcp(CLIENT, SERVER, asked, answered, ACK, &[]),
    ];
    for number in 0..3 {
        frames.push(tcp(CLIENT, SERVER, asked, answered, ACK, &ask(number, 0)));
        asked += 12;
        frames.push(tcp(SERVER, CLIENT, answered, asked, ACK, &answer(number)));
        answered += 29;
    }
    frames
}

fn count(wire: &Wire, kind: Encapsulation) -> u64 {
    wire.engine.health().encapsulated[kind as usize]
}

/// Six messages of one conversation, each with its partner, in these frames.
fn is_whole(heard: &Heard, frames: &[u64]) {
    let said: Vec<_> = heard.messages.iter().map(|one| one.conversation.as_str()).collect();
    assert_eq!(said, [READ; 6]);
    let places: Vec<_> = heard.messages.iter().map(|one| one.frame).collect();
    assert_eq!(places, frames);
    assert_eq!(heard.messages.iter().filter(|one| one.reply_to != 0).count(), 3);
}

#[test]
fn what_is_inside_is_judged_and_the_tunnel_is_seen() {
    let cases: [(Wrap, Encapsulation, &str); 5] = [
        (gre, Encapsulation::Gre, "gre"),
        (erspan, Encapsulation::Erspan, "erspan"),
        (vxlan, Encapsulation::Vxlan, "vxlan"),
        (ip_in_ip, Encapsulation::IpInIp, "ip-in-ip"),
        (mpls, Encapsulation::Mpls, ""),
    ];
    for (wrap, kind, name) in cases {
        let mut wire = Wire::default();
        let frames: Vec<u64> = dialogue().iter().map(|frame| wire.put(&wrap(frame))).collect();
        assert_eq!(count(&wire, kind), 9, "{name}");
        assert_eq!(wire.engine.health().copies, 0);
        let heard = wire.finish();
        is_whole(&heard, &frames[3..]);
        let rows: Vec<_> = heard
            .traffic
            .iter()
            .filter(|(one, _)| one.contains(name) && !name.is_empty())
            .collect();
        let total: u32 = rows.iter().map(|(_, row)| row.client_frames + row.server_frames).sum();
        assert_eq!(total, if name.is_empty() { 0 } else { 9 });
        assert!(rows.iter().all(|(_, row)| row.client_largest == 0 && row.server_largest == 0));
        assert_eq!(heard.kinds(), [""; 0]);
    }
}

#[test]
fn bytes_are_those_of_the_frame_inside() {
    let inside = |wrap: Wrap| {
        let mut wire = Wire::default();
        for frame in dialogue() {
            wire.put(&wrap(&frame));
        }
        let heard = wire.finish();
        let rows = heard.traffic.iter().filter(|(one, _)| one == READ);
        rows.map(|(_, row)| row.client_bytes + row.server_bytes).sum::<u64>()
    };
    assert_eq!(inside(erspan), inside(<[u8]>::to_vec));
}

#[test]
fn a_tunnel_may_be_fragmented() {
    let mut wire = Wire::default();
    for (number, frame) in dialogue().iter().enumerate() {
        let carried = vxlan(frame);
        let (begin, rest) = carried[34..].split_at(32);
        let id = number as u16 + 1;
        wire.put(&fragment(SWITCH, SENSOR, 17, (id, 32, false), rest));
        wire.put(&fragment(SWITCH, SENSOR, 17, (id, 0, true), begin));
    }
    assert_eq!(count(&wire, Encapsulation::Vxlan), 9);
    let heard = wire.finish();
    is_whole(&heard, &[8, 10, 12, 14, 16, 18]);
    assert_eq!(heard.messages[0].first_frame, 7);
}

#[test]
fn nesting_is_bounded() {
    let nested = |count: usize| (0..count).fold(dialogue()[3].clone(), |frame, _| gre(&frame));
    let mut wire = Wire::default();
    wire.put(&nested(8));
    assert_eq!(wire.engine.health().malformed_frames, 0);
    wire.put(&nested(9));
    assert_eq!(wire.engine.health().malformed_frames, 1);
    let heard = wire.finish();
    assert_eq!(heard.messages.len(), 1);
    let told = heard.notices.iter().find(|one| one.kind == "malformed-header").unwrap();
    assert_eq!((told.detail.as_str(), told.frame), ("more than eight encapsulations", 2));
}

#[test]
fn what_is_cut_inside_is_told() {
    let frame = dialogue()[3].clone();
    for (wrap, least) in [(gre as Wrap, 0), (erspan, 0), (vxlan, 0), (mpls, 15)] {
        for end in least..frame.len() {
            let mut wire = Wire::default();
            wire.put(&wrap(&frame[..end]));
            assert_eq!(wire.engine.health().malformed_frames, 1, "{end}");
            assert_eq!(wire.finish().kinds(), ["malformed-header"]);
        }
    }
}

#[test]
fn a_tunnel_does_not_get_in_the_way_of_what_others_say() {
    let mut wire = Wire::default();
    let mut frames = Vec::new();
    for (number, frame) in dialogue().iter().enumerate() {
        if number == 4 {
            wire.put(&vxlan(&tcp(SERVER, CLIENT, 5_000, 1_012, RST | ACK, &[])));
            wire.put(&gre(&tcp(SERVER, CLIENT, 5_000, 1_012, ACK, &answer(9))));
        }
        frames.push(wire.put(frame));
    }
    let heard = wire.finish();
    let plain: Vec<u64> =
        heard.messages.iter().map(|one| one.frame).filter(|one| frames.contains(one)).collect();
    assert_eq!(plain, frames[3..]);
    assert_eq!(heard.messages.iter().filter(|one| one.reply_to != 0).count(), 3);
}

#[test]
fn an_unknown_tunnel_is_a_packet_like_others() {
    let mut wire = Wire::default();
    wire.put(&ip(SWITCH, SENSOR, 47, &[0x00, 0x01, 0x88, 0x0B, 1, 2, 3, 4])); // PPTP
    let bare_goose = [0x00, 0x06, 0x41, 0x40, 0x10, 1, 2, 3]; // MPLS of which nothing is known
    wire.put(&ip(SWITCH, SENSOR, 137, &bare_goose));
    assert_eq!(wire.engine.health().unknown_link_frames, 0);
    let heard = wire.finish();
    let names: Vec<_> = heard.traffic.iter().map(|(one, _)| one.as_str()).collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].contains("ip-protocol-47") && names[1].contains("ip-protocol-137"));
}

#[test]
fn what_is_too_short_for_a_tunnel_is_seen() {
    let mut wire = Wire::default();
    let probe = Host { address: SENSOR, port: 4789 };
    wire.put(&udp(Host { address: SWITCH, port: 50_000 }, probe, &[]));
    wire.put(&ip(SWITCH, SENSOR, 47, &[0x20, 0x00, 0x08, 0x00]));
    let heard = wire.finish();
    assert_eq!(heard.kinds(), ["malformed-header"]);
    let mut names: Vec<_> = heard.traffic.iter().map(|(one, _)| one.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["10.0.0.100 > 10.0.0.101 ip-protocol-47/0", "10.0.0.100 > 10.0.0.101 udp/4789"]
    );
}

#[test]
fn copies_are_counted_and_not_decoded_twice() {
    for copy in [<[u8]>::to_vec, routed] as [Wrap; 2] {
        for wrap in [<[u8]>::to_vec, erspan] as [Wrap; 2] {
            let mut wire = Wire::default();
            for frame in dialogue() {
                let time = wire.time + 10 * MILLISECOND;
                wire.put_at(time, &wrap(&frame));
                wire.put_at(time + 5 * MILLISECOND, &wrap(&copy(&frame)));
            }
            assert_eq!(wire.engine.health().copies, 9);
            let heard = wire.finish();
            is_whole(&heard, &[7, 9, 11, 13, 15, 17]);
            let rows = || heard.traffic.iter().map(|(_, row)| row);
            assert_eq!(rows().map(|row| row.retransmissions).sum::<u32>(), 0);
            assert_eq!(rows().map(|row| row.duplicates).sum::<u32>(), 9);
            let macs = heard.sightings.iter().filter(|one| one.mac == 0x0606_0606_0606).count();
            assert_eq!(macs, 0, "a router is no change of address");
        }
    }
}

#[test]
fn what_is_sent_again_later_is_a_retransmission() {
    let mut wire = Wire::default();
    for frame in dialogue() {
        let time = wire.time + 20 * MILLISECOND;
        wire.put_at(time, &frame);
        wire.put_at(time + 5 * MILLISECOND + 1, &frame);
    }
    assert_eq!(wire.engine.health().copies, 0);
    let heard = wire.finish();
    assert_eq!(heard.messages.len(), 6);
    let sum = heard.traffic.iter().map(|(_, row)| row.retransmissions).sum::<u32>();
    assert!(sum >= 6, "{sum}");
}

#[test]
fn what_is_sent_again_under_another_number_is_a_retransmission() {
    let mut wire = Wire::default();
    let frames = dialogue();
    for frame in &frames {
        wire.put(frame);
    }
    let mut again = frames[8].clone();
    again[19] ^= 1; // identification
    wire.put_at(wire.time + 1, &again);
    assert_eq!(wire.engine.health().copies, 0);
    let heard = wire.finish();
    assert_eq!(heard.traffic.iter().map(|(_, row)| row.retransmissions).sum::<u32>(), 1);
}

#[test]
fn both_vlans_that_a_packet_crosses_are_one_conversation() {
    let untag: Wrap = <[u8]>::to_vec;
    let into: [(Wrap, Wrap); 2] = [
        (|frame| tagged(frame, 10), |frame| tagged(&routed(frame), 20)),
        (|frame| tagged(frame, 10), untag),
    ];
    for (near, far) in into {
        let mut wire = Wire::default();
        for frame in dialogue() {
            let is_clients = frame[29] == 1;
            let (first, second) = if is_clients { (near, far) } else { (far, near) };
            let time = wire.time + 10 * MILLISECOND;
            wire.put_at(time, &first(&frame));
            wire.put_at(time + MILLISECOND, &second(&frame));
        }
        assert_eq!(wire.engine.health().copies, 9);
        let heard = wire.finish();
        assert_eq!(heard.messages.len(), 6);
        let mut said: Vec<_> = heard.messages.iter().map(|one| &one.conversation).collect();
        said.dedup();
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(heard.messages.iter().filter(|one| one.reply_to != 0).count(), 3);
        assert_eq!(heard.traffic.iter().map(|(_, row)| row.duplicates).sum::<u32>(), 9);
    }
}

#[test]
fn a_vlan_is_itself_again_once_nothing_is_seen_twice() {
    let mut wire = Wire::default();
    let ping = |number: u8| udp(host(8, 99), host(9, 99), &[number; 4]);
    wire.put_at(START, &tagged(&ping(1), 10));
    wire.put_at(START, &tagged(&ping(1), 20));
    wire.put_at(START + SECOND, &tagged(&ping(2), 20));
    wire.put_at(START + 62 * SECOND, &tagged(&ping(3), 20));
    let heard = wire.finish();
    let frames: Vec<u32> = heard.traffic.iter().map(|(_, row)| row.client_frames).collect();
    assert_eq!(frames, [1, 1, 1]);
    let ids: Vec<u32> = heard.traffic.iter().map(|(_, row)| row.conversation).collect();
    assert_eq!(ids[0], ids[1], "the second ping is of the conversation that crosses");
    assert_ne!(ids[1], ids[2]);
}

#[test]
fn layer_2_is_left_alone() {
    let mut wire = Wire::default();
    let goose = ethernet(CLIENT.address, SERVER.address, 0x88B8, &[7; 50]);
    for _ in 0..3 {
        wire.put(&goose);
    }
    assert_eq!(wire.engine.health().copies, 0);
    assert_eq!(wire.finish().traffic[0].1.client_frames, 3);
}

#[test]
fn fragments_that_come_twice_leave_nothing_behind() {
    let mut wire = Wire::default();
    let whole = ip(CLIENT.address, SERVER.address, 17, &[0x55; 40]);
    let (begin, rest) = whole[34..].split_at(16);
    for _ in 0..2 {
        wire.put(&fragment(CLIENT.address, SERVER.address, 17, (3, 0, true), begin));
        wire.put(&fragment(CLIENT.address, SERVER.address, 17, (3, 16, false), rest));
    }
    assert_eq!(wire.engine.health().copies, 2);
    let heard = wire.finish();
    assert!(!heard.kinds().contains(&"fragments-incomplete"), "{:?}", heard.notices);
}

#[test]
fn a_session_starts_from_nothing() {
    let mut wire = Wire::default();
    let frame = udp(host(8, 99), host(9, 99), b"ping");
    wire.put_at(START, &frame);
    wire.end();
    wire.engine.begin_session();
    wire.put_at(START, &frame);
    assert_eq!(wire.engine.health().copies, 0);
    wire.put_at(START - 10 * SECOND, &frame);
    wire.put_at(START, &frame);
    assert_eq!(wire.engine.health().copies, 0, "nor does an epoch");
}
