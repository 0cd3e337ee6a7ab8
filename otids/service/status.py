"""How the service stands, as a plain record: for `otids status`, scripts and people."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from otids.alerts.alert import SEVERITIES, rfc3339
from otids.alerts.wording import clean
from otids.service.judge import Snapshot
from otids.service.selfalerts import SelfAlerts, sinks_of
from otids.service.troubles import SinkPlace, Trouble, Troubles
from otids.status import Learning, Status

if TYPE_CHECKING:
    from otids.service.daemon import Daemon
    from otids.store import Store

HEALTHY, DEGRADED, BLIND = "healthy", "degraded", "blind"
LOSSES = (
    "kernel",  # frames dropped by it
    "shed_frames",  # let go undecoded because judging was too slow
    "malformed_frames",
    "unknown_link_frames",
    "snapped_frames",
    "flows_evicted",
    "entries_refused",
)
"""What can be lost, by its key in the record."""
_SECOND = 1_000_000_000
_ALL = 100_000


def status_of(daemon: Daemon) -> dict[str, Any]:
    """Tell all that is known without asking the judging thread or the store."""
    troubles = next(
        (one.troubles for one in daemon.parts if isinstance(one, SelfAlerts)), Troubles()
    )
    snapshot, config = daemon.judge.snapshot, daemon.config
    before = daemon.run_before
    return {
        **summary(snapshot, troubles.standing, time.monotonic()),
        "sensor": clean(config.sensor_name),
        "pid": os.getpid(),
        "started": _time(snapshot.started),
        "state": str(daemon.folder.path.absolute()),
        "config": str(daemon.path.absolute()),
        "not_judged": None
        if daemon.missed is None or before is None
        else {
            "from": _time(daemon.missed[0]),
            "to": _time(daemon.missed[1]),
            "why": "stopped" if before.ended else "killed or failed",
        },
        "rates": {
            "frames": round(troubles.rates.frames, 1),
            "bytes": round(troubles.rates.bytes, 1),
            "messages": round(troubles.rates.messages, 1),
        },
        "counts": {
            "frames": snapshot.frames,
            "messages": snapshot.messages,
            "values": snapshot.values,
            "findings": snapshot.findings,
        },
        "lost": losses(snapshot),
        "interfaces": [
            {
                "name": one["name"],
                "is_up": not one["trouble"],
                "trouble": clean(one["trouble"]),
                "frames": one["frames"],
                "dropped": one["dropped"],
                "opened": one["opened"],
            }
            for one in snapshot.health.get("interfaces", ())
        ],
        **_learning(snapshot),
        "sinks": [sink_record(one) for one in sinks_of(daemon)],
        "checkpoint": {
            "saved": _time(snapshot.checkpointed) if snapshot.checkpointed else None,
            "trouble": clean(snapshot.checkpoint_trouble),
        },
        "store": {
            "trouble": clean(snapshot.store_trouble),
            "uncommitted": snapshot.uncommitted,
            "lost": snapshot.lost_alerts,
        },
        "evidence": {
            "quota_bytes": daemon.folder.evidence.quota_bytes,
            "incomplete": snapshot.evidence_notes,
            "removed": snapshot.evidence_removed,
        },
        "memory": {
            "bound_bytes": snapshot.memory_bound,
            "resident_bytes": snapshot.memory_resident,
            "given_up": snapshot.given_up,
            "steps": snapshot.memory_steps,
        },
        "notices": dict(snapshot.notices),
        "faults": dict(snapshot.faults),
    }


def summary(snapshot: Snapshot, standing: Iterable[Trouble], at: float) -> dict[str, Any]:
    """Say in a word how the service stands, and why; `at` is by the steady clock."""
    standing = tuple(standing)
    up = [one for one in snapshot.health.get("interfaces", ()) if not one["trouble"]]
    is_blind = any(one.is_blinding for one in standing) or not up
    return {
        "health": BLIND if is_blind else DEGRADED if standing else HEALTHY,
        "why": [
            {
                "kind": one.kind,
                "subject": clean(one.subject),
                "what": clean(one.observed),
                "since": _time(one.since),
            }
            for one in standing
        ]
        + ([] if up else [_why_blind(snapshot)]),
        "judged_until": _time(snapshot.judged_until) if snapshot.judged_until else None,
        "seconds_since_batch": round(max(at - snapshot.beat, 0.0), 1),
    }


def _why_blind(snapshot: Snapshot) -> dict[str, str]:
    told = [one["name"] for one in snapshot.health.get("interfaces", ())]
    what = f"none of {', '.join(told)} is up" if told else "nothing was judged yet"
    return {"kind": "", "subject": "", "what": clean(what), "since": _time(snapshot.started)}


def losses(snapshot: Snapshot) -> dict[str, int]:
    """What was lost since the start, by the keys of `LOSSES`."""
    health: Mapping[str, Any] = snapshot.health
    kernel = sum(one["dropped"] for one in health.get("interfaces", ()))
    return {key: kernel if key == "kernel" else int(health.get(key, 0)) for key in LOSSES}


def _learning(snapshot: Snapshot) -> dict[str, Any]:
    """What the status of a state folder says too, in the same words."""
    learning = [Learning.of(name, each) for name, each in snapshot.readiness.items()]
    record = Status(learning, snapshot.blind, None, snapshot.is_learning).record()
    return {key: record[key] for key in ("is_declared", "detectors", "blind")}


def sink_record(sink: SinkPlace) -> dict[str, Any]:
    """How a sink stands."""
    return {
        "name": sink.name,
        "behind": sink.behind,
        "waiting_since": _time(sink.waiting_since) if sink.waiting_since else None,
        "failing_since": _time(sink.failing_since) if sink.failing_since else None,
        "last_error": clean(sink.last_error),
        **{
            key: getattr(sink, key)
            for key in ("kind", "delivered", "retried", "passed_over", "given_up")
            if hasattr(sink, key)
        },
    }


def open_alerts(store: Store) -> dict[str, int]:
    """Count the alerts that are open and that nobody accepted, by severity, the gravest first."""
    accepted = {one.alert for one in store.decisions() if one.undone_at is None}
    records: Sequence[dict[str, Any]] = store.alerts(status="open", limit=_ALL)
    counts = Counter(one["severity"] for one in records if one["id"] not in accepted)
    return {severity: counts[severity] for severity in reversed(SEVERITIES)}


def _time(moment: float) -> str:
    return rfc3339(int(moment * _SECOND))
