//! What the first bytes of a flow tell.

use hotpath::protocols::modbus::PROTOCOL;
use hotpath::protocols::{Party, Probe, Transport};

use crate::recorder::{adu, rtu};

use Probe::{More, No, Yes};

fn probe(head: &[u8]) -> Probe {
    (PROTOCOL.probe)(Transport::Tcp, head)
}

const READ: [u8; 5] = [0x03, 0x00, 0x10, 0x00, 0x02];

#[test]
fn the_sender_is_told_by_the_shape() {
    for (pdu, party) in [
        (&READ[..], Some(Party::Client)),
        (&[0x03, 4, 0, 1, 0, 2], Some(Party::Server)),
        (&[0x83, 2], Some(Party::Server)),
        (&[0x06, 0, 1, 0, 3], None),
        (&[0x05, 0, 1, 0xFF, 0], None),
        (&[0x10, 0, 1, 0, 1, 2, 0, 9], Some(Party::Client)),
        (&[0x11], Some(Party::Client)),
        (&[0x2B, 0x0E, 1, 0], Some(Party::Client)),
        (&[90, 0, 2], Some(Party::Client)),
        (&[90, 0, 0xFE], Some(Party::Server)),
    ] {
        let whole = adu(1, 1, pdu);
        assert_eq!(probe(&whole), Yes(party), "{pdu:02x?}");
        assert_eq!((PROTOCOL.probe)(Transport::Udp, &whole), Yes(party), "{pdu:02x?}");
        for cut in 0..8.min(whole.len()) {
            assert_eq!(probe(&whole[..cut]), More, "{pdu:02x?} cut at {cut}");
        }
    }
}

#[test]
fn a_header_alone_claims_nothing() {
    let unknown = adu(1, 1, &[0x41, 1, 2, 3]);
    assert_eq!(probe(&unknown), More);
    assert_eq!(probe(&[unknown.clone(), adu(2, 1, &[0x42, 1])].concat()), Yes(None));
    assert_eq!(probe(&[unknown.clone(), adu(2, 1, &READ)].concat()), Yes(Some(Party::Client)));
    assert_eq!(probe(&[&unknown[..], &[0xFF; 8]].concat()), No);
}

#[test]
fn rtu_frames() {
    assert_eq!(probe(&rtu(17, &READ)), Yes(Some(Party::Client)));
    assert_eq!(probe(&rtu(17, &[0x03, 4, 0, 1, 0, 2])), Yes(Some(Party::Server)));
    assert_eq!(probe(&rtu(17, &[0x06, 0, 1, 0, 3])), Yes(None));
    assert_eq!(probe(&rtu(17, &READ)[..7]), More);
    let mut bad = rtu(17, &READ);
    bad[7] ^= 1;
    assert_eq!(probe(&bad), No);
    assert_eq!((PROTOCOL.probe)(Transport::Udp, &rtu(17, &READ)), No);
}

#[test]
fn other_protocols() {
    let foreign: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x6f\x4c\x1e\x1a\x9b\x33", // TLS
        b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03\x11\x22\x33\x44\x55\x66", // TLS, server
        b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nServer: plc\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"220 ftp ready\r\n",
        // S7: TPKT, COTP connect
        &[3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC0, 1, 10, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2],
        // DNP3 link header
        &[0x05, 0x64, 0x05, 0xC0, 0x01, 0x00, 0x00, 0x04, 0xE9, 0x21],
        // IEC 104 STARTDT, and an I frame
        &[0x68, 4, 7, 0, 0, 0, 0x68, 4, 0x0B, 0, 0, 0],
        &[0x68, 14, 0, 0, 0, 0, 0x64, 1, 6, 0, 1, 0, 0, 0, 0, 20],
        // EtherNet/IP register session
        &[0x65, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
        // EtherNet/IP list identity: 20 zero bytes behind the command
        &[0x63, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        // DICOM associate: a zero field where the protocol identifier stands
        &[1, 0, 0, 0, 0, 0xCD, 0, 1, 0, 0, b'A', b'N', b'Y', b'-', b'S', b'C', b'P', b' ', b' '],
        // OPC UA hello, MQTT connect
        b"HELF\x38\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00",
        b"\x10\x1a\x00\x04MQTT\x04\x02\x00\x3c\x00\x0eclient",
        &[0; 32],
        &[0xFF; 32],
    ];
    for head in foreign {
        let answer = probe(head);
        // DICOM's one PDU is longer than this head: more bytes would tell.
        let expected = if head.starts_with(&[1, 0, 0, 0]) { More } else { No };
        assert_eq!(answer, expected, "{head:02x?}");
    }
}
