//! What is different in MQTT 5.0, and how a flow without its CONNECT is read.

use hotpath::protocols::NO_SUBFUNCTION;
use hotpath::protocols::Party::{Client, Server};
use hotpath::protocols::mqtt::PROTOCOL;
use hotpath::words::NoticeKind;

use crate::packets::{
    ACCEPTED, ACCEPTED_5, connect, flow, last, names, packet, publish, publish_5, session, text,
};

#[test]
fn connect_with_properties() {
    #[rustfmt::skip]
    let body = [
        &text("MQTT")[..], &[5, 0x06, 0, 10],
        &[12],                                      // properties:
        &[0x11, 0, 0, 0, 60],                       // session expiry interval
        &[0x15], &text("SCRA")[..],                 // authentication method
        &text(""),                                  // no client identifier
        &[5, 0x18, 0, 0, 0, 1],                     // will properties: delay interval
        &text("w"), &text("gone"),
    ].concat();
    let mut flow = flow();
    flow.feed(Client, &packet(0x10, &body));
    assert_eq!(names(last(&flow)), ["-", "SCRA", "w"]);
    assert_eq!(last(&flow).objects[1].0, "authentication-method");
    assert_eq!(flow.out.facts, []);
    #[rustfmt::skip]
    let accepted = [
        0x20, 9, 0, 0,
        6, 0x12, 0, 3, b'i', b'd', b'7',            // assigned client identifier
    ];
    flow.feed(Server, &accepted);
    assert_eq!(flow.out.facts, [(Client, "client-id", "id7".to_owned())]);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn a_broker_may_refuse_a_level_in_the_words_of_an_older_one() {
    let mut flow = flow();
    flow.feed(Client, &connect(5, 2, &[])).feed(Server, &[0x20, 2, 0, 1]);
    assert_eq!((last(&flow).status, flow.kinds()), (1, vec![]));
}

#[test]
fn reason_codes() {
    let mut flow = session(5);
    for (bytes, status, subfunction, name) in [
        (&[0xE0_u8, 0][..], 0, NO_SUBFUNCTION, "DISCONNECT"),
        (&[0xE0, 1, 0x04], 0, 4, "DISCONNECT (with will message)"),
        (&[0xE0, 2, 0x8E, 0], 0x8E, NO_SUBFUNCTION, "DISCONNECT"),
        (&[0xF0, 2, 0x18, 0], 0, 0x18, "AUTH (continue authentication)"),
        (&[0xF0, 2, 0x19, 0], 0, 0x19, "AUTH (re-authenticate)"),
        (&[0x40, 2, 0, 1], 0, NO_SUBFUNCTION, "PUBACK"),
        (&[0x40, 3, 0, 1, 0x10], 0, NO_SUBFUNCTION, "PUBACK"), // no matching subscribers
        (&[0x50, 3, 0, 1, 0x97], 0x97, NO_SUBFUNCTION, "PUBREC"),
        (&[0xB0, 5, 0, 1, 0, 0x11, 0x87], 0, NO_SUBFUNCTION, "UNSUBACK"),
        (&[0xB0, 4, 0, 1, 0, 0x87], 0x87, NO_SUBFUNCTION, "UNSUBACK"),
    ] {
        flow.feed(Server, bytes);
        let said = last(&flow);
        assert_eq!((said.status, said.subfunction), (status, subfunction), "{bytes:02x?}");
        assert_eq!((PROTOCOL.function_name)(said.function, said.subfunction), Some(name));
    }
    assert_eq!(flow.kinds(), []);
}

#[test]
fn subscription_options_and_identifier() {
    #[rustfmt::skip]
    let bytes = [
        0x82, 10, 0, 1,
        3, 0x0B, 0x80, 0x01,                        // subscription identifier 128
        0, 1, b'a', 0x2E,                           // retain handling 2, as published, QoS 2
    ];
    let mut flow = session(5);
    flow.feed(Client, &bytes);
    assert_eq!((names(last(&flow)), last(&flow).values[0].3), (vec!["a"], 2));
    assert_eq!(flow.kinds(), []);
}

#[test]
fn properties_that_are_wrong() {
    for (properties, detail) in [
        (&[0x7F_u8][..], "a property that the standard does not have"),
        (&[0x04, 0], "a property that the standard does not have"),
        (&[0x23, 0], "the properties end inside one of them"),
        (&[0x23, 0, 0], "a topic alias of 0"),
        (&[0x01, 0, 0x01, 1], "a property that may stand once stands twice"),
        (&[0x0B, 0x80, 0x80, 0x80, 0x80], "a variable byte integer of more than four bytes"),
        (&[0x26, 0, 1, b'k', 0, 9, b'v'], "the properties end inside one of them"),
    ] {
        let mut flow = session(5);
        flow.feed(Client, &publish_5("t", properties, b"1"));
        assert_eq!(flow.out.noticed[0].detail, detail, "{properties:02x?}");
        assert_eq!(flow.functions(), [1, 2, 3]);
    }
    let mut flow = session(5);
    let user = [0x26, 0, 1, b'k', 0, 1, b'v'];
    flow.feed(Client, &publish_5("t", &[user, user].concat(), b"1"));
    assert_eq!(flow.kinds(), [], "user properties may stand several times");
    flow.feed(Client, &packet(0x30, &[0, 1, b't', 0xFF, 0xFF, 0x7F]));
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "longer than the packet");
}

#[test]
fn who_comes_too_late_finds_the_level_out() {
    let number = 1.5_f64.to_bits();
    // Its payload cannot be properties.
    let mut flow = flow();
    flow.feed(Client, &publish(0, "t", 0, b"1.5"));
    flow.feed(Client, &publish(0, "t", 0, b"\x001.5"));
    assert_eq!(flow.out.said[0].values[0].3, number);
    assert_eq!(flow.out.said[1].values, [], "it is of MQTT 3.1.1: the payload begins with 0");

    let mut flow = crate::packets::flow();
    flow.feed(Client, &publish_5("t", &[], b"1.5"));
    flow.feed(Client, &publish_5("t", &[1, 1], b"1.5"));
    flow.feed(Client, &publish_5("t", &[], b"1.5"));
    assert!(flow.out.said.iter().all(|said| said.values[0].3 == number));

    for (accepted, payload) in [(&ACCEPTED[..], &b"1.5"[..]), (&ACCEPTED_5, b"\x001.5")] {
        let mut flow = crate::packets::flow();
        flow.feed(Server, accepted).feed(Client, &publish(0, "t", 0, payload));
        assert_eq!(last(&flow).values[0].3, number);
    }
    for (subscribe, payload) in [
        (&[0x82_u8, 6, 0, 1, 0, 1, b'a', 0][..], &b"1.5"[..]),
        (&[0x82, 7, 0, 1, 0, 0, 1, b'a', 0], b"\x001.5"),
    ] {
        let mut flow = crate::packets::flow();
        flow.feed(Client, subscribe).feed(Server, &publish(0, "t", 0, payload));
        assert_eq!(names(&flow.out.said[0]), ["a"]);
        assert_eq!(last(&flow).values[0].3, number);
        assert_eq!(flow.kinds(), []);
    }
}
