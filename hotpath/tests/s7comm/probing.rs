//! What the first bytes of a flow tell: three protocols share a port.

use hotpath::protocols::{Party, Probe, Transport, s7comm, s7plus};

use crate::plus;
use crate::recorder::{answer, connection, job, part, tsdu, userdata};

use Probe::{Akin, Likely, More, No, Yes};

fn s7(head: &[u8]) -> Probe {
    (s7comm::PROTOCOL.probe)(Transport::Tcp, head)
}

fn plus(head: &[u8]) -> Probe {
    (s7plus::PROTOCOL.probe)(Transport::Tcp, head)
}

const CLIENT: Option<Party> = Some(Party::Client);
const SERVER: Option<Party> = Some(Party::Server);

#[test]
fn a_connection_alone_is_told_by_its_tsap() {
    for code in [0xE0, 0xD0] {
        let who = if code == 0xE0 { CLIENT } else { SERVER };
        for (called, is_s7, is_plus) in [
            (&[1, 2][..], true, false),
            (&[2, 2], true, false),
            (&[3, 0x22], true, false),
            (b"SIMATIC-ROOT-HMI", false, true),
            (b"SIMATIC-ROOT-ES", false, true),
            (&[0, 1], false, false), // MMS
            (&[2, 0], false, false), // MMS
            (&[], false, false),
        ] {
            let head = connection(code, &[1, 0], called);
            let expected = |is_likely| if is_likely { Likely(who) } else { More };
            assert_eq!((s7(&head), plus(&head)), (expected(is_s7), expected(is_plus)));
        }
    }
}

#[test]
fn what_follows_decides() {
    let start = connection(0xE0, &[1, 0], &[1, 2]);
    let root = connection(0xE0, &[6, 0], b"SIMATIC-ROOT-HMI");
    let setup = job(1, &[0xF0, 0, 0, 1, 0, 1, 1, 0xE0], &[]);
    let create = plus::pdu(1, &plus::request(0x04CA, 1, &[]));
    // Session (ISO 8327): CONNECT, as MMS begins.
    let session = tsdu(&[0x0D, 0xB2, 5, 6, 0x13, 1, 0, 0x16, 1, 2]);
    for head in [&start, &root] {
        let with = |more: &[u8]| [&head[..], more].concat();
        assert_eq!((s7(&with(&setup)), plus(&with(&setup))), (Yes(CLIENT), Akin));
        assert_eq!((s7(&with(&create)), plus(&with(&create))), (Akin, Yes(CLIENT)));
        assert_eq!((s7(&with(&session)), plus(&with(&session))), (Akin, Akin));
        assert_eq!(s7(&with(&part(&[], false))), s7(head), "an empty part tells nothing");
    }
}

#[test]
fn the_sender_is_told_by_the_pdu() {
    for (head, who) in [
        (job(1, &[4, 1], &[]), CLIENT),
        (answer(1, &[4, 1], &[0xFF, 4, 0, 8, 1]), SERVER),
        (job(1, &[0x1B, 0], &[]), SERVER), // a controller that is loaded asks for blocks
        (answer(1, &[0x1C], &[]), CLIENT),
        (userdata(1, 0x44, 1, 0, &[0, 0x11, 0, 0]), CLIENT),
        (userdata(1, 0x84, 1, 0, &[0; 8]), SERVER),
        (userdata(0, 0x02, 1, 0, &[0; 8]), SERVER),
        (userdata(1, 0x46, 1, 0, &[0; 8]), None), // either side sends blocks
    ] {
        assert_eq!(s7(&head), Yes(who), "{head:02x?}");
        assert_eq!((s7comm::PROTOCOL.probe)(Transport::Udp, &head), No);
        for cut in 0..head.len() {
            assert!(matches!(s7(&head[..cut]), More | Yes(_)), "{head:02x?} cut at {cut}");
        }
    }
    assert_eq!(plus(&plus::pdu(2, &plus::response(0x054C, 1, &[0]))), Yes(SERVER));
    assert_eq!(plus(&plus::pdu(2, &[0x33, 0])), Yes(SERVER));
}

#[test]
fn amid_a_flow() {
    let read = job(1, &[4, 1], &[]);
    let rest = [part(b"rest of", false), part(b" something", true)].concat();
    assert_eq!(s7(&rest), More, "it may be the end of a TSDU");
    assert_eq!(s7(&[&rest[..], &read].concat()), Yes(CLIENT));
    assert_eq!(s7(&rest.repeat(4)), Akin);
}

#[test]
fn lengths_must_be_right() {
    let right = job(1, &[4, 1], &[]);
    for place in [3, 14, 16] {
        let mut wrong = right.clone();
        wrong[place] += 1;
        assert!(!matches!(s7(&wrong), Yes(_)), "byte {place}");
    }
}

#[test]
fn other_protocols() {
    let foreign: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x6f\x4c\x1e\x1a\x9b\x33", // TLS
        b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1], // Modbus
        &[3, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1], // Modbus, with an unlucky transaction
        &[0x68, 4, 7, 0, 0, 0],                // IEC 104
        // H.225 in TPKT, without COTP
        &[3, 0, 0, 0x20, 8, 2, 0, 1, 5, 4, 3, 0x88, 0x93, 0xA5, 0x28, 0],
        // RDP: a connection with a cookie, then TLS
        b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0\x16\x03\x01\x02\0\x01\0",
        &[0; 32],
        &[0xFF; 32],
    ];
    for head in foreign {
        assert_eq!((s7(head), plus(head)), (No, No), "{head:02x?}");
    }
}
