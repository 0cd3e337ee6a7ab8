"""What is told of a service in numbers: right, parsable, bounded, and without waiting."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from alerts.records import write_alert
from prometheus_client.parser import text_string_to_metric_families
from service.served import HOSTILE, NOW, OPENER, Service, conversation, running, scrape

from otids.alerts.alert import SEVERITIES
from otids.alerts.evidence import SUFFIX
from otids.detectors.base import Readiness
from otids.folder import StateFolder
from otids.service.config import CaptureConfig, Config
from otids.service.judge import Snapshot
from otids.service.metrics import Metrics
from otids.service.metrics.families import Reading, families
from otids.service.metrics.progress import progress_of
from otids.service.metrics.stored import EVIDENCE_EVERY, Looker, Tally
from otids.service.metrics.web import MOST_HEAD, Web
from otids.sinks.delivery import SinkState
from otids.traffic import NOTICE_KINDS

Samples = dict[tuple[str, ...], float]
"""By name and the values of labels, in order of labels."""

SINK = SinkState(
    "siem",
    "syslog",
    is_confirmed=True,
    behind=3,
    waiting_since=NOW - 90,
    failing_since=NOW - 60,
    last_success=NOW - 100,
    delivered=7,
    retried=2,
    failures=5,
    passed_over=1,
    given_up=4,
)
IN_RULES = re.compile(r"\b(?:otids|process)_[a-z_]+")
LABELS = {
    "detector", "encapsulation", "instance", "interface", "kind", "part", "python", "reason",
    "sensor", "severity", "sink", "source", "state", "thread", "type", "version",
}  # fmt: skip


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    one = Service(tmp_path / "state")
    yield one
    one.folder.close()


@pytest.fixture
def metrics(service: Service) -> Iterator[Metrics]:
    part = Metrics(service.daemon)
    yield part
    part._looker.close()


def page(part: Metrics) -> str:
    part._made = float("-inf")
    return part._fresh()[1].decode()


def samples(text: str) -> Samples:
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def told(reading: Reading) -> Samples:
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in families(reading)
        for one in family.samples
    }


# --- what is told --------------------------------------------------------------------------------


def test_a_snapshot_is_told(service: Service, metrics: Metrics) -> None:
    service.outbox.states = [SINK]
    metrics._looker.look()
    found = told(replace(metrics.read(), now=NOW, threads={"judge": 12.5}))
    expected: Samples = {
        ("otids_frames_total",): 1000,
        ("otids_frame_bytes_total",): 90_000,
        ("otids_frames_copied_total",): 12,
        ("otids_frames_encapsulated_total", "erspan"): 13,
        ("otids_frames_encapsulated_total", "vxlan"): 0,
        ("otids_messages_total",): 800,
        ("otids_values_total",): 400,
        ("otids_ticks_total",): 3600,
        ("otids_findings_total",): 5,
        ("otids_notices_total", "malformed-pdu"): 2,
        ("otids_notices_total", "gap"): 0,
        ("otids_frames_dropped_total", "kernel"): 11,
        ("otids_frames_dropped_total", "shed"): 9,
        ("otids_frames_dropped_total", "malformed"): 3,
        ("otids_frames_dropped_total", "unknown-link"): 4,
        ("otids_frames_snapped_total",): 8,
        ("otids_flows_evicted_total",): 6,
        ("otids_entries_refused_total",): 7,
        ("otids_time_ran_back_total",): 1,
        ("otids_interface_up", "eth1"): 1,
        ("otids_interface_up", "eth2"): 0,
        ("otids_interface_received_frames_total", "eth1"): 1000,
        ("otids_interface_dropped_frames_total", "eth1"): 10,
        ("otids_interface_opened_total", "eth2"): 2,
        ("otids_judged_until_timestamp_seconds",): NOW - 1,
        ("otids_judging_lag_seconds",): 1,
        ("otids_thread_cpu_seconds_total", "judge"): 12.5,
        ("otids_faults_total", "volume"): 1,
        ("otids_faults_total", "novelty"): 0,
        ("otids_alert_revisions_total",): 9,
        ("otids_alerts_closed_total",): 2,
        ("otids_alert_storms_total",): 1,
        ("otids_findings_suppressed_total",): 3,
        ("otids_alerts_open", "critical"): 0,
        ("otids_alerts_opened_total", "timing.silence", "high"): 0,
        ("otids_learning_declared",): 0,
        ("otids_learning_conversations", "novelty", "ready"): 1,
        ("otids_learning_conversations", "novelty", "learning"): 1,
        ("otids_learning_progress_ratio", "novelty"): 0.75,
        ("otids_learning_plant_progress_ratio", "scan"): 0.25,
        ("otids_conversations_blind", "gaps"): 1,
        ("otids_conversations_blind", "one-sided"): 0,
        ("otids_sink_info", "siem", "syslog"): 1,
        ("otids_sink_up", "siem"): 0,
        ("otids_sink_behind_revisions", "siem"): 3,
        ("otids_sink_waiting_seconds", "siem"): 90,
        ("otids_sink_last_success_timestamp_seconds", "siem"): NOW - 100,
        ("otids_sink_delivered_revisions_total", "siem"): 7,
        ("otids_sink_retried_revisions_total", "siem"): 2,
        ("otids_sink_failures_total", "siem"): 5,
        ("otids_sink_passed_over_revisions_total", "siem"): 1,
        ("otids_sink_given_up_revisions_total", "siem"): 4,
        ("otids_checkpoint_timestamp_seconds",): NOW - 120,
        ("otids_checkpoint_interval_seconds",): 300,
        ("otids_checkpoint_failing",): 0,
        ("otids_store_failing",): 0,
        ("otids_evidence_incomplete_total",): 1,
        ("otids_evidence_quota_bytes",): 1 << 30,
        ("otids_start_timestamp_seconds",): NOW - 3600,
    }
    severities = service.daemon.rules.catalogue.entries
    silence = severities["timing.silence"].severity
    expected["otids_alerts_opened_total", "timing.silence", silence] = expected.pop(
        ("otids_alerts_opened_total", "timing.silence", "high")
    )
    assert {key: found.get(key) for key in expected} == expected


def test_nothing_is_made_up_before_the_first_batch() -> None:
    found = told(Reading(NOW, Snapshot(started=NOW, made=NOW)))
    assert found["otids_frames_total",] == 0
    unknown = {
        "otids_judged_until_timestamp_seconds",
        "otids_judging_lag_seconds",
        "otids_checkpoint_timestamp_seconds",
        "otids_alerts_open",
        "otids_store_bytes",
        "otids_interface_up",
    }
    assert not unknown & {name for name, *_ in found}


def test_trouble_is_told() -> None:
    snapshot = Snapshot(NOW, NOW, checkpoint_trouble="disk full", store_trouble="disk full")
    found = told(Reading(NOW, snapshot))
    assert found["otids_checkpoint_failing",] == 1
    assert found["otids_store_failing",] == 1


def test_a_clock_that_was_set_back_gives_no_lag_below_zero() -> None:
    snapshot = Snapshot(NOW, NOW, judged_until=NOW + 50)
    sink = replace(SINK, waiting_since=NOW + 50)
    found = told(Reading(NOW, snapshot, sinks=[sink]))
    assert found["otids_judging_lag_seconds",] == 0
    assert found["otids_sink_waiting_seconds", "siem"] == 0


def test_the_page_is_of_one_process(metrics: Metrics) -> None:
    found = samples(page(metrics))
    assert found["process_resident_memory_bytes",] > 1 << 20
    assert 0 < found["process_open_fds",] <= found["process_max_fds",]


def test_the_thread_that_judges_is_told(metrics: Metrics) -> None:
    ends = threading.Event()

    def work() -> None:
        sum(range(5_000_000))
        done.set()
        ends.wait(30)

    done = threading.Event()
    thread = threading.Thread(target=work, name="judge")
    thread.start()
    assert done.wait(30)
    found = samples(page(metrics))
    ends.set()
    thread.join()
    assert found["otids_thread_cpu_seconds_total", "judge"] > 0
    assert found["otids_thread_cpu_seconds_total", "loop"] > 0


def test_a_page_is_given_again_within_a_second(service: Service, metrics: Metrics) -> None:
    first = metrics._fresh()
    service.show(frames=2000)
    assert metrics._fresh() == first
    assert samples(page(metrics))["otids_frames_total",] == 2000


# --- form ----------------------------------------------------------------------------------------


def full(service: Service, metrics: Metrics) -> str:
    """Return a page with every metric that there is."""
    service.outbox.states = [SINK]
    metrics._looker.look()
    return page(metrics)


def test_promtool_finds_nothing_to_say(service: Service, metrics: Metrics) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    text = full(service, metrics)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_family_is_named_and_explained(service: Service, metrics: Metrics) -> None:
    found = list(text_string_to_metric_families(full(service, metrics)))
    assert len(found) > 50
    for one in found:
        assert one.name.startswith(("otids_", "process_")), one.name
        assert one.documentation, one.name
        assert one.type in {"counter", "gauge"}, one.name  # an info is a gauge in this format
        assert {label for sample in one.samples for label in sample.labels} <= LABELS


def test_labels_are_words_of_ours_and_never_of_the_wire(service: Service, metrics: Metrics) -> None:
    text = full(service, metrics)
    assert HOSTILE not in text
    assert "10.0.0" not in text
    values: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            for label, value in one.labels.items():
                values.setdefault(label, set()).add(value)
    kinds = set(service.daemon.rules.catalogue.entries) | set(NOTICE_KINDS)
    assert values["kind"] <= kinds
    assert values["severity"] == set(SEVERITIES)
    assert values["detector"] == {"novelty", "scan"}
    assert values["interface"] == {"eth1", "eth2"}
    assert values["sink"] == {"siem"}


def test_series_do_not_grow_with_the_traffic(service: Service, metrics: Metrics) -> None:
    small = samples(full(service, metrics)).keys()
    many = [conversation(f"10.1.{n >> 8}.{n & 255}") for n in range(5000)]
    service.show(
        blind={"gaps": many, "one-sided": many},
        readiness={
            "novelty": [Readiness(one, 0.1, None) for one in many],
            "scan": [Readiness(None, 0.2, None)],
            "policy": [],
        },
    )
    service.folder.store.commit(
        [write_alert(f"{n:016x}", kind="novelty.new-item", severity="low") for n in range(2000)]
    )
    metrics._looker.look()
    grown = samples(page(metrics))
    assert grown.keys() - small == {("otids_alerts_opened_total", "novelty.new-item", "low")}
    assert grown["otids_alerts_opened_total", "novelty.new-item", "low"] == 2000
    assert grown["otids_learning_conversations", "novelty", "learning"] == 5000


# --- what is on disk -----------------------------------------------------------------------------


def test_alerts_are_counted_from_the_journal(service: Service) -> None:
    store = service.folder.store
    store.commit([write_alert("0" * 16), write_alert("1" * 16, severity="high")])
    looker = Looker(service.folder, lambda: service.judge.snapshot, lambda: NOW)
    looker.look()
    assert (looker.stored.opened, looker.stored.open) == ({}, {"medium": 1, "high": 1})

    store.commit([write_alert("2" * 16, severity="low"), write_alert("3" * 16, severity="low")])
    store.commit([write_alert("2" * 16, revision=2, severity="critical")])
    store.commit([write_alert("1" * 16, revision=2, severity="high", status="closed")])
    looker.look()
    assert looker.stored.opened == {("novelty.new-item", "low"): 2}
    assert looker.stored.escalated == {"critical": 1}
    assert looker.stored.open == {"medium": 1, "critical": 1, "low": 1}

    store.decide("2", "ada")
    looker.look()
    assert looker.stored.open == {"medium": 1, "low": 1}
    store.undo("ada")
    looker.look()
    assert looker.stored.open == {"medium": 1, "critical": 1, "low": 1}
    looker.close()


def test_more_than_one_page_of_the_journal_is_followed(service: Service) -> None:
    tally = Tally(service.folder.store)
    service.folder.store.commit([write_alert(f"{n:016x}") for n in range(2500)])
    tally.follow(service.folder.store)
    assert sum(tally._opened.values()) == len(tally._open) == 2500


def test_kinds_are_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otids.service.metrics.stored.MOST_KINDS", 3)
    tally = Tally(service.folder.store)
    service.folder.store.commit([write_alert(f"{n:016x}", kind=f"policy.{n}") for n in range(9)])
    tally.follow(service.folder.store)
    assert len(tally._opened) == 4
    assert tally._opened["other", "medium"] == 6


def test_files_are_measured(service: Service) -> None:
    looker = Looker(service.folder, lambda: service.judge.snapshot, lambda: NOW)
    service.folder.save({"detectors": {}})
    evidence = service.folder.evidence.path
    evidence.mkdir()
    (evidence / f"{'a' * 16}{SUFFIX}").write_bytes(b"x" * 1000)
    (evidence / "notes.txt").write_bytes(b"x" * 5000)
    looker.look()
    stored = looker.stored
    assert stored.sizes["baseline"] == service.folder.baseline.stat().st_size
    assert stored.sizes["store"] >= service.folder.store.path.stat().st_size > 0
    assert (stored.sizes["evidence"], stored.evidence_files) == (1000, 1)
    assert 0 < stored.disk_free <= stored.disk_size
    assert stored.read == {"store": NOW, "files": NOW}

    (evidence / f"{'b' * 16}{SUFFIX}").write_bytes(b"x" * 500)
    for _ in range(EVIDENCE_EVERY):
        looker.look()
    assert (looker.stored.sizes["evidence"], looker.stored.evidence_files) == (1500, 2)
    looker.close()


def test_what_cannot_be_read_is_counted_and_hides_nothing_else(tmp_path: Path) -> None:
    service = Service(tmp_path / "state")
    times = iter(range(100))
    looker = Looker(service.folder, lambda: service.judge.snapshot, lambda: float(next(times)))
    looker.look()
    before = looker.stored
    looker.close()
    service.folder.store.path.rename(tmp_path / "gone")
    looker.look()
    looker.look()
    after = looker.stored
    assert after.failed == {"store": 2}
    assert after.read["store"] == before.read["store"]
    assert after.read["files"] > before.read["files"]
    assert after.sizes["store"] < before.sizes["store"]
    assert told(Reading(NOW, service.judge.snapshot, after))[
        "otids_state_read_failures_total", "store"
    ] == 2  # fmt: skip
    (tmp_path / "gone").rename(service.folder.store.path)
    looker.look()
    assert looker.stored.read["store"] > before.read["store"]
    looker.close()
    service.folder.close()


def test_nobody_waits_for_the_judge(service: Service, metrics: Metrics) -> None:
    service.folder.store.commit([write_alert()])
    with service.folder.store.write():  # the judge is in the middle of a commit, and holds the lock
        done = threading.Event()

        def look() -> None:
            metrics._looker.look()
            page(metrics)
            done.set()

        looking = threading.Thread(target=look)
        looking.start()
        assert done.wait(5)
        looking.join()
    assert samples(page(metrics))["otids_alerts_open", "medium"] == 1


def test_learning_is_summed_up_only_when_it_was_looked_at_anew(service: Service) -> None:
    looker = Looker(service.folder, lambda: service.judge.snapshot, lambda: NOW)
    looker.look()
    first = looker.progress
    looker.look()
    assert looker.progress is first
    service.show(readiness={"novelty": [Readiness(conversation(), 1.0, None)]})
    looker.look()
    assert [(one.ready, one.learning, one.mean) for one in looker.progress] == [(1, 0, 1.0)]
    looker.close()


def test_detectors_with_nothing_to_learn_are_left_out() -> None:
    assert progress_of({"policy": []}) == ()


# --- the part ------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_the_part_serves_until_it_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    service = Service(tmp_path / "state", port)
    threads = threading.active_count()
    with running(lambda: Metrics(service.daemon)):
        assert samples(scrape(port))["otids_frames_total",] == 1000
        with OPENER.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert threading.active_count() == threads
    service.folder.close()


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        service = Service(tmp_path / "state", port)
        expected = f"metrics cannot be served on 127.0.0.1, port {port}: Address already in use"
        with pytest.raises(OSError, match=expected), running(lambda: Metrics(service.daemon)):
            pass
    service.folder.close()


def test_port_0_serves_nowhere(service: Service) -> None:
    part = Metrics(service.daemon)
    with running(lambda: part):
        assert part._web._server is None
        assert not part._looker._thread.is_alive()


def test_an_empty_address_is_not_every_address(service: Service) -> None:
    config = service.daemon.config
    service.daemon.config = Config(
        CaptureConfig(("eth1",)), metrics=type(config.metrics)(address="", port=9417)
    )
    with (
        pytest.raises(ValueError, match=r"metrics\.address: is empty"),
        running(lambda: Metrics(service.daemon)),
    ):
        pass


def test_it_is_made_before_the_judge_begins_and_sees_every_alert(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state", writing=True) as folder:
        looker = Looker(folder, lambda: Snapshot(NOW, NOW), lambda: NOW)
        folder.store.commit([write_alert()])  # before the looker's thread has started
        looker.look()
        assert looker.stored.opened == {("novelty.new-item", "medium"): 1}
        looker.close()


# --- the web server ------------------------------------------------------------------------------


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await rest(reader)
    writer.close()
    return answer


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Read to the end; whether it is a clean one depends on what was still on its way."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def serving(web: Web) -> int:
    await web.start("127.0.0.1", 0)
    assert web._server is not None
    return int(web._server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK", b"page"),
        (b"GET /metrics?a=b HTTP/1.0\r\n\r\n", b"200 OK", b"page"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"200 OK", b""),
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found", b"Not Found: the metrics are at /metrics\n"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b"Method Not Allowed\n"),
        (b"GET /metrics\r\n\r\n", b"400 Bad Request", b"Bad Request\n"),
        (b"\xff\x00 \xfe HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b"Method Not Allowed\n"),
        (
            b"GET /metrics HTTP/1.1\r\nX: " + b"x" * (2 * MOST_HEAD),
            b"431 Request Header Fields Too Large",
            b"Request Header Fields Too Large\n",
        ),
    ],
    ids=["get", "query", "head", "elsewhere", "post", "no version", "no text", "too long"],
)
def test_requests_are_answered(request_: bytes, status: bytes, body: bytes) -> None:
    async def run() -> bytes:
        web = Web("/metrics", lambda: ("text/plain", b"page"))
        answer = await ask(await serving(web), request_)
        await web.stop()
        return answer

    head, _, found = asyncio.run(run()).partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 " + status
    assert found == body
    length = 4 if request_.startswith(b"HEAD") else len(body)
    assert b"Content-Length: %d" % length in head


def test_slow_and_many_clients_are_let_go() -> None:
    async def run() -> tuple[bytes, int, bytes]:
        web = Web("/metrics", lambda: ("text/plain", b"page"), patience=0.2, most_clients=2)
        port = await serving(web)
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        while len(web._clients) < 2:  # noqa: ASYNC110 the server has no event for it
            await asyncio.sleep(0.01)
        ended = await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        for reader, writer in slow:
            ended += await asyncio.wait_for(rest(reader), 5)
            writer.close()
        answer = await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        refused = web.refused
        await web.stop()
        return ended, refused, answer

    ended, refused, answer = asyncio.run(run())
    assert (ended, refused) == (b"", 1)
    assert answer.endswith(b"page")


def test_a_client_that_takes_nothing_is_let_go() -> None:
    async def run() -> None:
        web = Web("/metrics", lambda: ("text/plain", b"x" * (64 << 20)), patience=0.2)
        port = await serving(web)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        await writer.drain()
        await reader.readexactly(100)
        (client,) = web._clients
        await asyncio.wait_for(asyncio.shield(client), 5)
        writer.close()
        await web.stop()

    asyncio.run(run())


def test_a_page_that_cannot_be_made_is_an_answer_too(tmp_path: Path) -> None:
    port = free_port()
    service = Service(tmp_path / "state", port)
    with running(lambda: Metrics(service.daemon)) as part:
        del service.daemon.rules
        with pytest.raises(HTTPError) as caught:
            scrape(port)
        caught.value.close()
        assert caught.value.code == 500
        assert part._web.failed == 1
    service.folder.close()


def test_stopping_waits_for_no_client() -> None:
    async def run() -> None:
        web = Web("/metrics", lambda: ("text/plain", b"page"), patience=1000)
        _, writer = await asyncio.open_connection("127.0.0.1", await serving(web))
        while not web._clients:  # noqa: ASYNC110 as above
            await asyncio.sleep(0.01)
        await asyncio.wait_for(web.stop(), 5)
        writer.close()

    asyncio.run(run())


# --- rules, board and documentation --------------------------------------------------------------


@pytest.fixture
def names(service: Service, metrics: Metrics) -> set[str]:
    return {name for name, *_ in samples(full(service, metrics))}


def rules(repository: Path) -> dict[str, str]:
    """Return the text of each alerting rule, by its name."""
    text = (repository / "rules" / "prometheus" / "otids.yml").read_text("utf-8")
    parts = re.split(r"^ +- alert: (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_rules_speak_of_metrics_that_exist(repository: Path, names: set[str]) -> None:
    found = rules(repository)
    assert len(found) > 20
    for alert, text in found.items():
        used = set(IN_RULES.findall(text))
        assert used <= names, alert
        assert used or "up{" in text, alert


def test_every_rule_says_what_is_wrong_and_where_to_read_on(repository: Path) -> None:
    page_ = (repository / "docs" / "metrics.md").read_text("utf-8")
    headings = re.findall(r"^### (Otids\w+)$", page_, re.MULTILINE)
    found = rules(repository)
    assert sorted(headings) == sorted(found)
    for alert, text in found.items():
        assert re.search(r"severity: (critical|warning|info)\n", text), alert
        assert re.search(r'summary: ".+"\n', text), alert
        assert re.search(r'description: ".+"\n', text), alert
        assert f"runbook_url: docs/metrics.md#{alert.lower()}\n" in text + "\n", alert


def test_every_rule_has_a_test_in_which_it_fires(repository: Path) -> None:
    text = (repository / "rules" / "prometheus" / "tests" / "otids.yml").read_text("utf-8")
    fired = re.findall(r'ALERTS\{alertname="(\w+)", alertstate="firing"', text)
    assert set(fired) == set(rules(repository))


def board(repository: Path) -> dict[str, Any]:
    text = (repository / "rules" / "grafana" / "otids.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def expressions(repository: Path) -> list[str]:
    return [
        target["expr"]
        for panel in board(repository)["panels"]
        for target in panel.get("targets", ())
    ]


def test_the_board_speaks_of_metrics_that_exist(repository: Path, names: set[str]) -> None:
    found = expressions(repository)
    assert len(found) > 30
    used = set(IN_RULES.findall(json.dumps(board(repository))))
    assert used <= names
    for expression in found:
        assert 'instance=~"$instance"' in expression


def test_the_board_is_laid_out(repository: Path) -> None:
    found = board(repository)
    assert (found["uid"], found["id"]) == ("otids", None)
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not own & cells, panel["title"]
        assert max(x for x, _ in own) < 24, panel["title"]
        cells |= own
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["title"]
            assert panel["description"]


def test_documentation_names_each_metric_and_no_other(repository: Path, names: set[str]) -> None:
    text = (repository / "docs" / "metrics.md").read_text("utf-8")
    tables = re.findall(r"^\| `([a-z_]+)(?:\{[a-z, ]+\})?` \|", text, re.MULTILINE)
    assert len(tables) == len(set(tables))
    assert set(tables) == names
