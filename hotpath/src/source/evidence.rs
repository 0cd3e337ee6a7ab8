//! Evidence: the frames of an alert and those around them, cut out of a capture into a pcapng of
//! its own (draft-ietf-opsawg-pcapng), which any tool that reads captures opens.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fmt, mem, process};

use super::file::{self, LARGEST_FRAME};
use super::pcapng::{
    BYTE_ORDER_MAGIC, ENHANCED_PACKET, IF_TSOFFSET, IF_TSRESOL, INTERFACE_DESCRIPTION,
    SECTION_HEADER,
};
use super::{Frame, LinkType, Source, SourceError};

/// A cut has at most this many frames: for many wanted frames the context shrinks, and wanted
/// frames beyond are missing.
pub const MOST_FRAMES: usize = 10_000;

/// A cut has at most this many bytes; frames that would go beyond are left out.
pub const MOST_BYTES: usize = 32 << 20;

/// What is longer is clipped: the comment on a cut, and the name of the capture, in bytes.
const LONGEST_COMMENT: usize = 4096;
const LONGEST_NAME: usize = 255;

/// More than what the blocks of a frame take beside its bytes.
const BLOCK_ROOM: usize = 4096;

/// A cut is written when this much of it was collected, or earlier, so that all cuts together
/// collect no more than [`MOST_COLLECTED`].
const CHUNK: usize = 64 << 10;
const MOST_COLLECTED: usize = 8 << 20;

/// Traffic of a plant is for its owner and their group.
const MODE: u32 = 0o640;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const IF_DESCRIPTION: u16 = 3;
const SECTION_APPLICATION: u16 = 4;

/// Ten to the power of minus this many seconds is the unit of time.
const NANOSECONDS: u8 = 9;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// Timestamps count up from zero, so what came before 1970 counts from here, in seconds.
const BEFORE_EPOCH: i64 = -9_223_372_037;

/// What is to be cut out of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The file to make, or to replace.
    pub target: PathBuf,
    /// Numbers of the alert's frames, in any order.
    pub frames: Vec<u64>,
    /// How many frames before and after each of them come along.
    pub context: u64,
    /// Stands at the head of the file.
    pub comment: String,
}

/// What became of a [`Cut`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutReport {
    /// Frames in the file. If all wanted ones are missing, no file is made.
    pub written: u64,
    /// The wanted frames that are not among them, ascending.
    pub missing: Vec<u64>,
}

/// Why nothing was cut.
#[derive(Debug)]
pub enum CutError {
    /// The capture cannot be read.
    Capture(SourceError),
    /// A file cannot be written.
    Write {
        /// Which one.
        target: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for CutError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(error) => error.fmt(formatter),
            Self::Write { target, error } => write!(formatter, "{}: {error}", target.display()),
        }
    }
}

impl std::error::Error for CutError {}

/// Makes all `cuts` of a capture, in one pass that ends with the last wanted frame. Files appear
/// whole, under temporary names until all are written; memory does not depend on the length of
/// the capture or of the cuts, and one file is open at a time beside the capture.
///
/// # Errors
/// The capture cannot be read, or a file cannot be written; then no temporary file is left.
pub fn cut(capture: &Path, cuts: &[Cut]) -> Result<Vec<CutReport>, CutError> {
    let mut source = file::open(capture).map_err(CutError::Capture)?;
    let name = capture.file_name().unwrap_or_default().to_string_lossy();
    cut_from(&mut source, &name, cuts)
}

/// Makes all `cuts` of a source with ascending frame numbers, as [`cut`] does; `name` is what
/// comments call it.
///
/// # Errors
/// A file cannot be written; then no temporary file is left.
pub fn cut_from(
    source: &mut impl Source,
    name: &str,
    cuts: &[Cut],
) -> Result<Vec<CutReport>, CutError> {
    // It goes into comments of one line.
    let name = name.replace(char::is_control, "?");
    let mut outputs: Vec<Output> =
        cuts.iter().enumerate().map(|(index, cut)| Output::new(cut, index)).collect();
    let mut spans: Vec<Span> = Vec::new();
    for (index, (output, cut)) in outputs.iter().zip(cuts).enumerate() {
        spans.extend(output.spans(cut.context, index));
    }
    copy(source, &mut outputs, spans, clip(&name, LONGEST_NAME))?;
    for output in &mut outputs {
        output.flush()?;
    }
    outputs.into_iter().map(Output::finish).collect()
}

/// Frames `first..=last` that go into an output.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u64,
    last: u64,
    output: usize,
}

/// Copies the frames of all spans.
fn copy(
    source: &mut impl Source,
    outputs: &mut [Output],
    mut spans: Vec<Span>,
    capture: &str,
) -> Result<(), CutError> {
    spans.sort_unstable_by_key(|span| span.first);
    let mut upcoming = spans.into_iter().peekable();
    let mut current: Vec<Span> = Vec::new();
    while !current.is_empty() || upcoming.peek().is_some() {
        let Some(frame) = source.next_frame() else { break };
        while let Some(span) = upcoming.next_if(|span| span.first <= frame.number) {
            current.push(span);
        }
        let chunk = MOST_COLLECTED.checked_div(current.len()).unwrap_or(CHUNK).min(CHUNK);
        let mut rest = Vec::new();
        for span in mem::take(&mut current) {
            let Some(output) = outputs.get_mut(span.output) else { continue };
            if frame.number <= span.last {
                output.add(&frame, capture);
            }
            let goes_on = frame.number < span.last;
            if !goes_on || output.collected.len() >= chunk {
                output.flush()?;
            }
            if goes_on {
                rest.push(span);
            }
        }
        current = rest;
    }
    Ok(())
}

/// A cut that is being made.
struct Output {
    target: PathBuf,
    /// Where it is written before it is whole.
    temporary: PathBuf,
    comment: String,
    /// The alert's frames, ascending; those before `next` have been met or are missing.
    wanted: Vec<u64>,
    next: usize,
    /// Wanted frames beyond [`MOST_FRAMES`].
    beyond: Vec<u64>,
    missing: Vec<u64>,
    /// The file's interfaces, by the capture's, link type, and whether time is before 1970.
    interfaces: HashMap<(u32, u16, bool), u32>,
    /// Bytes that were not written yet.
    collected: Vec<u8>,
    /// Bytes that were.
    length: usize,
    frames: u64,
    has_wanted: bool,
    is_on_disk: bool,
}

impl Output {
    fn new(cut: &Cut, index: usize) -> Self {
        let mut wanted = cut.frames.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let beyond = wanted.split_off(wanted.len().min(MOST_FRAMES));
        let mut temporary = cut.target.clone().into_os_string();
        temporary.push(format!(".{}-{index}.part", process::id()));
        Self {
            target: cut.target.clone(),
            temporary: temporary.into(),
            comment: clip(&cut.comment, LONGEST_COMMENT).to_owned(),
            wanted,
            next: 0,
            beyond,
            missing: Vec::new(),
            interfaces: HashMap::new(),
            collected: Vec::new(),
            length: 0,
            frames: 0,
            has_wanted: false,
            is_on_disk: false,
        }
    }

    /// The frames that are wanted and those around them, such that no frame is in two spans.
    fn spans(&self, context: u64, output: usize) -> Vec<Span> {
        let share = MOST_FRAMES.checked_div(self.wanted.len()).unwrap_or_default();
        let context = context.min(share.saturating_sub(1) as u64 / 2);
        let mut spans: Vec<Span> = Vec::new();
        for frame in &self.wanted {
            let first = frame.saturating_sub(context);
            let last = frame.saturating_add(context);
            match spans.last_mut() {
                Some(before) if first <= before.last.saturating_add(1) => before.last = last,
                _ => spans.push(Span { first, last, output }),
            }
        }
        spans
    }

    /// Takes a frame of one of the spans; frames come in ascending order.
    fn add(&mut self, frame: &Frame<'_>, capture: &str) {
        self.pass(frame.number);
        let is_wanted = self.wanted.get(self.next) == Some(&frame.number);
        let needed = frame.data.len().saturating_add(BLOCK_ROOM);
        let length = self.length.saturating_add(self.collected.len());
        if length.saturating_add(needed) > MOST_BYTES {
            return; // and if it is wanted, it is missing, as nothing has passed it
        }
        if self.frames == 0 {
            write_section(&mut self.collected, &self.comment);
        }
        let interface = self.interface(frame, capture);
        let part = if is_wanted { "part of alert" } else { "context" };
        let comment = format!("frame {} of {capture}: {part}", frame.number);
        write_frame(&mut self.collected, frame, interface, &comment);
        self.frames = self.frames.saturating_add(1);
        if is_wanted {
            self.next = self.next.saturating_add(1);
            self.has_wanted = true;
        }
    }

    /// Wanted frames before `number` will not come any more.
    fn pass(&mut self, number: u64) {
        while let Some(frame) = self.wanted.get(self.next).filter(|frame| **frame < number) {
            self.missing.push(*frame);
            self.next = self.next.saturating_add(1);
        }
    }

    /// The number of the frame's interface in the file; describes it if it is new.
    fn interface(&mut self, frame: &Frame<'_>, capture: &str) -> u32 {
        let link = link_number(frame.link);
        let known = self.interfaces.len() as u32;
        *self.interfaces.entry((frame.interface, link, frame.time < 0)).or_insert_with(|| {
            let description = format!("interface {} of {capture}", frame.interface);
            write_interface(&mut self.collected, link, &description, frame.time < 0);
            known
        })
    }

    /// Writes what was collected, and frees the memory.
    fn flush(&mut self) -> Result<(), CutError> {
        let collected = mem::take(&mut self.collected);
        self.length = self.length.saturating_add(collected.len());
        self.append(&collected).map_err(|error| self.fault(error))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        options.append(true);
        if !self.is_on_disk {
            // What stands there was left by a process of the same number that was killed.
            let _ = fs::remove_file(&self.temporary);
            options.create_new(true).mode(MODE);
        }
        let mut file = options.open(&self.temporary)?;
        self.is_on_disk = true;
        file.write_all(bytes)
    }

    /// Gives the file its name.
    fn finish(mut self) -> Result<CutReport, CutError> {
        let unreached = self.wanted.get(self.next..).unwrap_or_default().iter();
        let mut missing = mem::take(&mut self.missing);
        missing.extend(unreached.chain(&self.beyond));
        if !self.has_wanted {
            return Ok(CutReport { written: 0, missing });
        }
        fs::rename(&self.temporary, &self.target).map_err(|error| self.fault(error))?;
        self.is_on_disk = false;
        Ok(CutReport { written: self.frames, missing })
    }

    fn fault(&self, error: io::Error) -> CutError {
        CutError::Write { target: self.target.clone(), error }
    }
}

impl Drop for Output {
    /// Leaves no temporary file.
    fn drop(&mut self) {
        if self.is_on_disk {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// The number of a link type, such that the bytes mean the same: 0 and 101 stand for their kin,
/// because of these a frame tells its byte order or its version of IP itself.
const fn link_number(link: LinkType) -> u16 {
    match link {
        LinkType::Null => 0,
        LinkType::Ethernet => 1,
        LinkType::RawIp => 101,
        LinkType::LinuxSll => 113,
        LinkType::LinuxSll2 => 276,
        LinkType::Other(number) => number,
    }
}

/// The beginning of `text`, of at most `length` bytes.
fn clip(text: &str, length: usize) -> &str {
    let end = (0..=length).rev().find_map(|end| text.get(..end));
    if text.len() <= length { text } else { end.unwrap_or_default() }
}

fn write_section(into: &mut Vec<u8>, comment: &str) {
    write_block(into, SECTION_HEADER, |body| {
        body.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        body.extend([1, 0, 0, 0]); // version 1.0
        body.extend([0xff; 8]); // length unknown
        write_option(body, OPTION_COMMENT, comment.as_bytes());
        write_option(body, SECTION_APPLICATION, b"otids");
        write_option(body, OPTION_END, &[]);
    });
}

fn write_interface(into: &mut Vec<u8>, link: u16, description: &str, is_before_epoch: bool) {
    write_block(into, INTERFACE_DESCRIPTION, |body| {
        body.extend(link.to_le_bytes());
        body.extend([0; 2]);
        body.extend(LARGEST_FRAME.to_le_bytes());
        write_option(body, IF_DESCRIPTION, description.as_bytes());
        write_option(body, IF_TSRESOL, &[NANOSECONDS]);
        if is_before_epoch {
            write_option(body, IF_TSOFFSET, &BEFORE_EPOCH.to_le_bytes());
        }
        write_option(body, OPTION_END, &[]);
    });
}

fn write_frame(into: &mut Vec<u8>, frame: &Frame<'_>, interface: u32, comment: &str) {
    let offset = if frame.time < 0 { BEFORE_EPOCH } else { 0 };
    // Cannot overflow: 64 bits times 30 bits fit 127. What is left is positive, and fits 64.
    let time = i128::from(frame.time) - i128::from(offset) * NANOS_PER_SECOND;
    let time = u64::try_from(time).unwrap_or_default();
    write_block(into, ENHANCED_PACKET, |body| {
        let captured = frame.data.len() as u32;
        for field in [interface, (time >> 32) as u32, time as u32, captured, frame.original_length]
        {
            body.extend(field.to_le_bytes());
        }
        write_padded(body, frame.data);
        write_option(body, OPTION_COMMENT, comment.as_bytes());
        write_option(body, OPTION_END, &[]);
    });
}

/// Writes a block, with its length before and after the body, which is a multiple of four.
fn write_block(into: &mut Vec<u8>, kind: u32, write_body: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    write_body(&mut body);
    // No body is longer than a frame and the room for its block.
    let length = (body.len() as u32).saturating_add(12).to_le_bytes();
    into.extend(kind.to_le_bytes());
    into.extend(length);
    into.append(&mut body);
    into.extend(length);
}

fn write_option(into: &mut Vec<u8>, code: u16, value: &[u8]) {
    into.extend(code.to_le_bytes());
    into.extend((value.len() as u16).to_le_bytes());
    write_padded(into, value);
}

fn write_padded(into: &mut Vec<u8>, bytes: &[u8]) {
    let padding = bytes.len().next_multiple_of(4).saturating_sub(bytes.len());
    into.extend(bytes);
    into.extend([0; 4].iter().take(padding));
}

#[cfg(test)]
mod tests {
    use super::{Cut, MOST_FRAMES, Output, clip, copy};
    use crate::source::{Frame, LinkType, Source, SourceHealth};

    /// Has frames without end, and tells how many were taken.
    #[derive(Default)]
    struct Endless {
        health: SourceHealth,
    }

    impl Source for Endless {
        fn next_frame(&mut self) -> Option<Frame<'_>> {
            self.health.frames += 1;
            Some(Frame {
                number: self.health.frames,
                time: 0,
                link: LinkType::Ethernet,
                interface: 0,
                data: &[],
                original_length: 0,
            })
        }

        fn health(&self) -> &SourceHealth {
            &self.health
        }
    }

    fn output(frames: &[u64]) -> Output {
        let target = std::env::temp_dir().join("otids-evidence-that-is-never-finished");
        Output::new(&Cut { target, frames: frames.to_vec(), context: 0, comment: String::new() }, 0)
    }

    fn spans(frames: &[u64], context: u64) -> Vec<(u64, u64)> {
        let spans = output(frames).spans(context, 0);
        spans.iter().map(|span| (span.first, span.last)).collect()
    }

    #[test]
    fn reading_stops_after_the_last_wanted_frame() {
        let mut source = Endless::default();
        let mut outputs = [output(&[7])];
        let spans = outputs[0].spans(2, 0);
        copy(&mut source, &mut outputs, spans, "x.pcap").unwrap();
        assert_eq!((source.health.frames, outputs[0].frames), (9, 5));
        copy(&mut source, &mut outputs, Vec::new(), "x.pcap").unwrap();
        assert_eq!(source.health.frames, 9);
    }

    #[test]
    fn spans_touch_no_frame_twice() {
        assert_eq!(spans(&[9, 3, 9], 1), [(2, 4), (8, 10)]);
        assert_eq!(spans(&[6, 3], 1), [(2, 7)]);
        assert_eq!(spans(&[0, u64::MAX], 2), [(0, 2), (u64::MAX - 2, u64::MAX)]);
        assert_eq!(spans(&[], 5), []);
    }

    #[test]
    fn the_context_shrinks_before_a_cut_is_too_long() {
        let length = |frames: &[u64]| -> u64 {
            spans(frames, u64::MAX).iter().map(|(first, last)| last - first + 1).sum()
        };
        assert_eq!(length(&[1 << 40]), MOST_FRAMES as u64 - 1);
        let far_apart: Vec<u64> = (1..=3000).map(|frame| frame << 20).collect();
        assert_eq!(length(&far_apart), 9000);
        let too_many: Vec<u64> = (1..=MOST_FRAMES as u64 + 2).collect();
        assert_eq!(length(&too_many), MOST_FRAMES as u64);
        assert_eq!(output(&too_many).beyond, [10_001, 10_002]);
    }

    #[test]
    fn text_is_clipped_between_characters() {
        assert_eq!([clip("aé", 3), clip("aé", 2), clip("é", 1), clip("", 0)], ["aé", "a", "", ""]);
    }
}
