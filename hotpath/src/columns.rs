//! Batches: the columns that leave the hot path.
