//! What was delivered without a break, and its last bytes: they tell an honest retransmission
//! from a forged one.

/// How many bytes are kept; a power of two. It holds the application PDUs of most plant
/// protocols whole; of a longer segment its end is kept.
const SIZE: usize = 256;
const MASK: usize = SIZE - 1;

/// A ring in which the byte of sequence number `s` lies at place `s % 256`.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    ring: [u8; SIZE],
    unbroken: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { ring: [0; SIZE], unbroken: 0 }
    }
}

impl Recent {
    /// Forgets all: what comes next does not follow on.
    pub(super) fn clear(&mut self) {
        self.unbroken = 0;
    }

    /// How many bytes were pushed since the last break, those included that are not kept.
    pub(super) const fn unbroken(&self) -> usize {
        self.unbroken
    }

    /// Keeps `bytes`, of which the first has the number `sequence` and follows on.
    #[inline]
    pub(super) fn push(&mut self, sequence: u32, bytes: &[u8]) {
        let skip = bytes.len().saturating_sub(SIZE);
        self.unbroken = self.unbroken.saturating_add(bytes.len());
        let bytes = bytes.get(skip..).unwrap_or_default();
        let place = (sequence as usize).wrapping_add(skip) & MASK;
        let (head, tail) = bytes.split_at(bytes.len().min(SIZE - place));
        if let Some(room) = self.ring.get_mut(place..place + head.len()) {
            room.copy_from_slice(head);
        }
        if !tail.is_empty() {
            if let Some(room) = self.ring.get_mut(..tail.len()) {
                room.copy_from_slice(tail);
            }
        }
    }

    /// Whether a byte of `bytes`, of which the last has the number before `end`, differs from one
    /// that is kept. `behind` is how far `end` lies before the end of what was pushed.
    pub(super) fn disagrees(&self, end: u32, behind: usize, bytes: &[u8]) -> bool {
        let known = self.unbroken.min(SIZE).saturating_sub(behind).min(bytes.len());
        let first = (end as usize).wrapping_sub(known);
        let compared = bytes.get(bytes.len() - known..).unwrap_or_default();
        compared.iter().enumerate().any(|(index, byte)| {
            self.ring.get(first.wrapping_add(index) & MASK).is_some_and(|kept| kept != byte)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::net::tcp::tests::config(256))]

        /// Against the plain way: keep all bytes and compare the last 256.
        #[test]
        fn it_agrees_with_the_bytes_that_were_pushed(
            base in any::<u32>(),
            pushes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..6),
            behind in 0_usize..300,
            length in 1_usize..300,
            flipped in any::<prop::sample::Index>(),
        ) {
            let mut recent = Recent::default();
            let mut all = Vec::new();
            for push in &pushes {
                recent.push(base.wrapping_add(all.len() as u32), push);
                all.extend(push);
            }
            prop_assert_eq!(recent.unbroken(), all.len());
            let behind = behind.min(all.len());
            let end = all.len() - behind;
            let start = end.saturating_sub(length);
            let number = base.wrapping_add(end as u32);
            prop_assert!(!recent.disagrees(number, behind, &all[start..end]));
            if start < end {
                let mut forged = all[start..end].to_vec();
                let place = flipped.index(forged.len());
                forged[place] ^= 0x80;
                let kept = start + place + 256 >= all.len();
                prop_assert_eq!(recent.disagrees(number, behind, &forged), kept);
            }
        }
    }
}
