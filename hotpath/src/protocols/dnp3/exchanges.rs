//! What goes on between a master and an outstation: the request that was answered last, and what
//! waits for a confirmation.

use std::collections::VecDeque;

use super::link::Ends;
use crate::protocols::Told;
use crate::protocols::pairing::Pending;

/// Most pairs of stations of one flow that are kept in mind.
const MAX_PAIRS: usize = 8;

/// Sequence numbers of fragments count modulo 16 (clause 4.2.2.4.5).
pub(super) const SEQUENCE: u8 = 0x0F;

#[derive(Debug)]
struct Answered {
    /// The number of the last fragment of the answer.
    sequence: u8,
    /// Whether further fragments follow.
    goes_on: bool,
    request: Pending,
}

#[derive(Debug)]
struct Exchange {
    /// From the outstation to the master.
    ends: Ends,
    answered: Option<Answered>,
    /// The last solicited, and the last unsolicited response that wants to be confirmed.
    unconfirmed: [Option<(u8, Told)>; 2],
}

impl Exchange {
    const fn between(ends: Ends) -> Self {
        Self { ends, answered: None, unconfirmed: [None, None] }
    }

    const fn unconfirmed(&mut self, unsolicited: bool) -> &mut Option<(u8, Told)> {
        let [solicited, other] = &mut self.unconfirmed;
        if unsolicited { other } else { solicited }
    }
}

/// What goes on in one flow, by pairs of stations, the last one heard last.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    pairs: VecDeque<Exchange>,
}

impl Exchanges {
    /// The first fragment of the answer to a request came.
    pub(super) fn answer(&mut self, ends: Ends, sequence: u8, goes_on: bool, request: &Pending) {
        let answered = Answered { sequence, goes_on, request: request.clone() };
        self.with(ends, |exchange| exchange.answered = Some(answered));
    }

    /// A later fragment came: the request whose answer it goes on with, if it does.
    pub(super) fn go_on(&mut self, ends: Ends, sequence: u8, goes_on: bool) -> Option<Pending> {
        self.with(ends, |exchange| {
            let answered = exchange
                .answered
                .as_mut()
                .filter(|one| one.goes_on && one.sequence.wrapping_add(1) & SEQUENCE == sequence)?;
            (answered.sequence, answered.goes_on) = (sequence, goes_on);
            Some(answered.request.clone())
        })
    }

    /// The request whose answer was the last one, and had this number.
    pub(super) fn again(&mut self, ends: Ends, sequence: u8) -> Option<Pending> {
        self.with(ends, |exchange| {
            let answered = exchange.answered.as_ref().filter(|one| one.sequence == sequence)?;
            Some(answered.request.clone())
        })
    }

    /// A response wants to be confirmed.
    pub(super) fn await_confirmation(
        &mut self,
        ends: Ends,
        sequence: u8,
        unsolicited: bool,
        told: Told,
    ) {
        self.with(ends, |exchange| *exchange.unconfirmed(unsolicited) = Some((sequence, told)));
    }

    /// The response that is confirmed with this number.
    pub(super) fn confirm(&mut self, ends: Ends, sequence: u8, unsolicited: bool) -> Option<Told> {
        self.with(ends, |exchange| {
            let place = exchange.unconfirmed(unsolicited);
            place.take_if(|(number, _)| *number == sequence).map(|(_, told)| told)
        })
    }

    /// Bytes are missing: what comes need not go on with what was heard.
    pub(super) fn gap(&mut self) {
        self.pairs.clear();
    }

    fn with<R>(&mut self, ends: Ends, act: impl FnOnce(&mut Exchange) -> R) -> R {
        let place = self.pairs.iter().position(|one| one.ends == ends);
        let known = place.and_then(|place| self.pairs.remove(place));
        let mut exchange = known.unwrap_or_else(|| Exchange::between(ends));
        let result = act(&mut exchange);
        if self.pairs.len() >= MAX_PAIRS {
            self.pairs.pop_front();
        }
        self.pairs.push_back(exchange);
        result
    }
}
