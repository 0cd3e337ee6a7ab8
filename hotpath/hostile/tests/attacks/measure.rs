//! Feeds an attack and counts what it costs.

use std::fs;

use hostile::frames::Listed;
use hostile::reader::Listener;
use hotpath::engine::Settings;
use hotpath::meter;

/// What the one frame may cost that ends a second in which dictionaries are looked through: once
/// in a minute at most, all their entries.
pub const CENSUS: u64 = 1_200_000;

/// What an attack cost.
#[derive(Debug)]
pub struct Cost {
    /// Steps of loops whose length the wire decides, a frame.
    pub steps: f64,
    /// The dearest frame.
    pub most: u64,
    /// Rows told, a frame.
    pub rows: f64,
    /// Flows, bytes before their turn, bytes that wait, fragments: the most at any time.
    pub held: [usize; 4],
    pub sizes: [usize; 5],
    pub messages: u64,
}

fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Nanoseconds that this thread has been on a processor.
fn on_processor() -> u64 {
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split(' ').next().unwrap().parse().unwrap()
}

/// Feeds frames of an attack to an engine with the default bounds.
pub fn attack(name: &str, frames: impl Iterator<Item = Listed>) -> Cost {
    let mut listener = Listener::new(&Settings::default());
    let (mut count, mut most, mut held) = (0_u64, 0, [0; 4]);
    let (before, memory, start) = (meter::steps(), resident(), on_processor());
    for frame in frames {
        let steps = meter::steps();
        listener.hear(&frame);
        most = most.max(meter::steps() - steps);
        count += 1;
        if count % 64 == 0 {
            let now = listener.engine.held();
            held.iter_mut().zip(now).for_each(|(most, now)| *most = (*most).max(now));
        }
    }
    let steps = meter::steps() - before;
    let (took, memory) = (on_processor() - start, resident().saturating_sub(memory));
    listener.finish();
    #[allow(clippy::cast_precision_loss)]
    let cost = Cost {
        steps: steps as f64 / count as f64,
        most,
        rows: listener.reader.rows as f64 / count as f64,
        held,
        sizes: listener.reader.sizes(),
        messages: listener.reader.messages,
    };
    println!("{name}: {count} frames, {} ns a frame, {memory} KiB more, {cost:?}", took / count);
    cost
}

/// The cost is in bounds, and twice as long an attack costs no more a frame.
pub fn assert_linear<T: Iterator<Item = Listed>>(
    name: &str,
    count: usize,
    ceiling: f64,
    frames: impl Fn(usize) -> T,
) -> Cost {
    let (half, whole) = (attack(name, frames(count)), attack(name, frames(2 * count)));
    assert!(whole.steps <= ceiling, "{name}: {whole:?}");
    assert!(whole.steps <= 1.25 * half.steps + 2.0, "{name} grows: {half:?}, then {whole:?}");
    whole
}
