//! Notices that somebody set the clock that stamps frames forward.
//!
//! A clock that is set back shows in the frames themselves: their time runs back. One that is set
//! forward looks like silence, but for a second clock that nobody sets.

/// Nanoseconds by which the clock must leave the steady one to count as set.
const STEP: i64 = 2_000_000_000;

/// Compares the clock that stamps frames with a steady one, both in nanoseconds.
#[derive(Debug, Default)]
pub struct Steps {
    ahead: Option<i64>,
    /// From which moment on frames were stamped by the clock as it is set now.
    since: Option<i64>,
}

impl Steps {
    /// Looks at both clocks; often enough that a step is not taken for the drift of either.
    pub fn look(&mut self, clock: i64, steady: i64) {
        let ahead = clock.saturating_sub(steady);
        let step = ahead.saturating_sub(self.ahead.unwrap_or(ahead));
        self.ahead = Some(ahead);
        if step >= STEP {
            // What the kernel stamped before the step lies behind this, what it stamps now does not.
            self.since = Some(clock.saturating_sub(step / 2));
        } else if step <= -STEP {
            self.since = None;
        }
    }

    /// Whether `time` is the first that was stamped after a step forward.
    pub fn is_first_after(&mut self, time: i64) -> bool {
        let is_after = self.since.is_some_and(|since| time >= since);
        if is_after {
            self.since = None;
        }
        is_after
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    const SECOND: i64 = 1_000_000_000;

    fn at(clock: i64, steady: i64) -> Steps {
        let mut steps = Steps::default();
        steps.look(clock, steady);
        steps
    }

    #[test]
    fn clocks_that_run_alike_are_never_set() {
        let mut steps = at(1_000 * SECOND, 5 * SECOND);
        for passed in 1..100 {
            // Half a second's silence of this process, and a clock that is slewed.
            steps.look(
                1_000 * SECOND + passed * SECOND / 2 + passed * 1_000_000,
                5 * SECOND + passed * SECOND / 2,
            );
            assert!(!steps.is_first_after(i64::MAX));
        }
    }

    #[test]
    fn what_was_stamped_before_is_not_after() {
        let mut steps = at(1_000 * SECOND, 5 * SECOND);
        steps.look(4_600 * SECOND, 5 * SECOND);
        assert!(!steps.is_first_after(1_000 * SECOND));
        assert!(steps.is_first_after(4_599 * SECOND));
        assert!(!steps.is_first_after(4_600 * SECOND), "only once");
    }

    #[test]
    fn a_step_back_is_left_to_the_frames() {
        let mut steps = at(1_000 * SECOND, 5 * SECOND);
        steps.look(10 * SECOND, 5 * SECOND);
        assert!(!steps.is_first_after(11 * SECOND));
    }

    #[test]
    fn a_step_that_is_taken_back_at_once_is_none() {
        let mut steps = at(1_000 * SECOND, 5 * SECOND);
        steps.look(4_600 * SECOND, 5 * SECOND);
        steps.look(1_000 * SECOND, 5 * SECOND);
        assert!(!steps.is_first_after(1_001 * SECOND));
    }

    #[test]
    fn numbers_at_their_ends_do_no_harm() {
        let mut steps = at(i64::MIN, i64::MAX);
        steps.look(i64::MAX, i64::MIN);
        assert!(steps.is_first_after(i64::MAX));
    }
}
