"""A real Prometheus scrapes the service, its rules fire, and a real Alertmanager hears of it."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode

import pytest
from alerts.records import write_alert
from service.served import OPENER, Service, running, scrape
from sinks.servers import wait_until

from otids.service.metrics import Metrics

START_SECONDS = 60.0
END_SECONDS = 20.0


def program(*names: str, package: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.skip(f"{names[0]} is not installed (Debian: {package})")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@contextmanager
def server(log: Path, ready: str, *command: str) -> Iterator[None]:
    """Run a server until the body ends; `ready` is what answers once it is there."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:

            def answers() -> bool:
                assert process.poll() is None, log.read_text()
                with (
                    contextlib.suppress(URLError, OSError),
                    OPENER.open(ready, timeout=5) as answer,
                ):
                    return bool(answer.status == 200)
                return False

            wait_until(answers, f"{command[0]} is ready", START_SECONDS)
            yield
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def get(url: str) -> Any:
    with OPENER.open(url, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def rules(repository: Path) -> Path:
    return repository / "rules" / "prometheus"


# --- files that are shipped ----------------------------------------------------------------------


def test_rules_are_accepted_and_their_tests_pass(rules: Path) -> None:
    promtool = program("promtool", package="prometheus")
    assert re.search(
        r"SUCCESS: \d+ rules found", run(promtool, "check", "rules", rules / "otids.yml")
    )
    assert "SUCCESS" in run(promtool, "test", "rules", rules / "tests" / "otids.yml")


def test_a_rule_that_is_never_true_fails_its_test(rules: Path, tmp_path: Path) -> None:
    promtool = program("promtool", package="prometheus")
    shutil.copytree(rules, tmp_path / "rules")
    text = (rules / "otids.yml").read_text("utf-8")
    spoiled = text.replace("otids_interface_up == 0", "otids_interface_up == 7")
    assert spoiled != text
    (tmp_path / "rules" / "otids.yml").write_text(spoiled)
    with pytest.raises(AssertionError, match="OtidsInterfaceDown"):
        run(promtool, "test", "rules", tmp_path / "rules" / "tests" / "otids.yml")


def test_examples_are_accepted(rules: Path) -> None:
    promtool = program("promtool", package="prometheus")
    amtool = program("amtool", package="prometheus-alertmanager")
    run(promtool, "check", "config", rules / "prometheus.example.yml")
    assert "SUCCESS" in run(amtool, "check-config", rules / "alertmanager.example.yml")


@pytest.mark.parametrize(
    ("alert", "severity", "receiver"),
    [
        ("OtidsCriticalAlertsOpen", "critical", "analyst"),
        ("OtidsAlertStorm", "warning", "analyst"),
        ("OtidsDown", "critical", "operator-now"),
        ("OtidsSinkFailing", "warning", "operator"),
        ("OtidsEvidenceFull", "info", "operator"),
    ],
)
def test_alerts_reach_whom_they_are_for(
    rules: Path, alert: str, severity: str, receiver: str
) -> None:
    amtool = program("amtool", package="prometheus-alertmanager")
    config = f"--config.file={rules / 'alertmanager.example.yml'}"
    labels = f"alertname={alert}", f"severity={severity}", "instance=a"
    said = run(amtool, "config", "routes", "test", config, *labels)
    assert said.split()[-1] == receiver


def test_the_boards_expressions_are_understood(repository: Path, tmp_path: Path) -> None:
    promtool = program("promtool", package="prometheus")
    board = json.loads((repository / "rules" / "grafana" / "otids.json").read_text("utf-8"))
    rules = [
        {"record": f"panel:{panel['id']}:{target['refId']}", "expr": _filled_in(target["expr"])}
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ] + [
        {"record": f"mark:{number}", "expr": _filled_in(one["expr"])}
        for number, one in enumerate(board["annotations"]["list"])
    ]
    path = tmp_path / "board.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in run(promtool, "check", "rules", path)


def _filled_in(expression: str) -> str:
    for name, value in (("$__rate_interval", "1m"), ("$__interval", "1m"), ("$instance", ".*")):
        expression = expression.replace(name, value)
    return expression


# --- the whole way -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watch:
    """A service, and the Prometheus and Alertmanager that watch it."""

    service: Service
    prometheus: str
    alertmanager: str

    def value(self, expression: str) -> float | None:
        """The one value of an expression now; None if there is none."""
        query = urlencode({"query": expression})
        found = get(f"{self.prometheus}/api/v1/query?{query}")["data"]["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def wait_for(self, expression: str, holds: Callable[[float | None], bool]) -> None:
        wait_until(lambda: holds(self.value(expression)), expression, START_SECONDS)

    def names(self) -> list[str]:
        """Every metric that Prometheus has."""
        found: list[str] = get(f"{self.prometheus}/api/v1/label/__name__/values")["data"]
        return found

    def page(self) -> list[str]:
        """The lines that Prometheus gets."""
        return scrape(self.service.daemon.config.metrics.port).splitlines()

    def told(self) -> dict[str, dict[str, str]]:
        """What Alertmanager was told and holds as active: summaries with labels, by alert."""
        return {
            one["labels"]["alertname"]: one["labels"] | one["annotations"]
            for one in get(f"{self.alertmanager}/api/v2/alerts?active=true")
        }


@pytest.fixture
def watch(rules: Path, tmp_path: Path) -> Iterator[Watch]:
    prometheus = program("prometheus", package="prometheus")
    alertmanager = program(
        "prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager"
    )
    ports = free_port(), free_port(), free_port()
    prom, manager = (f"http://127.0.0.1:{port}" for port in ports[1:])
    config = (rules / "prometheus.example.yml").read_text("utf-8")
    for old, new in (
        ("127.0.0.1:9417", f"127.0.0.1:{ports[0]}"),
        ("127.0.0.1:9093", f"127.0.0.1:{ports[2]}"),
        ("scrape_interval: 15s", "scrape_interval: 1s\n  scrape_timeout: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
        ("- otids.yml", f"- {rules / 'otids.yml'}"),
    ):
        assert old in config
        config = config.replace(old, new)
    (tmp_path / "prometheus.yml").write_text(config)
    service = Service(tmp_path / "state", ports[0])
    with (
        running(lambda: Metrics(service.daemon)),
        server(
            tmp_path / "alertmanager.log",
            f"{manager}/-/ready",
            alertmanager,
            f"--config.file={rules / 'alertmanager.example.yml'}",
            f"--storage.path={tmp_path / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{ports[2]}",
            "--cluster.listen-address=",
        ),
        server(
            tmp_path / "prometheus.log",
            f"{prom}/-/ready",
            prometheus,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{ports[1]}",
        ),
    ):
        yield Watch(service, prom, manager)
    service.folder.close()


def test_prometheus_scrapes_and_alertmanager_hears(watch: Watch) -> None:
    watch.wait_for('up{job="otids"}', lambda value: value == 1)
    scraped = {name for name in watch.names() if name.startswith(("otids_", "process_"))}
    assert scraped == {one.split("{")[0].split(" ")[0] for one in watch.page() if one[0] != "#"}
    assert watch.value("sum(otids_frames_total)") == 1000
    assert watch.value('otids_interface_up{interface="eth2"}') == 0
    assert watch.value('otids_alerts_open{severity="critical"}') == 0

    watch.service.show(frames=2000)
    watch.wait_for("otids_frames_total", lambda value: value == 2000)

    assert "OtidsCriticalAlertsOpen" not in watch.told()
    watch.service.folder.store.commit([write_alert(severity="critical")])
    watch.wait_for('otids_alerts_open{severity="critical"}', lambda value: value == 1)
    wait_until(lambda: "OtidsCriticalAlertsOpen" in watch.told(), "it is told", START_SECONDS)
    heard = watch.told()["OtidsCriticalAlertsOpen"]
    assert heard["severity"] == "critical"
    assert heard["summary"].startswith("1 critical alerts of otids on 127.0.0.1:")
    assert heard["runbook_url"] == "docs/metrics.md#otidscriticalalertsopen"

    closed = write_alert(revision=2, severity="critical", status="closed")
    watch.service.folder.store.commit([closed])
    wait_until(lambda: "OtidsCriticalAlertsOpen" not in watch.told(), "it is over", START_SECONDS)
