//! What the link layers of two stations say to each other.
//!
//! IEEE 1815-2012, clause 9.2.4: resets, tests and requests for the status of a link, and what is
//! answered. A frame that only acknowledges user data is told, too.

use super::Dnp3;
use super::link::Header;
use super::names::{LINK, LINK_ANSWER, LINK_STATUS, activity};
use crate::protocols::pairing::{Answer, Pending};
use crate::protocols::{Emit, Message, NO_SUBFUNCTION, Party, Told, Values};
use crate::words::Role;

/// Secondary functions: acknowledgment, and status of link.
const ACKNOWLEDGMENT: u8 = 0;
const STATUS_OF_LINK: u8 = 11;

impl Dnp3 {
    pub(super) fn tell_link(&mut self, from: Party, header: Header, out: &mut dyn Emit) {
        let code = u32::from(header.function());
        let ends = header.ends;
        let outstation = if header.is_from_master() { ends.destination } else { ends.source };
        let mut message = Message {
            role: Role::Request,
            activity: activity(LINK | code, &[]),
            function: LINK | code,
            subfunction: NO_SUBFUNCTION,
            unit: u32::from(outstation),
            status: 0,
            objects: &[],
            values: Values::default(),
            reply_to: None,
            length: header.size() as u32,
        };
        if header.is_primary() {
            let id = out.message(from, &message);
            if !ends.is_broadcast() {
                let now = out.now();
                let request = Pending {
                    told: Told { id, frame: now.frame, time: now.time },
                    from,
                    function: message.function,
                    subfunction: NO_SUBFUNCTION,
                    objects: smallvec::SmallVec::new(),
                    owed: true,
                };
                self.link_pairing.ask(ends.key(), request, out);
            }
            return;
        }
        message.role = Role::Response;
        if !matches!(header.function(), ACKNOWLEDGMENT | STATUS_OF_LINK) {
            message.status = LINK_STATUS | u16::from(header.function());
        }
        // Nobody is told to have asked for the acknowledgment of user data.
        match self.link_pairing.answer(ends.back().key(), |request| request.from != from) {
            Answer::To(request) => {
                message.function = request.function;
                message.reply_to = Some(request.told);
            }
            Answer::Unasked | Answer::Unknown => message.function = LINK_ANSWER | code,
        }
        message.activity = activity(message.function, &[]);
        out.message(from, &message);
    }
}
