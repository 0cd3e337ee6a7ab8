import gzip
import json
import re
from pathlib import Path

import pytest
from captures import pcap, talk
from cli.commands import Ran, Run
from wrapping import double, erspan_ii, wrap_all

from otids.cli import replay as command
from otids.cli.alert_view import by_incident
from otids.cli.replay_view import Bar
from otids.replay import Progress

KEYS = [
    "id",
    "revision",
    "status",
    "kind",
    "severity",
    "title",
    "explanation",
    "expected",
    "observed",
    "first_seen",
    "last_seen",
    "count",
    "frames",
    "frame_count",
    "capture",
    "source",
    "target",
    "conversation",
    "protocol",
    "function",
    "points",
    "members",
    "detector",
    "score",
    "attack",
    "response",
    "evidence",
    "completeness",
    "sensor",
    "incident",
    "corroboration",
]

BEGIN = 1795304521
"""The second in which the capture of attacks begins."""


def test_devices_are_told_by_their_names(said: str) -> None:
    devices = said.partition("\nAlerts")[0]
    assert devices.startswith("7 devices")
    assert re.search(r"PLC-1 intake pumps +10\.20\.1\.11 +00:80:f4:12:9c:11", devices)
    assert "(not in the asset" in devices  # the rogue


def test_without_a_list_of_assets_devices_have_addresses_only(run: Run, attacks: Path) -> None:
    devices = run("replay", attacks).out.partition("\nAlerts")[0]
    assert re.search(r"^address +MAC", devices, re.MULTILINE)
    assert "not in the asset" not in devices


def test_alerts_of_an_incident_are_told_in_order_of_time(said: str) -> None:
    heading = re.compile(r"^Incident [0-9a-f]{4,}: (\d+) alerts, (\S+ \S+) to ", re.MULTILINE)
    count, first = heading.findall(said)[0]
    block = said.partition("\nIncident ")[2].partition("\nSummary\n")[0]
    moments = re.findall(r"^[0-9a-f]{4,} +(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)  ", block, re.MULTILINE)
    assert len(moments) == int(count) >= 10
    assert moments == sorted(moments)
    assert moments[0] == first


def test_incidents_are_told_the_most_severe_first() -> None:
    records = [
        {"id": "a", "incident": "a", "severity": "low", "first_seen": "1"},
        {"id": "b", "incident": "b", "severity": "medium", "first_seen": "2"},
        {"id": "c", "incident": "a", "severity": "high", "first_seen": "3"},
        {"id": "d", "severity": "low", "first_seen": "0"},  # of a store from before incidents
    ]
    assert [[one["id"] for one in group] for group in by_incident(records)] == [
        ["a", "c"],
        ["b"],
        ["d"],
    ]


def test_an_alert_says_who_did_what_to_whom(said: str) -> None:
    block = said[said.index("silenced PLC-1") :].split("\n\n", maxsplit=1)[0]
    assert "2026-11-21 23:45:19  Engineering station (10.20.2.30) → PLC-1 intake pumps" in block
    assert "expected   no device silenced" in block
    assert "observed   Engineering station sent Force Listen Only Mode" in block
    assert "first in frame 8168" in block
    assert "ATT&CK T0803" in block


def test_the_summary_counts_everything(said: str) -> None:
    summary = said[said.index("Summary") :]
    words = " ".join(summary.split())
    assert "normal.pcap.gz: 11,777 frames" in words
    assert "attacks.pcap.gz: 12,243 frames" in words
    assert "5 min 8 s from 2026-11-21 23:42:01 to 2026-11-21 23:47:08" in words
    assert re.search(r"alerts +\d+ alerts: \d+ critical, ", summary)
    assert re.search(r"next +otids explain [0-9a-f]{4,} --state ", summary)
    assert said.count("times are UTC+00:00") == 2  # of the alerts, and of the summary


def test_the_summary_tells_what_the_mirror_port_did(run: Run, tmp_path: Path, said: str) -> None:
    assert "mirror" not in said
    capture = tmp_path / "mirrored.pcap"
    frames = talk(4)
    capture.write_bytes(pcap(wrap_all(double(frames)[0], erspan_ii)))
    out = run("replay", capture).out
    told = f"mirror {2 * len(frames)} frames in erspan, {len(frames)} copies left out"
    assert told in " ".join(out.split())


def test_output_that_is_no_terminal_is_plain(said: str) -> None:
    assert "\x1b" not in said
    assert not re.search(r" $", said, re.MULTILINE)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_nothing_is_cut_at_any_width(
    run: Run, normal: Path, attacks: Path, asset_list: Path, width: int
) -> None:
    ran = run("replay", "--assets", asset_list, "--learn", normal, attacks, COLUMNS=str(width))
    copied = ("state ", "next ")  # to be copied, so not wrapped
    lines = [line for line in ran.out.splitlines() if not line.startswith(copied)]
    assert max(map(len, lines)) <= width
    assert "00:a0:45:8e:2b:13" in ran.out
    said = "".join(ran.out.split())
    for record in run("alerts", "--json").records:
        for key in ("title", "expected", "observed", "kind"):
            assert "".join(record[key].split()) in said


def test_json_is_the_record_of_each_alert(run: Run, normal: Path, attacks: Path) -> None:
    ran = run("replay", "--json", "--sensor", "s1", "--learn", normal, attacks)
    assert ran.code == 0
    assert not ran.err
    assert len(ran.records) >= 10
    assert all(list(one) == KEYS for one in ran.records)
    assert {one["sensor"] for one in ran.records} == {"s1"}


def test_the_same_run_gives_the_same_bytes(run: Run, normal: Path, attacks: Path) -> None:
    first, second = (
        run("replay", "--json", "--sensor", "s1", "--learn", normal, attacks).out for _ in "ab"
    )
    assert first == second


def test_quiet_says_nothing(run: Run, normal: Path, attacks: Path) -> None:
    assert run("replay", "--quiet", "--learn", normal, attacks) == Ran(0, "", "")


def test_normal_work_raises_nothing(run: Run, captures: Path, normal: Path) -> None:
    other = captures / "normal-seed2" / "normal-seed2.pcap.gz"
    ran = run("replay", "--fail-on", "info", "--learn", normal, other)
    assert ran.code == 0
    assert re.search(r"^alerts +none$", ran.out, re.MULTILINE)
    assert re.search(r"^next +otids baseline show$", ran.out, re.MULTILINE)


def test_fail_on_asks_how_grave_the_worst_is(
    run: Run, captures: Path, normal: Path, tmp_path: Path
) -> None:
    (tmp_path / "rule.toml").write_text(
        '[[rule]]\nid = "write"\ntitle = "A write"\nseverity = "medium"\n'
        'match = { activity = "write" }\n'
    )
    other = captures / "normal-seed2" / "normal-seed2.pcap.gz"
    options = ("--quiet", "--rules", tmp_path, "--learn", normal, other)
    assert run("replay", "--fail-on", "medium", *options) == Ran(1, "", "")
    assert run("replay", "--fail-on", "high", *options) == Ran(0, "", "")


def test_least_severity(run: Run, normal: Path, attacks: Path) -> None:
    ran = run("replay", "--json", "--min-severity", "critical", "--learn", normal, attacks)
    assert {one["severity"] for one in ran.records} == {"critical"}
    kept = run("alerts", "--json").records
    assert len(kept) > len(ran.records)


def test_every_revision_goes_to_the_file(
    run: Run, normal: Path, attacks: Path, tmp_path: Path
) -> None:
    file = tmp_path / "alerts.jsonl"
    ran = run("replay", "--json", "--alerts", file, "--learn", normal, attacks)
    revisions = [json.loads(line) for line in file.read_text().splitlines()]
    last = {one["id"]: one for one in revisions}
    assert len(revisions) > len(last)
    assert list(last.values()) == ran.records


def test_a_file_that_cannot_be_written_is_an_error(
    run: Run, normal: Path, attacks: Path, tmp_path: Path
) -> None:
    ran = run("replay", "--alerts", tmp_path / "none" / "x", "--learn", normal, attacks)
    assert ran.code == 2
    assert ran.complaint == f"otids: {tmp_path}/none/x: No such file or directory"


# --- what is normal ------------------------------------------------------------------------------


def test_all_may_be_declared_as_normal(run: Run, normal: Path) -> None:
    ran = run("replay", "--learn-for", "1h", normal)
    assert ran.code == 0
    assert "all of it was declared as normal" in ran.out


def test_the_first_part_may_be_declared_as_normal(run: Run, attacks: Path) -> None:
    until = run("replay", "--json", "--sensor", "s", "--learn-until", BEGIN + 60, attacks)
    long = run("replay", "--json", "--sensor", "s", "--learn-for", "1m", attacks)
    assert until == long
    told = {(one["kind"], one["target"]["address"]) for one in long.records if one["target"]}
    assert ("novelty.write-from-new-client", "10.20.1.13") not in told  # in the first minute
    assert ("novelty.address-scan", "10.20.1.11") in told


def test_without_a_declaration_it_is_said_how_much_is_not_learned(run: Run, attacks: Path) -> None:
    ran = run("replay", attacks)
    assert re.search(r"\d+ conversations are\s+still\s+being\s+learned", ran.out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--learn-for", "1m", "--learn-until", "5"], "not both"),
        (["--learn-for", "soon"], "'soon' is no duration like 90s, 10m, 1h30m or 2d"),
        (["--learn-until", "noon"], "'noon' is neither epoch seconds nor a time like"),
        (["--learn-until", "1e30"], "is no moment between 1970 and"),
        (["--min-severity", "grave"], "--min-severity"),
        (["--nonsense"], "No such option: --nonsense"),
    ],
)
def test_wrong_usage_is_one_line(run: Run, attacks: Path, options: list[str], words: str) -> None:
    ran = run("replay", *options, attacks)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.complaint
    assert ran.complaint.endswith("(see otids replay --help)")


# --- bad input -----------------------------------------------------------------------------------


def test_a_file_that_is_no_capture(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no capture at all, whatever its name says\n")
    ran = run("replay", file)
    assert (ran.code, ran.out) == (2, "")
    assert str(file) in ran.complaint


def test_a_capture_that_is_not_there(run: Run, tmp_path: Path, normal: Path) -> None:
    ran = run("replay", "--learn", normal, tmp_path / "none.pcap")
    assert ran == Ran(2, "", f"otids: {tmp_path}/none.pcap: No such file or directory\n")


def test_a_capture_that_is_cut_off_is_judged_as_far_as_it_goes(
    run: Run, attacks: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(gzip.decompress(attacks.read_bytes())[:200_000])
    ran = run("replay", cut)
    assert ran.code == 2
    assert re.search(r"cut\.pcap: .+ \(at byte \d+\)$", ran.complaint)
    assert re.search(r"^lost +.*\n? *.*cut\.pcap: ", ran.out, re.MULTILINE)


def test_a_folder_that_holds_no_state_is_left_alone(
    run: Run, attacks: Path, tmp_path: Path
) -> None:
    last = tmp_path / "home" / "otids" / "last-replay"
    last.mkdir(parents=True)
    (last / "thesis.tex").write_text("precious")
    ran = run("replay", attacks)
    assert ran.code == 2
    assert "not a state folder" in ran.complaint
    assert (last / "thesis.tex").read_text() == "precious"


def test_a_damaged_baseline_is_one_line(run: Run, judged: Path, attacks: Path) -> None:
    for file in judged.glob("baseline.otids*"):
        file.write_bytes(b"\x00" * 100)
    ran = run("replay", "--state", judged, attacks)
    assert ran.code == 2
    assert str(judged) in ran.complaint


def test_a_mistake_in_a_rule_names_file_and_line(run: Run, attacks: Path, tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text('[[rule]]\nid = "x"\n')
    ran = run("replay", "--rules", tmp_path, attacks)
    assert ran.code == 2
    assert "plant.toml:1:" in ran.complaint


def test_a_rule_of_ones_own_is_told_as_it_is_written(
    run: Run, attacks: Path, tmp_path: Path
) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "plant.toml").write_text(
        '[[rule]]\nid = "hands-off"\ntitle = "Hands off the [red]pumps[/red]"\n'
        'severity = "high"\nmatch = { target = "10.20.1.11", activity = "write" }\n'
    )
    ran = run("replay", "--rules", tmp_path, attacks)
    assert ran.code == 0
    assert "Hands off the [red]pumps[/red]" in ran.out


# --- interruption --------------------------------------------------------------------------------


def test_an_interrupted_replay_goes_on_where_it_stopped(
    run: Run, normal: Path, attacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("replay", "--json", "--sensor", "s", "--learn", normal, attacks).records
    monkeypatch.setattr(command, "BATCH_FRAMES", 500)
    move = Bar.move

    def stop_halfway(bar: Bar, progress: Progress) -> None:
        bar.stopped = progress.frames > 6000 and not progress.is_learning
        move(bar, progress)

    state = tmp_path / "state"
    monkeypatch.setattr(Bar, "move", stop_halfway)
    options = ("--json", "--sensor", "s", "--state", state)
    first = run("replay", *options, "--learn", normal, attacks)
    assert first.code == 130
    assert first.complaint == "otids: stopped; what was judged until then is kept"
    assert 0 < len(first.records) < len(whole)

    monkeypatch.setattr(Bar, "move", move)
    second = run("replay", *options, attacks)
    assert second.code == 0
    both = {one["id"]: one for one in [*first.records, *second.records]}
    assert both == {one["id"]: one for one in whole}


def test_a_capture_may_be_judged_again(run: Run, judged: Path, attacks: Path) -> None:
    before = run("alerts", "--json", "--state", judged, "--kind", "policy").records
    again = run("replay", "--json", "--sensor", "test", "--state", judged, attacks).records
    assert {one["id"] for one in before} <= {one["id"] for one in again}
