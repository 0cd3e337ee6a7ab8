"""The commands that look at a state: alerts, assets, baseline, explain, check."""

import shutil
from pathlib import Path

import pytest
from cli.commands import Run, execute

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is missing")


LAST = {"policy.umas-download", "novelty.new-endpoint"}
"""What goes on when all other attacks are over."""


# --- alerts --------------------------------------------------------------------------------------


def test_alerts_are_listed_the_most_severe_first(run: Run, judged: Path, said: str) -> None:
    ran = run("alerts", "--state", judged)
    assert ran.code == 0
    alerts = said[said.index("Alerts") : said.index("Summary")]
    assert ran.out.startswith(alerts)
    assert "critical, " in ran.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "key", "values"),
    [
        (["--severity", "critical"], "severity", {"critical"}),
        (["--kind", "policy.umas-stop-plc"], "kind", {"policy.umas-stop-plc"}),
        (["--kind", "policy"], "detector", {"policy"}),
        (["--since", "1795304800"], "kind", LAST),
        (["--since", "2026-11-21T23:46:40Z"], "kind", LAST),
        (["--since", "2026-11-21T23:46:40Z", "--limit", "1"], "kind", {"novelty.new-endpoint"}),
    ],
)
def test_alerts_are_picked(
    run: Run, judged: Path, options: list[str], key: str, values: set[str]
) -> None:
    ran = run("alerts", "--state", judged, "--json", *options)
    assert ran.code == 0
    assert {one[key] for one in ran.records} == values


def test_alerts_about_a_device(run: Run, judged: Path) -> None:
    found = run("alerts", "--state", judged, "--json", "--device", "10.20.1.13").records
    assert found
    assert all(one["target"]["address"] == "10.20.1.13" for one in found)


def test_no_alerts(run: Run, judged: Path) -> None:
    ran = run("alerts", "--state", judged, "--since", "1s")
    assert (ran.code, ran.out.strip()) == (0, "none")
    ran = run("alerts", "--state", judged, "--since", "1s", "--json")
    assert (ran.code, ran.out) == (0, "")


def test_times_are_local(judged: Path, tmp_path: Path) -> None:
    said = execute(tmp_path, "alerts", "--state", judged, env={"TZ": "XXX-01:00"}).stdout
    assert "times are UTC+01:00" in said
    assert "2026-11-22 00:45:19" in said


# --- assets --------------------------------------------------------------------------------------


def test_assets_as_records(run: Run, judged: Path) -> None:
    records = run("assets", "--state", judged, "--json").records
    plc = records[0]
    assert plc["address"] == "10.20.1.11"
    assert plc["name"] == "PLC-1 intake pumps"
    assert plc["macs"][0]["address"] == "00:80:f4:12:9c:11"
    assert "modbus server" in plc["roles"]
    assert len(records) == 7


def test_assets_for_people(run: Run, judged: Path) -> None:
    out = run("assets", "--state", judged).out
    block = out[out.index("PLC-1") :].split("\n\n")[0]
    assert block.startswith("PLC-1 intake pumps  10.20.1.11\n")
    assert "roles         PLC; modbus server" in block
    assert "MAC           00:80:f4:12:9c:11 " in block
    assert "product: BMX P34 2020" in block


# --- baseline ------------------------------------------------------------------------------------


def test_the_baseline_says_what_is_normal(run: Run, judged: Path) -> None:
    out = run("baseline", "show", "--state", judged, "--conversation", "historian").out
    assert out.startswith("3 conversations")
    block = out.split("\n\n")[1]
    assert block.startswith("Process historian (10.20.2.20) → PLC-1 intake pumps (10.20.1.11)")
    assert "- novelty: ready" in block
    assert "- activities: read\n" in block
    assert "- read holding-register 0–11 of unit 1" in block


def test_the_baseline_says_how_far_learning_is(run: Run, attacks: Path) -> None:
    run("replay", "--quiet", attacks)
    out = run("baseline", "show").out
    assert "new devices and conversations (novelty): learning " in out
    records = run("baseline", "show", "--json").records
    progress = [one["readiness"]["novelty"]["progress"] for one in records]
    assert any(0 < one < 1 for one in progress)


def test_baselines_differ_by_what_one_has_learned(
    run: Run, judged: Path, normal: Path, captures: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    one_more = captures / "normal-seed2" / "normal-seed2.pcap.gz"
    run("replay", "--quiet", "--state", other, "--learn", normal, one_more)
    assert run("baseline", "diff", judged, other).out == "Both know the same.\n"

    write = ("--kind", "novelty.write-from-new-client", "--device", "10.20.1.13")
    (id,) = (one["id"] for one in run("alerts", "--state", judged, *write, "--json").records)
    run("accept", id, "--state", judged, "--yes")
    records = run("baseline", "diff", other, judged, "--json").records
    assert {
        "conversation": "10.20.2.66 → 10.20.1.13, modbus/502",
        "change": "new",
        "what": "is known",
    } in records
    assert "  - is known" in run("baseline", "diff", judged, other).out


# --- explain -------------------------------------------------------------------------------------


def explained(run: Run, judged: Path, kind: str, *options: str) -> str:
    """What `explain` prints of the first alert of a kind, with single blanks."""
    records = run("alerts", "--state", judged, "--kind", kind, "--json").records
    record = min(records, key=lambda one: one["first_seen"])
    ran = run("explain", record["id"][:8], "--state", judged, *options)
    assert ran.code == 0, ran.err
    return " ".join(ran.out.split())


def test_everything_about_an_alert(run: Run, judged: Path) -> None:
    out = explained(run, judged, "policy.modbus-force-listen-only")
    for words in (
        "who Engineering station (10.20.2.30)",
        "to whom PLC-1 intake pumps (10.20.1.11)",
        "when 2026-11-21 23:45:19.978 UTC+00:00",
        "T0815 Denial of View (impact)",
        "Expected no device silenced",
        "Why it matters Engineering station",
        "What is normal here - rule modbus-force-listen-only",
        "What to do: security (IT) 1. Check first",
        "What to do: operations (OT) 1. Check first",
        f"Evidence {judged}/evidence/",
    ):
        assert words in out


@needs_tshark
def test_frames_are_shown_as_wireshark_shows_them(run: Run, judged: Path) -> None:
    out = explained(run, judged, "policy.modbus-force-listen-only")
    assert "frame 8168 2026-11-21 23:45:19.978790" in out
    assert "Diagnostic Code: Force Listen Only Mode (4)" in out


def test_it_is_said_what_is_missing_to_show_frames(
    run: Run, judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otids.alerts.dissect.shutil.which", lambda _: None)
    out = explained(run, judged, "policy.modbus-force-listen-only")
    assert "tshark, which is not installed" in out
    assert "Why it matters" in out


@pytest.mark.parametrize(
    "kind",
    [
        "policy.modbus-force-listen-only",
        "policy.umas-stop-plc",
        "novelty.write-from-new-client",
        "novelty.new-activity",
        "novelty.function-scan",
        "novelty.address-scan",
        "scan.hosts",
    ],
)
def test_the_evidence_gives_the_same_verdict(run: Run, judged: Path, kind: str) -> None:
    out = explained(run, judged, kind, "--replay")
    assert out.endswith("Replayed the evidence gives the same verdict again")


def test_accepted_since_the_evidence_gives_another_verdict(run: Run, judged: Path) -> None:
    (record,) = run("alerts", "--state", judged, "--kind", "policy.umas-stop-plc", "--json").records
    run("accept", record["id"], "--state", judged, "--yes")
    out = explained(run, judged, "policy.umas-stop-plc", "--replay")
    assert "the evidence gives another verdict: " in out
    assert out.endswith("(accepted by decision 1)")


def test_without_evidence_it_is_said(run: Run, judged: Path) -> None:
    shutil.rmtree(judged / "evidence")
    out = explained(run, judged, "policy.umas-stop-plc", "--replay")
    assert "no evidence was kept of this alert" in out
    assert out.endswith("Evidence none was kept Replayed there is no evidence to judge again")


def test_an_explanation_as_a_record(run: Run, judged: Path) -> None:
    (record,) = run("alerts", "--state", judged, "--kind", "novelty.new-activity", "--json").records
    ran = run("explain", record["id"], "--state", judged, "--replay", "--json")
    (explanation,) = ran.records
    assert {key: explanation[key] for key in record} == record
    assert Path(explanation["evidence_path"]).is_file()
    assert explanation["replayed"]["same"] is True
    assert any("read holding-register 0–11" in row for row in explanation["baseline"])
    assert "the activity “write”" in explanation["accepting"][0]


# --- check ---------------------------------------------------------------------------------------


def test_what_otids_brings_is_right(run: Run, asset_list: Path) -> None:
    ran = run("check", "--assets", asset_list)
    assert ran.code == 0
    assert ran.out.startswith("ok   what otids brings: ")
    assert f"ok   {asset_list}: 6 devices" in " ".join(ran.out.split("\n")).replace("  ok", " ok")


def test_each_mistake_is_told(run: Run, tmp_path: Path, asset_list: Path) -> None:
    policies, catalogue = tmp_path / "a", tmp_path / "b"
    policies.mkdir()
    (policies / "plant.toml").write_text('[[rule]]\nid = "x"\ntitel = "X"\n')
    (catalogue / "catalogue").mkdir(parents=True)
    (catalogue / "catalogue" / "own.toml").write_text(
        '["novelty.new-endpoint"]\nattack = ["T9999"]\n'
    )
    assets = tmp_path / "assets.csv"
    assets.write_text("address,name\n10.0.0.999,PLC\n")
    ran = run(
        "check",
        *("--rules", policies, "--rules", catalogue),
        *("--assets", assets, "--assets", asset_list, "--json"),
    )
    assert ran.code == 2
    mistakes = {one["what"]: one["mistake"] for one in ran.records}
    assert not mistakes["what otids brings"]
    assert not mistakes[str(asset_list)]
    assert "plant.toml:3: " in mistakes[str(policies)]
    assert "titel" in mistakes[str(policies)]
    assert "own.toml:2: " in mistakes[str(catalogue)]
    assert "T9999" in mistakes[str(catalogue)]
    assert mistakes[str(assets)].startswith(f"{assets}:2: ")


def test_rules_that_are_not_there(run: Run, tmp_path: Path) -> None:
    ran = run("check", "--rules", tmp_path / "none")
    assert ran.code == 2
    # However long the path is, and wherever the line is broken.
    assert f"bad{tmp_path}/none:isnotadirectory" in "".join(ran.out.split())
