//! The values of a record.

use super::{moment, number, print, put, separate, text};
use crate::protocols::{Block, Value, Values};
use crate::words::ValueKind;

/// Places without a value that one record shows at most; a list that needs more ends there.
const MAX_ABSENT: u32 = 2_048;

/// One list per object, in address order, with `null` before a value that stands further on.
#[inline]
pub(super) fn values(lines: &mut Vec<u8>, objects: usize, values: Values<'_>) {
    let start = lines.len();
    let is_done = match values {
        Values::Each(each) => lists(lines, objects, each.iter().map(Piece::One)),
        Values::Blocks(blocks) => lists(lines, objects, blocks.iter().map(Piece::Block)),
    };
    if !is_done {
        lines.truncate(start);
        let mut sorted: Vec<_> = values.iter().collect();
        sorted.sort_by_key(|value| (value.object, value.offset));
        sorted.dedup_by_key(|value| (value.object, value.offset));
        lists(lines, objects, sorted.iter().map(Piece::One));
    }
}

/// Values that stand side by side in a list.
enum Piece<'a> {
    One(&'a Value<'a>),
    Block(Block<'a>),
}

impl Piece<'_> {
    /// Object, first offset, and how many.
    #[inline]
    const fn place(&self) -> (u16, u32, u32) {
        match self {
            Self::One(value) => (value.object, value.offset, 1),
            Self::Block(block) => (block.object, block.offset, block.raws.len() as u32),
        }
    }
}

/// Returns whether the values came object by object and in address order, each once.
#[inline]
fn lists<'a>(lines: &mut Vec<u8>, objects: usize, pieces: impl Iterator<Item = Piece<'a>>) -> bool {
    let Some(last) = objects.checked_sub(1) else { return true };
    put(lines, "[");
    let (mut place, mut next, mut shown) = (0, 0, 0);
    let (mut absent, mut is_cut) = (MAX_ABSENT, false);
    for piece in pieces {
        let (object, offset, count) = piece.place();
        let object = usize::from(object);
        if object != place {
            if object < place {
                return false;
            } else if object > last {
                break;
            }
            skip(lines, object - place);
            (place, next, shown, is_cut) = (object, 0, 0, false);
        }
        let Some(gap) = offset.checked_sub(next) else { return false };
        next = offset.saturating_add(count);
        is_cut |= gap > absent;
        if is_cut {
            continue;
        }
        for _ in 0..gap {
            separate(lines, shown);
            put(lines, "null");
            shown += 1;
        }
        absent -= gap;
        separate(lines, shown);
        match piece {
            Piece::One(value) => spell(lines, value),
            Piece::Block(block) => spell_block(lines, &block),
        }
        shown += 1;
    }
    skip(lines, last - place);
    put(lines, "]");
    true
}

/// Ends a list, and begins as many others as come until the next one with a value.
fn skip(lines: &mut Vec<u8>, count: usize) {
    for _ in 0..count {
        put(lines, "],[");
    }
}

#[inline]
#[allow(clippy::cast_possible_wrap)] // two's complement is how signed values come
fn spell(lines: &mut Vec<u8>, value: &Value<'_>) {
    match value.kind {
        ValueKind::Bit => put(lines, if value.raw == 0 { "0" } else { "1" }),
        ValueKind::Unsigned | ValueKind::Sequence => number(lines, value.raw),
        ValueKind::Signed => number(lines, value.raw as i64),
        ValueKind::Float => float(lines, f64::from_bits(value.raw)),
        ValueKind::Text => text(lines, value.text.unwrap_or_default()),
        ValueKind::Time => moment(lines, value.raw as i64),
    }
}

/// All values of a block, with commas between them.
#[inline]
fn spell_block(lines: &mut Vec<u8>, block: &Block<'_>) {
    let Block { object, offset, kind, raws } = *block;
    match kind {
        ValueKind::Bit => spell_bits(lines, raws),
        ValueKind::Unsigned if u16::try_from(raws.iter().fold(0, |all, raw| all | raw)).is_ok() => {
            spell_words(lines, raws);
        }
        _ => {
            for (place, raw) in raws.iter().enumerate() {
                separate(lines, place);
                spell(lines, &Value::plain(object, offset, kind, *raw));
            }
        }
    }
}

fn spell_bits(lines: &mut Vec<u8>, raws: &[u64]) {
    let start = lines.len();
    lines.resize(start + 2 * raws.len(), b',');
    let room = lines.get_mut(start..).unwrap_or_default();
    for (pair, raw) in room.chunks_exact_mut(2).zip(raws) {
        if let [digit, _] = pair {
            *digit = b'0' + u8::from(*raw != 0);
        }
    }
    lines.pop();
}

/// Most values are words.
fn spell_words(lines: &mut Vec<u8>, raws: &[u64]) {
    let mut at = lines.len();
    lines.resize(at + MOST_OF_WORD * raws.len() + WORD_STORE, 0);
    for raw in raws {
        let (text, length) = word(*raw as u16);
        if let Some(room) = lines.get_mut(at..at + WORD_STORE) {
            room.copy_from_slice(&text);
        }
        at += length;
    }
    lines.truncate(at);
    lines.pop();
}

/// Digits and a comma.
const MOST_OF_WORD: usize = 6;

/// A store of fixed width is cheaper than a copy of the right one.
const WORD_STORE: usize = 8;

/// The digits of a number below 100, a byte each.
static PAIRS: [u16; 100] = {
    let mut pairs = [0; 100];
    let mut number: u16 = 0;
    while number < 100 {
        #[expect(clippy::indexing_slicing, reason = "a constant, bounded by the loop")]
        {
            pairs[number as usize] = (number / 10) | ((number % 10) << 8);
        }
        number += 1;
    }
    pairs
};

/// The spelling of a number with a comma behind it, and its length: made in one register, without a
/// branch.
#[inline]
fn word(value: u16) -> ([u8; WORD_STORE], usize) {
    let pair = |number: u16| u64::from(PAIRS.get(usize::from(number)).copied().unwrap_or_default());
    let (head, tail) = (value / 100, value % 100);
    let digits = u64::from(head / 100) | (pair(head % 100) << 8) | (pair(tail) << 24);
    let zeros = (digits | (1 << 32)).trailing_zeros() / 8;
    let text = (digits | 0x2C30_3030_3030).wrapping_shr(8 * zeros);
    (text.to_le_bytes(), MOST_OF_WORD - zeros as usize)
}

/// The shortest spelling that reads back as the same double; JSON has no other numbers.
fn float(lines: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        print(lines, format_args!("{value:?}"));
    } else if value.is_nan() {
        put(lines, "\"NaN\"");
    } else {
        put(lines, if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    }
}
