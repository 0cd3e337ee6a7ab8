//! What the first bytes of a flow tell.

use hotpath::protocols::Party::{Client, Server};
use hotpath::protocols::mqtt::PROTOCOL;
use hotpath::protocols::{Probe, Transport};

use crate::packets::{PINGREQ, PINGRESP, connect, packet, publish, publish_5};

use Probe::{More, No, Yes};

fn probe(head: &[u8]) -> Probe {
    (PROTOCOL.probe)(Transport::Tcp, head)
}

#[test]
fn the_sender_is_told_by_what_it_says() {
    for (bytes, party, needed) in [
        (connect(3, 2, &[]), Some(Client), 11),
        (connect(4, 2, &[]), Some(Client), 9),
        (connect(0x85, 2, &[]), Some(Client), 9),
        (vec![0x20, 2, 0, 5], Some(Server), 4),
        (vec![0x20, 3, 1, 0x87, 0], Some(Server), 5),
        (publish(0, "t/1", 0, b"12345"), None, 7),
        (publish(2, "t/1", 9, b"12345"), None, 9),
        (publish_5("", &[0x23, 0, 1], b"1"), None, 8),
        (vec![0x40, 2, 0, 1], None, 4),
        (vec![0x62, 2, 0, 1], None, 4),
        (packet(0x82, b"\x00\x01\x00\x01#\x00"), Some(Client), 8),
        (packet(0x82, b"\x00\x01\x00\x00\x01#\x00"), Some(Client), 9),
        (vec![0x90, 3, 0, 1, 2], Some(Server), 5),
        (packet(0xA2, b"\x00\x01\x00\x01#"), Some(Client), 7),
        (vec![0xB0, 2, 0, 1], Some(Server), 4),
        (PINGREQ.to_vec(), Some(Client), 2),
        (PINGRESP.to_vec(), Some(Server), 2),
        (vec![0xE0, 0], None, 2),
        (vec![0xF0, 2, 0x18, 0], None, 4),
    ] {
        assert_eq!(probe(&bytes), Yes(party), "{bytes:02x?}");
        for cut in 0..needed {
            assert_eq!(probe(&bytes[..cut]), More, "{bytes:02x?} cut at {cut}");
        }
        assert_eq!(probe(&bytes[..needed]), Yes(party), "{bytes:02x?}");
        assert_eq!((PROTOCOL.probe)(Transport::Udp, &bytes), No);
    }
}

#[test]
fn what_only_begins_alike() {
    for bytes in [
        packet(0x10, b"\x00\x04MQTX\x04\x02\x00\x00\x00\x01c"),
        packet(0x10, b"\x00\x04MQTT\x07\x02\x00\x00\x00\x01c"),
        packet(0x10, b"\x00\x04MQ"),
        packet(0x11, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"),
        publish(6, "t", 9, b"1"),
        publish(8, "t", 0, b"1"),
        publish(2, "t", 0, b"1"),
        publish(0, "t\x07", 0, b"1"),
        publish(0, "t/#", 0, b"1"),
        packet(0x30, &[0, 200, b't']),
        packet(0x30, &[0, 0, 0]),
        vec![0x20, 2, 2, 0],
        vec![0x20, 2, 0, 9],
        vec![0x40, 2, 0, 0],
        vec![0x40, 0],
        vec![0xC0, 1],
        vec![0x30, 0x80, 0x80, 0x80, 0x80],
    ] {
        assert_eq!(probe(&bytes), No, "{bytes:02x?}");
    }
}

#[test]
fn other_protocols() {
    let foreign: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x6f\x4c\x1e\x1a\x9b\x33", // TLS
        b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nServer: plc\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"0\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", // LDAP bind
        // Modbus read
        &[0, 1, 0, 0, 0, 6, 1, 3, 0, 16, 0, 2],
        // S7: TPKT, COTP connect
        &[3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC0, 1, 10, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2],
        // DNP3 link header, IEC 104 STARTDT
        &[0x05, 0x64, 0x05, 0xC0, 0x01, 0x00, 0x00, 0x04, 0xE9, 0x21],
        &[0x68, 4, 7, 0, 0, 0],
        // OPC UA hello, AMQP
        b"HELF\x38\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00",
        b"AMQP\x00\x00\x09\x01",
        &[0; 32],
        &[0xFF; 32],
    ];
    for head in foreign {
        assert_eq!(probe(head), No, "{head:02x?}");
    }
}
