//! The pcapng format.

use super::*;

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}
use Order::{Big, Little};

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        match self {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        }
    }

    fn block(self, kind: u32, body: &[&[u8]]) -> Vec<u8> {
        let mut body = body.concat();
        body.resize(body.len().next_multiple_of(4), 0);
        let total = self.u32(12 + body.len() as u32);
        [&self.u32(kind), &total, &body[..], &total].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        self.block(0x0a0d_0d0a, &[&self.u32(0x1a2b_3c4d), &version, &[0xff; 8]])
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        let length = self.u16(value.len() as u16);
        value.resize(value.len().next_multiple_of(4), 0);
        [&self.u16(code), &length, &value[..]].concat()
    }

    fn interface(self, link: u16, snap_length: u32, options: &[Vec<u8>]) -> Vec<u8> {
        let options = options.concat();
        self.block(1, &[&self.u16(link), &[0; 2], &self.u32(snap_length), &options])
    }

    fn enhanced(self, interface: u32, units: u64, data: &[u8], original: u32) -> Vec<u8> {
        let fixed = [
            self.u32(interface),
            self.u32((units >> 32) as u32),
            self.u32(units as u32),
            self.u32(data.len() as u32),
            self.u32(original),
        ];
        self.block(6, &[&fixed.concat(), data])
    }

    fn simple(self, data: &[u8], original: u32) -> Vec<u8> {
        self.block(3, &[&self.u32(original), data])
    }
}

/// A frame of 3 bytes at 5 s and 6 us.
fn one(order: Order) -> Vec<u8> {
    order.enhanced(0, 5_000_006, b"one", 9)
}

fn head(order: Order) -> Vec<u8> {
    [order.section(), order.interface(1, 0, &[])].concat()
}

pub(super) fn valid() -> Vec<u8> {
    [head(Little), one(Little), one(Little), Little.simple(b"four", 4)].concat()
}

pub(super) fn record_ends() -> Vec<usize> {
    vec![48 + 36, 48 + 72, 48 + 72 + 20]
}

#[test]
fn a_file_written_out() {
    #[rustfmt::skip]
    let file = [
        0x0a, 0x0d, 0x0d, 0x0a,     // section header block
        28, 0, 0, 0,                // total length
        0x4d, 0x3c, 0x2b, 0x1a,     // byte order: little-endian
        1, 0, 0, 0,                 // version 1.0
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        28, 0, 0, 0,
        1, 0, 0, 0,                 // interface description block
        20, 0, 0, 0,
        1, 0, 0, 0,                 // Ethernet
        0, 0, 4, 0,                 // snap length
        20, 0, 0, 0,
        6, 0, 0, 0,                 // enhanced packet block
        44, 0, 0, 0,
        0, 0, 0, 0,                 // interface
        1, 0, 0, 0,                 // 2^32 us
        6, 0, 0, 0,                 // and 6 us
        3, 0, 0, 0,                 // captured length
        9, 0, 0, 0,                 // original length
        b'o', b'n', b'e', 0xee,     // padded
        2, 0, 4, 0, 1, 2, 3, 4,     // an option: flags
        44, 0, 0, 0,
    ];
    let (frames, health) = read(&file);
    let frame = Kept {
        number: 1,
        time: 4_294_967_302_000,
        link: LinkType::Ethernet,
        interface: 0,
        data: b"one".to_vec(),
        original_length: 9,
    };
    assert_eq!(frames, [frame]);
    let expected =
        SourceHealth { frames: 1, bytes: 3, snapped: 1, skipped: 0, read: 92, damages: vec![] };
    assert_eq!(health, expected);
}

#[test]
fn sections_of_both_byte_orders_with_their_own_interfaces() {
    let file = [
        head(Big),
        Big.interface(113, 0, &[]),
        Big.enhanced(1, 7, b"a", 1),
        head(Little),
        Little.enhanced(0, 8, b"b", 1),
        Little.interface(101, 0, &[]), // described after the first frame
        Little.enhanced(1, 9, b"c", 1),
    ];
    let (frames, health) = read(&file.concat());
    assert_eq!(health.damages, []);
    let seen: Vec<_> = frames
        .iter()
        .map(|frame| (frame.number, frame.interface, frame.link, frame.time))
        .collect();
    assert_eq!(
        seen,
        [
            (1, 1, LinkType::LinuxSll, 7000),
            (2, 2, LinkType::Ethernet, 8000),
            (3, 3, LinkType::RawIp, 9000),
        ]
    );
}

#[test]
fn timestamps_of_every_resolution() {
    let time = |resolution: u8, units: u64| {
        [Little, Big].map(|order| {
            let interface = order.interface(1, 0, &[order.option(9, &[resolution])]);
            times(&[order.section(), interface, order.enhanced(0, units, b"", 0)].concat())[0]
        })
    };
    assert_eq!(time(0, 5), [5 * SECOND; 2]);
    assert_eq!(time(3, 5001), [5 * SECOND + 1_000_000; 2]);
    assert_eq!(time(9, 5), [5; 2]);
    assert_eq!(time(12, 5999), [5; 2], "picoseconds are cut off");
    assert_eq!(time(19, u64::MAX), [1_844_674_407; 2]);
    assert_eq!(time(0x80, 5), [5 * SECOND; 2]);
    assert_eq!(time(0x8a, 1024 + 512), [SECOND + SECOND / 2; 2]);
    assert_eq!(time(0xa0, (7 << 32) + (1 << 31)), [7 * SECOND + SECOND / 2; 2]);
    assert_eq!(time(0xbf, u64::MAX), [2 * SECOND - 1; 2]);
    assert_eq!(time(0, u64::MAX), [i64::MAX; 2], "beyond what 64 bits of nanoseconds tell");
}

#[test]
fn the_offset_of_timestamps() {
    let time = |order: Order, value: &[u8], units: u64| {
        let options = [order.option(2, b"eth0"), order.option(14, value), order.option(0, b"")];
        let interface = order.interface(1, 0, &options);
        times(&[order.section(), interface, order.enhanced(0, units, b"", 0)].concat())[0]
    };
    assert_eq!(time(Little, &100_i64.to_le_bytes(), 1), 100 * SECOND + 1000);
    assert_eq!(time(Big, &(-100_i64).to_be_bytes(), 1), -100 * SECOND + 1000);
    assert_eq!(time(Big, &i64::MIN.to_be_bytes(), 1), i64::MIN);
    assert_eq!(time(Little, &i64::MAX.to_le_bytes(), 1), i64::MAX);
    assert_eq!(time(Little, &[1, 2, 3], 1), 1000, "an offset of a wrong length is none");
}

#[test]
fn simple_packets_have_the_time_of_the_frame_before() {
    let snapped = [Little.section(), Little.interface(1, 3, &[])].concat();
    let file = [
        head(Little),
        Little.simple(b"first", 5),
        one(Little),
        Little.simple(b"third", 5),
        snapped,
        Little.simple(b"fou", 5),
    ];
    let (frames, health) = read(&file.concat());
    assert_eq!((health.damages, health.snapped), (vec![], 2));
    let seen: Vec<_> =
        frames.iter().map(|frame| (&frame.data[..], frame.original_length, frame.time)).collect();
    assert_eq!(
        seen,
        [
            (&b"first"[..], 5, 0),
            (&b"one"[..], 9, 5 * SECOND + 6000),
            (&b"third"[..], 5, 5 * SECOND + 6000),
            (&b"fou"[..], 5, 0),
        ]
    );
}

#[test]
fn obsolete_packet_blocks() {
    let fixed = [
        Big.u16(0).to_vec(),  // interface
        Big.u16(77).to_vec(), // drops
        [Big.u32(0), Big.u32(6), Big.u32(3), Big.u32(3)].concat(),
    ];
    let block = Big.block(2, &[&fixed.concat(), b"old"]);
    let (frames, health) = read(&[head(Big), block].concat());
    assert_eq!((health.damages, frames.len()), (vec![], 1));
    assert_eq!((&frames[0].data[..], frames[0].time), (&b"old"[..], 6000));
}

#[test]
fn other_blocks_are_skipped_and_counted() {
    let block = |kind: u32, length: usize| Little.block(kind, &[&vec![7; length]]);
    let file = [
        head(Little),
        block(5, 12),             // interface statistics
        block(0x1234, 0),         // unknown, and as short as can be
        block(0x1235, 3_000_000), // longer than the buffer
        one(Little),
        block(0xbad, 8),  // custom: numbered by Wireshark like a frame
        block(9, 40),     // systemd journal: so too
        block(0x204, 40), // sysdig event: so too
        one(Little),
    ];
    let (frames, health) = read(&file.concat());
    let numbers: Vec<_> = frames.iter().map(|frame| frame.number).collect();
    assert_eq!((numbers, health.skipped, health.frames), (vec![1, 5], 6, 2));
    assert_eq!(health.damages, []);
}

#[test]
fn options_longer_than_the_buffer() {
    let comments: Vec<u8> =
        std::iter::repeat_n(Little.option(1, &vec![b'c'; 65_532]), 40).flatten().collect();
    let long = [&one(Little)[8..32], &comments].concat();
    let file = [head(Little), Little.block(6, &[&long]), one(Little)].concat();
    let (frames, health) = read(&file);
    assert_eq!(health.damages, []);
    assert_eq!((&frames[0].data[..], &frames[1].data[..]), (&b"one"[..], &b"one"[..]));
}

#[test]
fn a_total_length_that_leaves_out_the_padding() {
    let mut block = one(Little);
    let end = block.len() - 4;
    (block[4], block[end]) = (35, 35);
    let (frames, health) = read(&[head(Little), block, one(Little)].concat());
    assert_eq!((frames.len(), health.damages), (2, vec![]));
}

/// Every damage comes after one frame, which is kept, and ends reading.
#[test]
fn damage_ends_reading_and_keeps_what_was_before() {
    let before = [head(Little), one(Little)].concat();
    let patched = |at: usize, bytes: &[u8]| {
        let mut block = one(Little);
        block[at..at + bytes.len()].copy_from_slice(bytes);
        block
    };
    let resolution = |value: u8| Little.interface(1, 0, &[Little.option(9, &[value])]);
    let too_long = Little.block(6, &[&one(Little)[8..20], &[1, 0, 4, 0].repeat(65_539)]);
    let [bad_magic, bad_version] = [8, 12].map(|at| {
        let mut section = Little.section();
        section[at] = 9;
        section
    });
    let too_fine = "an interface's timestamps are finer than 64 bits can tell";
    let cases = [
        (one(Little)[..35].to_vec(), "the file ends within a block"),
        (one(Little)[..5].to_vec(), "the file ends within a block"),
        (Little.block(5, &[&[0; 40]])[..20].to_vec(), "the file ends within a block"),
        (Little.section()[..20].to_vec(), "the file ends within a block"),
        (patched(4, &[8, 0, 0, 0]), "a block is shorter than any block"),
        (patched(4, &[1, 0, 0, 1]), "a block is longer than any block"),
        (patched(4, &[0xff; 4]), "a block is longer than any block"),
        (patched(32, &[40]), "a block's two lengths do not agree"),
        (patched(8, &[1]), "a frame is of an interface that was not described"),
        (patched(20, &[5]), "a block is too short for what it holds"),
        (patched(20, &[0xff; 4]), "a block's frame is longer than any frame"),
        (too_long, "a block's frame is longer than any frame"),
        (Little.block(6, &[&[0; 16]]), "a block is too short for what it holds"),
        (Little.block(3, &[]), "a block is too short for what it holds"),
        (Little.block(1, &[&[0; 4]]), "a block is too short for what it holds"),
        (Little.interface(1, 0, &[vec![2, 0, 5, 0]]), "an option is cut short"),
        (resolution(20), too_fine),
        (resolution(0xc0), too_fine),
        (bad_magic, "a section has an unknown byte order"),
        (bad_version, "a section has an unsupported pcapng version"),
        (
            [Little.section(), one(Little)].concat(),
            "a frame is of an interface that was not described",
        ),
    ];
    for (block, what) in cases {
        let mut offset = before.len();
        if block.starts_with(&Little.section()) {
            offset += 28;
        }
        let (frames, health) = read(&[&before[..], &block].concat());
        assert_eq!((frames.len(), health.damages), (1, damage(offset, what)));
    }
}

#[test]
fn interfaces_are_bounded() {
    let file = [Little.section(), Little.interface(1, 0, &[]).repeat(65_537)].concat();
    let (_, health) = read(&file);
    let what = "a section describes too many interfaces";
    assert_eq!(health.damages, damage(28 + 65_536 * 20, what));
}

#[test]
fn a_bad_first_section_is_no_capture() {
    let mut file = head(Little);
    file[9] = 0;
    let error = open(&file).err().unwrap();
    assert_eq!(error, "x.pcap: a section has an unknown byte order (at byte 0)");
    let error = open(&head(Little)[..20]).err().unwrap();
    assert_eq!(error, "x.pcap: the file ends within a block (at byte 0)");
}
