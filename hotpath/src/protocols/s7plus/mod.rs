//! S7comm-plus: Siemens S7-1200 and S7-1500, at the level of functions.
//!
//! It has no public specification; see `names.rs` for whose words these are. It is carried by ISO
//! transport ([`super::iso`]) as S7comm is, and is told from it by its first byte.
//!
//! What a reader of the messages should know:
//! - The sub-function says how a message is protected: its version (1, 2, 3), plus 256 where a
//!   digest stands in front of it. What is in TLS is told record by record, as encrypted.
//! - A request that sets or gets one variable names it: the operating state is one of them.
//! - One PDU may take several TSDUs; what goes on with it is no message of its own.

mod names;
mod pdu;

use smallvec::SmallVec;

use self::names::{ATTRIBUTE, REFUSED, TSAP};
use self::pdu::{Call, FOREIGN, Pdu, Said};
use super::iso::{self, Ends, Iso, Tpdu};
use super::pairing::{Answer, OwnedObject, Pairing, Pending};
use super::{
    Decoder, Emit, Message, NO_SUBFUNCTION, Object, Party, Probe, Protocol, Step, Told, Transport,
};
use crate::bytes::{Cursor, Short};
use crate::words::{Access, NoticeKind, Role};

/// S7comm-plus over ISO transport.
pub static PROTOCOL: Protocol = Protocol {
    name: "s7comm-plus",
    tcp_ports: &[102],
    udp_ports: &[],
    link: None,
    probe,
    decoder: |_| Box::new(S7plus::default()),
    function_name: names::function_name,
    status_name: names::status_name,
    objects: names::OBJECTS,
};

fn probe(transport: Transport, head: &[u8]) -> Probe {
    match transport {
        Transport::Tcp => iso::probe(head, suits, pdu::probe),
        Transport::Udp | Transport::Link => Probe::No,
    }
}

fn suits(ends: &Ends<'_>) -> bool {
    ends.called.starts_with(b"SIMATIC-ROOT")
}

/// Added to the version where a digest stands in front.
const DIGESTED: u32 = 0x100;
const UNASKED: &str = "no request of this sequence number and function waits";
const CONNECTION: u64 = u64::MAX;

#[derive(Debug, Default)]
struct S7plus {
    iso: Iso,
    told: Teller,
}

/// What is known of a flow above its transport.
#[derive(Debug, Default)]
struct Teller {
    pairing: Pairing,
    /// Whether the client's and the server's next TSDU goes on with a PDU.
    is_cut: [bool; 2],
}

impl Decoder for S7plus {
    fn step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        self.iso.step(&mut self.told, from, bytes, out)
    }

    fn gap(&mut self, from: Party) {
        self.iso.gap(from);
        self.told.pairing.gap();
        *self.told.cut(from) = false;
    }

    fn expire(&mut self, now: i64, out: &mut dyn Emit) {
        self.told.pairing.expire(now, out);
    }

    fn flush(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        self.iso.flush(&mut self.told, from, bytes, out)
    }
}

/// What a message says beside its objects.
#[derive(Debug, Clone, Copy)]
struct Head {
    from: Party,
    role: Role,
    function: u32,
    subfunction: u32,
    status: u16,
    reply_to: Option<Told>,
    length: usize,
}

impl Head {
    const fn new(from: Party, role: Role, function: u32, length: usize) -> Self {
        let subfunction = NO_SUBFUNCTION;
        Self { from, role, function, subfunction, status: 0, reply_to: None, length }
    }
}

impl iso::User for Teller {
    fn connection(&mut self, from: Party, tpdu: &Tpdu<'_>, length: usize, out: &mut dyn Emit) {
        let head = |role, function| Head::new(from, role, function, length);
        let status = match tpdu {
            Tpdu::Connect(ends) => {
                let told = [ends.called, ends.calling].into_iter().filter(|tsap| !tsap.is_empty());
                let objects = told.map(tsap).collect();
                let asked = head(Role::Request, iso::CONNECT);
                return self.ask(CONNECTION, asked, objects, true, out);
            }
            Tpdu::Disconnect(reason) => REFUSED | u16::from(*reason),
            Tpdu::Disconnected => {
                emit(head(Role::Response, iso::DISCONNECT), &[], out);
                return;
            }
            Tpdu::Error(_) => {
                emit(head(Role::Response, iso::ERROR), &[], out);
                return;
            }
            Tpdu::Confirm(_) | Tpdu::Data { .. } => 0,
        };
        let waits = |request: &Pending| request.from != from;
        match self.pairing.answer(CONNECTION, waits) {
            Answer::To(request) => {
                let head = Head { status, ..head(Role::Response, iso::CONNECT) };
                reply(&request, head, out);
            }
            _ if status == 0 => {
                emit(head(Role::Response, iso::CONNECT), &[], out);
            }
            _ => {
                emit(head(Role::Report, iso::DISCONNECT), &[], out);
            }
        }
    }

    fn data(&mut self, from: Party, tsdu: &[u8], length: usize, out: &mut dyn Emit) {
        // The rest of a PDU has a header of its own, and no operation.
        let is_rest = std::mem::take(self.cut(from));
        if is_rest && !pdu::is_tls(tsdu) {
            *self.cut(from) = goes_on(tsdu);
            return;
        }
        let pdu = match Pdu::parse(tsdu) {
            Ok(pdu) => pdu,
            Err(detail) => {
                let foreign = NoticeKind::ForeignProtocol;
                let kind = if detail == FOREIGN { foreign } else { NoticeKind::MalformedPdu };
                out.notice(from, kind, detail, None);
                return;
            }
        };
        *self.cut(from) = pdu.is_cut && pdu.said != Said::Encrypted;
        let protection = u32::from(pdu.version) + if pdu.is_digested { DIGESTED } else { 0 };
        let head = |role, function| Head {
            subfunction: protection,
            ..Head::new(from, role, function, length)
        };
        match pdu.said {
            Said::Request(call) => {
                let objects = variable(call).unwrap_or_default();
                let asked = head(Role::Request, u32::from(call.function));
                self.ask(u64::from(call.sequence), asked, objects, call.is_owed, out);
            }
            Said::Response(call) => self.tell_response(call, head, out),
            Said::Notification => {
                emit(head(Role::Report, names::NOTIFICATION), &[], out);
            }
            Said::Event => {
                emit(head(Role::Report, names::SYSTEM_EVENT), &[], out);
            }
            Said::Encrypted => {
                emit(Head::new(from, Role::Report, names::ENCRYPTED, length), &[], out);
            }
            Said::Other(code) => {
                emit(head(Role::Report, names::UNKNOWN + u32::from(code)), &[], out);
            }
        }
    }

    fn begins(&self, tsdu: &[u8]) -> bool {
        matches!(Pdu::parse(tsdu), Ok(Pdu { said, .. }) if !matches!(said, Said::Other(_)))
    }
}

impl Teller {
    fn cut(&mut self, from: Party) -> &mut bool {
        let [client, server] = &mut self.is_cut;
        match from {
            Party::Client => client,
            Party::Server => server,
        }
    }

    fn tell_response(
        &mut self,
        call: Call<'_>,
        head: impl Fn(Role, u32) -> Head,
        out: &mut dyn Emit,
    ) {
        let function = u32::from(call.function);
        let is_same = |request: &Pending| request.function == function;
        // It begins with what the function returned.
        let returned = pdu::number(&mut Cursor::new(call.body)).unwrap_or_default();
        let status = match returned as u16 {
            0 if returned != 0 => u16::MAX,
            status => status,
        };
        let head = Head { status, ..head(Role::Response, function) };
        match self.pairing.answer(u64::from(call.sequence), is_same) {
            Answer::To(request) => reply(&request, head, out),
            found => {
                emit(head, &[], out);
                if found == Answer::Unasked {
                    out.notice(head.from, NoticeKind::UnaskedResponse, UNASKED, None);
                }
            }
        }
        if call.function == names::CREATE_OBJECT {
            facts(call.body, |key, value| out.fact(head.from, key, value));
        }
    }

    /// Emits a request, and waits for its answer; `owed` says whether one must come.
    fn ask(&mut self, key: u64, head: Head, objects: Owned, owed: bool, out: &mut dyn Emit) {
        let id = emit(head, &objects, out);
        let now = out.now();
        let request = Pending {
            told: Told { id, frame: now.frame, time: now.time },
            from: head.from,
            function: head.function,
            subfunction: head.subfunction,
            objects,
            owed,
        };
        self.pairing.ask(key, request, out);
    }
}

type Owned = SmallVec<[OwnedObject; 2]>;

fn reply(request: &Pending, head: Head, out: &mut dyn Emit) {
    emit(Head { reply_to: Some(request.told), ..head }, &request.objects, out);
}

fn emit(head: Head, objects: &[OwnedObject], out: &mut dyn Emit) -> u64 {
    let objects: SmallVec<[Object<'_>; 2]> =
        objects.iter().map(|object| object.borrow(head.status)).collect();
    out.message(
        head.from,
        &Message {
            role: head.role,
            activity: names::activity(head.function),
            function: head.function,
            subfunction: head.subfunction,
            unit: 0,
            status: head.status,
            objects: &objects,
            values: crate::protocols::Values::default(),
            reply_to: head.reply_to,
            length: head.length as u32,
        },
    )
}

/// Whether a further TSDU goes on with the PDU that this one goes on with: it has no trailer.
fn goes_on(tsdu: &[u8]) -> bool {
    match *tsdu {
        [_, _, high, low, ref rest @ ..] => {
            rest.len() <= usize::from(u16::from_be_bytes([high, low]))
        }
        _ => false,
    }
}

/// The variable that a request sets or gets, if it is one: an object, a count of 1, an attribute.
fn variable(call: Call<'_>) -> Result<Owned, Short> {
    let access = match call.function {
        names::SET_VARIABLE => Access::Write,
        names::GET_VARIABLE => Access::Read,
        _ => return Ok(Owned::new()),
    };
    let mut cursor = Cursor::new(call.body);
    let object = u64::from(cursor.u32_be()?);
    let (count, attribute) = (pdu::number(&mut cursor)?, pdu::number(&mut cursor)?);
    let address = (object << 32) | (attribute & u64::from(u32::MAX));
    let told = OwnedObject { kind: ATTRIBUTE, address, count: 1, access, name: None };
    Ok(if count == 1 { Owned::from_iter([told]) } else { Owned::new() })
}

fn tsap(tsap: &[u8]) -> OwnedObject {
    let name = if tsap.iter().all(u8::is_ascii_graphic) {
        String::from_utf8_lossy(tsap).into_owned()
    } else {
        let digits = tsap.iter().take(32).map(|byte| format!("{byte:02x}"));
        format!("0x{}", digits.collect::<String>())
    };
    let name = Some(name.into_boxed_str());
    OwnedObject { kind: TSAP, address: 0, count: 1, access: Access::Control, name }
}

/// What a controller says of itself when a session begins: "1;6ES7 211-1BE30-0XB0 ;V3.0".
fn facts(body: &[u8], mut tell: impl FnMut(&'static str, &str)) {
    let texts = body.split(|byte| !(b' '..=b'~').contains(byte));
    let identity = texts
        .filter_map(|text| std::str::from_utf8(text).ok())
        .find_map(|text| text.find(";6ES7 ").and_then(|at| text.get(at + 1..)));
    let Some((order, version)) = identity.and_then(|text| text.split_once(';')) else { return };
    tell("vendor", "Siemens");
    tell("product-code", order.trim());
    if version.starts_with('V') {
        tell("revision", version.trim());
    }
}
