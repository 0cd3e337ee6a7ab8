//! What is GOOSE, what is Sampled Values, and what is neither.

use hotpath::protocols::iec61850::{goose, sv};
use hotpath::protocols::{Party, Probe, Transport};

use crate::bytes::{Goose, asdu, framed, padded, pairs, samples, tlv};

const YES: Probe = Probe::Yes(Some(Party::Client));

#[test]
fn their_own() {
    let event = Goose::default().frame();
    let sample = samples(&[asdu("MU01", 1, &pairs(&[(1, 0)]))]);
    for (protocol, frame, other) in
        [(&goose::PROTOCOL, &event, &sv::PROTOCOL), (&sv::PROTOCOL, &sample, &sv::PROTOCOL)]
    {
        assert_eq!((protocol.probe)(Transport::Link, frame), YES);
        assert_eq!((protocol.probe)(Transport::Link, &padded(frame)), YES);
        for transport in [Transport::Tcp, Transport::Udp] {
            assert_eq!((protocol.probe)(transport, frame), Probe::No);
        }
        let link = other.link.unwrap();
        assert_eq!((link.port)(link.ether_types[0], frame), 0x3101);
        assert_eq!((link.port)(link.ether_types[0], &[0x31]), 0);
    }
    assert_eq!((sv::PROTOCOL.probe)(Transport::Link, &event), Probe::No);
}

#[test]
fn something_else() {
    let cut = Goose::default().frame();
    let others: [&[u8]; 10] = [
        b"",
        b"GET / HTTP/1.1\r\n",
        &[0x16, 0x03, 0x01, 0x00, 0xC8, 0x01, 0x00, 0x00, 0xC4], // TLS
        &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 10],                  // Modbus
        &[0x80, 0x00, 0x01, 0x02, 0x03, 0x04, 0x35, 0x00, 0x00], // PROFINET
        &[0; 46],
        &[0xFF; 60],
        &framed(0, &tlv(0x61, &[])),
        &framed(0, &tlv(0x61, &tlv(0x81, &[1]))),
        &cut[..cut.len() - 1],
    ];
    for bytes in others {
        for protocol in [&goose::PROTOCOL, &sv::PROTOCOL] {
            assert_eq!((protocol.probe)(Transport::Link, bytes), Probe::No, "{bytes:02x?}");
        }
    }
}
