//! `otids._hotpath`: hands the hot path's columns to Python.
