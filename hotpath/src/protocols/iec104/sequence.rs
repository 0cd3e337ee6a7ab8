//! Send and receive sequence numbers (IEC 60870-5-104, clause 5.1): within a connection the numbers
//! of each party are those of its I frames, one by one, and it acknowledges what it was sent.
//!
//! TCP carries every frame once and in order. So where no bytes are missing, a number that does
//! not come next says that a frame was removed, repeated, swapped or put in by somebody between, or
//! that a station counts wrongly.

use std::fmt;

use super::framing::NUMBERS;
use crate::protocols::Party;

/// In which way a number is not the one that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// Numbers are left out.
    Jumps { sent: u16, expected: u16 },
    /// A number was used before.
    Repeats { sent: u16, expected: u16 },
    /// It acknowledges frames that the other party never sent.
    Foresees { received: u16, expected: u16 },
    /// It takes back what it acknowledged before.
    Retracts { received: u16, expected: u16 },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jumps { sent, expected } => {
                write!(f, "send sequence number {sent} where {expected} was expected")
            }
            Self::Repeats { sent, expected } => write!(
                f,
                "send sequence number {sent}, which was used before, where {expected} was expected"
            ),
            Self::Foresees { received, expected } => write!(
                f,
                "receive sequence number {received} acknowledges frames that were never sent: at most {expected} was expected"
            ),
            Self::Retracts { received, expected } => write!(
                f,
                "receive sequence number {received} takes back what was acknowledged: at least {expected} was expected"
            ),
        }
    }
}

/// What one party's next numbers must be; `None` where it is not known.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    next: Option<u16>,
    acknowledged: Option<u16>,
    /// The number after one that was used before: if it comes, the party counts from there.
    astray: Option<u16>,
}

/// The numbers of both parties.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    client: Numbers,
    server: Numbers,
}

/// How far `number` lies behind `origin` in the circle of numbers; negative if before it.
const fn distance(origin: u16, number: u16) -> i32 {
    let ahead = number.wrapping_sub(origin) % NUMBERS;
    if ahead < NUMBERS / 2 { ahead as i32 } else { ahead as i32 - NUMBERS as i32 }
}

const fn after(number: u16) -> u16 {
    (number + 1) % NUMBERS
}

impl Sequence {
    const fn both(&mut self, from: Party) -> (&mut Numbers, &mut Numbers) {
        match from {
            Party::Client => (&mut self.client, &mut self.server),
            Party::Server => (&mut self.server, &mut self.client),
        }
    }

    /// Bytes of `from` are missing: its numbers are known again from its next frame on.
    pub(super) const fn gap(&mut self, from: Party) {
        *self.both(from).0 = Numbers { next: None, acknowledged: None, astray: None };
    }

    /// Takes the numbers of a frame, and tells what is wrong with them.
    pub(super) fn take(&mut self, from: Party, send: Option<u16>, receive: u16) -> Option<Broken> {
        let sending = send.and_then(|sent| self.both(from).0.send(sent));
        let (me, peer) = self.both(from);
        let receiving = me.receive(receive, peer.next);
        sending.or(receiving)
    }
}

impl Numbers {
    fn send(&mut self, sent: u16) -> Option<Broken> {
        let expected = self.next.unwrap_or(sent);
        let astray = self.astray.take();
        match distance(expected, sent) {
            0 => self.next = Some(after(sent)),
            1.. => {
                self.next = Some(after(sent));
                return Some(Broken::Jumps { sent, expected });
            }
            _ if astray == Some(sent) => self.next = Some(after(sent)),
            _ => {
                self.astray = Some(after(sent));
                return Some(Broken::Repeats { sent, expected });
            }
        }
        None
    }

    /// `peer` is the number that the other party will send next, where it is known.
    fn receive(&mut self, received: u16, peer: Option<u16>) -> Option<Broken> {
        let before = self.acknowledged;
        if let Some(expected) = peer.filter(|next| distance(*next, received) > 0) {
            return Some(Broken::Foresees { received, expected });
        }
        if let Some(expected) = before.filter(|before| distance(*before, received) < 0) {
            return Some(Broken::Retracts { received, expected });
        }
        self.acknowledged = Some(received);
        None
    }
}
