//! Modbus.
use super::{Decoder, Emit, Party, Probe, Protocol, Step, Transport};

/// Modbus over TCP, UDP, and RTU over TCP.
pub static PROTOCOL: Protocol = Protocol {
    name: "modbus",
    tcp_ports: &[502],
    udp_ports: &[502],
    probe: |_: Transport, _: &[u8]| Probe::No,
    decoder: |_: Transport| Box::new(Nothing),
    function_name: |_, _| None,
    status_name: |_| None,
    objects: &[],
};

struct Nothing;

impl Decoder for Nothing {
    fn step(&mut self, _: Party, bytes: &[u8], _: &mut dyn Emit) -> Step {
        Step::Done(bytes.len().max(1))
    }
    fn gap(&mut self, _: Party) {}
    fn expire(&mut self, _: i64, _: &mut dyn Emit) {}
    fn flush(&mut self, _: Party, bytes: &[u8], _: &mut dyn Emit) -> Step {
        Step::Done(bytes.len().max(1))
    }
}
