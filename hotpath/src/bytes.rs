//! One cursor does all the indexing of wire data.

/// The bytes ended before the field did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short;

/// Reads big- and little-endian fields from the head of a slice; never panics, never rewinds.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the head of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes were not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next `count` bytes.
    ///
    /// # Errors
    /// [`Short`] if there are fewer; nothing is read then.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Short)?;
        self.rest = rest;
        Ok(head)
    }

    /// Reads the next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Short`] if there are fewer; nothing is read then.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Short)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Skips `count` bytes.
    ///
    /// # Errors
    /// [`Short`] if there are fewer; nothing is skipped then.
    #[inline]
    pub fn skip(&mut self, count: usize) -> Result<(), Short> {
        self.take(count).map(|_| ())
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`Short`] at the end.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Short> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads a big-endian 16-bit field.
    ///
    /// # Errors
    /// [`Short`] if fewer than two bytes are left.
    #[inline]
    pub fn u16_be(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a little-endian 16-bit field.
    ///
    /// # Errors
    /// [`Short`] if fewer than two bytes are left.
    #[inline]
    pub fn u16_le(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_le_bytes)
    }

    /// Reads a big-endian 32-bit field.
    ///
    /// # Errors
    /// [`Short`] if fewer than four bytes are left.
    #[inline]
    pub fn u32_be(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a little-endian 32-bit field.
    ///
    /// # Errors
    /// [`Short`] if fewer than four bytes are left.
    #[inline]
    pub fn u32_le(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_le_bytes)
    }

    /// Ends a message: everything must have been read.
    ///
    /// # Errors
    /// The number of bytes that are left over.
    pub const fn expect_empty(&self) -> Result<(), usize> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.rest.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Short};

    #[test]
    fn reads_fields_and_stops_at_the_end() {
        let mut cursor = Cursor::new(&[0x01, 0x02, 0x03, 0x04, 0x05]);
        assert_eq!(cursor.u16_be(), Ok(0x0102));
        assert_eq!(cursor.u16_le(), Ok(0x0403));
        assert_eq!(cursor.u16_be(), Err(Short));
        assert_eq!(cursor.remaining(), 1, "a failed read reads nothing");
        assert_eq!(cursor.expect_empty(), Err(1));
        assert_eq!(cursor.u8(), Ok(5));
        assert_eq!(cursor.expect_empty(), Ok(()));
    }
}
