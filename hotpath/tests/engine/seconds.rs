//! Time: seconds, marks, epochs, the watermark.

use hotpath::engine::Settings;
use hotpath::net::Arrival;

use super::frames::{adu, answer, ask, host, udp};
use super::wire::{Dialogue, SECOND, START, Wire};

fn ping(wire: &mut Wire, time: i64) {
    wire.put_at(time, &udp(host(8, 99), host(9, 99), b"ping"));
}

#[test]
fn a_frame_that_is_a_little_late_starts_no_epoch() {
    let mut wire = Wire::default();
    ping(&mut wire, START);
    ping(&mut wire, START + 5 * SECOND);
    ping(&mut wire, START + 3 * SECOND);
    ping(&mut wire, START + 6 * SECOND);
    assert_eq!(wire.engine.health().time_ran_back, 0);
    let heard = wire.finish();
    let seconds: Vec<i64> = heard.marks.iter().map(|mark| mark.0 - START / SECOND).collect();
    assert_eq!(seconds, [0, 5, 6]);
    assert_eq!(heard.kinds(), [""; 0]);
}

#[test]
fn time_that_runs_back_ends_all_flows() {
    let mut wire = Wire { cut: 1, ..Wire::default() };
    let mut talk = Dialogue::new(host(1, 40_000), host(2, 502));
    talk.open(&mut wire);
    talk.ask(&mut wire, &ask(1, 0));
    ping(&mut wire, START - 10 * SECOND);
    wire.time = START - 9 * SECOND;
    talk.ask(&mut wire, &ask(2, 0));
    talk.answer(&mut wire, &answer(2));
    assert_eq!(wire.engine.health().time_ran_back, 1);
    let heard = wire.finish();
    assert_eq!(heard.kinds(), ["unanswered-request", "time-ran-back"]);
    assert_eq!(heard.notices[1].detail, "by 10 s");
    let epochs: Vec<(i64, u32)> =
        heard.marks.iter().map(|mark| (mark.0 - START / SECOND, mark.1)).collect();
    assert_eq!(epochs, [(0, 0), (-10, 1), (-9, 1)]);
    assert_eq!(heard.messages.len(), 3);
    assert_eq!(heard.states().len(), 3, "attempted, open; open again in the new epoch");
}

#[test]
fn a_clock_that_was_set_forward_is_no_silence() {
    let mut wire = Wire { cut: 1, ..Wire::default() };
    let mut talk = Dialogue::new(host(1, 40_000), host(2, 502));
    talk.open(&mut wire);
    talk.ask(&mut wire, &ask(1, 0));
    let later = wire.time + 3_600 * SECOND;
    wire.engine.skip(Arrival { frame: 5, time: later });
    wire.engine.skip(Arrival { frame: 5, time: START }); // That is no skip.
    wire.time = later;
    talk.ask(&mut wire, &ask(2, 0));
    talk.answer(&mut wire, &answer(2));
    assert_eq!(wire.engine.health().time_ran_back, 0);
    let heard = wire.finish();
    assert_eq!(heard.kinds(), ["unanswered-request", "time-skipped"]);
    assert_eq!(heard.notices[1].detail, "by 3600 s");
    let epochs: Vec<(i64, u32)> =
        heard.marks.iter().map(|mark| (mark.0 - START / SECOND, mark.1)).collect();
    assert_eq!(epochs, [(0, 0), (3_600, 1)]);
    assert_eq!(heard.messages.len(), 3);
}

#[test]
fn no_time_is_too_far() {
    let mut wire = Wire { cut: 1, ..Wire::default() };
    let mut talk = Dialogue::new(host(1, 40_000), host(2, 502));
    let times = [0, i64::MAX, i64::MIN, -1, i64::MAX - 1, START, i64::MIN + 1, i64::MAX, START];
    for (number, time) in times.into_iter().enumerate() {
        wire.time = time;
        ping(&mut wire, time);
        wire.put_at(time, &udp(host(1, 7_000), host(2, 502), &ask(number as u16, 0)));
        wire.put_at(time, &udp(host(2, 502), host(1, 7_000), &answer(number as u16)));
        wire.time = time.min(i64::MAX - SECOND);
        talk.open(&mut wire);
        talk.ask(&mut wire, &ask(1, 0));
    }
    let heard = wire.finish();
    assert_eq!(heard.kinds().iter().filter(|kind| **kind == "time-ran-back").count(), 4);
    assert!(heard.messages.iter().all(|said| said.latency >= -1));
}

#[test]
fn the_watermark_never_falls_within_an_epoch() {
    let mut wire = Wire { cut: 1, ..Wire::default() };
    for step in [0, 3, 2, 4, 4, 9, 8, 10] {
        ping(&mut wire, START + step * SECOND + SECOND / 2);
    }
    let heard = wire.finish();
    assert!(heard.untils.is_sorted(), "{:?}", heard.untils);
    assert_eq!(heard.untils[0], START);
}

#[test]
fn an_undecided_flow_is_counted_once_it_has_a_name() {
    let mut wire = Wire::default();
    // No handshake, no payload that tells: decided after a second.
    Dialogue::new(host(1, 40_000), host(2, 80)).syn(&mut wire);
    ping(&mut wire, START + SECOND);
    ping(&mut wire, START + 2 * SECOND);
    ping(&mut wire, START + 3 * SECOND);
    let heard = wire.finish();
    let of: Vec<_> = heard.traffic.iter().filter(|(name, _)| name.contains("tcp")).collect();
    assert_eq!(of.len(), 1);
    assert_eq!((of[0].1.client_frames, of[0].1.first_frame), (1, 1));
}

#[test]
fn a_full_second_has_parts_wherever_batches_are_cut() {
    // Write coils (15): many values in few messages.
    let mut pdu = vec![15, 0, 0, 0x07, 0xB0, 246];
    pdu.resize(6 + 246, 0x55);
    let marks = |cut: u64| {
        let mut wire = Wire::with(&Settings::default());
        wire.cut = cut;
        let mut talk = Dialogue::new(host(1, 40_000), host(2, 502));
        talk.open(&mut wire);
        for number in 0..700 {
            talk.ask(&mut wire, &adu(number, 1, &pdu));
            wire.time = START;
        }
        let heard = wire.finish();
        assert_eq!(heard.values, 700 * 1_968);
        heard.marks
    };
    let whole = marks(u64::MAX);
    assert_eq!(whole.len(), 2, "a full part and the rest");
    assert_eq!(marks(7), whole);
}
