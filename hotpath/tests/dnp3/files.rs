//! Files: who opens, reads, writes and deletes which, by name.

use hotpath::protocols::dnp3::PROTOCOL;
use hotpath::words::{Access, Activity, NoticeKind};

use crate::recorder::Flow;

const NAME: &str = "./conf/plant.xml";
const HANDLE: [u8; 4] = [0x78, 0x56, 0x34, 0x12];

/// Header and object of group 70.
fn file(variation: u8, object: &[u8]) -> Vec<u8> {
    [&[70, variation, 0x5B, 1, object.len() as u8, 0], object].concat()
}

/// A file command: open in a mode (1 read, 2 write, 3 append) or delete.
fn command(function: u8, mode: u8) -> Vec<u8> {
    let mut object = vec![26, 0, NAME.len() as u8, 0];
    object.extend([0; 6]); // created
    object.extend([0xFF, 1, 0, 0, 0, 0, 9, 0, 0, 0]); // permissions, key, size
    object.extend([mode, 0, 0, 4, 6, 0]); // mode, block size, request
    object.extend(NAME.as_bytes());
    [&[0xC1, function][..], &file(3, &object)].concat()
}

/// The status of a file command.
fn opened(status: u8) -> Vec<u8> {
    let object = [&HANDLE[..], &[0, 0, 0, 0, 0, 4, 6, 0, status]].concat();
    [&[0xC1, 129, 0, 0][..], &file(4, &object)].concat()
}

fn names(flow: &Flow) -> Vec<Option<String>> {
    flow.out.said.iter().flat_map(|said| said.names.clone()).collect()
}

#[test]
fn a_file_is_told_by_name_while_it_is_open() {
    let block = [&HANDLE[..], &[0, 0, 0, 0x80], b"<xml/>"].concat();
    let mut flow = Flow::tcp();
    flow.ask(&command(25, 1)).answer(&opened(0));
    flow.ask(&[&[0xC2, 1][..], &file(5, &block[..8])].concat());
    flow.answer(&[&[0xC2, 129, 0, 0][..], &file(5, &block)].concat());
    flow.ask(&[&[0xC1, 26][..], &file(4, &[&HANDLE[..], &[0; 9]].concat())].concat());
    flow.answer(&opened(0));
    assert_eq!(flow.functions(), [25, 25, 1, 1, 26, 26]);
    assert_eq!(names(&flow), vec![Some(NAME.to_owned()); 6]);
    for said in &flow.out.said {
        assert_eq!(said.activity, Activity::File);
        assert_eq!(said.objects, [("file", 0, 1, Access::Read, 0)]);
    }
    assert_eq!(flow.kinds(), []);
    flow.ask(&[&[0xC2, 1][..], &file(5, &block[..8])].concat());
    assert_eq!(flow.last().objects, [("file", 0x1234_5678, 1, Access::Read, 0)], "it is closed");
}

#[test]
fn to_write_and_to_delete() {
    let block = [&HANDLE[..], &[0, 0, 0, 0x80], b"<xml/>"].concat();
    for (fragment, function) in [(command(25, 2), 25), (command(25, 3), 25), (command(27, 0), 27)] {
        let mut flow = Flow::tcp();
        flow.ask(&fragment).answer(&opened(0));
        assert_eq!(flow.functions(), [function, function]);
        assert_eq!(flow.last().objects, [("file", 0, 1, Access::Write, 0)]);
        assert_eq!(names(&flow), vec![Some(NAME.to_owned()); 2]);
    }
    let mut flow = Flow::tcp();
    flow.ask(&command(25, 2)).answer(&opened(0));
    flow.ask(&[&[0xC2, 2][..], &file(5, &block)].concat());
    assert_eq!(flow.last().objects, [("file", 0, 1, Access::Write, 0)]);
    assert_eq!((flow.last().activity, names(&flow)[2].as_deref()), (Activity::File, Some(NAME)));
    flow.answer(&[&[0xC2, 129, 0, 0][..], &file(6, &[&block[..8], &[0]].concat())].concat());
    assert_eq!((flow.last().status, names(&flow)[3].as_deref()), (0, Some(NAME)));
}

#[test]
fn refusals() {
    let mut flow = Flow::tcp();
    flow.ask(&command(25, 1)).answer(&opened(3));
    assert_eq!(flow.last().status, 0x4003);
    assert_eq!((PROTOCOL.status_name)(0x4003), Some("File Not Found"));
    assert_eq!(flow.last().objects, [("file", 0, 1, Access::Read, 0x4003)]);
}

#[test]
fn names_outside_of_their_object() {
    for (offset, length) in [(26, 200), (200, 4), (0xFFFF, 0xFFFF)] {
        let mut fragment = command(25, 1);
        let [a, b] = u16::to_le_bytes(offset);
        let [c, d] = u16::to_le_bytes(length);
        fragment[8..12].copy_from_slice(&[a, b, c, d]);
        let mut flow = Flow::tcp();
        flow.ask(&fragment);
        assert_eq!((flow.functions(), flow.kinds()), (vec![25], vec![NoticeKind::MalformedPdu]));
    }
    let cut = command(25, 1);
    for end in 2..cut.len() {
        let mut flow = Flow::tcp();
        flow.ask(&cut[..end]);
        assert_eq!(flow.functions(), [25]);
    }
}
