//! How the objects of each group and variation are laid out.
//!
//! IEEE 1815-2012, annex A: the object library.

use super::names::{TIME_DELAY, TIME_DELAY_COARSE};

/// What an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Nothing: only headers name it.
    Empty,
    /// As many bits, packed with those of its neighbours.
    Packed(u8),
    /// Flags, a value, a time; each if it has it.
    Point(Flags, Form, Time),
    /// A control relay output block.
    Block,
    /// A value to be set, and a status.
    Command(Form),
    /// A status, a value that was set, a time.
    CommandEvent(Form, Time),
    /// A flag byte of status and commanded state, a time.
    BinaryCommandEvent(Time),
    /// A time, and as many bytes behind it.
    Moment(usize),
    /// A delay, of this object type.
    Delay(u16),
    /// Text of as many bytes as the variation says.
    Text,
    /// A device attribute: type, length, value.
    Attribute,
    /// As many bytes of which nothing is told.
    Opaque(usize),
    /// A size that only a prefix tells.
    Sized,
}

/// What the flag byte holds beside the quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flags {
    /// There is none.
    None,
    /// The state in bit 7.
    State,
    /// The state in bits 6 and 7.
    DoubleState,
    /// Nothing.
    Quality,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// It stands in the flags.
    InFlags,
    U8,
    U16,
    U32,
    U64,
    I16,
    I32,
    F32,
    F64,
}

/// Which time follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    None,
    /// Six bytes: milliseconds since the epoch.
    Absolute,
    /// Two bytes: milliseconds since the last common time of occurrence.
    Relative,
}

/// The layout of a variation; `None` where the library has none.
#[inline]
pub(super) fn layout(group: u8, variation: u8) -> Option<Layout> {
    use Form::{F32, F64, I16, I32, InFlags, U16, U32};
    use Layout::{
        Attribute, BinaryCommandEvent, Block, Command, CommandEvent, Delay, Empty, Moment, Opaque,
        Packed, Point, Sized, Text,
    };
    use Time::{Absolute, Relative};
    let flagged = |form| Point(Flags::Quality, form, Time::None);
    let timed = |form| Point(Flags::Quality, form, Absolute);
    let bare = |form| Point(Flags::None, form, Time::None);
    Some(match (group, variation) {
        (0, _) => Attribute,
        (110..=113, _) => Text,
        (_, 0) | (60, 1..=4) => Empty,
        (1 | 10 | 80, 1) | (12, 3) => Packed(1),
        (3, 1) => Packed(2),
        (1 | 10, 2) | (2 | 11, 1) => Point(Flags::State, InFlags, Time::None),
        (2 | 11, 2) => Point(Flags::State, InFlags, Absolute),
        (2, 3) => Point(Flags::State, InFlags, Relative),
        (3, 2) | (4, 1) => Point(Flags::DoubleState, InFlags, Time::None),
        (4, 2) => Point(Flags::DoubleState, InFlags, Absolute),
        (4, 3) => Point(Flags::DoubleState, InFlags, Relative),
        (12, 1) => Block,
        (12, 2) => Opaque(11),
        (13, 1) => BinaryCommandEvent(Time::None),
        (13, 2) => BinaryCommandEvent(Absolute),
        (20..=23, 1 | 3) => flagged(U32),
        (20..=23, 2 | 4) => flagged(U16),
        (21..=23, 5 | 7) => timed(U32),
        (21..=23, 6 | 8) => timed(U16),
        (20, 5 | 7) | (21, 9 | 11) | (34 | 101, 2) => bare(U32),
        (20, 6 | 8) | (21, 10 | 12) | (34 | 101, 1) => bare(U16),
        (30..=33 | 40 | 42, 1) => flagged(I32),
        (30..=33 | 40 | 42, 2) => flagged(I16),
        (30, 3) | (31, 5) => bare(I32),
        (30, 4) | (31, 6) => bare(I16),
        (30 | 32 | 33 | 42, 5) | (31, 7) | (40, 3) => flagged(F32),
        (30 | 32 | 33 | 42, 6) | (31, 8) | (40, 4) => flagged(F64),
        (31..=33 | 42, 3) => timed(I32),
        (31..=33 | 42, 4) => timed(I16),
        (32 | 33 | 42, 7) => timed(F32),
        (32 | 33 | 42, 8) => timed(F64),
        (34, 3) => bare(F32),
        (41, 1) => Command(I32),
        (41, 2) => Command(I16),
        (41, 3) => Command(F32),
        (41, 4) => Command(F64),
        (43, 1) => CommandEvent(I32, Time::None),
        (43, 2) => CommandEvent(I16, Time::None),
        (43, 3) => CommandEvent(I32, Absolute),
        (43, 4) => CommandEvent(I16, Absolute),
        (43, 5) => CommandEvent(F32, Time::None),
        (43, 6) => CommandEvent(F64, Time::None),
        (43, 7) => CommandEvent(F32, Absolute),
        (43, 8) => CommandEvent(F64, Absolute),
        (50, 1 | 3) | (51, 1 | 2) => Moment(0),
        (50, 2) => Moment(4),
        (50, 4) => Moment(5),
        (52, 1) => Delay(TIME_DELAY_COARSE),
        (52, 2) => Delay(TIME_DELAY),
        (81, 1) => Opaque(3),
        (101, 3) => bare(Form::U64),
        (102, 1) => bare(Form::U8),
        (120, 3) => Opaque(6),
        (120, 4) => Opaque(2),
        // Flags, association, counter, time: the association is none of a point's.
        (121 | 122, 1) => Opaque(7),
        (122, 2) => Opaque(13),
        (70 | 83 | 85..=88 | 90..=92 | 120, _) => Sized,
        _ => return None,
    })
}
