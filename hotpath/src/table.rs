//! Interning: every distinct thing that was said gets a small integer.
