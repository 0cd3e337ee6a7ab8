//! The values of a message: each by itself, or in blocks of neighbours that share all but their
//! bits. What a block shares is written once, whatever its length.

use super::Value;
use crate::words::ValueKind;

/// The values that a message carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values<'a> {
    /// Each by itself.
    Each(&'a [Value<'a>]),
    /// In blocks.
    Blocks(&'a Blocks),
}

impl Default for Values<'_> {
    fn default() -> Self {
        Self::Each(&[])
    }
}

impl<'a> From<&'a [Value<'a>]> for Values<'a> {
    fn from(values: &'a [Value<'a>]) -> Self {
        Self::Each(values)
    }
}

impl<'a, const N: usize> From<&'a [Value<'a>; N]> for Values<'a> {
    fn from(values: &'a [Value<'a>; N]) -> Self {
        Self::Each(values)
    }
}

impl<'a> From<&'a Vec<Value<'a>>> for Values<'a> {
    fn from(values: &'a Vec<Value<'a>>) -> Self {
        Self::Each(values)
    }
}

impl<'a> From<&'a Blocks> for Values<'a> {
    fn from(blocks: &'a Blocks) -> Self {
        Self::Blocks(blocks)
    }
}

impl<'a> Values<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Each(values) => values.len(),
            Self::Blocks(blocks) => blocks.iter().map(|block| block.raws.len()).sum(),
        }
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Each(values) => values.is_empty(),
            Self::Blocks(blocks) => blocks.is_empty(),
        }
    }

    /// One after the other.
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        Iter { values: *self, block: 0, at: 0 }
    }
}

impl<'a> IntoIterator for Values<'a> {
    type Item = Value<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Values<'a> {
    type Item = Value<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Yields [`Values`] one after the other.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    values: Values<'a>,
    block: usize,
    /// Place among all values, or in the block.
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        match self.values {
            Values::Each(values) => {
                let value = values.get(self.at).copied()?;
                self.at = self.at.saturating_add(1);
                Some(value)
            }
            Values::Blocks(blocks) => loop {
                let block = blocks.get(self.block)?;
                if let Some(raw) = block.raws.get(self.at) {
                    let offset = block.offset.saturating_add(self.at as u32);
                    self.at = self.at.saturating_add(1);
                    return Some(Value::plain(block.object, offset, block.kind, *raw));
                }
                (self.block, self.at) = (self.block.saturating_add(1), 0);
            },
        }
    }
}

/// Neighbours within one object, of one kind, without text, quality or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// See [`Value::object`].
    pub object: u16,
    /// See [`Value::offset`], of the first.
    pub offset: u32,
    /// See [`Value::kind`]; never text.
    pub kind: ValueKind,
    /// See [`Value::raw`], of each.
    pub raws: &'a [u64],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    object: u16,
    offset: u32,
    kind: ValueKind,
    start: usize,
    end: usize,
}

/// Blocks that a decoder fills; kept by it for their capacity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blocks {
    spans: Vec<Span>,
    raws: Vec<u64>,
}

impl Blocks {
    /// Takes all blocks away.
    #[inline]
    pub fn clear(&mut self) {
        self.spans.clear();
        self.raws.clear();
    }

    /// Adds a block of what `fill` appends; none if that is nothing.
    #[inline]
    pub fn push(
        &mut self,
        object: u16,
        offset: u32,
        kind: ValueKind,
        fill: impl FnOnce(&mut Vec<u64>),
    ) {
        let start = self.raws.len();
        fill(&mut self.raws);
        let end = self.raws.len();
        if end > start {
            self.spans.push(Span { object, offset, kind, start, end });
        }
    }

    /// Takes away what stands beyond the end of its object; `count` tells how many places that has.
    pub fn clip(&mut self, count: impl Fn(u16) -> u32) {
        for span in &mut self.spans {
            let room = count(span.object).saturating_sub(span.offset) as usize;
            span.end = span.end.min(span.start.saturating_add(room));
        }
        self.spans.retain(|span| span.end > span.start);
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The blocks in the order in which they were added.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Block<'_>> {
        self.spans.iter().map(|span| self.block(span))
    }

    fn get(&self, place: usize) -> Option<Block<'_>> {
        self.spans.get(place).map(|span| self.block(span))
    }

    #[inline]
    fn block(&self, span: &Span) -> Block<'_> {
        let Span { object, offset, kind, start, end } = *span;
        Block { object, offset, kind, raws: self.raws.get(start..end).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocks, Values};
    use crate::protocols::Value;
    use crate::words::ValueKind::{Bit, Unsigned};

    #[test]
    fn blocks_are_told_value_by_value() {
        let mut blocks = Blocks::default();
        blocks.push(0, 3, Unsigned, |raws| raws.extend([7, 8]));
        blocks.push(1, 0, Bit, |_| {});
        blocks.push(2, 0, Bit, |raws| raws.push(1));
        let told = [
            Value::plain(0, 3, Unsigned, 7),
            Value::plain(0, 4, Unsigned, 8),
            Value::plain(2, 0, Bit, 1),
        ];
        assert_eq!(Values::from(&blocks).iter().collect::<Vec<_>>(), told);
        assert_eq!(Values::from(&blocks).len(), 3);
        assert_eq!(Values::from(&told[..]).iter().collect::<Vec<_>>(), told);
        blocks.clear();
        assert!(Values::from(&blocks).is_empty());
        assert_eq!(Values::from(&blocks).iter().next(), None);
    }

    #[test]
    fn what_stands_beyond_its_object_is_clipped() {
        let mut blocks = Blocks::default();
        blocks.push(0, 0, Unsigned, |raws| raws.extend([1, 2, 3]));
        blocks.push(1, 2, Unsigned, |raws| raws.extend([4, 5]));
        blocks.push(2, 0, Unsigned, |raws| raws.extend([6, 7]));
        blocks.clip(|object| [2, 2, 9][usize::from(object)]);
        let left: Vec<u64> = Values::from(&blocks).iter().map(|value| value.raw).collect();
        assert_eq!(left, [1, 2, 6, 7]);
    }
}
