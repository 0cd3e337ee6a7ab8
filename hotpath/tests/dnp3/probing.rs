//! What the first bytes of a flow tell.

use hotpath::protocols::dnp3::PROTOCOL;
use hotpath::protocols::{Party, Probe, Transport};

use crate::recorder::{answered, asked, frame};

use Probe::{More, No, Yes};

fn probe(head: &[u8]) -> Probe {
    (PROTOCOL.probe)(Transport::Tcp, head)
}

#[test]
fn the_direction_tells_who_sends() {
    for (bytes, party) in [
        (asked(&[0xC0, 1, 60, 1, 6]), Party::Client),
        (answered(&[0xF0, 130, 0, 0]), Party::Server),
        (frame(0xC9, 3, 4, &[]), Party::Client),
        (frame(0x0B, 4, 3, &[]), Party::Server),
    ] {
        assert_eq!(probe(&bytes), Yes(Some(party)), "{bytes:02x?}");
        assert_eq!((PROTOCOL.probe)(Transport::Udp, &bytes), Yes(Some(party)));
        for cut in 0..10 {
            assert_eq!(probe(&bytes[..cut]), More, "{bytes:02x?} cut at {cut}");
        }
        let mut bad = bytes.clone();
        bad[5] ^= 1;
        assert_eq!(probe(&bad), No);
    }
}

#[test]
fn other_protocols() {
    let foreign: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x6f\x4c\x1e\x1a\x9b\x33",
        b"GET / HTTP/1.1\r\nHost: rtu\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nServer: rtu\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        // Modbus, IEC 104, S7, EtherNet/IP
        &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1],
        &[0x68, 4, 7, 0, 0, 0, 0x68, 4, 0x0B, 0, 0, 0],
        &[3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC0, 1, 10],
        &[0x65, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        // The start of a frame, and nothing else of it
        &[0x05, 0x64, 0x05, 0x64, 0x05, 0x64, 0x05, 0x64, 0x05, 0x64],
        &[0x05, 0x64, 0x04],
        &[0; 32],
        &[0xFF; 32],
    ];
    for head in foreign {
        assert_eq!(probe(head), No, "{head:02x?}");
    }
}
