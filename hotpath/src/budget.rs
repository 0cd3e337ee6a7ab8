//! Divides the memory that the process may have: every table is a share of one number.
//!
//! The shares are of what one gets at [`DEFAULT_MEMORY`]; what holds bytes grows and shrinks with
//! it, and so does what strangers can fill. What a single client may fill stays as it is as long as
//! eight of them find room: a plant's own clients say no less on a small computer.

use crate::engine::Settings;
use crate::flows::FlowLimits;
use crate::scribe::Quotas;
use crate::table::Limits;

/// The memory of the whole process for which the defaults are made, in bytes.
pub const DEFAULT_MEMORY: usize = 512 << 20;

/// Of it, what the program, a plant's baseline and what detectors keep of strangers need, whatever
/// comes: the rest is divided.
const BASE: usize = 176 << 20;

/// A smaller rest is as if it were this much; one larger than [`MOST`] as if it were that much.
const LEAST: usize = 24 << 20;
const MOST: usize = 4 << 30;

impl Settings {
    /// The bounds for a process that may have so many bytes of memory.
    #[must_use]
    pub fn of_memory(memory: usize) -> Self {
        let Quotas { endpoints, conversations, objects, symbols, pages, texts } = Quotas::default();
        let FlowLimits { flows, idle, held_bytes, heard_bytes } = FlowLimits::default();
        let shared = |limits: Limits| {
            let total = share(limits.total as usize, memory) as u32;
            Limits { total, per_client: limits.per_client.min(total / 8) }
        };
        Self {
            quotas: Quotas {
                endpoints: shared(endpoints),
                conversations: shared(conversations),
                objects: shared(objects),
                symbols: shared(symbols),
                pages: shared(pages),
                texts: shared(texts),
            },
            flows: FlowLimits {
                flows: share(flows, memory),
                idle,
                held_bytes: share(held_bytes, memory),
                heard_bytes: share(heard_bytes, memory),
            },
        }
    }
}

/// Rows of a batch that is handed over, or rows and definitions of one that nobody takes yet.
#[must_use]
pub const fn batch_rows(memory: usize) -> usize {
    share(131_072, memory)
}

/// What there is of something at `memory`, if there is so much of it at the default.
const fn share(normal: usize, memory: usize) -> usize {
    let rest = memory.saturating_sub(BASE);
    let rest = if rest < LEAST { LEAST } else { rest };
    let rest = if rest > MOST { MOST } else { rest };
    // In KiB the product fits 64 bits for everything that is divided here.
    (normal as u64 * (rest as u64 >> 10) / ((DEFAULT_MEMORY - BASE) as u64 >> 10)) as usize
}

#[cfg(test)]
mod tests {
    use super::{BASE, DEFAULT_MEMORY, Settings};

    #[test]
    fn the_defaults_are_those_of_the_default_memory() {
        assert_eq!(Settings::of_memory(DEFAULT_MEMORY), Settings::default());
    }

    #[test]
    fn a_quarter_of_the_rest_is_a_quarter_of_what_strangers_fill() {
        let memory = BASE + (DEFAULT_MEMORY - BASE) / 4;
        let (quarter, whole) = (Settings::of_memory(memory), Settings::default());
        assert_eq!(quarter.flows.flows * 4, whole.flows.flows);
        assert_eq!(quarter.flows.held_bytes * 4, whole.flows.held_bytes);
        assert_eq!(quarter.quotas.symbols.total * 4, whole.quotas.symbols.total);
        let (few, many) = (quarter.quotas.conversations, whole.quotas.conversations);
        assert_eq!(few.per_client, many.per_client);
        assert_eq!(quarter.quotas.endpoints.per_client, quarter.quotas.endpoints.total / 8);
    }

    #[test]
    fn no_memory_leaves_something_and_much_is_bounded() {
        let (none, all) = (Settings::of_memory(0), Settings::of_memory(usize::MAX));
        assert!(none.flows.flows >= 1_024 && none.quotas.symbols.per_client >= 1_000);
        assert!(all.flows.flows <= Settings::default().flows.flows * 13);
    }
}
