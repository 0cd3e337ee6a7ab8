//! Several protocols on one port: which of them a flow speaks, and what it is called until it
//! tells.

use super::frames::host;
use super::wire::{Dialogue, SECOND, START, Wire};

/// A connection request for this TSAP.
fn connect(tsap: &[u8]) -> Vec<u8> {
    let length = 13 + tsap.len() as u8;
    let head = [3, 0, 0, length, length - 5, 0xE0, 0, 0, 0, 1, 0, 0xC2, tsap.len() as u8];
    [&head[..], tsap].concat()
}

const SETUP: &[u8] =
    b"\x03\0\0\x19\x02\xf0\x80\x32\x01\0\0\0\x01\0\x08\0\0\xf0\0\0\x01\0\x01\x01\xe0";
const EXPLORE: &[u8] =
    b"\x03\0\0\x1d\x02\xf0\x80\x72\x02\0\x0e\x31\0\0\x04\xbb\0\0\0\x01\0\0\0\0\x34\x72\x02\0\0";
const SESSION: &[u8] = b"\x03\0\0\x0f\x02\xf0\x80\x0d\x06\x05\x06\x13\x01\0\x16";

/// What a connection is called on which the client says this.
fn name_of(said: &[&[u8]]) -> (String, Vec<&'static str>) {
    let (mut wire, mut talk) = (Wire::default(), Dialogue::new(host(1, 40_000), host(2, 102)));
    talk.open(&mut wire);
    for bytes in said {
        talk.ask(&mut wire, bytes);
    }
    wire.put_at(START + 3 * SECOND, &super::frames::udp(host(8, 9), host(9, 9), b"x"));
    let heard = wire.finish();
    let name = heard
        .traffic
        .iter()
        .map(|(name, _)| name.clone())
        .find(|name| name.contains("tcp/102") || name.contains("s7comm"));
    (name.unwrap_or_default(), heard.kinds())
}

#[test]
fn a_connection_alone_is_named_by_its_tsap() {
    for (tsap, name) in [
        (&b"\x01\x02"[..], "s7comm/102"),
        (b"SIMATIC-ROOT-HMI", "s7comm-plus/102"),
        (b"\x00\x01", "s7comm/102"), // it may be either; the first one stands for both
    ] {
        let (told, kinds) = name_of(&[&connect(tsap)]);
        assert!(told.ends_with(name), "{told}");
        assert!(!kinds.contains(&"foreign-protocol"));
    }
    let (told, kinds) = name_of(&[]);
    assert!(told.ends_with("s7comm/102") && kinds.is_empty(), "{told} {kinds:?}");
}

#[test]
fn what_follows_names_it_whatever_the_tsap() {
    for tsap in [&b"\x01\x02"[..], b"SIMATIC-ROOT-HMI", b"\x00\x01"] {
        for (said, name) in [(SETUP, "s7comm/102"), (EXPLORE, "s7comm-plus/102")] {
            let (told, kinds) = name_of(&[&connect(tsap), said]);
            assert!(told.ends_with(name), "{told}");
            assert!(!kinds.contains(&"foreign-protocol"));
        }
        let (told, kinds) = name_of(&[&connect(tsap), SESSION]);
        assert!(told.ends_with("tcp/102"), "{told}");
        assert!(!kinds.contains(&"foreign-protocol"), "MMS has the port by right");
    }
    let (told, kinds) = name_of(&[b"GET / HTTP/1.1\r\n\r\n"]);
    assert!(told.ends_with("tcp/102"), "{told}");
    assert!(kinds.contains(&"foreign-protocol"), "none of those that are registered");
}

#[test]
fn amid_a_connection() {
    for (said, name) in [(SETUP, "s7comm/102"), (EXPLORE, "s7comm-plus/102")] {
        assert!(name_of(&[said]).0.ends_with(name));
        // Something else first: the flow turns to what comes later.
        assert!(name_of(&[b"GET / HTTP/1.1\r\n\r\n", said]).0.ends_with(name));
    }
}

#[test]
fn a_refused_connection_bears_the_name_that_was_spoken_before() {
    for (said, name) in [(SETUP, "s7comm/102"), (EXPLORE, "s7comm-plus/102")] {
        let mut wire = Wire::default();
        let mut talk = Dialogue::new(host(1, 40_000), host(2, 102));
        talk.open(&mut wire);
        talk.ask(&mut wire, said);
        let mut later = Dialogue::new(host(1, 40_001), host(2, 102));
        later.syn(&mut wire);
        later.reset(&mut wire);
        let heard = wire.finish();
        let refused = heard.connections.iter().find(|one| one.state == "refused");
        assert!(
            refused.is_some_and(|one| one.conversation.ends_with(name)),
            "{:?}",
            heard.connections
        );
    }
}
