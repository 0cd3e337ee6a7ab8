//! Keys that collide under a hash without a secret.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use hostile::frames::Listed;
use hostile::reader::Listener;
use hostile::seeds;
use hotpath::bounded::LruTable;
use hotpath::engine::Settings;
use hotpath::table::{Dictionary, Limits, NONE};

/// A key that counts how often it is compared.
#[derive(Debug, Clone)]
struct Counted(u64, Rc<Cell<usize>>);

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.1.set(self.1.get() + 1);
        self.0 == other.0
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

const KEYS: u64 = 50_000;

/// Sets of keys that fall into one place where a table takes low bits, high bits, a product with
/// a known constant, or a sum.
fn colliding() -> [Vec<u64>; 4] {
    // The inverse of the constant of rustc's own hash: its products differ in the lowest bits only.
    let inverse = (0..6).fold(0xF135_7AEA_2E62_A9C5_u64, |inverse: u64, _| {
        inverse.wrapping_mul(2_u64.wrapping_sub(0xF135_7AEA_2E62_A9C5_u64.wrapping_mul(inverse)))
    });
    [
        (0..KEYS).map(|key| key << 40).collect(),
        (0..KEYS).collect(),
        (0..KEYS).map(|key| key.wrapping_mul(inverse)).collect(),
        (0..KEYS).map(|key| (key << 32) | (u64::from(u32::MAX) - key)).collect(),
    ]
}

#[test]
fn no_key_is_compared_with_many() {
    for keys in colliding() {
        let compared = Rc::new(Cell::new(0));
        let mut words = Dictionary::new(Limits { total: 100_000, per_client: 100_000 });
        let mut flows = LruTable::new(100_000);
        for _ in 0..2 {
            for key in &keys {
                let key = Counted(*key, Rc::clone(&compared));
                words.intern(&key, NONE, 0).unwrap();
                flows.touch_or_insert_with(key, || ());
            }
        }
        // The second round finds each key in both tables: two comparisons, and few in vain.
        let most = 5 * keys.len() / 2;
        assert!(compared.get() <= most, "{} comparisons, at most {most}", compared.get());
    }
}

#[test]
fn secrets_do_not_show_in_what_is_told() {
    let frames = seeds::frames_of("attacks/attacks", 0, 20_000);
    let hear = |frames: &[Listed]| {
        let mut listener = Listener::new(&Settings::default());
        listener.kept = Some(Vec::new());
        for frame in frames {
            listener.hear(frame);
        }
        listener.finish();
        // Debug, for a NaN is not equal to itself.
        format!("{:?}", listener.kept)
    };
    assert!(hear(&frames) == hear(&frames), "two engines, two secrets, and the same batches");
}
