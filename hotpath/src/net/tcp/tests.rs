//! The rules of reassembly, one by one.

use super::{
    Accepted, Budget, CAUSE_NANOSECONDS, Connection, Flags, HOLE_NANOSECONDS, MAX_PENDING_SEGMENTS,
    Segment,
};
use crate::net::{Arrival, Receiver, Side};
use crate::words::{ConnectionState, NoticeKind};
use ConnectionState::{Attempted, Closed, Open, Refused, Reset};
use Side::{First, Second};
use proptest::test_runner::Config as ProptestConfig;

mod random;

/// What fails becomes a test with a name, not a file of seeds.
pub(super) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

const ACK: Flags = Flags::ACK;
const SYN: Flags = Flags::SYN;
const SYN_ACK: Flags = Flags(0x12);
const FIN_ACK: Flags = Flags(0x11);
const RST: Flags = Flags::RST;
const RST_ACK: Flags = Flags(0x14);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Data(Side, Vec<u8>),
    Gap(Side, u64),
    State(ConnectionState),
    Notice(Side, NoticeKind),
}

#[derive(Debug, Default)]
struct Heard {
    events: Vec<Event>,
    carried: Vec<u64>,
}

impl Receiver for Heard {
    fn data(&mut self, side: Side, bytes: &[u8], carried: u64, _: Arrival) {
        assert!(!bytes.is_empty(), "empty data say nothing");
        self.events.push(Event::Data(side, bytes.to_vec()));
        self.carried.push(carried);
    }

    fn gap(&mut self, side: Side, lost: u64, _: Arrival) {
        self.events.push(Event::Gap(side, lost));
    }

    fn state(&mut self, state: ConnectionState, _: Arrival) {
        self.events.push(Event::State(state));
    }

    fn notice(&mut self, kind: NoticeKind, side: Side, _: &'static str, _: Arrival) {
        self.events.push(Event::Notice(side, kind));
    }
}

/// A connection with a clock that moves a millisecond a frame.
struct Line {
    connection: Connection,
    budget: Budget,
    heard: Heard,
    now: Arrival,
}

impl Line {
    fn new() -> Self {
        Self::with_budget(1 << 20)
    }

    fn with_budget(limit: usize) -> Self {
        Self {
            connection: Connection::new(),
            budget: Budget::new(limit),
            heard: Heard::default(),
            now: Arrival { frame: 0, time: 0 },
        }
    }

    /// A line after the handshake: First expects 501, Second 101. Nothing of it is in `heard`.
    fn opened() -> Self {
        let mut line = Self::new();
        line.send(First, SYN, 100, 0, b"");
        line.send(Second, SYN_ACK, 500, 101, b"");
        line.send(First, ACK, 101, 501, b"");
        assert_eq!(line.take(), [Event::State(Attempted), Event::State(Open)]);
        line
    }

    fn send(&mut self, side: Side, flags: Flags, seq: u32, ack: u32, payload: &[u8]) -> Accepted {
        self.send_cut(side, flags, seq, ack, payload, 0)
    }

    fn send_cut(
        &mut self,
        side: Side,
        flags: Flags,
        sequence: u32,
        acknowledgment: u32,
        payload: &[u8],
        missing: u32,
    ) -> Accepted {
        self.now.frame += 1;
        self.now.time += 1_000_000;
        let segment = Segment {
            source_port: 1,
            target_port: 2,
            sequence,
            acknowledgment,
            flags,
            window: 1000,
            payload,
            missing,
        };
        let accepted =
            self.connection.accept(side, &segment, self.now, &mut self.budget, &mut self.heard);
        assert!(self.connection.is_sound(), "{segment:?} {:?}", self.connection);
        accepted
    }

    fn pass(&mut self, nanoseconds: i64) {
        self.now.time += nanoseconds;
        self.connection.expire(self.now, &mut self.budget, &mut self.heard);
        assert!(self.connection.is_sound());
    }

    fn finish(&mut self) {
        self.connection.finish(self.now, &mut self.budget, &mut self.heard);
    }

    fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.heard.events)
    }
}

fn data(side: Side, bytes: &[u8]) -> Event {
    Event::Data(side, bytes.to_vec())
}

#[test]
fn a_connection_is_small() {
    assert!(size_of::<Connection>() <= 232, "{}", size_of::<Connection>());
}

#[test]
fn a_whole_life() {
    let mut line = Line::opened();
    assert_eq!(line.connection.server(), Some(Second));
    assert_eq!(line.connection.initiator(), Some(First));
    line.send(First, ACK, 101, 501, b"ask");
    line.send(Second, ACK, 501, 104, b"answer");
    line.send(First, FIN_ACK, 104, 507, b"bye");
    line.send(Second, FIN_ACK, 507, 108, b"");
    line.send(First, ACK, 108, 508, b"");
    let told =
        [data(First, b"ask"), data(Second, b"answer"), data(First, b"bye"), Event::State(Closed)];
    assert_eq!(line.take(), told);
    assert_eq!(line.heard.carried, [4, 5, 6]);
    let counters = line.connection.take_counters(First);
    assert_eq!((counters.frames, counters.bytes, counters.retransmissions), (5, 6, 0));
    assert_eq!(line.connection.take_counters(First).frames, 0, "taken once");
}

#[test]
fn the_server_is_known_without_the_syn_ack_once_data_flow() {
    let mut line = Line::new();
    line.send(Second, SYN, 100, 0, b"");
    assert_eq!(line.connection.server(), None);
    line.send(Second, ACK, 101, 501, b"ask");
    assert_eq!(line.connection.server(), Some(First));
    assert_eq!(line.take(), [Event::State(Attempted), Event::State(Open), data(Second, b"ask")]);
}

#[test]
fn the_server_is_known_from_the_syn_ack_alone() {
    let mut line = Line::new();
    line.send(First, SYN_ACK, 500, 101, b"");
    assert_eq!(line.connection.server(), Some(First));
    line.send(Second, ACK, 101, 501, b"ask");
    assert_eq!(line.take(), [Event::State(Attempted), Event::State(Open), data(Second, b"ask")]);
}

#[test]
fn a_late_syn_begins_nothing() {
    let mut line = Line::new();
    line.send(First, SYN_ACK, 500, 101, b"");
    assert_eq!(line.send(Second, SYN, 100, 0, b""), Accepted::Continued);
    line.send(Second, ACK, 101, 501, b"ask");
    assert_eq!(line.take(), [Event::State(Attempted), Event::State(Open), data(Second, b"ask")]);
}

#[test]
fn a_simultaneous_open_works() {
    let mut line = Line::new();
    line.send(First, SYN, 100, 0, b"");
    assert_eq!(line.send(Second, SYN, 500, 0, b""), Accepted::Continued);
    line.send(First, SYN_ACK, 100, 501, b"");
    line.send(Second, SYN_ACK, 500, 101, b"");
    line.send(First, ACK, 101, 501, b"x");
    assert_eq!(line.take(), [Event::State(Attempted), Event::State(Open), data(First, b"x")]);
    assert_eq!(line.connection.server(), Some(Second));
}

#[test]
fn a_syn_may_carry_data() {
    let mut line = Line::new();
    line.send(First, SYN, 100, 0, b"fast");
    line.send(Second, SYN_ACK, 500, 101, b"");
    line.send(First, ACK, 101, 501, b"fast open");
    let told =
        [Event::State(Attempted), data(First, b"fast"), Event::State(Open), data(First, b" open")];
    assert_eq!(line.take(), told);
}

#[test]
fn a_reset_refuses_only_if_it_acknowledges_the_syn() {
    let mut line = Line::new();
    line.send(First, SYN, 100, 0, b"");
    line.send(Second, RST_ACK, 0, 999, b"");
    assert_eq!(
        line.take(),
        [Event::State(Attempted), Event::Notice(Second, NoticeKind::MalformedHeader)]
    );
    line.send(Second, RST_ACK, 0, 101, b"");
    assert_eq!(line.take(), [Event::State(Refused)]);
    line.send(First, SYN, 100, 0, b"");
    assert_eq!(line.take(), [], "the same attempt once more");
    assert_eq!(line.send(First, SYN, 7000, 0, b""), Accepted::Reborn);
    assert_eq!(line.take(), [Event::State(Attempted)]);
}

#[test]
fn a_reset_must_be_near() {
    let mut line = Line::opened();
    line.send(First, RST, 0x8000_0000, 0, b"");
    assert_eq!(line.take(), [Event::Notice(First, NoticeKind::MalformedHeader)]);
    line.send(First, ACK, 101, 501, b"go on");
    assert_eq!(line.take(), [data(First, b"go on")]);
    line.send(First, RST, 106, 0, b"");
    assert_eq!(line.take(), [Event::State(Reset)]);
    line.send(Second, ACK, 501, 106, b"late");
    assert_eq!(line.take(), [data(Second, b"late")], "was on its way");
    line.send(First, ACK, 106, 505, b"alive");
    assert_eq!(line.take(), [Event::State(Open), data(First, b"alive")], "the reset was forged");
}

#[test]
fn a_half_open_scan_is_reset_and_an_orphan_reset_is_nothing() {
    let mut line = Line::new();
    line.send(First, SYN, 100, 0, b"");
    line.send(Second, SYN_ACK, 500, 101, b"");
    line.send(First, RST, 101, 0, b"");
    assert_eq!(line.take(), [Event::State(Attempted), Event::State(Reset)]);
    let mut line = Line::new();
    line.send(First, RST, 101, 0, b"");
    assert_eq!(line.take(), []);
}

#[test]
fn a_fin_and_a_reset_close() {
    let mut line = Line::opened();
    line.send(First, FIN_ACK, 101, 501, b"");
    line.send(Second, RST_ACK, 501, 102, b"");
    assert_eq!(line.take(), [Event::State(Closed)]);
}

#[test]
fn a_new_syn_begins_a_new_connection() {
    let mut line = Line::opened();
    line.send(First, ACK, 101, 501, b"old");
    line.send(First, ACK, 110, 501, b"held");
    line.take();
    assert_eq!(line.send(First, SYN, 90_000, 0, b""), Accepted::Reborn);
    let told =
        [Event::Gap(First, 6), data(First, b"held"), Event::State(Closed), Event::State(Attempted)];
    assert_eq!(line.take(), told);
    assert_eq!(line.budget.used(), 0);
    line.send(Second, SYN_ACK, 4_000_000_000, 90_001, b"");
    line.send(First, ACK, 90_001, 4_000_000_001, b"new");
    assert_eq!(line.take(), [Event::State(Open), data(First, b"new")]);
    assert_eq!(line.connection.take_counters(First).frames, 6, "counters are of the flow");
}

#[test]
fn the_middle_of_a_connection_is_picked_up() {
    let mut line = Line::new();
    line.send(First, ACK, 1000, 7000, b"ask");
    line.send(Second, ACK, 7000, 1003, b"answer");
    line.send(First, FIN_ACK, 1003, 7006, b"");
    let told = [Event::State(Open), data(First, b"ask"), data(Second, b"answer")];
    assert_eq!(line.take(), told);
    assert_eq!(line.connection.server(), None);
}

#[test]
fn a_keep_alive_is_no_data_even_if_seen_first() {
    for garbage in [&b""[..], b"\0"] {
        let mut line = Line::new();
        line.send(First, ACK, 999, 7000, garbage);
        line.send(Second, ACK, 7000, 1000, b"");
        line.send(First, ACK, 1000, 7000, b"ask");
        line.take();
        line.send(First, ACK, 1002, 7000, garbage);
        line.send(First, ACK, 1003, 7000, b"more");
        assert_eq!(line.take(), [data(First, b"more")]);
        let counters = line.connection.take_counters(First);
        assert_eq!(counters.retransmissions, 0);
        assert_eq!(counters.keep_alives, if garbage.is_empty() { 1 } else { 2 });
    }
}

#[test]
fn a_zero_window_probe_is_taken_once() {
    let mut line = Line::opened();
    line.send(First, ACK, 101, 501, b"p");
    line.send(Second, ACK, 501, 101, b"");
    line.send(First, ACK, 101, 501, b"probe");
    assert_eq!(line.take(), [data(First, b"p"), data(First, b"robe")]);
}

#[test]
fn retransmissions_bring_only_what_is_new() {
    let mut line = Line::opened();
    line.send(First, ACK, 101, 501, b"abcd");
    line.send(First, ACK, 101, 501, b"abcd");
    line.send(First, ACK, 103, 501, b"cdef");
    assert_eq!(line.take(), [data(First, b"abcd"), data(First, b"ef")]);
    assert_eq!(line.connection.take_counters(First).retransmissions, 2);
}

#[test]
fn a_retransmission_that_disagrees_is_told() {
    let mut line = Line::opened();
    line.send(First, ACK, 101, 501, b"write 1");
    line.send(First, ACK, 101, 501, b"write 2");
    let disagrees = Event::Notice(First, NoticeKind::OverlapDisagrees);
    assert_eq!(line.take(), [data(First, b"write 1"), disagrees.clone()]);
    line.send(First, ACK, 101, 501, b"write 2");
    assert_eq!(line.take(), [disagrees], "however often it is said");
}

/// A line on which three questions were asked and answered.
fn after_three_exchanges() -> Line {
    let mut line = Line::opened();
    for number in 0..3 {
        line.send(First, ACK, 101 + 3 * number, 501 + 2 * number, b"ask");
        line.send(Second, ACK, 501 + 2 * number, 104 + 3 * number, b"ok");
    }
    line.take();
    line
}

#[test]
fn a_segment_that_was_captured_and_sent_again_is_told() {
    let stale = |side| Event::Notice(side, NoticeKind::StaleSegment);
    let mut line = after_three_exchanges();
    line.send(First, ACK, 101, 501, b"ask");
    line.send(Second, ACK, 501, 104, b"ok");
    assert_eq!(line.take(), [stale(First), stale(Second)]);
    line.send(First, ACK, 104, 503, b"ask");
    assert_eq!(line.take(), [stale(First)], "and another one");
    line.send(First, ACK, 110, 507, b"ask");
    assert_eq!(line.take(), [data(First, b"ask")], "what goes on goes on");
}

#[test]
fn what_a_sender_may_send_again_is_not_stale() {
    let mut line = after_three_exchanges();
    line.send(First, ACK, 107, 507, b"ask"); // acknowledges what came since
    line.send(Second, ACK, 505, 110, b"ok"); // was not acknowledged yet in its view
    line.send(First, ACK, 109, 507, b""); // a keep-alive
    line.send(First, ACK, 101, 501, b""); // says nothing
    assert_eq!(line.take(), []);
    // What lies before the place at which the connection was picked up may be anything.
    let mut line = Line::new();
    line.send(First, ACK, 104, 501, b"two");
    line.send(Second, ACK, 501, 107, b"ok");
    line.send(First, ACK, 107, 503, b"three");
    line.send(Second, ACK, 503, 112, b"ok");
    line.take();
    line.send(First, ACK, 101, 501, b"one");
    assert_eq!(line.take(), []);
}

#[test]
fn a_segment_that_was_held_back_is_told() {
    let mut line = Line::opened();
    line.send(First, ACK, 104, 501, b"two");
    line.send(Second, ACK, 501, 107, b"ok");
    line.send(First, ACK, 107, 503, b"three");
    line.send(Second, ACK, 503, 112, b"ok");
    line.take();
    line.send(First, ACK, 101, 501, b"one");
    assert_eq!(line.take(), [Event::Notice(First, NoticeKind::StaleSegment)]);
}

#[test]
fn out_of_order_is_put_in_order_and_the_first_bytes_win() {
    let mut line = Line::opened();
    line.send(First, ACK, 105, 501, b"efgh");
    line.send(First, ACK, 103, 501, b"cdEf");
    assert!(line.connection.is_waiting());
    assert_eq!(line.take(), [Event::Notice(First, NoticeKind::OverlapDisagrees)]);
    line.send(First, ACK, 101, 501, b"ab");
    assert_eq!(line.take(), [data(First, b"ab"), data(First, b"cd"), data(First, b"efgh")]);
    assert_eq!(line.heard.carried, [6, 5, 4]);
    assert!(!line.connection.is_waiting());
    assert_eq!(line.budget.used(), 0);
}

#[test]
fn sequence_numbers_wrap() {
    let mut line = Line::new();
    line.send(First, SYN, u32::MAX - 2, 0, b"");
    line.send(Second, SYN_ACK, u32::MAX, u32::MAX - 1, b"");
    line.send(First, ACK, u32::MAX - 1, 0, b"");
    line.take();
    line.send(First, ACK, 1, 0, b"def");
    line.send(First, ACK, u32::MAX - 1, 0, b"abc");
    line.send(Second, ACK, 0, 4, b"ok");
    assert_eq!(line.take(), [data(First, b"abc"), data(First, b"def"), data(Second, b"ok")]);
}

#[test]
fn an_acknowledged_hole_is_given_up_before_the_answer() {
    let mut line = Line::opened();
    line.send(First, ACK, 105, 501, b"held");
    line.send(Second, ACK, 501, 112, b"answer");
    let told =
        [Event::Gap(First, 4), data(First, b"held"), Event::Gap(First, 3), data(Second, b"answer")];
    assert_eq!(line.take(), told);
    line.send(First, ACK, 112, 507, b"next");
    assert_eq!(line.take(), [data(First, b"next")]);
    assert_eq!(line.connection.take_counters(First).gaps, 2);
}

#[test]
fn an_answer_that_was_captured_before_its_question_waits_for_it() {
    let mut line = Line::opened();
    line.send(Second, ACK, 501, 104, b"answer");
    line.send(Second, ACK, 507, 104, b"more");
    assert_eq!(line.take(), []);
    line.send(First, ACK, 101, 501, b"ask");
    let told = [data(First, b"ask"), data(Second, b"answer"), data(Second, b"more")];
    assert_eq!(line.take(), told);
    assert_eq!(line.heard.carried, [6, 4, 5]);
    assert!(!line.connection.is_waiting());
    assert_eq!(line.budget.used(), 0);
}

#[test]
fn an_answer_waits_no_longer_than_its_question_can_come() {
    let told = [Event::Gap(First, 3), data(Second, b"answer")];
    let mut line = Line::opened();
    line.send(Second, ACK, 501, 104, b"answer");
    line.pass(CAUSE_NANOSECONDS);
    assert_eq!(line.take(), []);
    line.pass(1);
    assert_eq!(line.take(), told);

    let mut line = Line::opened();
    line.send(Second, ACK, 501, 104, b"answer");
    line.send(First, ACK, 104, 507, b"next");
    assert_eq!(line.take(), [&told[..], &[data(First, b"next")]].concat());

    let mut line = Line::opened();
    line.send(Second, FIN_ACK, 501, 104, b"answer");
    line.finish();
    assert_eq!(line.take(), told);

    let mut line = Line::opened();
    for index in 0..16 {
        line.send(Second, ACK, 501 + 6 * index, 104, b"answer");
    }
    assert_eq!(line.take(), []);
    line.send(Second, ACK, 501 + 96, 104, b"answer");
    assert_eq!(line.take().len(), 18, "a gap and all that was held back");
}

#[test]
fn a_question_that_was_lost_with_the_answer_before_it_is_given_up_first() {
    let mut line = Line::opened();
    // Lost: First asks (101 to 104), Second answers (501 to 503).
    line.send(First, ACK, 104, 503, b"");
    line.send(Second, ACK, 503, 104, b"more");
    let told = [Event::Gap(First, 3), Event::Gap(Second, 2), data(Second, b"more")];
    assert_eq!(line.take(), told);
}

#[test]
fn an_acknowledgment_alone_waits_for_late_bytes() {
    let mut line = Line::opened();
    line.send(Second, ACK, 501, 104, b"");
    line.send(First, ACK, 101, 501, b"ask");
    assert_eq!(line.take(), [data(First, b"ask")]);
    assert!(!line.connection.is_waiting());
    line.send(Second, ACK, 501, 107, b"");
    line.send(First, ACK, 107, 501, b"ask");
    assert_eq!(line.take(), [Event::Gap(First, 3), data(First, b"ask")]);
    line.send(Second, ACK, 501, 115, b"");
    line.pass(HOLE_NANOSECONDS + 1);
    assert_eq!(line.take(), [Event::Gap(First, 5)]);
}

#[test]
fn a_hole_is_given_up_after_some_time() {
    let mut line = Line::opened();
    line.send(First, ACK, 105, 501, b"held");
    line.pass(HOLE_NANOSECONDS);
    assert_eq!(line.take(), []);
    line.pass(1);
    assert_eq!(line.take(), [Event::Gap(First, 4), data(First, b"held")]);
    line.send(First, ACK, 105, 501, b"held");
    assert_eq!(line.take(), [], "late bytes that were delivered");
}

#[test]
fn a_hole_is_given_up_at_the_bound_of_a_stream() {
    let mut line = Line::opened();
    for index in 0..=MAX_PENDING_SEGMENTS as u32 {
        assert_eq!(line.take(), []);
        line.send(First, ACK, 200 + 2 * index, 501, b"x");
    }
    let told = [Event::Gap(First, 99), data(First, b"x")];
    assert_eq!(line.take(), told, "one hole makes room for one segment");
}

#[test]
fn a_hole_is_given_up_when_the_budget_is_spent() {
    let mut line = Line::with_budget(100);
    line.send(First, ACK, 100, 501, b"ab");
    line.send(First, ACK, 104, 501, b"held");
    line.take();
    line.send(First, ACK, 110, 501, &[7; 80]);
    let told = [
        Event::Notice(First, NoticeKind::TableFull),
        Event::Gap(First, 2),
        data(First, b"held"),
        Event::Gap(First, 2),
        data(First, &[7; 80]),
    ];
    assert_eq!(line.take(), told);
    assert_eq!(line.budget.used(), 0);
}

#[test]
fn a_snap_length_leaves_a_gap() {
    let mut line = Line::opened();
    line.send_cut(First, ACK, 101, 501, b"ab", 3);
    line.send(First, ACK, 106, 501, b"next");
    assert_eq!(line.take(), [data(First, b"ab"), Event::Gap(First, 3), data(First, b"next")]);
    line.send_cut(First, ACK, 114, 501, b"ef", 2);
    line.send(First, ACK, 110, 501, b"abcd");
    assert_eq!(line.take(), [data(First, b"abcd"), data(First, b"ef"), Event::Gap(First, 2)]);
}

#[test]
fn a_fin_waits_for_the_bytes_before_it() {
    let mut line = Line::opened();
    line.send(Second, FIN_ACK, 501, 101, b"");
    line.send(First, FIN_ACK, 104, 502, b"");
    assert_eq!(line.take(), []);
    line.send(First, ACK, 101, 502, b"bye");
    assert_eq!(line.take(), [data(First, b"bye"), Event::State(Closed)]);
}

#[test]
fn what_is_held_is_delivered_at_the_end() {
    let mut line = Line::opened();
    line.send(First, ACK, 105, 501, b"held");
    line.finish();
    assert_eq!(line.take(), [Event::Gap(First, 4), data(First, b"held")]);
    assert_eq!(line.budget.used(), 0);
    line.connection.forget(line.now, &mut line.budget, &mut line.heard);
    assert_eq!(line.take(), [Event::State(Closed)]);
}

#[test]
fn a_stream_that_was_lost_from_sight_is_found_again() {
    let mut line = Line::opened();
    line.send(First, ACK, 101, 501, b"ask");
    line.send(Second, ACK, 501, 104, b"answer");
    line.take();
    line.send(Second, ACK, 507, 104 + 0x1000_0000, b"later");
    line.send(First, ACK, 104 + 0x1000_0000, 512, b"ask");
    let told = [data(Second, b"later"), Event::Gap(First, 0x1000_0000), data(First, b"ask")];
    assert_eq!(line.take(), told);
}

#[test]
fn a_segment_far_off_is_not_believed() {
    let mut line = Line::opened();
    line.send(First, ACK, 101, 501, b"ask");
    line.send(Second, ACK, 501, 104, b"answer");
    line.take();
    line.send(First, ACK, 0x4000_0000, 507, b"forged");
    assert_eq!(line.take(), [Event::Notice(First, NoticeKind::MalformedHeader)]);
    line.send(First, ACK, 104, 507, b"ask");
    assert_eq!(line.take(), [data(First, b"ask")]);
}

#[test]
fn a_segment_forged_ahead_does_not_silence_the_rest() {
    let mut line = Line::opened();
    line.send(First, ACK, 101, 501, b"ask");
    line.send(Second, ACK, 501, 104, b"answer");
    line.send(First, ACK, 1_000_000, 507, b"forged");
    line.pass(HOLE_NANOSECONDS + 1);
    line.take();
    line.send(First, ACK, 104, 507, b"ask");
    assert_eq!(line.take(), [Event::Gap(First, 0), data(First, b"ask")]);
    line.send(Second, ACK, 507, 107, b"answer");
    line.send(First, ACK, 107, 513, b"ask");
    assert_eq!(line.take(), [data(Second, b"answer"), data(First, b"ask")]);
}

#[test]
fn without_acknowledgments_a_segment_forged_ahead_hides_what_it_steps_over() {
    let mut line = Line::new();
    line.send(First, ACK, 101, 501, b"ask");
    line.send(First, ACK, 120, 501, b"forged");
    line.pass(HOLE_NANOSECONDS + 1);
    line.take();
    for number in [104, 112, 120] {
        line.send(First, ACK, number, 501, b"ask once");
    }
    let disagrees = Event::Notice(First, NoticeKind::OverlapDisagrees);
    assert_eq!(line.take(), [disagrees, data(First, b"ce")]);
}

#[test]
fn segments_that_no_receiver_takes_are_told() {
    let mut line = Line::opened();
    line.send(First, Flags(0), 101, 0, b"no flags");
    line.send(First, Flags(0x03), 101, 0, b"SYN and FIN");
    let notice = Event::Notice(First, NoticeKind::MalformedHeader);
    assert_eq!(line.take(), [notice.clone(), notice]);
}
