//! Temporary.
use super::{Arrival, IpPacket, Vlan};
use crate::words::NoticeKind;
/// x
pub enum Outcome {
    /// x
    Whole {
        /// x
        payload: Vec<u8>,
        /// x
        first_frame: u64,
    },
    /// x
    Held,
}
/// x
#[derive(Default)]
pub struct Fragments;
impl Fragments {
    /// x
    pub fn accept(
        &mut self,
        _: Vlan,
        _: &IpPacket<'_>,
        _: Arrival,
        _: &mut dyn FnMut(NoticeKind, &'static str, Arrival),
    ) -> Outcome {
        Outcome::Held
    }
    /// x
    pub fn expire(&mut self, _: Arrival, _: &mut dyn FnMut(NoticeKind, &'static str, Arrival)) {}
}
