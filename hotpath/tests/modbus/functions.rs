//! Every function with the examples of the Modbus Application Protocol V1.1b3, clause 6.

use hotpath::protocols::modbus::PROTOCOL;
use hotpath::protocols::{NO_SUBFUNCTION, Party};
use hotpath::words::{Access, Activity, NoticeKind, Role, ValueKind};

use crate::recorder::{Carried, Flow, Said, adu};

use Access::{Read, Write};
use Party::{Client, Server};

/// A request and its response, each also split at every offset; nothing may differ.
fn exchange(request: &[u8], response: &[u8]) -> (Said, Said, Flow) {
    let (question, answer) = (adu(0x1501, 17, request), adu(0x1501, 17, response));
    let mut whole = Flow::tcp();
    whole.feed(Client, &question).feed(Server, &answer);
    for cut in 1..question.len() {
        let mut split = Flow::tcp();
        split.feed(Client, &question[..cut]).feed(Client, &question[cut..]).feed(Server, &answer);
        assert_eq!(split.out.said, whole.out.said, "request split at {cut}");
        assert_eq!(split.out.noticed, whole.out.noticed, "request split at {cut}");
    }
    for cut in 1..answer.len() {
        let mut split = Flow::tcp();
        split.feed(Client, &question).feed(Server, &answer[..cut]).feed(Server, &answer[cut..]);
        assert_eq!(split.out.said, whole.out.said, "response split at {cut}");
        assert_eq!(split.out.noticed, whole.out.noticed, "response split at {cut}");
    }
    let [asked, answered] = &whole.out.said[..] else { panic!("{:?}", whole.out) };
    let (asked, answered) = (asked.clone(), answered.clone());
    assert_eq!((asked.role, asked.from, asked.reply_to), (Role::Request, Client, None));
    assert_eq!((answered.role, answered.from), (Role::Response, Server));
    assert_eq!(answered.reply_to, Some(1), "answers the request");
    assert_eq!((asked.unit, answered.unit), (17, 17));
    assert_eq!(asked.length as usize, question.len());
    assert_eq!(answered.length as usize, answer.len());
    assert_eq!(asked.function, u32::from(request[0]));
    assert_eq!(answered.function, asked.function);
    assert_eq!(answered.subfunction, asked.subfunction);
    assert_eq!(answered.activity, asked.activity);
    (asked, answered, whole)
}

/// An exchange that breaks no rule.
fn clean(request: &[u8], response: &[u8]) -> (Said, Said) {
    let (asked, answered, flow) = exchange(request, response);
    assert_eq!(flow.out.noticed, []);
    (asked, answered)
}

fn bits(object: u16, bits: &str) -> Vec<Carried> {
    let bits = bits.bytes().filter(u8::is_ascii_digit);
    (0..).zip(bits).map(|(at, bit)| (object, at, ValueKind::Bit, u64::from(bit - b'0'))).collect()
}

fn words(object: u16, words: &[u64]) -> Vec<Carried> {
    (0..).zip(words).map(|(at, word)| (object, at, ValueKind::Unsigned, *word)).collect()
}

#[test]
fn read_coils() {
    let (asked, answered) = clean(
        // function, address 0x13, quantity 19
        &[0x01, 0x00, 0x13, 0x00, 0x13],
        // function, bytes, coils 27-20, 35-28, 38-36
        &[0x01, 0x03, 0xCD, 0x6B, 0x05],
    );
    assert_eq!(asked.objects, [("coil", 0x13, 19, Read, 0)]);
    assert_eq!((asked.values, asked.activity), (vec![], Activity::Read));
    assert_eq!(answered.objects, [("coil", 0x13, 19, Read, 0)]);
    assert_eq!(answered.values, bits(0, "10110011 11010110 101"));
}

#[test]
fn read_discrete_inputs() {
    let (asked, answered) = clean(
        &[0x02, 0x00, 0xC4, 0x00, 0x16], // address 0xC4, quantity 22
        &[0x02, 0x03, 0xAC, 0xDB, 0x35],
    );
    assert_eq!(asked.objects, [("discrete-input", 0xC4, 22, Read, 0)]);
    assert_eq!(answered.values, bits(0, "00110101 11011011 101011"));
}

#[test]
fn read_registers() {
    let (asked, answered) = clean(
        &[0x03, 0x00, 0x6B, 0x00, 0x03], // address 0x6B, quantity 3
        &[0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64],
    );
    assert_eq!(asked.objects, [("holding-register", 0x6B, 3, Read, 0)]);
    assert_eq!(answered.values, words(0, &[0x022B, 0, 0x64]));

    let (asked, answered) = clean(&[0x04, 0x00, 0x08, 0x00, 0x01], &[0x04, 0x02, 0x00, 0x0A]);
    assert_eq!(asked.objects, [("input-register", 8, 1, Read, 0)]);
    assert_eq!(answered.objects, asked.objects);
    assert_eq!(answered.values, words(0, &[10]));
}

#[test]
fn write_single() {
    let coil = [0x05, 0x00, 0xAC, 0xFF, 0x00]; // address 0xAC, ON
    let (asked, answered) = clean(&coil, &coil);
    assert_eq!(asked.objects, [("coil", 0xAC, 1, Write, 0)]);
    assert_eq!((asked.values, asked.activity), (bits(0, "1"), Activity::Write));
    assert_eq!((answered.objects, answered.values), (asked.objects, bits(0, "1")));

    let off = [0x05, 0x00, 0xAC, 0x00, 0x00];
    assert_eq!(clean(&off, &off).0.values, bits(0, "0"));

    let register = [0x06, 0x00, 0x01, 0x00, 0x03]; // address 1, value 3
    let (asked, answered) = clean(&register, &register);
    assert_eq!(asked.objects, [("holding-register", 1, 1, Write, 0)]);
    assert_eq!((asked.values, answered.values), (words(0, &[3]), words(0, &[3])));
}

#[test]
fn a_coil_is_set_to_nothing_in_between() {
    let coil = [0x05, 0x00, 0xAC, 0x00, 0x01];
    let (asked, _, flow) = exchange(&coil, &coil);
    assert_eq!((asked.objects.len(), asked.values), (1, vec![]));
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu; 2]);
}

#[test]
fn write_multiple() {
    let (asked, answered) = clean(
        // address 0x13, quantity 10, bytes, coils
        &[0x0F, 0x00, 0x13, 0x00, 0x0A, 0x02, 0xCD, 0x01],
        &[0x0F, 0x00, 0x13, 0x00, 0x0A],
    );
    assert_eq!(asked.objects, [("coil", 0x13, 10, Write, 0)]);
    assert_eq!(asked.values, bits(0, "10110011 10"));
    assert_eq!((answered.objects, answered.values), (asked.objects, vec![]));

    let (asked, answered) = clean(
        // address 1, quantity 2, bytes, registers
        &[0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02],
        &[0x10, 0x00, 0x01, 0x00, 0x02],
    );
    assert_eq!(asked.objects, [("holding-register", 1, 2, Write, 0)]);
    assert_eq!(asked.values, words(0, &[10, 0x0102]));
    assert_eq!((answered.objects, answered.values), (asked.objects, vec![]));
}

#[test]
fn diagnose() {
    for (request, response) in [
        (&[0x07][..], &[0x07, 0x6D][..]),           // read exception status
        (&[0x0B], &[0x0B, 0xFF, 0xFF, 0x01, 0x08]), // event counter, busy
        (&[0x0C], &[0x0C, 0x08, 0, 0, 1, 8, 1, 0x21, 0x20, 0]), // event log of two events
        (&[0x08, 0, 0, 0xA5, 0x37], &[0x08, 0, 0, 0xA5, 0x37]), // return query data
        (&[0x08, 0, 0, 1, 2, 3, 4], &[0x08, 0, 0, 1, 2, 3, 4]), // twice as much of it
        (&[0x08, 0, 10, 0, 0], &[0x08, 0, 10, 0, 0]), // clear counters
    ] {
        let (asked, _) = clean(request, response);
        assert_eq!((asked.activity, asked.objects), (Activity::Diagnose, vec![]));
    }
    let restart = [0x08, 0x00, 0x01, 0xFF, 0x00];
    let (asked, _) = clean(&restart, &restart);
    assert_eq!((asked.activity, asked.subfunction), (Activity::Control, 1));
}

#[test]
fn listen_only_is_control_and_owes_no_answer() {
    let mut flow = Flow::tcp();
    flow.feed(Client, &adu(1, 1, &[0x08, 0x00, 0x04, 0x00, 0x00])).expire(i64::MAX);
    assert_eq!(flow.out.said[0].activity, Activity::Control);
    assert_eq!(flow.kinds(), []);
}

#[test]
fn report_server_id() {
    let answer = [&[0x11, 14, 0x00, 0xFF][..], b"Pump house 1"].concat();
    let (asked, _, flow) = exchange(&[0x11], &answer);
    assert_eq!(asked.activity, Activity::Browse);
    assert_eq!(flow.out.facts, [(Server, "name", "Pump house 1".to_owned())]);
}

#[test]
fn read_file_records() {
    let (asked, answered) = clean(
        // bytes, [reference type, file, record, length] twice
        &[0x14, 14, 6, 0, 4, 0, 1, 0, 2, 6, 0, 3, 0, 9, 0, 2],
        // bytes, [length, reference type, registers] twice
        &[0x14, 12, 5, 6, 0x0D, 0xFE, 0x00, 0x20, 5, 6, 0x33, 0xCD, 0x00, 0x40],
    );
    let objects =
        [("file-record", (4 << 16) | 1, 2, Read, 0), ("file-record", (3 << 16) | 9, 2, Read, 0)];
    assert_eq!((asked.objects, asked.activity), (objects.to_vec(), Activity::File));
    assert_eq!(answered.objects, objects);
    let values = [words(0, &[0x0DFE, 0x20]), words(1, &[0x33CD, 0x40])].concat();
    assert_eq!(answered.values, values);
}

#[test]
fn write_file_records() {
    // bytes, reference type, file, record, length, registers
    let pdu = [0x15, 13, 6, 0, 4, 0, 7, 0, 3, 0x06, 0xAF, 0x04, 0xBE, 0x10, 0x0D];
    let (asked, answered) = clean(&pdu, &pdu);
    assert_eq!(asked.objects, [("file-record", (4 << 16) | 7, 3, Write, 0)]);
    assert_eq!(asked.values, words(0, &[0x06AF, 0x04BE, 0x100D]));
    assert_eq!((answered.objects, answered.values), (asked.objects, asked.values));
}

#[test]
fn mask_write() {
    let partly = [0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x25]; // address 4, AND, OR
    let (asked, _) = clean(&partly, &partly);
    assert_eq!(asked.objects, [("holding-register", 4, 1, Write, 0)]);
    assert_eq!(asked.values, [], "the value depends on what was there");
    let fully = [0x16, 0x00, 0x04, 0x00, 0x00, 0x00, 0x25];
    assert_eq!(clean(&fully, &fully).0.values, words(0, &[0x25]));
}

#[test]
fn read_and_write() {
    let (asked, answered) = clean(
        // read 3 (6 registers), write 0x0E (3 registers), bytes, registers
        &[0x17, 0, 3, 0, 6, 0, 0x0E, 0, 3, 6, 0, 0xFF, 0, 0xFE, 0, 0xFD],
        &[0x17, 12, 0, 0xFE, 0x0A, 0xCD, 0, 1, 0, 3, 0, 0x0D, 0, 0xFF],
    );
    let objects = [("holding-register", 3, 6, Read, 0), ("holding-register", 14, 3, Write, 0)];
    assert_eq!((asked.objects, asked.activity), (objects.to_vec(), Activity::Write));
    assert_eq!(asked.values, words(1, &[0xFF, 0xFE, 0xFD]));
    assert_eq!(answered.objects, objects);
    assert_eq!(answered.values, words(0, &[0xFE, 0x0ACD, 1, 3, 0x0D, 0xFF]));
}

#[test]
fn read_fifo_queue() {
    let (asked, answered) = clean(
        &[0x18, 0x04, 0xDE],                         // pointer address
        &[0x18, 0, 6, 0, 2, 0x01, 0xB8, 0x12, 0x84], // bytes, queued, registers
    );
    assert_eq!(asked.objects, [("fifo-queue", 0x04DE, 31, Read, 0)]);
    assert_eq!(answered.values, words(0, &[0x01B8, 0x1284]));
}

#[test]
fn read_device_identification() {
    // interface, code, conformity, more follows, next object, objects, [id, length, text]...
    let mut answer = vec![0x2B, 0x0E, 0x02, 0x82, 0x00, 0x00, 7];
    let texts = ["Acme", "PC-1", "V2.11", "http://acme", "Mixer", "M-100", "Plant", ""];
    for (id, text) in (0..7).zip(texts) {
        answer.extend([id, text.len() as u8]);
        answer.extend(text.bytes());
    }
    let (asked, _, flow) = exchange(&[0x2B, 0x0E, 0x02, 0x00], &answer);
    assert_eq!(flow.out.noticed, []);
    assert_eq!((asked.subfunction, asked.activity), (14, Activity::Browse));
    assert_eq!(asked.objects, [("device-identification", 0, 1, Read, 0)]);
    let keys = ["vendor", "product-code", "revision", "url", "product", "model", "application"];
    let facts: Vec<_> = keys.iter().zip(texts).map(|(k, t)| (Server, *k, t.to_owned())).collect();
    assert_eq!(flow.out.facts, facts);

    answer.pop();
    let (_, _, flow) = exchange(&[0x2B, 0x0E, 0x02, 0x00], &answer);
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "the last object is cut");
}

#[test]
fn canopen() {
    let (asked, _) = clean(&[0x2B, 0x0D, 0x40, 1, 2], &[0x2B, 0x0D, 0x40, 1, 2]);
    assert_eq!((asked.subfunction, asked.activity), (13, Activity::Other));
}

#[test]
fn umas() {
    for (function, activity) in [
        (0x01, Activity::Session),
        (0x02, Activity::Browse),
        (0x22, Activity::Read),
        (0x23, Activity::Write),
        (0x31, Activity::Program),
        (0x34, Activity::Program),
        (0x40, Activity::Control),
        (0x41, Activity::Control),
        (0x58, Activity::Diagnose),
        (0x9A, Activity::Other),
    ] {
        // function, session, UMAS function, data
        let (asked, answered) = clean(&[90, 0, function, 0xFF, 0], &[90, 0, 0xFE, 1, 2]);
        assert_eq!((asked.activity, asked.subfunction), (activity, u32::from(function)));
        assert_eq!((answered.status, answered.objects), (0, vec![]));
    }
    let (_, refused) = clean(&[90, 0, 0x41, 0xFF, 0], &[90, 0, 0xFD, 0x80, 0]);
    assert_eq!(refused.status, 0xFD);
}

#[test]
fn umas_pdus_are_larger() {
    let block = [&[90, 1, 0x31][..], &[0xA5; 1019]].concat();
    let (asked, _) = clean(&block, &[90, 1, 0xFE]);
    assert_eq!((asked.activity, asked.length), (Activity::Program, 1029));
}

#[test]
fn a_signed_umas_request_stands_for_what_it_signs() {
    // session, signed, magic, signature, function, session, stop
    let signed = [&[90, 7, 0x38, 1][..], &[0x5C; 32], &[90, 7, 0x41, 0xFF, 0]].concat();
    let (asked, _) = clean(&signed, &[90, 7, 0xFE]);
    assert_eq!((asked.activity, asked.subfunction), (Activity::Control, 0x41));
}

#[test]
fn exceptions() {
    for code in [1, 2, 3, 4, 5, 6, 7, 8, 10, 11] {
        let (asked, answered) = clean(&[0x03, 0, 0, 0, 2], &[0x83, code]);
        let status = u16::from(code);
        assert_eq!((asked.status, answered.status), (0, status));
        assert_eq!(answered.objects, [("holding-register", 0, 2, Read, status)]);
        assert_eq!(answered.values, []);
        assert!((PROTOCOL.status_name)(status).is_some());
    }
    // The sub-function is the request's: an exception names none.
    let (_, answered) = clean(&[0x08, 0, 10, 0, 0], &[0x88, 1]);
    assert_eq!((answered.subfunction, answered.status), (10, 1));
    let (_, answered, flow) = exchange(&[0x03, 0, 0, 0, 2], &[0x83, 0]);
    assert_ne!(answered.status, 0, "an exception is no success");
    assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu]);
}

#[test]
fn codes_without_a_specification() {
    for code in (65..=72).chain(100..=110).chain([9, 10, 13, 14, 18, 19, 40, 41, 42, 91, 125]) {
        let (asked, _) = clean(&[code, 1, 2, 3], &[code, 4]);
        assert_eq!((asked.activity, asked.subfunction), (Activity::Other, NO_SUBFUNCTION));
        assert_eq!((PROTOCOL.function_name)(u32::from(code), NO_SUBFUNCTION), None);
    }
}

#[test]
fn limits_of_quantities() {
    let broken: &[&[u8]] = &[
        &[0x01, 0, 0, 0x07, 0xD1],                // 2001 coils
        &[0x03, 0, 0, 0, 126],                    // 126 registers
        &[0x0F, 0, 0, 0, 9, 1, 0xFF],             // 9 coils in one byte
        &[0x10, 0, 0, 0, 1, 4, 0, 1, 0, 2],       // 1 register in 4 bytes
        &[0x14, 6, 6, 0, 1, 0, 1, 0],             // a cut sub-request
        &[0x14, 7, 7, 0, 1, 0, 1, 0, 1],          // reference type 7
        &[0x17, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0], // reads 0 registers
        &[0x2B, 0x0E, 5, 0],                      // identification code 5
        &[0x00, 0, 0, 0, 1],                      // function code 0
        &[0x83, 0, 0, 0, 1],                      // the exception bit
    ];
    for pdu in broken {
        let mut flow = Flow::tcp();
        flow.feed(Client, &adu(1, 1, pdu));
        assert_eq!(flow.functions(), [u32::from(pdu[0])], "{pdu:02x?} is told");
        assert_eq!(flow.kinds(), [NoticeKind::MalformedPdu], "{pdu:02x?} breaks a rule");
    }
    let mut flow = Flow::tcp();
    flow.feed(Client, &adu(1, 1, &[0x01, 0, 5, 0, 0]));
    assert_eq!(flow.out.said[0].objects, [], "a quantity of 0 touches nothing");
}

#[test]
fn names() {
    let name = PROTOCOL.function_name;
    assert_eq!(name(3, NO_SUBFUNCTION), Some("Read Holding Registers"));
    for subfunction in (0..=4).chain(10..=21) {
        assert!(name(8, subfunction).is_some(), "diagnostics {subfunction}");
    }
    assert_eq!((name(8, 5), name(8, 22)), (None, None), "reserved");
    assert_eq!(name(43, 14), Some("Read Device Identification"));
    assert_eq!(name(90, 0x41), Some("UMAS Stop PLC"));
    assert_eq!(name(90, NO_SUBFUNCTION), Some("UMAS"));
    assert_eq!((PROTOCOL.status_name)(0), None);
}
