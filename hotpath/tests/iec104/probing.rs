//! What the first bytes of a flow tell.

use hotpath::protocols::Party::{Client, Server};
use hotpath::protocols::iec104::PROTOCOL;
use hotpath::protocols::{Probe, Transport};

use crate::apdus::{STARTDT, STARTDT_CON, STOPDT, STOPDT_CON, TESTFR, TESTFR_CON, ack, asdu, info};

use Probe::{More, No, Yes};

fn probe(head: &[u8]) -> Probe {
    (PROTOCOL.probe)(Transport::Tcp, head)
}

#[test]
fn the_sender_is_told_by_what_it_says() {
    for (apdu, party) in [
        (STARTDT.to_vec(), Some(Client)),
        (STOPDT.to_vec(), Some(Client)),
        (STARTDT_CON.to_vec(), Some(Server)),
        (STOPDT_CON.to_vec(), Some(Server)),
        (TESTFR.to_vec(), None),
        (TESTFR_CON.to_vec(), None),
        (ack(99), None),
        (info(3, 4, &asdu(1, 3, 9, &[1])), Some(Server)),
        (info(3, 4, &asdu(45, 6, 9, &[1])), Some(Client)),
        (info(3, 4, &asdu(45, 8, 9, &[1])), Some(Client)),
        (info(3, 4, &asdu(45, 7, 9, &[1])), Some(Server)),
        (info(3, 4, &asdu(102, 5, 9, &[])), Some(Client)),
        (info(3, 4, &asdu(122, 13, 9, &[1, 0, 0, 1])), None),
    ] {
        assert_eq!(probe(&apdu), Yes(party), "{apdu:02x?}");
        let needed = if apdu.len() > 6 { 12 } else { 6 };
        for cut in 0..needed {
            assert_eq!(probe(&apdu[..cut]), More, "{apdu:02x?} cut at {cut}");
        }
        assert_eq!((PROTOCOL.probe)(Transport::Udp, &apdu), No);
    }
}

#[test]
fn a_header_alone_claims_nothing() {
    let private = info(0, 0, &asdu(200, 3, 9, &[1, 2, 3, 4]));
    assert_eq!(probe(&private), More);
    assert_eq!(probe(&[&private[..], &private].concat()), Yes(None));
    assert_eq!(probe(&[private.clone(), ack(1)].concat()), Yes(None));
    assert_eq!(probe(&[&private[..], &[0xFF; 8]].concat()), No);
    assert_eq!(probe(&info(0, 0, &asdu(13, 3, 9, &[1, 2, 3, 4, 5, 6]))), More, "of a wrong length");
}

#[test]
fn other_protocols() {
    let foreign: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x6f\x4c\x1e\x1a\x9b\x33", // TLS
        b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nServer: plc\r\n\r\n",
        b"hello, this begins with the start octet\r\n",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        // Modbus read
        &[0, 1, 0, 0, 0, 6, 1, 3, 0, 16, 0, 2],
        // S7: TPKT, COTP connect
        &[3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC0, 1, 10, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2],
        // DNP3 link header
        &[0x05, 0x64, 0x05, 0xC0, 0x01, 0x00, 0x00, 0x04, 0xE9, 0x21],
        // OPC UA hello, MQTT connect
        b"HELF\x38\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00",
        b"\x10\x1a\x00\x04MQTT\x04\x02\x00\x3c\x00\x0eclient",
        // IEC 101 over TCP: the same start octet, twice
        &[0x68, 0x0B, 0x0B, 0x68, 0x08, 0x01, 0x64, 0x01, 0x06, 0x01, 0, 0, 0x14, 0x89, 0x16],
        &[0; 32],
        &[0xFF; 32],
    ];
    for head in foreign {
        assert_eq!(probe(head), No, "{head:02x?}");
    }
}
