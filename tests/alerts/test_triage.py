"""Triage: what is told, when and how often, and what a storm does."""

import dataclasses

import pytest
from alerts.findings import PLC, START, Names, write_finding

from otids.alerts.alert import Alert, Party
from otids.alerts.catalogue import Catalogue
from otids.alerts.triage import Limits, Origin, Triage
from otids.detectors.base import Finding
from otids.traffic import SECOND, EndpointName

ORIGIN = Origin("plant.pcap", "d1")


@pytest.fixture
def triage(catalogue: Catalogue) -> Triage:
    return Triage(catalogue, Names(), sensor="s1", origin=ORIGIN)


def take(triage: Triage, *findings: Finding, at: int = 0) -> list[Alert]:
    return triage.take(findings, START + at * SECOND)


# --- one alert -----------------------------------------------------------------------------------


def test_a_finding_opens_an_alert(triage: Triage) -> None:
    [alert] = triage.take([write_finding(accepts=(("x", 1),))], START, lambda _: "nothing lost")
    assert len(alert.id) == 16
    assert (alert.revision, alert.status, alert.severity) == (1, "open", "high")
    assert alert.title == "10.0.0.66 writes to PLC-5 (10.0.0.5), and never did before"
    assert "write single coil, coil 3 of unit 1" in alert.explanation
    assert alert.source == Party("10.0.0.66")
    assert alert.target == Party("10.0.0.5", "00:80:f4:00:00:05", "PLC-5")
    assert alert.conversation == "10.0.0.66 → 10.0.0.5 modbus/502"
    assert (alert.protocol, alert.function) == ("modbus", "write single coil")
    assert (alert.expected, alert.observed) == ("writes by 10.0.0.1 only", "write single coil")
    assert [one.id for one in alert.attack] == ["T0848", "T0855", "T0836"]
    assert alert.response["it"][2].endswith("volatile data of 10.0.0.66 before it is switched off.")
    assert all("{" not in step for steps in alert.response.values() for step in steps)
    assert (alert.capture, alert.sensor, alert.completeness) == ("plant.pcap", "s1", "nothing lost")
    assert (alert.cause, alert.accepts) == (("a",), (("x", 1),))


def test_ids_are_the_same_in_the_same_run_only(catalogue: Catalogue) -> None:
    def first_id(finding: Finding, sensor: str = "s1", origin: Origin = ORIGIN) -> str:
        triage = Triage(catalogue, Names(), sensor=sensor, origin=origin)
        return triage.take([finding], START)[0].id

    finding = write_finding()
    same = first_id(finding)
    assert first_id(finding) == same
    assert first_id(finding, origin=Origin("/elsewhere/copy.pcap", "d1")) == same
    others = {
        first_id(finding, sensor="s2"),
        first_id(finding, origin=Origin("plant.pcap", "d2")),
        first_id(dataclasses.replace(finding, kind="novelty.new-item")),
        first_id(dataclasses.replace(finding, cause=("b",))),
        first_id(dataclasses.replace(finding, frames=(8,))),
        first_id(dataclasses.replace(finding, frames=())),
        first_id(dataclasses.replace(finding, frames=(), first_seen=5)),
    }
    assert len(others | {same}) == 8


def test_repetition_is_told_at_ten_times_the_count(triage: Triage) -> None:
    told = [
        (count + 1, alert.revision, alert.count)
        for count in range(250)
        for alert in take(triage, write_finding(), at=count)
    ]
    assert told == [(1, 1, 1), (10, 2, 10), (100, 3, 100)]


def test_findings_of_one_tick_make_one_revision(triage: Triage) -> None:
    [alert] = take(triage, *[write_finding(frames=(n,)) for n in range(1, 101)])
    assert (alert.revision, alert.count, alert.frame_count) == (1, 100, 100)
    assert alert.frames == (*range(1, 33), *range(69, 101))


def test_escalation_is_told_at_once_and_never_taken_back(triage: Triage) -> None:
    take(triage, write_finding())
    [up] = take(triage, write_finding(severity="critical", observed="worse"), at=1)
    assert (up.revision, up.severity, up.observed) == (2, "critical", "worse")
    assert take(triage, write_finding(severity="low", observed="less"), at=2) == []
    [last] = triage.finish(START + 3 * SECOND)
    assert (last.severity, last.observed, last.count) == ("critical", "worse", 3)
    assert triage.counters["escalated"] == 1


def test_a_detector_may_rate_lower_than_the_catalogue(triage: Triage) -> None:
    assert take(triage, write_finding(severity="info"))[0].severity == "info"
    assert take(triage, write_finding(("b",), severity="odd"))[0].severity == "high"


def test_new_members_are_told_ever_less_often(triage: Triage) -> None:
    told = [
        (second, alert.members)
        for second in range(40)
        for alert in take(
            triage,
            *([write_finding(members=(f"m{second}",), count=0)] if second < 15 else []),
            at=second,
        )
    ]
    assert [second for second, _ in told] == [0, 10, 30]
    assert told[1][1] == tuple(f"m{n}" for n in range(11))
    assert told[2][1] == tuple(f"m{n}" for n in range(15))


def test_known_members_are_no_news(triage: Triage) -> None:
    take(triage, write_finding(members=("m",)))
    assert take(triage, write_finding(members=("m",)), at=60) == []


def test_members_are_bounded_and_the_rest_is_counted(triage: Triage) -> None:
    members = [f"m{n}" for n in range(1000)]
    [alert] = take(triage, *[write_finding(members=(name,)) for name in [*members, "m99", "m99"]])
    assert len(alert.members) == 64
    assert alert.members[0] == "m99"
    assert alert.members[-1] == "and 937 more"


def test_an_alert_closes_when_it_is_quiet(triage: Triage) -> None:
    take(triage, write_finding())
    take(triage, write_finding(), at=800)
    assert take(triage, at=1699) == []
    [closed] = take(triage, at=1700)
    assert (closed.status, closed.revision, closed.count) == ("closed", 2, 2)
    [again] = take(triage, write_finding(frames=(99,)), at=1701)
    assert again.revision == 1
    assert again.id != closed.id


def test_a_run_ends_with_the_final_counts(triage: Triage) -> None:
    take(triage, write_finding(), write_finding(("b",)))
    take(triage, write_finding(count=4), at=1)
    [last] = triage.finish(START + SECOND)
    assert (last.status, last.revision, last.count) == ("open", 2, 5)
    assert triage.finish(START + SECOND) == []


def test_another_capture_starts_afresh(triage: Triage) -> None:
    [first] = take(triage, write_finding())
    take(triage, write_finding(), at=1)
    [last] = triage.begin(Origin("next.pcap", "d2"))
    assert (last.id, last.count, last.capture) == (first.id, 2, "plant.pcap")
    [alert] = take(triage, write_finding(), at=-9999)
    assert (alert.revision, alert.count, alert.capture) == (1, 1, "next.pcap")
    assert alert.id != first.id


def test_time_that_runs_back_delays_nothing(triage: Triage) -> None:
    take(triage, write_finding(members=("m",)), at=1_000_000)
    take(triage, write_finding(members=("n",)), at=0)
    [news] = take(triage, at=10)
    assert news.members == ("m", "n")
    [closed] = take(triage, at=900)
    assert closed.status == "closed"


def test_what_differs_between_findings_is_left_out(triage: Triage) -> None:
    other = write_finding(target=EndpointName(0, "10.0.0.9"), conversation=None, function="reset")
    [alert] = take(triage, write_finding(), other)
    assert alert.target is None
    assert alert.conversation == ""
    assert alert.function == "write single coil and reset"
    assert "writes to several devices" in alert.title


def test_a_vlan_is_said_in_sentences_and_left_out_of_addresses(triage: Triage) -> None:
    [alert] = take(triage, write_finding(source=EndpointName(7, "10.0.0.66")))
    assert alert.title.startswith("10.0.0.66 (VLAN 7) writes")
    assert alert.source == Party("10.0.0.66")


def test_text_from_the_wire_is_harmless(triage: Triage) -> None:
    evil = "\x1b]0;x\x07\u202e\r\n{source}\ud800"
    finding = dataclasses.replace(
        write_finding(points=(evil,), members=(evil,), baseline=(evil,)),
        expected=evil,
        observed=evil,
        function=evil,
    )
    [alert] = take(triage, finding)
    texts = (alert.title, alert.observed, alert.expected, alert.function, alert.explanation)
    for text in (*texts, *alert.points, *alert.members, *alert.baseline, *alert.response["ot"]):
        assert text.isprintable()
        text.encode()


def test_scores_are_bounded(triage: Triage) -> None:
    assert take(triage, write_finding(("a",), score=float("nan")))[0].score == 0
    assert take(triage, write_finding(("b",), score=7))[0].score == 1


def test_unlisted_kinds_are_told_and_counted(triage: Triage) -> None:
    [alert] = take(triage, write_finding(kind="brand.new"))
    assert (alert.title, alert.severity) == ("write single coil", "medium")
    assert (alert.kind, triage.counters["unlisted"]) == ("brand.new", 1)


# --- what is told of several findings -------------------------------------------------------------


def test_the_sentence_stays_and_what_else_there_is_follows(triage: Triage) -> None:
    first = write_finding(observed="writes coil 3", members=("coil 3", "coil 3 = 1"))
    second = write_finding(observed="writes coil 4", members=("coil 4", "coil 4 = 0"))
    (alert,) = take(triage, first, second)
    assert alert.observed == "writes coil 4; also coil 3 = 1"
    assert alert.members == ("coil 3", "coil 3 = 1", "coil 4", "coil 4 = 0")
    (again,) = take(triage, *[first] * 20, at=30)
    assert again.observed == "writes coil 3; also coil 4 = 0"


def test_what_else_there_is_is_told_in_short(triage: Triage) -> None:
    findings = [write_finding(members=(f"tag m{place}",)) for place in range(9)]
    (alert,) = take(triage, *findings)
    assert alert.observed == (
        "write single coil; also tag m0, tag m1, tag m2, tag m3, tag m4 and 3 more"
    )
    (alone,) = take(triage, write_finding(("b",), members=("coil 3", "coil 4")))
    assert alone.observed == "write single coil", "one finding has its own words"


def test_a_title_says_on_which_port(triage: Triage) -> None:
    (alert,) = take(triage, write_finding(kind="novelty.new-conversation"))
    assert alert.title == "10.0.0.66 talks to PLC-5 (10.0.0.5) over modbus/502 for the first time"
    other = write_finding(kind="novelty.new-conversation", conversation=None)
    (alert,) = take(triage, *[other] * 20)
    assert alert.title.endswith("over several ports for the first time")


def test_a_title_lists_few_points(triage: Triage) -> None:
    points = tuple(f"coil {place} of unit 1" for place in range(0, 20, 2))
    (alert,) = take(triage, write_finding(kind="values.written-out-of-range", points=points))
    assert alert.title == (
        "10.0.0.66 sets coils 0, 2, 4 and 7 more of unit 1 of PLC-5 (10.0.0.5) as never before"
    )
    assert len(alert.points) == 10


# --- storms --------------------------------------------------------------------------------------


def test_a_storm_takes_over(triage: Triage) -> None:
    told = take(triage, *[write_finding((f"c{n}",), members=(f"m{n}",)) for n in range(225)])
    assert len(told) == 11
    storm = told[-1]
    assert storm.title == "Many writes of 10.0.0.66 to devices to which it never wrote"
    assert storm.observed == "write single coil, and 214 more like it"
    assert storm.count == 215
    assert storm.explanation.startswith("Many alerts of this kind were raised within a minute")
    assert storm.accepts == tuple((f"c{n}",) for n in range(10, 225))
    assert triage.counters["storms"] == 1
    assert triage.counters["suppressed"] == 215


def test_a_storm_names_its_members_in_short(triage: Triage) -> None:
    findings = [
        write_finding((f"c{n}",), conversation=None, target=EndpointName(0, f"10.0.1.{n}"))
        for n in range(90)
    ]
    storm = take(triage, *findings)[-1]
    assert storm.members[0] == "10.0.1.10, write single coil, coil 3 of unit 1"
    assert storm.members[-1] == "and 17 more"
    assert (storm.target, storm.source) == (None, Party("10.0.0.66"))


def test_a_storm_leaves_open_alerts_their_own_findings(triage: Triage) -> None:
    told = take(triage, *[write_finding((f"c{n}",)) for n in range(20)])
    assert told[0].cause == ("c0",)
    take(triage, write_finding(("c0",), count=2), at=1)
    counts = {alert.id: alert.count for alert in triage.finish(START + 2 * SECOND)}
    assert counts == {told[0].id: 3}


def test_slow_or_different_alerts_are_no_storm(triage: Triage) -> None:
    for number in range(100):
        assert len(take(triage, write_finding((f"c{number}",)), at=7 * number)) == 1
    sources = [EndpointName(0, f"10.9.0.{number}") for number in range(40)]
    told = take(triage, *[write_finding((str(one),), source=one) for one in sources], at=800)
    assert len(told) == 40
    assert triage.counters["storms"] == 0


def test_many_sources_are_a_storm_of_the_kind(triage: Triage) -> None:
    findings = [
        write_finding((f"c{n}",), source=EndpointName(0, f"10.9.{n // 250}.{n % 250}"))
        for n in range(500)
    ]
    told = take(triage, *findings)
    assert len(told) == 51
    assert told[-1].count == 450
    assert told[-1].source is None
    assert "several devices" in told[-1].title


def test_a_storm_may_escalate(triage: Triage) -> None:
    take(triage, *[write_finding((f"c{n}",)) for n in range(20)])
    [storm] = take(triage, write_finding(("worse",), severity="critical"), at=1)
    assert (storm.severity, storm.revision) == ("critical", 2)


def test_a_storm_abates(triage: Triage) -> None:
    take(triage, *[write_finding((f"c{n}",)) for n in range(20)])
    assert {alert.status for alert in take(triage, at=900)} == {"closed"}
    [alert] = take(triage, write_finding(("c99",)), at=3700)
    assert alert.cause == ("c99",)


def test_open_alerts_are_bounded(catalogue: Catalogue) -> None:
    limits = Limits(most_open=3, most_by_source=99, most_by_kind=99)
    triage = Triage(catalogue, Names(), sensor="s1", limits=limits)
    told = take(triage, *[write_finding((n,), source=PLC) for n in range(5)])
    assert [(alert.cause, alert.status) for alert in told] == [
        ((0,), "closed"),
        ((1,), "closed"),
        ((2,), "open"),
        ((3,), "open"),
        ((4,), "open"),
    ]
    assert triage.counters["evicted"] == 2
