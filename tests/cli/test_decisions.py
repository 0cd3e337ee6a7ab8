from pathlib import Path

from cli.commands import Run

WRITE = ("novelty.write-from-new-client", "10.20.1.13")
STOP = ("policy.umas-stop-plc", "10.20.1.11")
DOWNLOAD = ("policy.umas-download", "10.20.1.11")


def find(run: Run, state: Path, what: tuple[str, str]) -> str:
    """The id of the one alert of a kind about a device."""
    kind, device = what
    options = ("--state", state, "--kind", kind, "--device", device, "--json")
    (record,) = run("alerts", *options).records
    return str(record["id"])


def judge(run: Run, state: Path, attacks: Path) -> set[tuple[str, str]]:
    """Kinds and targets of the alerts when the attacks are judged again."""
    ran = run("replay", "--json", "--sensor", "test", "--state", state, attacks)
    assert ran.code == 0, ran.err
    return {(one["kind"], one["target"]["address"] if one["target"] else "") for one in ran.records}


def test_what_is_accepted_is_silent_until_it_is_taken_back(
    run: Run, judged: Path, attacks: Path
) -> None:
    for kind in (WRITE, STOP):
        ran = run("accept", find(run, judged, kind)[:8], "--state", judged, "--yes", "--who", "Jo")
        assert ran.code == 0, ran.err
    kinds = judge(run, judged, attacks)
    assert not {WRITE, STOP} & kinds
    assert DOWNLOAD in kinds

    assert run("undo", "--state", judged, "--yes").code == 0
    assert STOP in judge(run, judged, attacks)
    assert run("undo", "1", "--state", judged, "--yes").code == 0
    assert {WRITE, STOP} <= judge(run, judged, attacks)


def test_it_is_said_what_becomes_normal_before_it_does(run: Run, judged: Path) -> None:
    id = find(run, judged, STOP)
    ran = run("accept", id, "--state", judged, answer="n\n")
    assert ran.code == 130
    words = " ".join(ran.out.split())
    assert "10.20.2.66 may do to PLC-1 intake pumps (10.20.1.11) what umas-stop-plc" in words
    assert words.endswith("Accept this? [y/N]: n")
    assert "nothing was changed" in ran.complaint
    assert run("undo", "--list", "--state", judged).out.startswith("0 decisions")


def test_no_answer_is_no(run: Run, judged: Path) -> None:
    ran = run("accept", find(run, judged, STOP), "--state", judged)
    assert ran.code == 130
    assert "--yes" in ran.err


def test_yes_accepts(run: Run, judged: Path) -> None:
    ran = run("accept", find(run, judged, STOP), "--state", judged, answer="y\n")
    assert ran.code == 0
    assert "Accepted, as decision 1" in ran.out


def test_an_alert_is_accepted_once(run: Run, judged: Path) -> None:
    id = find(run, judged, WRITE)
    run("accept", id, "--state", judged, "--yes", "--who", "Jo")
    ran = run("accept", id, "--state", judged, "--yes")
    assert ran.code == 2
    assert "was accepted already, by decision 1 of Jo" in ran.complaint


def test_the_baseline_shows_what_was_accepted(run: Run, judged: Path) -> None:
    rogue = ("baseline", "show", "--state", judged, "--conversation", "10.20.2.66", "--json")
    assert run(*rogue).records == []
    run("accept", find(run, judged, WRITE), "--state", judged, "--yes")
    (record,) = run(*rogue).records
    assert record["server"]["address"] == "10.20.1.13"
    assert record["messages"] == 0
    run("undo", "--state", judged, "--yes")
    assert run(*rogue).records == []


def test_alerts_say_that_they_were_accepted(run: Run, judged: Path) -> None:
    id = find(run, judged, WRITE)
    run("accept", id, "--state", judged, "--yes")
    everything = run("alerts", "--state", judged)
    assert everything.out.count("accepted · ") == 1
    is_open = run("alerts", "--state", judged, "--open", "--json").records
    assert id not in {one["id"] for one in is_open}
    assert "accepted by" in run("explain", id, "--state", judged).out


def test_decisions_are_listed_and_taken_back_once(run: Run, judged: Path) -> None:
    run("accept", find(run, judged, WRITE), "--state", judged, "--yes", "--who", "Jo")
    run("accept", find(run, judged, STOP), "--state", judged, "--yes", "--who", "Al")
    ran = run("undo", "1", "--state", judged, "--yes", "--who", "Bo")
    assert "No longer normal:" in ran.out
    listed = run("undo", "--list", "--state", judged).out
    assert "2 decisions" in listed
    assert "Jo: " in listed
    assert "by Bo)" in listed
    ran = run("undo", "1", "--state", judged, "--yes")
    assert ran.code == 2
    assert "there is no decision 1 that stands" in ran.complaint


def test_what_two_decisions_accept_needs_both_taken_back(
    run: Run, judged: Path, attacks: Path
) -> None:
    """Both make it normal that the rogue talks to PLC-1; stopping and downloading are their own."""
    for kind in (STOP, DOWNLOAD):
        run("accept", find(run, judged, kind), "--state", judged, "--yes")
    assert not {STOP, DOWNLOAD} & judge(run, judged, attacks)
    run("undo", "--state", judged, "--yes")
    rogue = ("baseline", "show", "--state", judged, "--conversation", "10.20.2.66", "--json")
    assert len(run(*rogue).records) == 1
    kinds = judge(run, judged, attacks)
    assert DOWNLOAD in kinds
    assert STOP not in kinds
    run("undo", "--state", judged, "--yes")
    assert run(*rogue).records == []


def test_an_alert_that_is_not_there(run: Run, judged: Path) -> None:
    ran = run("accept", "ffff0000", "--state", judged, "--yes")
    assert ran.code == 2
    assert "no alert has an id that begins with 'ffff0000'" in ran.complaint


def test_nothing_was_accepted(run: Run, judged: Path) -> None:
    ran = run("undo", "--state", judged, "--yes")
    assert ran.code == 2
    assert "there is no decision that stands" in ran.complaint


def test_there_is_no_state_yet(run: Run) -> None:
    for command in (["accept", "3f2a"], ["undo"], ["alerts"], ["assets"], ["explain", "3f2a"]):
        ran = run(*command)
        assert ran.code == 2
        assert "there is no such state folder; run a replay first" in ran.complaint
