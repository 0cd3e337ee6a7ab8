//! Each tunnel as it stands behind an IP header, whole, wrong, and cut at every length.

use super::{Tunnel, of};
use crate::net::{Address, Body, IpPacket, Malformed, Packet, Unwrapped, Vlan};
use crate::words::Encapsulation::{self, Erspan, Geneve, Gre, IpInIp, Mpls, Vxlan};
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

const UDP: u8 = 17;
const GRE: u8 = 47;

fn outer(protocol: u8, payload: &[u8], missing: u32) -> IpPacket<'_> {
    IpPacket {
        source: Address::V4([192, 0, 2, 1]),
        target: Address::V4([192, 0, 2, 2]),
        ttl: 64,
        protocol,
        fragment: None,
        payload,
        missing,
        bytes: &[],
    }
}

/// An Ethernet frame in VLAN 7.
fn frame() -> Vec<u8> {
    [&MACS[..], &[0x81, 0x00, 0x00, 0x07, 0x08, 0x00], &IPV4].concat()
}

fn around(protocol: u8, payload: &[u8], missing: u32) -> Result<Option<Tunnel<'_>>, Malformed> {
    of(&outer(protocol, payload, missing))
}

fn open(protocol: u8, payload: &[u8]) -> (Encapsulation, Packet<'_>) {
    let tunnel = around(protocol, payload, 0).unwrap().unwrap();
    let unwrapped = Unwrapped::default().through(tunnel.kind).unwrap();
    (tunnel.kind, tunnel.open(unwrapped).unwrap())
}

/// A frame lies in it, and is read as itself; cut anywhere, it is told as malformed, or what is
/// read of it lacks bytes.
fn carries_the_frame(kind: Encapsulation, protocol: u8, payload: &[u8]) {
    let (told, packet) = open(protocol, payload);
    assert_eq!((told, packet.vlan), (kind, Vlan(7)));
    assert_eq!(packet.source_mac, Some([2, 0, 0, 0, 0, 0x0A]));
    assert_eq!(packet.unwrapped.tunnels(), 1);
    assert!(packet.unwrapped.since(Unwrapped::default()).eq([kind]));
    let Body::Ip(ip) = packet.body else { panic!("{packet:?}") };
    assert_eq!((ip.source, ip.payload), (Address::V4([10, 0, 0, 1]), &IPV4[20..]));
    assert_eq!(around(protocol, payload, 0).unwrap().unwrap().length, frame().len() as u32);
    for end in 0..payload.len() {
        let cut = (payload.len() - end) as u32;
        let tunnel = match around(protocol, &payload[..end], cut) {
            Ok(Some(tunnel)) => tunnel,
            Ok(None) => {
                let heads = payload.len() - frame().len();
                assert!(end < heads, "{end}: nothing is known of it yet");
                continue;
            }
            Err(_) => continue,
        };
        assert_eq!(tunnel.length, frame().len() as u32, "{end}");
        if let Ok(Packet { body: Body::Ip(ip), .. }) = tunnel.open(Unwrapped::default()) {
            assert_eq!(ip.missing, cut, "{end}");
        }
    }
}

fn is_none(protocol: u8, payload: &[u8]) {
    assert_eq!(around(protocol, payload, 0), Ok(None), "{payload:02x?}");
}

#[test]
fn ip_in_ip_and_mpls_in_ip() {
    for (protocol, payload, kind) in [
        (4, &IPV4[..], IpInIp),
        (41, &IPV6, IpInIp),
        (137, &[&[0x00, 0x06, 0x41, 0x40][..], &IPV4].concat(), Mpls), // label 100, the last
    ] {
        let (told, packet) = open(protocol, payload);
        assert_eq!(told, kind);
        assert!(matches!(packet.body, Body::Ip(_)));
        assert_eq!((packet.source_mac, packet.vlan), (None, Vlan(0)));
        for end in 0..payload.len() {
            let cut = (payload.len() - end) as u32;
            let tunnel = around(protocol, &payload[..end], cut).unwrap().unwrap();
            match tunnel.open(Unwrapped::default()) {
                Ok(Packet { body: Body::Ip(ip), .. }) => assert_eq!(ip.missing, cut),
                Ok(packet) => assert!(matches!(packet.body, Body::Other { .. }), "{end}"),
                Err(_) => {}
            }
        }
    }
    for (protocol, payload) in [(4, &IPV6[..]), (41, &IPV4)] {
        let tunnel = around(protocol, payload, 0).unwrap().unwrap();
        assert!(tunnel.open(Unwrapped::default()).is_err(), "each is of one version");
    }
}

#[test]
fn gre_carries_frames() {
    let optional: [&[u8]; 5] = [
        &[0x00, 0x00, 0x65, 0x58],                   // nothing but the protocol
        &[0x80, 0x00, 0x65, 0x58, 0xAB, 0xCD, 0, 0], // checksum, reserved
        &[0x20, 0x00, 0x65, 0x58, 0, 0, 0, 9],       // key
        &[0x10, 0x00, 0x65, 0x58, 0, 0, 0, 1],       // sequence number
        &[0xB0, 0x00, 0x65, 0x58, 0xAB, 0xCD, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1],
    ];
    for head in optional {
        carries_the_frame(Gre, GRE, &[head, &frame()].concat());
    }
}

#[test]
fn gre_carries_packets() {
    let tag = [0x00, 0x05, 0x08, 0x00]; // VLAN 5, IPv4
    let label = [0x00, 0x06, 0x41, 0x40]; // label 100, the last
    for (head, rest) in [
        ([0, 0, 0x08, 0x00], IPV4.to_vec()),
        ([0, 0, 0x86, 0xDD], IPV6.to_vec()),
        ([0, 0, 0x81, 0x00], [&tag[..], &IPV4].concat()),
        ([0, 0, 0x88, 0x47], [&label[..], &IPV4].concat()),
    ] {
        let payload = [&head[..], &rest].concat();
        let (kind, packet) = open(GRE, &payload);
        assert_eq!(kind, Gre);
        assert!(matches!(packet.body, Body::Ip(_)), "{head:02x?}");
    }
}

#[test]
fn gre_that_no_receiver_opens_is_a_packet_like_others() {
    for head in [
        [0x00, 0x01, 0x08, 0x00], // version 1 (PPTP)
        [0x40, 0x00, 0x08, 0x00], // routing (RFC 1701)
        [0x08, 0x00, 0x08, 0x00], // strict source route (RFC 1701)
        [0x00, 0x00, 0x88, 0x0B], // PPP
        [0x00, 0x00, 0x00, 0x00], // a keepalive
    ] {
        is_none(GRE, &[&head[..], &IPV4].concat());
    }
    let cut = Err(Malformed("GRE header is cut short"));
    assert_eq!(around(GRE, &[0x20, 0x00, 0x08, 0x00, 0], 0), cut);
}

#[test]
fn erspan_carries_frames() {
    let numbered = [0x10, 0x00, 0x88, 0xBE, 0, 0, 0, 1]; // GRE with a sequence number
    let second = [0x10, 0x05, 0x00, 0x09, 0, 0, 0, 3]; // version 1, VLAN 5; session; index
    carries_the_frame(Erspan, GRE, &[&[0x00, 0x00, 0x88, 0xBE][..], &frame()].concat());
    carries_the_frame(Erspan, GRE, &[&numbered[..], &second, &frame()].concat());

    let numbered = [0x10, 0x00, 0x22, 0xEB, 0, 0, 0, 1];
    let third = [
        0x20, 0x05, 0x00, 0x09, // version 2, VLAN 5; session
        1, 2, 3, 4, // time stamp
        0x00, 0x4D, 0x80, 0x30, // group; Ethernet, hardware 3, no subheader
    ];
    carries_the_frame(Erspan, GRE, &[&numbered[..], &third, &frame()].concat());
    let mut with_subheader = third;
    with_subheader[11] |= 1;
    let subheader = [0x0C, 0, 0, 0, 0, 0, 0, 0]; // platform 3
    carries_the_frame(
        Erspan,
        GRE,
        &[&numbered[..], &with_subheader, &subheader, &frame()].concat(),
    );

    let mut of_ip = third;
    of_ip[10] = 0x08; // frame type 2: IP
    let payload = [&numbered[..], &of_ip, &IPV4].concat();
    assert!(matches!(open(GRE, &payload).1.body, Body::Ip(_)));
    let payload = [&numbered[..], &of_ip, &IPV6].concat();
    assert!(matches!(open(GRE, &payload).1.body, Body::Ip(_)));
    of_ip[10] = 0x04; // reserved
    is_none(GRE, &[&numbered[..], &of_ip, &IPV4].concat());
    of_ip[0] = 0x30; // no such version
    is_none(GRE, &[&numbered[..], &of_ip, &IPV4].concat());
}

#[test]
fn erspan_that_truncates_leaves_missing_bytes() {
    let head = [0x10, 0x00, 0x88, 0xBE, 0, 0, 0, 1, 0x10, 0x05, 0x04, 0x09, 0, 0, 0, 3];
    let whole = frame();
    let payload = [&head[..], &whole[..whole.len() - 3]].concat();
    let Body::Ip(ip) = open(GRE, &payload).1.body else { panic!("no packet") };
    assert_eq!((ip.payload, ip.missing), (&[1_u8][..], 3));
    let mut not_so = payload.clone();
    not_so[10] = 0;
    let tunnel = around(GRE, &not_so, 0).unwrap().unwrap();
    assert_eq!(tunnel.open(Unwrapped::default()), Err(Malformed("IP length exceeds the frame")));
}

fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
    let head = [50_000, port, 8 + payload.len() as u16, 0].map(u16::to_be_bytes);
    [&head.concat()[..], payload].concat()
}

#[test]
fn vxlan_carries_frames() {
    let head = [0x08, 0, 0, 0, 0, 0, 42, 0]; // flags; network 42
    carries_the_frame(Vxlan, UDP, &datagram(4789, &[&head[..], &frame()].concat()));
    let reserved = [0xFF, 1, 2, 3, 0, 0, 42, 9]; // to be ignored
    carries_the_frame(Vxlan, UDP, &datagram(4789, &[&reserved[..], &frame()].concat()));
    let invalid = [0xF7, 0, 0, 0, 0, 0, 42, 0];
    is_none(UDP, &datagram(4789, &[&invalid[..], &frame()].concat()));
    is_none(UDP, &datagram(4788, &[&head[..], &frame()].concat()));
    let mut reply = datagram(50_000, &[&head[..], &frame()].concat());
    reply[..2].copy_from_slice(&4789_u16.to_be_bytes());
    is_none(UDP, &reply);
    is_none(UDP, &datagram(4789, &head[..7]));
}

#[test]
fn geneve_carries_frames_and_packets() {
    let plain = [0x00, 0x00, 0x65, 0x58, 0, 0, 42, 0]; // no options; network 42
    let critical = [0x02, 0x40, 0x65, 0x58, 0, 0, 42, 0]; // two words of options
    let options = [0x01, 0x02, 0x80, 0x01, 9, 9, 9, 9];
    carries_the_frame(Geneve, UDP, &datagram(6081, &[&plain[..], &frame()].concat()));
    let payload = [&critical[..], &options, &frame()].concat();
    carries_the_frame(Geneve, UDP, &datagram(6081, &payload));
    let of_ip = [0x00, 0x00, 0x08, 0x00, 0, 0, 42, 0];
    let payload = datagram(6081, &[&of_ip[..], &IPV4].concat());
    assert!(matches!(open(UDP, &payload).1.body, Body::Ip(_)));
    for head in [
        [0x40, 0x00, 0x65, 0x58, 0, 0, 42, 0], // version 1
        [0x00, 0x80, 0x65, 0x58, 0, 0, 42, 0], // a control message
        [0x00, 0x00, 0x88, 0x0B, 0, 0, 42, 0], // PPP
    ] {
        is_none(UDP, &datagram(6081, &[&head[..], &frame()].concat()));
    }
    is_none(UDP, &datagram(6081, &critical));
}

#[test]
fn what_udp_itself_gets_wrong_is_told_elsewhere() {
    let mut wrong = datagram(4789, &frame());
    wrong[5] = 7;
    is_none(UDP, &wrong);
    is_none(6, &datagram(4789, &frame()));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        protocol in prop::sample::select(vec![4_u8, 17, 41, 47, 137]),
        head in prop::sample::select(vec![
            vec![0x10, 0, 0x88, 0xBE], vec![0x10, 0, 0x22, 0xEB], vec![0xB0, 0, 0x65, 0x58],
            datagram(4789, &[0x08, 0, 0, 0]), datagram(6081, &[0x3F, 0, 0x65, 0x58]), vec![],
        ]),
        random in prop::collection::vec(any::<u8>(), 0..80),
        missing in 0_u32..2000,
    ) {
        let payload = [&head[..], &random].concat();
        if let Ok(Some(tunnel)) = around(protocol, &payload, missing) {
            prop_assert!(tunnel.bytes.len() <= payload.len());
            if let Ok(Packet { body: Body::Ip(ip), .. }) = tunnel.open(Unwrapped::default()) {
                prop_assert!(ip.bytes.len() <= tunnel.bytes.len());
            }
        }
    }
}
