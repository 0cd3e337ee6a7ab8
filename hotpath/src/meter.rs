//! Counts work, for tests that bound it: steps of loops whose length the wire decides.
//!
//! Without the feature `meter` nothing is counted, and it costs nothing.

#[cfg(feature = "meter")]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// So many steps were taken.
#[inline]
#[cfg_attr(not(feature = "meter"), allow(unused_variables, clippy::missing_const_for_fn))]
pub fn work(steps: usize) {
    #[cfg(feature = "meter")]
    STEPS.set(STEPS.get().wrapping_add(steps as u64));
}

/// The steps that this thread took so far.
#[cfg(feature = "meter")]
#[must_use]
pub fn steps() -> u64 {
    STEPS.get()
}
