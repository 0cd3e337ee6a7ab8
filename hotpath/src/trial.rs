//! Tries a decoder on bytes, without telling anybody what it says.

use crate::net::Arrival;
use crate::protocols::{Emit, Message, Party, Protocol, Step, Told, Transport};
use crate::words::NoticeKind;

/// Whether bytes are whole PDUs of a protocol to their end, without a fault, said by either party.
#[must_use]
pub fn understands(protocol: &Protocol, transport: Transport, bytes: &[u8], now: Arrival) -> bool {
    [Party::Client, Party::Server].into_iter().any(|from| {
        let mut decoder = (protocol.decoder)(transport);
        let mut trial = Trial { is_sound: true, now };
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = match decoder.step(from, rest, &mut trial) {
                Step::Done(used) if used > 0 && trial.is_sound => used,
                _ => return false,
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        true
    })
}

struct Trial {
    is_sound: bool,
    now: Arrival,
}

impl Emit for Trial {
    fn message(&mut self, _: Party, _: &Message<'_>) -> u64 {
        0
    }

    fn notice(&mut self, _: Party, _: NoticeKind, _: &str, _: Option<Told>) {
        self.is_sound = false;
    }

    fn fact(&mut self, _: Party, _: &'static str, _: &str) {}

    fn now(&self) -> Arrival {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::understands;
    use crate::net::Arrival;
    use crate::protocols::{Transport, modbus};

    fn is_modbus(bytes: &[u8]) -> bool {
        let now = Arrival { frame: 1, time: 0 };
        understands(&modbus::PROTOCOL, Transport::Tcp, bytes, now)
    }

    /// Read Holding Registers 0 to 1 of unit 1: a request.
    const ASK: &[u8] = &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2];

    #[test]
    fn whole_pdus_to_the_end_are_understood() {
        assert!(is_modbus(ASK));
        assert!(is_modbus(&[ASK, ASK].concat()));
        assert!(is_modbus(&[0, 1, 0, 0, 0, 7, 1, 3, 4, 0, 1, 0, 2]), "an answer");
    }

    #[test]
    fn what_is_cut_or_followed_by_something_else_is_not() {
        for end in 1..ASK.len() {
            assert!(!is_modbus(&ASK[..end]), "{end}");
        }
        assert!(!is_modbus(&[ASK, b"GET / HTTP/1.1"].concat()));
        // The head of an ONC RPC call holds what looks like one: unit 0, function 1.
        let rpc = [0, 0, 0, 0, 0, 2, 0, 1, 0x86, 0xA3, 0, 0, 0, 3, 0, 0, 0, 0];
        assert!(!is_modbus(&rpc));
        assert!(!is_modbus(&rpc[..8]), "it has no body");
    }
}
