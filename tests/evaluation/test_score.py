"""Alerts against labels, with numbers made by hand. The captures have a frame a second."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation.made import BEGIN, frames, make_case, raised, windows

from otids.alerts.alert import SEVERITIES
from otids.evaluation.cases import Case
from otids.evaluation.score import Raised, Score, Tally, Truth, Wanted, _seconds, add, score_case
from otids.rules.files import RuleError

WINDOWS = windows(
    (600, 660, "scan"), (1200, 1230, "flood"), (1800, 1801, "flood"), (2400, 2500, "ok:fault")
)
FRAMES = frames(
    (101, "write"), (105, "write"), (109, "write"), (121, "write"), (106, "ok:fault"),
    (2001, "ok:fault"), (3001, "replay"),
)  # fmt: skip


def score(case: Case, *alerts: Raised) -> Score:
    return score_case(case, Truth(case), alerts)


@pytest.fixture
def by_window(tmp_path: Path) -> Case:
    return make_case(tmp_path, WINDOWS)


@pytest.fixture
def by_label(tmp_path: Path) -> Case:
    return make_case(tmp_path, FRAMES)


# --- instances and judged time -------------------------------------------------------------------


def test_each_window_is_an_instance(by_window: Case) -> None:
    none = score(by_window)
    assert (none.attacks, none.ok_events) == (3, 1)
    assert none.types == {"scan": Tally(0, 1), "flood": Tally(0, 2)}
    assert none.ok_types == {"fault": Tally(0, 1)}


def test_frames_less_than_ten_seconds_apart_are_one_instance(by_label: Case) -> None:
    truth = Truth(by_label)
    runs = [(event.label, event.frames.tolist()) for event in truth.attacks]
    assert runs == [("write", [101, 105, 109]), ("write", [121]), ("replay", [3001])]
    assert [event.frames.tolist() for event in truth.oks] == [[106], [2001]]
    assert (truth.attacks[0].start, truth.attacks[0].end) == (BEGIN + 100, BEGIN + 108)


def test_frames_ten_seconds_apart_are_two(tmp_path: Path) -> None:
    case = make_case(tmp_path, frames((1, "a"), (10, "a"), (20, "a")))
    assert [one.frames.tolist() for one in Truth(case).attacks] == [[1, 10], [20]]


def test_by_frame_only_directly_following_frames_are_one(tmp_path: Path) -> None:
    case = make_case(tmp_path, frames((7, "a"), (8, "a"), (10, "a")), 'match = "frame"\n')
    assert [one.frames.tolist() for one in Truth(case).attacks] == [[7, 8], [10]]


def test_quiet_time_is_outside_attacks_and_five_seconds_after(by_window: Case) -> None:
    none = score(by_window)
    assert none.judged_seconds == 3600
    assert none.quiet_seconds == 3600 - 65 - 35 - 6


def test_attacks_that_overlap_are_cut_once(tmp_path: Path) -> None:
    case = make_case(tmp_path, windows((100, 200, "a"), (150, 170, "b"), (203, 210, "a")))
    assert score(case).quiet_seconds == 3600 - 115


def test_what_was_learned_is_not_judged(tmp_path: Path) -> None:
    case = make_case(tmp_path, windows(), f"learn_until = {BEGIN + 1800}\n")
    assert score(case).judged_seconds == 1800


def test_given_judged_time_stands_for_the_length_of_the_capture(tmp_path: Path) -> None:
    case = make_case(tmp_path, WINDOWS, "judged_seconds = 500\n")
    assert (score(case).judged_seconds, score(case).quiet_seconds) == (500, 500 - 60 - 30 - 1)


def test_by_frame_all_judged_time_is_quiet(tmp_path: Path) -> None:
    case = make_case(tmp_path, FRAMES, 'match = "frame"\njudged_seconds = 500\n')
    assert score(case).quiet_seconds == 500


def test_a_time_that_runs_back_is_judged_from_first_to_last(tmp_path: Path) -> None:
    case = make_case(tmp_path, frames(), seconds=[second % 50 for second in range(500)])
    assert score(case).judged_seconds == 49


# --- touching by time ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        (590, 599.9, "false"),  # before
        (590, 600, "true"),
        (660, 660, "true"),
        (665, 665, "true"),  # so long afterwards it still counts
        (665.1, 666, "false"),
        (0, 3600, "false"),  # of an alert that lasts longer only 300 s count
        (300, 3600, "true"),
        (299.9, 3600, "false"),
        (2405, 2405, "ok"),
        (2395, 2400, "ok"),
    ],
)
def test_an_alert_touches_what_its_time_meets(
    by_window: Case, first: float, last: float, verdict: str
) -> None:
    got = score(by_window, raised(first, last))
    assert (got.true_alerts, got.ok_alerts, got.false_alerts) == (
        verdict == "true",
        verdict == "ok",
        verdict == "false",
    )
    assert got.alerts == 1


def test_a_frame_counts_by_its_time_where_it_has_no_label(by_window: Case) -> None:
    got = score(by_window, raised(100, names=[50, 611]))
    assert (got.true_alerts, got.detected, got.delays) == (1, 1, (10.0,))


def test_an_attack_goes_before_an_event_that_is_none(tmp_path: Path) -> None:
    case = make_case(tmp_path, windows((100, 110, "a"), (105, 200, "ok:b")))
    got = score(case, raised(107))
    assert (got.true_alerts, got.ok_alerts, got.ok_events_raised) == (1, 0, 0)


def test_one_alert_may_find_several_attacks(by_window: Case) -> None:
    assert score(by_window, raised(1201, 1801)).detected == 1
    assert score(by_window, raised(1501, 1801)).detected == 1
    assert score(by_window, raised(1300, names=[611, 1211, 1801])).detected == 3


def test_an_alert_a_second(by_window: Case) -> None:
    got = score(by_window, *(raised(second) for second in range(3601)))
    assert (got.detected, got.true_alerts, got.ok_alerts) == (3, 66 + 36 + 7, 106)
    assert got.false_alerts == 3601 - 109 - 106
    assert got.false_per_hour == pytest.approx((3601 - 215) / ((3600 - 106) / 3600))
    assert got.false_by_kind == {"k": got.false_alerts}
    assert got.ok_types == {"fault": Tally(1, 1)}


def test_slack_may_be_a_case_s_own(tmp_path: Path) -> None:
    case = make_case(tmp_path, WINDOWS, "slack = 6\n")
    assert score(case, raised(666)).true_alerts == 1


# --- touching by frame ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alert", "verdict"),
    [
        (raised(105, names=[106]), "ok"),  # its time would be an attack's
        (raised(105, names=[106, 109]), "true"),
        (raised(107, names=[108]), "true"),  # no labelled frame: the time counts
        (raised(500, names=[501]), "false"),
        (raised(500, names=[101]), "true"),
    ],
)
def test_labelled_frames_decide(by_label: Case, alert: Raised, verdict: str) -> None:
    got = score(by_label, alert)
    assert (got.true_alerts, got.ok_alerts, got.false_alerts) == (
        verdict == "true",
        verdict == "ok",
        verdict == "false",
    )


def test_a_frame_with_two_labels_is_no_attack(tmp_path: Path) -> None:
    case = make_case(tmp_path, frames((5, "a"), (5, "ok:b")))
    assert score(case, raised(4, names=[5])).ok_alerts == 1


@pytest.mark.parametrize(("frame", "verdict"), [(99, 0), (100, 1), (103, 1), (104, 0)])
def test_by_frame_a_few_frames_later_still_count(tmp_path: Path, frame: int, verdict: int) -> None:
    case = make_case(tmp_path, frames((100, "a"), (101, "a")), 'match = "frame"\nframe_slack = 2\n')
    got = score(case, raised(99.5, names=[frame]))
    assert (got.true_alerts, got.false_alerts) == (verdict, 1 - verdict)


def test_by_frame_time_means_nothing(tmp_path: Path) -> None:
    case = make_case(tmp_path, frames((100, "a")), 'match = "frame"\n')
    assert score(case, raised(99)).false_alerts == 1
    assert score(case, raised(0, names=[100])).delays == ()


def test_frames_that_the_capture_does_not_have(by_label: Case) -> None:
    with pytest.raises(ValueError, match="names frames 4 to 3602; the capture has 3601"):
        score(by_label, raised(1, names=[4, 3602]))


# --- delay, learning, what counts ----------------------------------------------------------------


def test_delay_is_from_the_start_to_the_first_alert_that_touches(by_window: Case) -> None:
    got = score(by_window, raised(640), raised(602.5, 603), raised(590, 610, kind="early"))
    assert got.delays == (0.0,)
    got = score(by_window, raised(640), raised(602.5, 603), raised(1204))
    assert got.delays == (2.5, 4.0)
    assert got.median_delay == 3.25


def test_delay_of_an_alert_that_began_before_is_that_of_its_frame(by_label: Case) -> None:
    assert score(by_label, raised(50, names=[40, 105])).delays == (4.0,)


def test_alerts_of_the_learned_part_are_left_out(tmp_path: Path) -> None:
    case = make_case(tmp_path, windows(), f"learn_until = {BEGIN + 1800}\n")
    got = score(case, raised(1799), raised(1700, 1801), raised(1800))
    assert (got.in_learning, got.alerts, got.false_alerts) == (1, 2, 2)


def test_what_counts() -> None:
    alerts = [raised(1, severity=one, kind=one) for one in SEVERITIES]
    wanted = Wanted("medium", frozenset({"high"}))
    assert [one.kind for one in alerts if one in wanted] == ["medium", "critical"]


def test_ratios_without_anything_to_divide(tmp_path: Path) -> None:
    none = score(make_case(tmp_path, windows((0, 3600, "all"))))
    assert (none.recall, none.precision, none.false_per_hour) == (0, None, None)
    assert none.median_delay is None
    assert score(make_case(tmp_path, windows())).recall is None


def test_times_are_those_that_are_written() -> None:
    assert _seconds(1_700_000_000_123_456_789) == 1_700_000_000 + 0.123456789


# --- captures and labels that do not fit ---------------------------------------------------------


def complaint(case: Case) -> str:
    with pytest.raises(RuleError) as caught:
        Truth(case)
    return str(caught.value)


def test_a_label_behind_the_end_of_the_capture(tmp_path: Path) -> None:
    case = make_case(tmp_path, frames((1, "a"), (9, "a")), seconds=range(8))
    assert complaint(case) == f"{tmp_path}/labels.csv:3: frame = 9: the capture has 8 frames"


def test_learning_behind_the_end_of_the_capture(tmp_path: Path) -> None:
    case = make_case(tmp_path, windows(), f"learn_until = {BEGIN + 9000}\n")
    assert "learn_until = 1700009000.0 is after the end of" in complaint(case)


def test_a_capture_without_frames(tmp_path: Path) -> None:
    case = make_case(tmp_path, windows(), seconds=())
    assert complaint(case) == f"one: {tmp_path}/judged.pcap holds no frames"


# --- several cases -------------------------------------------------------------------------------


def test_scores_add_up(tmp_path: Path) -> None:
    alerts: Sequence[Raised] = [raised(602), raised(10, kind="b"), raised(20), raised(30)]
    one = score(make_case(tmp_path / "a", WINDOWS), *alerts)
    two = score(make_case(tmp_path / "b", FRAMES), raised(120, names=[121]), raised(40, kind="b"))
    both = add([one, two])
    assert (both.attacks, both.detected, both.alerts, both.false_alerts) == (6, 2, 6, 4)
    assert both.quiet_seconds == round(one.quiet_seconds + two.quiet_seconds, 3)
    assert both.delays == (2.0, 0.0)
    assert both.types == {
        "scan": Tally(1, 1),
        "flood": Tally(0, 2),
        "write": Tally(1, 2),
        "replay": Tally(0, 1),
    }
    assert list(both.false_by_kind.items()) == [("b", 2), ("k", 2)]


def test_several_captures_are_judged_by_time_only(tmp_path: Path) -> None:
    case = make_case(tmp_path, windows((10, 20, "a")), seconds=range(101))
    (tmp_path / "more.pcap").write_bytes((tmp_path / "judged.pcap").read_bytes())
    both = replace(case, judge=(*case.judge, tmp_path / "more.pcap"))
    got = score(both, raised(12, names=[999]))
    assert (got.true_alerts, got.judged_seconds, got.quiet_seconds) == (1, 200, 200 - 30)
