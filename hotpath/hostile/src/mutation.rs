//! Seeded mutation: the same seed gives the same damage, everywhere.

/// A generator of numbers that anybody could guess (`SplitMix64`, Steele et al. 2014): tests need
/// no better one.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// One that is told from others by its seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound` (at least 1).
    pub const fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }
}

/// Numbers at which lengths and counts go wrong.
const EDGES: [u8; 8] = [0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF, 0x05, 0x45];

/// How far into a frame the headers of each layer reach.
const REACH: [usize; 5] = [14, 34, 54, 66, usize::MAX];

/// Damages a frame: some bits, some bytes, its length, or a piece of `other` in it; mostly in its
/// headers. It may come out empty.
pub fn damage(frame: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..[1, 1, 2, 4, 16][dice.below(5)] {
        if frame.is_empty() {
            return;
        }
        let reach = REACH[dice.below(REACH.len())].min(frame.len());
        let place = dice.below(reach);
        match dice.below(10) {
            0..4 => frame[place] ^= 1 << dice.below(8),
            4..6 => frame[place] = dice.roll() as u8,
            6 => frame[place] = EDGES[dice.below(EDGES.len())],
            7 => frame.truncate(place),
            8 => {
                let from = dice.below(other.len().max(1)).min(other.len());
                frame.truncate(place);
                frame.extend_from_slice(&other[from..]);
            }
            _ => {
                let piece = frame[place..].to_vec();
                frame.splice(place..place, piece);
            }
        }
        frame.truncate(9_000);
    }
}
