//! Each shim as it stands on the wire, whole, wrong, and cut at every length.

use crate::net::{Address, Body, Malformed, Packet, Vlan, link};
use crate::source::{Frame, LinkType};
use crate::words::Encapsulation::{self, CiscoCmd, CiscoTtag, LlcSnap, Mpls, Pppoe, Pseudowire};
use proptest::prelude::*;

const MACS: [u8; 12] = [
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0B, // receiver
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0A, // sender
];
const IPV4: [u8; 24] = [
    0x45, 0x00, 0x00, 0x18, // version 4, 5 words; total length 24
    0x00, 0x07, 0x00, 0x00, // identification 7; not fragmented
    0x40, 0x11, 0x00, 0x00, // TTL 64, UDP, checksum
    10, 0, 0, 1, // source
    10, 0, 0, 2, // target
    1, 2, 3, 4, // payload
];
const IPV6: [u8; 40] = [
    0x60, 0x00, 0x00, 0x00, // version 6, no class, no flow
    0x00, 0x00, 0x3B, 0x40, // no payload; no next header; hop limit 64
    0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source
    0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // target
];
const ARP: [u8; 28] = [
    0x00, 0x01, 0x08, 0x00, 6, 4, // Ethernet, IPv4, lengths
    0x00, 0x02, // reply
    0x02, 0, 0, 0, 0, 0x0A, 10, 0, 0, 1, // sender
    0x02, 0, 0, 0, 0, 0x0B, 10, 0, 0, 2, // target
];

fn parse(link: LinkType, data: &[u8], cut: u32) -> Result<Packet<'_>, Malformed> {
    let original_length = data.len() as u32 + cut;
    link::parse(&Frame { number: 1, time: 0, link, interface: 0, data, original_length })
}

/// A frame of these parts behind its MACs.
fn frame(parts: &[&[u8]]) -> Vec<u8> {
    [&MACS[..], &parts.concat()].concat()
}

fn kinds(packet: &Packet<'_>) -> Vec<Encapsulation> {
    packet.unwrapped.since(crate::net::Unwrapped::default()).collect()
}

/// The sender's address, and by which encapsulations the packet came.
fn read(data: &[u8]) -> (Option<Address>, Vec<Encapsulation>) {
    let packet = parse(LinkType::Ethernet, data, 0).unwrap();
    let source = match packet.body {
        Body::Ip(ip) => Some(ip.source),
        Body::Arp(arp) => Some(arp.sender_ip),
        Body::Other { .. } => None,
    };
    (source, kinds(&packet))
}

const SENDER: Option<Address> = Some(Address::V4([10, 0, 0, 1]));

/// Cut anywhere, a frame is malformed, or an `EtherType` and bytes, or a packet that lacks some.
fn cut_everywhere(data: &[u8]) {
    for end in 0..data.len() {
        let cut = (data.len() - end) as u32;
        match parse(LinkType::Ethernet, &data[..end], cut) {
            Err(_) => {}
            Ok(Packet { body: Body::Ip(ip), .. }) => {
                assert!(ip.missing > 0 && ip.missing <= cut, "{end}");
            }
            Ok(Packet { body: Body::Other { payload, .. }, .. }) => {
                assert!(payload.len() <= end, "{end}");
            }
            Ok(packet) => panic!("{end}: {packet:?}"),
        }
    }
}

#[test]
fn snap_carries_ip_and_arp() {
    let snap = [0xAA, 0xAA, 0x03, 0x00, 0x00, 0x00]; // DSAP, SSAP, unnumbered, organisation
    let data = frame(&[&[0x00, 0x20], &snap, &[0x08, 0x00], &IPV4]);
    assert_eq!(read(&data), (SENDER, vec![LlcSnap]));
    cut_everywhere(&data);
    let data = frame(&[&[0x00, 0x24], &snap, &[0x08, 0x06], &ARP, &[0; 10]]);
    assert_eq!(read(&data), (SENDER, vec![LlcSnap]));
    let tag = [0x81, 0x00, 0x00, 0x05]; // VLAN 5
    let data = frame(&[&tag, &[0x00, 0x30], &snap, &[0x86, 0xDD], &IPV6]);
    let packet = parse(LinkType::Ethernet, &data, 0).unwrap();
    assert_eq!((packet.vlan, kinds(&packet)), (Vlan(5), vec![LlcSnap]));
    assert_eq!(packet.source_mac, Some([2, 0, 0, 0, 0, 0x0A]));
}

#[test]
fn other_llc_stays_what_it_is() {
    let spanning_tree = [0x42, 0x42, 0x03, 0x00, 0x00];
    let cisco = [0xAA, 0xAA, 0x03, 0x00, 0x00, 0x0C, 0x20, 0x00]; // CDP
    let apple = [0xAA, 0xAA, 0x03, 0x00, 0x00, 0x00, 0x80, 0x9B]; // no IP under 000000
    for body in [&spanning_tree[..], &cisco, &apple, &cisco[..4]] {
        let length = (body.len() as u16).to_be_bytes();
        let data = frame(&[&length, body, &[0; 20]]);
        let packet = parse(LinkType::Ethernet, &data, 0).unwrap();
        let ether_type = body.len() as u16;
        assert_eq!(packet.body, Body::Other { ether_type, payload: body });
        assert!(packet.unwrapped.is_empty());
    }
}

#[test]
fn linux_cooked_names_llc_by_a_number() {
    let header = |protocol: u8| {
        [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 0x0A, 0, 0, 0, protocol] // to us, Ethernet, address
    };
    let snap = [0xAA, 0xAA, 0x03, 0x00, 0x00, 0x00, 0x08, 0x00];
    let data = [&header(4)[..], &snap, &IPV4].concat();
    let packet = parse(LinkType::LinuxSll, &data, 0).unwrap();
    assert_eq!(kinds(&packet), [LlcSnap]);
    let data = [&header(1)[..], &snap, &IPV4].concat();
    let packet = parse(LinkType::LinuxSll, &data, 0).unwrap();
    assert!(matches!(packet.body, Body::Other { ether_type: 1, .. }));
}

/// A label stack entry: label, whether it is the last one.
fn label(label: u32, is_last: bool) -> [u8; 4] {
    ((label << 12) | (u32::from(is_last) << 8) | 64).to_be_bytes()
}

#[test]
fn mpls_carries_ip() {
    for kind in [0x47, 0x48] {
        let stack = [label(100, false), label(3000, true)].concat();
        let data = frame(&[&[0x88, kind], &stack, &IPV4]);
        assert_eq!(read(&data), (SENDER, vec![Mpls]));
        cut_everywhere(&data);
    }
    for (value, payload) in [(100, &IPV6[..]), (0, &IPV4), (2, &IPV6)] {
        let data = frame(&[&[0x88, 0x47], &label(value, true), payload]);
        assert!(read(&data).0.is_some(), "label {value}");
    }
    let wrong = frame(&[&[0x88, 0x47], &label(2, true), &IPV4]);
    assert_eq!(parse(LinkType::Ethernet, &wrong, 0), Err(Malformed("IPv6 header is cut short")));
}

#[test]
fn the_label_stack_is_bounded() {
    let stack =
        |count: usize| [label(100, false).repeat(count - 1), label(101, true).to_vec()].concat();
    assert_eq!(read(&frame(&[&[0x88, 0x47], &stack(16), &IPV4])).0, SENDER);
    assert_eq!(
        parse(LinkType::Ethernet, &frame(&[&[0x88, 0x47], &stack(17), &IPV4]), 0),
        Err(Malformed("more than 16 MPLS labels"))
    );
    assert_eq!(
        parse(LinkType::Ethernet, &frame(&[&[0x88, 0x47], &label(100, false)]), 0),
        Err(Malformed("MPLS label stack is cut short"))
    );
}

#[test]
fn a_pseudowire_carries_frames() {
    let control_word = [0x00, 0x00, 0x12, 0x34]; // reserved; sequence number
    for first in [0x02, 0x00, 0x41, 0x6C] {
        let mut inner = frame(&[&[0x81, 0x00, 0x00, 0x07, 0x08, 0x00], &IPV4]);
        inner[0] = first; // An address may look like a version of IP.
        for word in [&control_word[..], &[]] {
            let data = frame(&[&[0x88, 0x47], &label(100, true), word, &inner]);
            let packet = parse(LinkType::Ethernet, &data, 0).unwrap();
            assert_eq!(kinds(&packet), [Mpls, Pseudowire], "{first:02x} {word:?}");
            assert_eq!(packet.vlan, Vlan(7));
            assert_eq!(packet.target_mac, Some([first, 0, 0, 0, 0, 0x0B]));
            cut_everywhere(&data);
        }
    }
}

#[test]
fn what_mpls_does_not_tell_stays_mpls() {
    let associated_channel = [0x10, 0x00, 0x00, 0x21, 1, 2, 3, 4]; // RFC 4385, clause 5
    let goose = frame(&[&[0x88, 0xB8], &[0; 40]]);
    for payload in [&associated_channel[..], &goose, &[]] {
        let data = frame(&[&[0x88, 0x47], &label(100, true), payload]);
        let packet = parse(LinkType::Ethernet, &data, 0).unwrap();
        assert!(matches!(packet.body, Body::Other { ether_type: 0x8847, .. }), "{payload:?}");
    }
}

#[test]
fn pppoe_carries_ip() {
    let session = |length: u8, protocol: u8| {
        [0x88, 0x64, 0x11, 0x00, 0x00, 0x09, 0x00, length, 0x00, protocol]
    };
    let data = frame(&[&session(26, 0x21), &IPV4]);
    assert_eq!(read(&data), (SENDER, vec![Pppoe]));
    cut_everywhere(&data);
    assert!(read(&frame(&[&session(42, 0x57), &IPV6])).0.is_some());
    let padded = frame(&[&session(26, 0x21), &IPV4, &[0; 22]]);
    assert_eq!(read(&padded), (SENDER, vec![Pppoe]));
    let control = frame(&[&session(6, 0x11), &[1, 1, 0, 4]]);
    let packet = parse(LinkType::Ethernet, &control, 0).unwrap();
    assert!(matches!(packet.body, Body::Other { ether_type: 0x8864, .. }));
    assert_eq!(
        parse(LinkType::Ethernet, &frame(&[&session(27, 0x21), &IPV4]), 0),
        Err(Malformed("PPPoE length exceeds the frame"))
    );
    for place in [14, 15] {
        let mut wrong = data.clone();
        wrong[place] ^= 0x20;
        let told = Malformed("PPPoE version, type or code is that of no session");
        assert_eq!(parse(LinkType::Ethernet, &wrong, 0), Err(told));
    }
}

#[test]
fn ttag_is_told_by_what_follows() {
    let tag = [0x89, 0x88, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05]; // time stamp of 48 bits
    let data = frame(&[&tag, &[0x08, 0x00], &IPV4]);
    assert_eq!(read(&data), (SENDER, vec![CiscoTtag]));
    cut_everywhere(&data);
    let tagged = frame(&[&tag, &[0x81, 0x00, 0x00, 0x09, 0x08, 0x00], &IPV4]);
    assert_eq!(parse(LinkType::Ethernet, &tagged, 0).unwrap().vlan, Vlan(9));
    let heartbeat = frame(&[&[0x89, 0x88], &[0x08; 40]]);
    let foreign = frame(&[&tag, &[0x88, 0xB8], &IPV4]);
    for data in [heartbeat, foreign, frame(&[&tag[..7]])] {
        let packet = parse(LinkType::Ethernet, &data, 0).unwrap();
        assert!(matches!(packet.body, Body::Other { ether_type: 0x8988, .. }));
        assert!(packet.unwrapped.is_empty());
    }
}

#[test]
fn cisco_metadata_is_taken_off() {
    let tag = [0x89, 0x09, 0x01, 0x01, 0x00, 0x01, 0x00, 0x4D]; // version, length, option, group
    let data = frame(&[&tag, &[0x08, 0x00], &IPV4]);
    assert_eq!(read(&data), (SENDER, vec![CiscoCmd]));
    cut_everywhere(&data);
    let mut longer = data.clone();
    longer[15] = 2;
    let packet = parse(LinkType::Ethernet, &longer, 0).unwrap();
    assert!(matches!(packet.body, Body::Other { ether_type: 0x8909, .. }));
}

#[test]
fn nesting_is_bounded() {
    let tag = [0x01, 0x01, 0x00, 0x01, 0x00, 0x4D, 0x89, 0x09];
    let nested = |count: usize| {
        let (last, inner) = (&tag[..6], &[0x08, 0x00]);
        frame(&[&[0x89, 0x09], &tag.repeat(count - 1), last, inner, &IPV4])
    };
    assert_eq!(read(&nested(8)), (SENDER, vec![CiscoCmd]));
    assert_eq!(
        parse(LinkType::Ethernet, &nested(9), 0),
        Err(Malformed("more than eight encapsulations"))
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        kind in prop::sample::select(vec![0x20_u16, 0x8847, 0x8848, 0x8864, 0x8988, 0x8909]),
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                vec![0x88, 0x47], vec![0x88, 0x64], vec![0x89, 0x88], vec![0x89, 0x09],
                vec![0x81, 0x00, 0x00, 0x05], vec![0x00, 0x06, 0x41, 0x40], vec![0; 4],
                vec![0x11, 0, 0, 9, 0, 26, 0, 0x21], vec![1, 1, 0, 1, 0, 77], MACS.to_vec(),
                vec![0xAA, 0xAA, 3, 0, 0, 0], vec![0x08, 0x00], IPV4.to_vec(), ARP.to_vec(),
            ]),
            0..12,
        ),
        random in prop::collection::vec(any::<u8>(), 0..40),
        cut in 0_u32..2000,
    ) {
        let data = frame(&[&kind.to_be_bytes(), &pieces.concat(), &random]);
        if let Ok(Packet { body: Body::Ip(ip), .. }) = parse(LinkType::Ethernet, &data, cut) {
            prop_assert!(ip.bytes.len() < data.len() && ip.payload.len() <= ip.bytes.len());
        }
    }
}
