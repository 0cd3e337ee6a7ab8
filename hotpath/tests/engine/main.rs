//! The engine from annotated frames to columns.
#![cfg(test)]

mod bindings;
mod connections;
mod floods;
mod frames;
mod heard;
mod hiding;
mod links;
mod mirror;
mod naming;
mod properties;
mod seconds;
mod segments;
mod shared_port;
mod wire;
