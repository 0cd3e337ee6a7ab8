//! Numbers that follow from each other, and those that do not.

use hotpath::protocols::iec61850::{goose, sv};
use hotpath::words::NoticeKind;

use crate::bytes::{Goose, asdu, pairs, samples, tlv};
use crate::recorder::Flow;

const SECOND: i64 = 1_000_000;

fn event(state: u32, number: u32, on: u8) -> Vec<u8> {
    let data = [tlv(0x83, &[on]), tlv(0x84, &[6, 0x80])].concat();
    Goose { state, number, data, ..Goose::default() }.frame()
}

/// A publisher that has repeated state 5 once a second.
fn publisher() -> Flow {
    let mut flow = Flow::new(&goose::PROTOCOL);
    for number in 91..=100 {
        flow.frame(SECOND, &event(5, number, 1));
    }
    assert_eq!(flow.notices(), [""; 0]);
    flow
}

#[test]
fn an_event_is_a_new_state_and_counts_from_0() {
    let mut flow = publisher();
    flow.frame(300_000, &event(6, 0, 0))
        .frame(2_000, &event(6, 1, 0))
        .frame(4_000, &event(6, 2, 0));
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn a_copy_is_no_news() {
    let mut flow = publisher();
    let (first, second) = (event(6, 0, 0), event(6, 1, 0));
    flow.frame(SECOND, &first).frame(2_000, &second).frame(100, &first).frame(100, &second);
    assert_eq!(flow.notices(), [""; 0]);
    flow.frame(SECOND, &event(6, 2, 0));
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn a_later_state_is_given_away_by_the_next_true_message() {
    let mut flow = publisher();
    flow.frame(300_000, &event(9_000, 0, 0));
    assert_eq!(flow.notices(), [""; 0]);
    flow.frame(700_000, &event(5, 101, 1));
    assert_eq!(flow.notices(), ["the state number runs back"]);
    flow.frame(SECOND, &event(5, 102, 1));
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn what_was_recorded_is_given_away_at_once() {
    let mut flow = publisher();
    flow.frame(400_000, &event(4, 17, 0));
    assert_eq!(flow.notices(), ["the state number runs back"]);
    let mut flow = publisher();
    flow.frame(400_000, &event(5, 40, 1));
    assert_eq!(flow.notices(), ["the sequence number runs back"]);
}

#[test]
fn other_data_need_another_state() {
    let mut flow = publisher();
    flow.frame(400_000, &event(5, 101, 0));
    assert_eq!(flow.notices(), ["the data changed without a new state number"]);
    flow.frame(600_000, &event(5, 101, 1));
    assert_eq!(flow.notices(), ["one sequence number comes with different data"]);
    flow.frame(SECOND, &event(5, 101, 1));
    assert_eq!(flow.notices(), ["a sequence number comes twice"]);
}

#[test]
fn a_restart_takes_a_pause() {
    let mut flow = publisher();
    flow.frame(10 * SECOND, &event(1, 0, 0));
    assert_eq!(flow.notices(), [""; 0]);
    let mut flow = publisher();
    flow.frame(300_000, &event(1, 0, 0));
    assert_eq!(flow.notices(), ["the state number runs back"]);
}

#[test]
fn numbers_begin_again_when_they_are_used_up() {
    let mut flow = Flow::new(&goose::PROTOCOL);
    flow.frame(0, &event(5, u32::MAX, 1)).frame(SECOND, &event(5, 1, 1));
    flow.frame(SECOND, &event(u32::MAX, 0, 1)).frame(SECOND, &event(1, 0, 0));
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn after_a_gap_anything_may_follow() {
    let mut flow = publisher();
    flow.gap().frame(1_000, &event(2, 7, 0));
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn control_blocks_have_numbers_of_their_own() {
    let mut flow = publisher();
    let mut fields = Goose { state: 1, number: 3, ..Goose::default() }.fields();
    fields[0].1 = b"IED1LD0/LLN0$GO$gcb2".to_vec();
    flow.frame(1_000, &crate::bytes::of_fields(0, &fields));
    assert_eq!(flow.notices(), [""; 0]);
    assert_eq!(flow.out.facts.len(), 2);
}

fn sample(count: u16, number: i32) -> Vec<u8> {
    samples(&[asdu("MU01", count, &pairs(&[(number, 0)]))])
}

/// A merging unit that samples every 250 microseconds, and is at 3989 now.
fn unit() -> Flow {
    let mut flow = Flow::new(&sv::PROTOCOL);
    for count in 3_900..3_990 {
        flow.frame(250, &sample(count, i32::from(count)));
    }
    assert_eq!(flow.notices(), [""; 0]);
    flow
}

#[test]
fn samples_are_counted_anew_each_second() {
    let mut flow = unit();
    for count in (3_990..4_000).chain(0..20) {
        flow.frame(250, &sample(count, 1));
    }
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn one_number_with_two_values_is_an_injection() {
    let mut flow = unit();
    flow.frame(250, &sample(3_990, 5)).frame(10, &sample(3_990, 9_999));
    assert_eq!(flow.out.noticed[0].0, NoticeKind::OutOfSequence);
    assert_eq!(flow.notices(), ["one sample number comes with different values"]);
}

#[test]
fn samples_that_were_recorded_run_back() {
    let mut flow = unit();
    flow.frame(125, &sample(1_234, 5));
    assert_eq!(flow.notices(), ["the sample number runs back"]);
    flow.frame(125, &sample(3_990, 5)).frame(250, &sample(3_991, 5));
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn lost_samples_are_no_injection() {
    let mut flow = unit();
    flow.frame(250 * 6, &sample(3_995, 5)); // five lost
    flow.frame(250 * 10, &sample(5, 5)); // nine lost, and a second began
    assert_eq!(flow.notices(), [""; 0]);
}

#[test]
fn who_does_not_count_is_told() {
    let mut flow = Flow::new(&sv::PROTOCOL);
    flow.frame(0, &sample(0, 1)).frame(50_000, &sample(0, 1));
    assert_eq!(flow.notices(), ["a sample number comes twice"]);
}
