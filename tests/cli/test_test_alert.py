"""`otids test-alert`: for each sink, whether it took the alert."""

from pathlib import Path

import pytest
from cli.commands import Run
from sinks.servers import StreamServer, refused_port


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "otids.toml"
    path.write_text('sensor = "s1"\n[capture]\ninterfaces = ["x"]\n')
    return path


def add(config: Path, **keys: object) -> None:
    lines = [f"{key} = {value!r}" for key, value in keys.items()]
    config.write_text(config.read_text() + "\n".join(["[[sink]]", *lines, ""]))


def test_each_sink_is_told(run: Run, config: Path, tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    with StreamServer() as server:
        add(config, type="jsonlines", path=str(file), min_severity="critical")
        add(config, type="syslog", host="127.0.0.1", port=server.port)
        ran = run("test-alert", "-c", config)
        assert (ran.code, ran.err) == (0, "")
        assert [line.rsplit(",", 1)[0] for line in ran.out.splitlines()] == [
            "ok   jsonlines (jsonlines): delivered",
            "ok   syslog (syslog): delivered",
        ]
        assert b"TEST: otids on s1 reaches you" in server.wait_for(1)[0]
    assert "TEST: otids on s1 reaches you" in file.read_text()


def test_what_does_not_arrive_is_told(run: Run, config: Path) -> None:
    port = refused_port()
    add(config, type="webhook", name="hook", url=f"http://127.0.0.1:{port}/secret")
    ran = run("test-alert", "-c", config)
    assert ran.code == 2
    assert ran.out.startswith(f"bad  hook (webhook): http://127.0.0.1:{port}: Connection refused")
    (record,) = run("test-alert", "-c", config, "--json").records
    assert record.pop("seconds") < 10
    assert record == {
        "sink": "hook",
        "type": "webhook",
        "delivered": False,
        "said": f"http://127.0.0.1:{port}: Connection refused",
    }


def test_no_sink_and_no_config_are_told(run: Run, config: Path, tmp_path: Path) -> None:
    assert "no sink is configured" in run("test-alert", "-c", config).out.replace("\n", " ")
    ran = run("test-alert", "-c", tmp_path / "none.toml")
    assert ran.code == 2
    assert "none.toml: No such file" in ran.complaint
