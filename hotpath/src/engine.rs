//! Drives a frame through net, protocols and tables into columns.
