"""How the service stands, as families of metrics. Pure: everything is handed in.

Names begin with `otids_`, are in base units, and say `_total` where they only grow. Labels are
words of otids, of the config or of the catalogue, never what was heard on the wire: their number
is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from otids.alerts.alert import SEVERITIES
from otids.service.judge import Snapshot
from otids.service.metrics.progress import Progress
from otids.service.metrics.stored import FILES, STORE, Stored
from otids.sinks.delivery import SinkState
from otids.traffic import ENCAPSULATIONS, NOTICE_KINDS

_Family = TypeVar("_Family", CounterMetricFamily, GaugeMetricFamily)


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that is told, at one moment."""

    now: float  # seconds since the epoch
    snapshot: Snapshot
    stored: Stored = field(default_factory=Stored)
    progress: Sequence[Progress] = ()
    sinks: Sequence[SinkState] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)  # of alerts: severity by kind
    threads: Mapping[str, float] = field(default_factory=dict)  # CPU seconds
    checkpoint_every: float = 0.0  # seconds
    evidence_quota: int = 0  # bytes
    version: str = ""
    python: str = ""
    sensor: str = ""


def families(reading: Reading) -> Iterator[Metric]:
    """Yield every family of metrics of otids itself."""
    for part in (_about, _traffic, _losses, _interfaces, _judging, _alerts, _learning):
        yield from part(reading)
    for part in (_sinks, _state):
        yield from part(reading)


def _counter(
    name: str, text: str, value: float | Mapping[Any, float], *labels: str
) -> CounterMetricFamily:
    return _filled(CounterMetricFamily(name, text, labels=labels), value, labels)


def _gauge(
    name: str, text: str, value: float | Mapping[Any, float], *labels: str
) -> GaugeMetricFamily:
    return _filled(GaugeMetricFamily(name, text, labels=labels), value, labels)


def _filled(family: _Family, value: float | Mapping[Any, float], labels: Sequence[str]) -> _Family:
    """Add one sample, or one for each combination of labels."""
    if not isinstance(value, Mapping):
        family.add_metric([], value)
        return family
    for key, number in value.items():
        family.add_metric([key] if len(labels) == 1 else key, number)
    return family


def _about(reading: Reading) -> Iterator[Metric]:
    version = {"version": reading.version, "python": reading.python}
    yield InfoMetricFamily("otids_build", "Version of otids.", version)
    yield InfoMetricFamily("otids_sensor", "Who says so, in alerts.", {"sensor": reading.sensor})
    yield _gauge(
        "otids_start_timestamp_seconds",
        "When this run of the service began.",
        reading.snapshot.started,
    )


def _traffic(reading: Reading) -> Iterator[Metric]:
    snapshot, health = reading.snapshot, reading.snapshot.health
    yield _counter("otids_frames_total", "Frames taken from interfaces.", snapshot.frames)
    yield _counter(
        "otids_frame_bytes_total",
        "Bytes of the frames that were decoded, as long as they were on the wire.",
        health.get("bytes", 0),
    )
    yield _counter(
        "otids_frames_copied_total",
        "Frames that repeat a packet of a moment ago: copies of a mirror port, not judged again.",
        health.get("copies", 0),
    )
    yield _counter(
        "otids_frames_encapsulated_total",
        "Frames in which something was encapsulated, and judged.",
        dict.fromkeys(ENCAPSULATIONS, 0) | dict(health.get("encapsulated", {})),
        "encapsulation",
    )
    yield _counter("otids_messages_total", "Messages of protocols.", snapshot.messages)
    yield _counter("otids_values_total", "Values of process variables.", snapshot.values)
    yield _counter("otids_ticks_total", "Seconds of capture time that were judged.", snapshot.ticks)
    yield _counter(
        "otids_notices_total",
        "Bytes that broke a rule, by kind.",
        dict.fromkeys(NOTICE_KINDS, 0) | dict(snapshot.notices),
        "kind",
    )


def _losses(reading: Reading) -> Iterator[Metric]:
    health = reading.snapshot.health
    interfaces = health.get("interfaces", ())
    yield _counter(
        "otids_frames_dropped_total",
        "Frames that were not judged: dropped by the kernel, shed because judging was too slow, "
        "with headers that cannot be right, or of an unknown link type.",
        {
            "kernel": sum(one["dropped"] for one in interfaces),
            "shed": health.get("shed_frames", 0),
            "malformed": health.get("malformed_frames", 0),
            "unknown-link": health.get("unknown_link_frames", 0),
        },
        "reason",
    )
    yield _counter(
        "otids_frames_snapped_total", "Frames that were cut short.", health.get("snapped_frames", 0)
    )
    yield _counter(
        "otids_flows_evicted_total",
        "Flows ended to make room for others.",
        health.get("flows_evicted", 0),
    )
    yield _counter(
        "otids_entries_refused_total",
        "Entries of dictionaries refused by a quota.",
        health.get("entries_refused", 0),
    )
    yield _counter(
        "otids_memory_steps_total",
        "How often something was given up for want of memory.",
        reading.snapshot.memory_steps,
    )
    yield _gauge(
        "otids_memory_bound_bytes",
        "How much memory the service may hold.",
        reading.snapshot.memory_bound,
    )
    yield _counter(
        "otids_time_ran_back_total",
        "How often capture time ran back.",
        health.get("time_ran_back", 0),
    )


def _interfaces(reading: Reading) -> Iterator[Metric]:
    interfaces = reading.snapshot.health.get("interfaces", ())

    def each(key: str) -> dict[str, float]:
        return {one["name"]: one[key] for one in interfaces}

    yield _gauge(
        "otids_interface_up",
        "Whether an interface is listened to.",
        {one["name"]: float(not one["trouble"]) for one in interfaces},
        "interface",
    )
    yield _counter(
        "otids_interface_received_frames_total",
        "Frames that reached the kernel's ring, also those dropped there.",
        each("received"),
        "interface",
    )
    yield _counter(
        "otids_interface_dropped_frames_total",
        "Frames for which the kernel's ring had no room.",
        each("dropped"),
        "interface",
    )
    yield _counter(
        "otids_interface_opened_total", "How often it was opened.", each("opened"), "interface"
    )


def _judging(reading: Reading) -> Iterator[Metric]:
    snapshot = reading.snapshot
    until = {} if not snapshot.judged_until else {(): snapshot.judged_until}
    yield _gauge(
        "otids_judged_until_timestamp_seconds", "Until when (capture time) was judged.", until
    )
    yield _gauge(
        "otids_judging_lag_seconds",
        "How far what is judged lies behind the clock; one or two seconds are usual.",
        {key: max(reading.now - moment, 0.0) for key, moment in until.items()},
    )
    yield _counter(
        "otids_thread_cpu_seconds_total",
        "CPU time of the thread that judges, and of the one that serves all else.",
        reading.threads,
        "thread",
    )
    parts = dict.fromkeys((*snapshot.readiness, "inventory"), 0)
    yield _counter(
        "otids_faults_total",
        "Failures of parts of otids, which are bugs; the other parts went on.",
        parts | dict(snapshot.faults),
        "part",
    )


TRIAGE = {
    "revisions": ("otids_alert_revisions_total", "Revisions of alerts, each told to sinks."),
    "closed": ("otids_alerts_closed_total", "Alerts closed because nothing more came."),
    "evicted": ("otids_alerts_evicted_total", "Alerts closed early: too many were open."),
    "storms": ("otids_alert_storms_total", "Alerts that tell many findings of a kind at once."),
    "suppressed": ("otids_findings_suppressed_total", "Findings that a storm told."),
    "unlisted": ("otids_alerts_unlisted_total", "Alerts of kinds that the catalogue lacks."),
}
"""Counters of triage that are told, with name and text. What a restart restores goes on."""


def _alerts(reading: Reading) -> Iterator[Metric]:
    snapshot, stored = reading.snapshot, reading.stored
    zero: dict[Any, float] = dict.fromkeys(reading.kinds.items(), 0)
    none = dict.fromkeys(SEVERITIES, 0)
    yield _counter("otids_findings_total", "What detectors found to deviate.", snapshot.findings)
    yield _counter(
        "otids_alerts_opened_total",
        "Alerts opened since the start, by kind and by the severity that they had then.",
        zero | dict(stored.opened),
        "kind",
        "severity",
    )
    yield _counter(
        "otids_alerts_escalated_total",
        "Alerts that became graver since the start, by the severity that they reached.",
        none | dict(stored.escalated),
        "severity",
    )
    if STORE in stored.read:
        yield _gauge(
            "otids_alerts_open",
            "Alerts that are open and that nobody accepted.",
            none | dict(stored.open),
            "severity",
        )
    for key, (name, text) in TRIAGE.items():
        if key in snapshot.triage:
            yield _counter(name, text, snapshot.triage[key])


def _learning(reading: Reading) -> Iterator[Metric]:
    progress = reading.progress
    yield _gauge(
        "otids_learning_declared",
        "Whether a person says that what comes now is normal.",
        float(reading.snapshot.is_learning),
    )
    yield _gauge(
        "otids_learning_conversations",
        "Conversations that a detector has learned (ready), or is learning.",
        {(one.detector, "ready"): one.ready for one in progress}
        | {(one.detector, "learning"): one.learning for one in progress},
        "detector",
        "state",
    )
    yield _gauge(
        "otids_learning_progress_ratio",
        "How far a detector is with its conversations, on average: 1 is ready.",
        {one.detector: one.mean for one in progress if one.mean is not None},
        "detector",
    )
    yield _gauge(
        "otids_learning_plant_progress_ratio",
        "How far a detector is with the plant as a whole: 1 is ready.",
        {one.detector: one.plant for one in progress if one.plant is not None},
        "detector",
    )
    yield _gauge(
        "otids_conversations_blind",
        "Conversations that are not heard whole, by reason.",
        {why: len(names) for why, names in reading.snapshot.blind.items()},
        "reason",
    )


SINK_COUNTERS = {
    "delivered": ("otids_sink_delivered_revisions_total", "Revisions of alerts that it has had."),
    "retried": ("otids_sink_retried_revisions_total", "Deliveries of a revision after its first."),
    "failures": ("otids_sink_failures_total", "Attempts that failed."),
    "passed_over": (
        "otids_sink_passed_over_revisions_total",
        "Revisions less severe than it wants.",
    ),
    "given_up": (
        "otids_sink_given_up_revisions_total",
        "Revisions that it never gets: refused for good, or too old.",
    ),
}


def _sinks(reading: Reading) -> Iterator[Metric]:
    sinks, now = reading.sinks, reading.now
    yield _gauge(
        "otids_sink_info", "What a sink is.", {(one.name, one.kind): 1 for one in sinks},
        "sink", "type",
    )  # fmt: skip
    yield _gauge(
        "otids_sink_up",
        "Whether a sink took what it was given last.",
        {one.name: float(not one.failing_since) for one in sinks},
        "sink",
    )
    yield _gauge(
        "otids_sink_behind_revisions",
        "Revisions of alerts that wait for a sink.",
        {one.name: one.behind for one in sinks},
        "sink",
    )
    yield _gauge(
        "otids_sink_waiting_seconds",
        "How long the oldest of them has waited; 0 if none waits.",
        {
            one.name: max(now - one.waiting_since, 0.0) if one.waiting_since else 0.0
            for one in sinks
        },
        "sink",
    )
    yield _gauge(
        "otids_sink_last_success_timestamp_seconds",
        "When a sink took something last.",
        {one.name: one.last_success for one in sinks if one.last_success},
        "sink",
    )
    for key, (name, text) in SINK_COUNTERS.items():
        yield _counter(name, text, {one.name: getattr(one, key) for one in sinks}, "sink")


def _state(reading: Reading) -> Iterator[Metric]:
    snapshot, stored = reading.snapshot, reading.stored
    saved = {} if not snapshot.checkpointed else {(): snapshot.checkpointed}
    yield _gauge(
        "otids_checkpoint_timestamp_seconds", "When what is learned was saved last.", saved
    )
    yield _gauge(
        "otids_checkpoint_interval_seconds",
        "How often the config wants it saved.",
        reading.checkpoint_every,
    )
    yield _gauge(
        "otids_checkpoint_failing",
        "Whether saving failed the last time.",
        float(bool(snapshot.checkpoint_trouble)),
    )
    yield _gauge(
        "otids_store_failing",
        "Whether the store did not take alerts the last time.",
        float(bool(snapshot.store_trouble)),
    )
    yield _counter(
        "otids_evidence_incomplete_total",
        "Alerts without evidence, or not with all of it.",
        snapshot.evidence_notes,
    )
    yield _gauge("otids_evidence_quota_bytes", "What evidence may take.", reading.evidence_quota)
    if FILES in stored.read:
        for what, text in (
            ("store", "Alerts, assets and decisions on disk."),
            ("baseline", "What is learned, on disk, with the generation before."),
            ("evidence", "Frames of alerts on disk; counted about once a minute."),
        ):
            yield _gauge(f"otids_{what}_bytes", text, stored.sizes.get(what, 0))
        yield _gauge("otids_evidence_files", "Alerts with evidence.", stored.evidence_files)
        yield _gauge("otids_state_disk_free_bytes", "Room where the state is.", stored.disk_free)
        yield _gauge("otids_state_disk_size_bytes", "Size of that disk.", stored.disk_size)
    yield _gauge(
        "otids_state_read_timestamp_seconds",
        "When numbers were read from disk last: of the store, and of files.",
        stored.read,
        "source",
    )
    yield _counter(
        "otids_state_read_failures_total",
        "How often that failed.",
        dict.fromkeys((STORE, FILES), 0) | dict(stored.failed),
        "source",
    )
