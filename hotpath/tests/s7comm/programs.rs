//! Start and stop, blocks up and down, program invocation services.

use hotpath::protocols::{NO_SUBFUNCTION, Party};
use hotpath::words::{Access, Activity, Role};

use crate::recorder::{Flow, answer, job};

use Party::{Client, Server};

/// A program invocation service with its argument.
fn service(argument: &[u8], name: &[u8]) -> Vec<u8> {
    let head = [0x28, 0, 0, 0, 0, 0, 0, 0xFD, 0, argument.len() as u8];
    [&head, argument, &[name.len() as u8], name].concat()
}

#[test]
fn services() {
    let name = |function, subfunction| {
        (hotpath::protocols::s7comm::PROTOCOL.function_name)(function, subfunction).unwrap()
    };
    let block = b"\x01\x000A00001P";
    for (argument, service_name, told, activity, object) in [
        (&b""[..], &b"P_PROGRAM"[..], "Warm Restart", Activity::Control, None),
        (b"C ", b"P_PROGRAM", "Cold Restart", Activity::Control, None),
        (block, b"_INSE", "Activate Block", Activity::Program, Some("DB1")),
        (block, b"_DELE", "Delete Block", Activity::Program, Some("DB1")),
        (b"", b"_GARB", "Compress Memory", Activity::Program, None),
        (b"EP", b"_MODU", "Copy RAM to ROM", Activity::Program, None),
        (b"", b"_N_LOGIN_", "PI Service", Activity::Control, Some("_N_LOGIN_")),
    ] {
        let mut flow = Flow::s7();
        flow.feed(Client, &job(1, &service(argument, service_name), &[]));
        flow.feed(Server, &answer(1, &[0x28], &[]));
        for said in &flow.out.said {
            assert!(name(0x28, said.subfunction).contains(told), "{told}");
            assert_eq!(said.activity, activity);
            let objects: Vec<_> = said.objects.iter().map(|one| one.1.as_str()).collect();
            assert_eq!(objects, object.into_iter().collect::<Vec<_>>());
        }
        assert_eq!((flow.out.said.len(), flow.kinds().len()), (2, 0));
    }
}

#[test]
fn stop() {
    let mut flow = Flow::s7();
    flow.feed(Client, &job(1, b"\x29\0\0\0\0\0\x09P_PROGRAM", &[]));
    assert_eq!((flow.last().function, flow.last().subfunction), (0x29, NO_SUBFUNCTION));
    assert_eq!(flow.last().activity, Activity::Control);
}

#[test]
fn a_download_is_asked_for_by_the_controller() {
    let mut flow = Flow::s7();
    let file = b"\x09_0800001P";
    let request = [&[0x1A, 0, 1, 0, 0, 0, 0, 0], &file[..], b"\x0d1000216000088"].concat();
    flow.feed(Client, &job(1, &request, &[]));
    assert_eq!(flow.last().objects, [("block", "OB1".to_owned(), 1, Access::Write, 0)]);
    flow.feed(Server, &answer(1, &[0x1A], &[]));
    let next = [&[0x1B, 0, 0, 0, 0, 0, 0, 0], &file[..]].concat();
    flow.feed(Server, &job(0x6501, &next, &[]));
    assert_eq!((flow.last().from, flow.last().role), (Server, Role::Request));
    flow.feed(Client, &answer(0x6501, &[0x1B, 0], &[0, 2, 0, 0xFB, 0x70, 0x70]));
    assert_eq!((flow.last().reply_to, flow.last().objects[0].1.as_str()), (Some(3), "OB1"));
    flow.feed(Server, &job(0x6502, &[&[0x1C], &next[1..]].concat(), &[]));
    flow.feed(Client, &answer(0x6502, &[0x1C], &[]));
    assert_eq!(flow.functions(), [0x1A, 0x1A, 0x1B, 0x1B, 0x1C, 0x1C]);
    assert!(flow.out.said.iter().all(|said| said.activity == Activity::Program));
    assert_eq!(flow.kinds(), []);
}

#[test]
fn an_upload() {
    let mut flow = Flow::s7();
    let start = [&[0x1D, 0, 0, 0, 0, 0, 0, 0], &b"\x09_0B00000A"[..]].concat();
    flow.feed(Client, &job(1, &start, &[]));
    assert_eq!(flow.last().objects, [("block", "SDB0".to_owned(), 1, Access::Read, 0)]);
    flow.feed(Server, &answer(1, &[0x1D, 0, 1, 0, 0, 0, 0, 7], &[]));
    flow.feed(Client, &job(2, &[0x1E, 0, 0, 0, 0, 0, 0, 7], &[]));
    flow.feed(Server, &answer(2, &[0x1E, 0], &[0, 1, 0, 0xFB, 9]));
    flow.feed(Client, &job(3, &[0x1F, 0, 0, 0, 0, 0, 0, 7], &[]));
    flow.feed(Server, &answer(3, &[0x1F], &[]));
    assert_eq!(flow.functions(), [0x1D, 0x1D, 0x1E, 0x1E, 0x1F, 0x1F]);
    assert_eq!(flow.kinds(), []);
}
