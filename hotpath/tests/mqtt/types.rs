//! Each packet type, from annotated bytes.

use hotpath::protocols::NO_SUBFUNCTION;
use hotpath::protocols::Party::{Client, Server};
use hotpath::protocols::mqtt::PROTOCOL;
use hotpath::words::{Access, Activity, NoticeKind, Role, ValueKind};

use crate::packets::{connect, flow, last, names, packet, publish, session, text};

const CONTROL: Access = Access::Control;

#[test]
fn connect_with_everything() {
    #[rustfmt::skip]
    let bytes = [
        0x10, 41,                                   // CONNECT, remaining length
        0, 4, b'M', b'Q', b'T', b'T', 4,            // protocol, level: 3.1.1
        0xC6,                                       // user, password, will, clean session
        0, 30,                                      // keep alive
        0, 4, b'p', b'l', b'c', b'7',               // client identifier
        0, 4, b'l', b'o', b's', b't',               // will topic
        0, 2, b'u', b'p',                           // will message
        0, 5, b'a', b'd', b'm', b'i', b'n',         // user name
        0, 6, b's', b'e', b'c', b'r', b'e', b't',   // password
    ];
    let mut flow = flow();
    flow.feed(Client, &bytes);
    let said = last(&flow);
    assert_eq!((said.role, said.activity), (Role::Request, Activity::Session));
    assert_eq!((said.function, said.subfunction, said.length), (1, 4, 43));
    assert_eq!(
        said.objects,
        [
            ("keep-alive", 0, 1, Access::Report, 0),
            ("user", 0, 1, CONTROL, 0),
            ("password", 0, 1, CONTROL, 0),
            ("will", 0, 1, Access::Write, 0),
        ]
    );
    assert_eq!(names(said), ["-", "admin", "-", "lost"]);
    assert_eq!(said.values, [(0, 0, ValueKind::Unsigned, 30), (3, 0, ValueKind::Text, 0)]);
    assert_eq!(said.texts, [None, Some("up".to_owned())]);
    assert_eq!(flow.out.facts, [(Client, "client-id", "plc7".to_owned())]);
    assert!(!format!("{:?}", flow.out).contains("secret"), "the password is told to nobody");
    assert_eq!(flow.kinds(), []);
}

#[test]
fn connect_of_each_level() {
    for (level, flags, subfunction, name) in [
        (3, 2, 3, "CONNECT (MQTT 3.1)"),
        (4, 2, 4, "CONNECT (MQTT 3.1.1)"),
        (5, 2, 5, "CONNECT (MQTT 5.0)"),
        (4, 0, 0x204, "CONNECT (MQTT 3.1.1, session kept)"),
        (0x84, 2, 0x104, "CONNECT (MQTT 3.1.1, bridge)"),
        (0x83, 0, 0x303, "CONNECT (MQTT 3.1, bridge, session kept)"),
    ] {
        let mut flow = flow();
        flow.feed(Client, &connect(level, flags, &[]));
        assert_eq!(last(&flow).subfunction, subfunction);
        assert_eq!((PROTOCOL.function_name)(1, subfunction), Some(name));
        assert_eq!(
            last(&flow).objects,
            [("keep-alive", 0, 1, Access::Report, 0)],
            "nobody by name"
        );
        assert_eq!(flow.kinds(), []);
    }
}

#[test]
fn an_empty_password_is_none() {
    let mut flow = flow();
    flow.feed(Client, &connect(4, 0xC2, &[text("u"), text("")].concat()));
    assert_eq!(last(&flow).objects.len(), 2);
}

#[test]
fn connack() {
    for (code, name) in [(1, "unacceptable protocol version"), (5, "not authorized")] {
        let mut flow = flow();
        flow.feed(Client, &connect(4, 0x82, &text("u"))).feed(Server, &[0x20, 2, 0, code]);
        let said = last(&flow);
        assert_eq!((said.role, said.status, said.reply_to), (Role::Response, code.into(), Some(1)));
        assert_eq!(names(said), ["u"], "who was refused");
        assert_eq!(said.objects[0].4, u16::from(code));
        assert_eq!((PROTOCOL.status_name)(code.into()), Some(name));
    }
    assert_eq!((PROTOCOL.status_name)(0), None);
    assert_eq!((PROTOCOL.status_name)(0x87), Some("not authorized"));
}

#[test]
fn publish_of_a_number() {
    #[rustfmt::skip]
    let bytes = [
        0x33, 12,                                   // PUBLISH, QoS 1, retained
        0, 4, b't', b'/', b'1', b'a',               // topic
        0, 7,                                       // packet identifier
        b'2', b'1', b'.', b'5',                     // payload
    ];
    let mut flow = session(4);
    flow.feed(Client, &bytes);
    let said = last(&flow);
    assert_eq!((said.role, said.activity), (Role::Report, Activity::Report));
    assert_eq!((said.function, said.subfunction), (3, 5));
    assert_eq!((PROTOCOL.function_name)(3, 5), Some("PUBLISH (QoS 1, retained)"));
    assert_eq!(said.objects, [("topic", 0, 1, Access::Report, 0)]);
    assert_eq!(names(said), ["t/1a"]);
    assert_eq!(said.values, [(0, 0, ValueKind::Float, 21.5_f64.to_bits())]);
}

#[test]
fn publish_by_either_party() {
    for (from, flags, payload, subfunction, name) in [
        (Client, 0, &b"1"[..], 0, "PUBLISH (QoS 0)"),
        (Client, 1, b"", 12, "PUBLISH (QoS 0, retained message deleted)"),
        (Server, 0, b"1", 16, "PUBLISH to subscriber (QoS 0)"),
        (Server, 5, b"1", 18, "PUBLISH to subscriber (QoS 2)"),
        (Client, 0x0A, b"1", 1, "PUBLISH (QoS 1)"), // again (DUP): the same operation
    ] {
        let mut flow = session(4);
        flow.feed(from, &publish(flags, "t", 9, payload));
        assert_eq!(last(&flow).subfunction, subfunction);
        assert_eq!((PROTOCOL.function_name)(3, subfunction), Some(name));
        assert_eq!(flow.kinds(), []);
    }
}

#[test]
fn publish_of_json() {
    let mut flow = session(4);
    flow.feed(
        Client,
        &publish(0, "tank/1", 0, br#"{"level":1.5,"pump":{"on":true,"mode":"auto"}}"#),
    );
    let said = last(&flow);
    let member = ("topic-member", 0, 1, Access::Report, 0);
    assert_eq!(said.objects, [("topic", 0, 1, Access::Report, 0), member, member, member]);
    assert_eq!(names(said), ["tank/1", "tank/1:level", "tank/1:pump.on", "tank/1:pump.mode"]);
    assert_eq!(
        said.values,
        [
            (1, 0, ValueKind::Float, 1.5_f64.to_bits()),
            (2, 0, ValueKind::Bit, 1),
            (3, 0, ValueKind::Text, 0),
        ]
    );
    assert_eq!(said.texts[2].as_deref(), Some("auto"));
}

#[test]
fn what_the_broker_says_of_itself() {
    let mut flow = session(4);
    let version = publish(1, "$SYS/broker/version", 0, b"mosquitto version 2.0.18");
    flow.feed(Client, &version);
    assert_eq!(flow.out.facts.len(), 1, "only the broker knows");
    flow.feed(Server, &version);
    assert_eq!(flow.out.facts[1], (Server, "product", "mosquitto version 2.0.18".to_owned()));
}

#[test]
fn subscribe_and_suback() {
    #[rustfmt::skip]
    let bytes = [
        0x82, 13,                                   // SUBSCRIBE
        0, 3,                                       // packet identifier
        0, 3, b'a', b'/', b'#', 1,                  // filter, QoS 1
        0, 2, b'$', b'S', 0,                        // filter, QoS 0
    ];
    let mut flow = session(4);
    flow.feed(Client, &bytes).feed(Server, &[0x90, 4, 0, 3, 1, 0x80]);
    let [.., asked, answer] = &flow.out.said[..] else { panic!("two") };
    assert_eq!((asked.role, asked.activity), (Role::Request, Activity::Read));
    assert_eq!(asked.objects, [("topic-filter", 0, 1, Access::Read, 0); 2]);
    assert_eq!(names(asked), ["a/#", "$S"]);
    assert_eq!(asked.values, [(0, 0, ValueKind::Unsigned, 1), (1, 0, ValueKind::Unsigned, 0)]);
    assert_eq!((answer.reply_to, answer.status), (Some(3), 0), "not all of them failed");
    assert_eq!(answer.objects.iter().map(|it| it.4).collect::<Vec<_>>(), [0, 0x80]);
    flow.feed(Client, &bytes).feed(Server, &[0x90, 4, 0, 3, 0x80, 0x80]);
    assert_eq!(last(&flow).status, 0x80);
}

#[test]
fn to_ask_for_everything_is_to_browse() {
    for (filter, activity) in [
        ("#", Activity::Browse),
        ("+/#", Activity::Browse),
        ("+/+", Activity::Browse),
        ("/#", Activity::Read),
        ("$SYS/#", Activity::Browse),
        ("$SYS/broker/uptime", Activity::Read),
        ("plant/#", Activity::Read),
    ] {
        let mut flow = session(4);
        flow.feed(Client, &packet(0x82, &[&[0, 1][..], &text(filter), &[0]].concat()));
        flow.feed(Server, &[0x90, 3, 0, 1, 0]);
        let told: Vec<_> = flow.out.said[2..].iter().map(|said| said.activity).collect();
        assert_eq!(told, [activity; 2], "{filter}");
    }
}

#[test]
fn unsubscribe() {
    let mut flow = session(4);
    flow.feed(Client, &packet(0xA2, &[&[0, 9][..], &text("a/b")].concat()));
    assert_eq!((names(last(&flow)), last(&flow).values.len()), (vec!["a/b"], 0));
    flow.feed(Server, &[0xB0, 2, 0, 9]);
    assert_eq!((last(&flow).function, last(&flow).reply_to), (11, Some(3)));
    assert_eq!(names(last(&flow)), ["a/b"]);
}

#[test]
fn pings_and_the_end() {
    let mut flow = session(4);
    flow.feed(Client, &[0xC0, 0]).feed(Server, &[0xD0, 0]).feed(Client, &[0xE0, 0]);
    assert_eq!(flow.functions()[2..], [12, 13, 14]);
    assert_eq!(flow.out.said[3].reply_to, Some(3));
    assert!(flow.out.said.iter().all(|said| said.activity == Activity::Session));
    assert_eq!(last(&flow).subfunction, NO_SUBFUNCTION);
    flow.expire(i64::MAX);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn bodies_that_are_wrong_are_messages_all_the_same() {
    let publish = |bytes: &[u8]| packet(0x30, bytes);
    for (bytes, detail) in [
        (packet(0x10, b"\x00\x04MQTX\x04\x02\x00\x00\x00\x01c"), "the protocol is neither MQTT"),
        (packet(0x10, b"\x00\x04MQTT\x06\x02\x00\x00\x00\x01c"), "the protocol is neither MQTT"),
        (packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x09c"), "the packet ends before"),
        (packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x01cc"), "the packet is longer than"),
        (publish(&[0, 9, b't']), "the packet ends before"),
        (publish(&[0]), "the packet ends before"),
        (publish(&[0, 0, b'x']), "a topic, filter or name"),
        (publish(&[0, 2, b't', b'#', b'x']), "a topic, filter or name"),
        (publish(&[0, 1, 0xFF, b'x']), "a topic, filter or name"),
        (packet(0x32, &[0, 1, b't', 0, 0]), "the packet identifier is 0"),
        (packet(0x36, &[0, 1, b't', 0, 1]), "the flags are none of the packet type's"),
        (packet(0x80, &[0, 1, 0, 1, b't', 0]), "the flags are none of the packet type's"),
        (packet(0x82, &[0, 1]), "the packet names no topic filter"),
        (packet(0x82, &[0, 1, 0, 0, 0]), "a topic, filter or name"),
        (packet(0x82, &[0, 1, 0, 1, b't']), "the packet ends before"),
        (packet(0x40, &[0, 1, 0]), "the packet is longer than"),
        (packet(0x90, &[0, 1]), "the packet has no reason code"),
    ] {
        let mut flow = session(4);
        flow.feed(Client, &bytes).feed(Client, &[0xC0, 0]);
        assert_eq!(flow.out.said[2].function, u32::from(bytes[0] >> 4), "{bytes:02x?}");
        assert_eq!(flow.functions()[3], 12, "{bytes:02x?}");
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "{bytes:02x?}");
        assert!(flow.out.noticed[0].detail.starts_with(detail), "{:?}", flow.out.noticed);
    }
}
