//! Inputs to begin with, made from the captures that the project recorded itself.

use std::path::{Path, PathBuf};

use hotpath::net::{Body, link, tcp};
use hotpath::protocols::{Link, Protocol, REGISTRY};
use hotpath::source::file::open;
use hotpath::source::{Frame, LinkType, Source};

use crate::frames::{self, Listed};

/// The captures from which seeds are made.
const CAPTURES: [&str; 9] = [
    "normal/normal",
    "attacks/attacks",
    "plant-attacks/plant-attacks",
    "dnp3-normal/dnp3-normal",
    "dnp3-attacks/dnp3-attacks",
    "iec104-attacks/iec104-attacks",
    "substation-attacks/substation-attacks",
    "s7-normal/s7-normal",
    "s7-attacks/s7-attacks",
];

/// Frames in a seed.
const LENGTH: usize = 24;

/// The folder of the project's own captures.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../replay/captures")
}

/// The first `count` Ethernet frames of a capture after `skip` others, each a millisecond after
/// the one before.
#[must_use]
pub fn frames_of(capture: &str, skip: usize, count: usize) -> Vec<Listed> {
    let path = folder().join(format!("{capture}.pcap.gz"));
    let mut source = open(&path).expect("the project's own captures can be read");
    let (mut frames, mut seen) = (Vec::new(), 0);
    while let Some(frame) = source.next_frame() {
        seen += 1;
        if frame.link == LinkType::Ethernet && seen > skip {
            frames.push(Listed::ethernet(frame.data.to_vec()));
        }
        if frames.len() == count {
            break;
        }
    }
    frames
}

/// Seeds of a target.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let stretches = || {
        CAPTURES.into_iter().flat_map(|capture| {
            let frames = frames_of(capture, 0, 6_000);
            let step = frames.len().div_ceil(12).max(1);
            let parts = frames.chunks(step).map(|part| part[..part.len().min(LENGTH)].to_vec());
            parts.collect::<Vec<_>>()
        })
    };
    match target {
        "readers" => stretches().flat_map(|part| files(&part)).collect(),
        "net" => stretches().map(|part| frames::write(&part)).collect(),
        "engine" => stretches().map(|part| [vec![0], frames::write(&part)].concat()).collect(),
        name => {
            let found = REGISTRY.iter().find(|protocol| {
                protocol.name == name || (protocol.name, name) == ("s7comm-plus", "s7plus")
            });
            let protocol = found.expect("a target for each protocol");
            stretches().map(|part| script(protocol, &part)).filter(|one| one.len() > 1).collect()
        }
    }
}

/// Payloads of a protocol's port, or of its `EtherTypes`, as turns of a conversation.
fn script(protocol: &Protocol, part: &[Listed]) -> Vec<u8> {
    let mut script = vec![0];
    for listed in part {
        let data = listed.bytes();
        let frame = Frame {
            number: 1,
            time: 0,
            link: LinkType::Ethernet,
            interface: 0,
            data: &data,
            original_length: data.len() as u32,
        };
        let Ok(packet) = link::parse(&frame) else { continue };
        let (payload, is_server) = match &packet.body {
            Body::Ip(ip) => {
                let Ok(segment) = tcp::parse(ip) else { continue };
                let is_server = protocol.tcp_ports.contains(&segment.source_port);
                if !is_server && !protocol.tcp_ports.contains(&segment.target_port) {
                    continue;
                }
                (segment.payload, is_server)
            }
            Body::Other { ether_type, payload } => {
                let is_ours = |link: &Link| link.ether_types.contains(ether_type);
                if !protocol.link.as_ref().is_some_and(is_ours) {
                    continue;
                }
                (*payload, false)
            }
            Body::Arp(_) => continue,
        };
        for piece in payload.chunks(255) {
            script.extend([6 | u8::from(is_server), piece.len() as u8]);
            script.extend(piece);
        }
    }
    script
}

/// The frames as a pcap file of either byte order, and as a pcapng file.
fn files(part: &[Listed]) -> [Vec<u8>; 3] {
    [pcap(part, u32::to_le_bytes), pcap(part, u32::to_be_bytes), pcapng(part)]
}

fn pcap(part: &[Listed], word: fn(u32) -> [u8; 4]) -> Vec<u8> {
    // Version 2.4 is two halves of a word, which the byte order turns each by itself.
    let version = if word(1)[0] == 1 { word(4 << 16 | 2) } else { word(2 << 16 | 4) };
    let mut file = [word(0xA1B2_C3D4), version, word(0), word(0), word(65_535), word(1)].concat();
    for (second, frame) in (1_700_000_000..).zip(part) {
        let length = frame.data.len() as u32;
        file.extend([word(second), word(0), word(length), word(length)].concat());
        file.extend(&frame.data);
    }
    file
}

fn pcapng(part: &[Listed]) -> Vec<u8> {
    let word = u32::to_le_bytes;
    let block = |kind: u32, body: Vec<u8>| {
        let padded = [&body[..], &[0; 3][..(4 - body.len() % 4) % 4]].concat();
        let length = word(padded.len() as u32 + 12);
        [&word(kind)[..], &length, &padded, &length].concat()
    };
    let head = [word(0x1A2B_3C4D), word(1), word(u32::MAX), word(u32::MAX)].concat();
    let interface = [word(1), word(65_535)].concat();
    let mut file = [block(0x0A0D_0D0A, head), block(1, interface)].concat();
    for frame in part {
        let length = word(frame.data.len() as u32);
        let body = [word(0), word(0x0005_0000), word(1), length, length].concat();
        file.extend(block(6, [body, frame.data.clone()].concat()));
    }
    file
}
