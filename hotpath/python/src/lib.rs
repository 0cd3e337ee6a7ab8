//! `otids._hotpath`: hands the hot path's columns to Python.

/// The hot path: captured frames in, columns out.
#[pyo3::pymodule]
mod _hotpath {}
