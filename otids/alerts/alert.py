"""The alert: findings made fit for a person. Its JSON form is a public contract."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from otids.detectors.base import Cause

SEVERITIES = ("info", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Technique:
    """One MITRE ATT&CK for ICS technique."""

    id: str
    name: str
    tactic: str


@dataclass(frozen=True, slots=True)
class Party:
    """A device in an alert: address, MAC and the asset's name as far as known."""

    address: str
    mac: str = ""
    asset: str = ""

    def __str__(self) -> str:
        return f"{self.asset} ({self.address})" if self.asset else self.address


@dataclass(frozen=True, slots=True)
class Corroboration:
    """What another detector says weakly of the same: too little for an alert of its own."""

    detector: str
    kind: str
    expected: str
    observed: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One revision of an alert. A new revision is a new value with the same `id`."""

    id: str
    revision: int
    status: str  # open, closed
    kind: str
    severity: str
    title: str
    explanation: str
    expected: str
    observed: str
    first_seen: int  # ns
    last_seen: int  # ns
    count: int
    frames: tuple[int, ...]
    frame_count: int
    capture: str
    source: Party | None
    target: Party | None
    conversation: str
    protocol: str
    function: str
    points: tuple[str, ...]
    members: tuple[str, ...]
    detector: str
    score: float
    attack: tuple[Technique, ...]
    response: dict[str, tuple[str, ...]]  # "it" and "ot": steps in order
    evidence: str  # name of the pcapng beside the record, or empty
    completeness: str  # how whole the capture was around it, in words
    sensor: str
    cause: Cause
    accepts: tuple[Cause, ...]
    baseline: tuple[str, ...] = field(default=())
    incident: str = ""  # id of the first alert of those that belong together
    corroboration: tuple[Corroboration, ...] = ()

    def record(self) -> dict[str, Any]:
        """The public JSON record, in stable key order."""
        return {
            "id": self.id,
            "revision": self.revision,
            "status": self.status,
            "kind": self.kind,
            "severity": self.severity,
            "title": self.title,
            "explanation": self.explanation,
            "expected": self.expected,
            "observed": self.observed,
            "first_seen": rfc3339(self.first_seen),
            "last_seen": rfc3339(self.last_seen),
            "count": self.count,
            "frames": list(self.frames),
            "frame_count": self.frame_count,
            "capture": self.capture,
            "source": _party(self.source),
            "target": _party(self.target),
            "conversation": self.conversation,
            "protocol": self.protocol,
            "function": self.function,
            "points": list(self.points),
            "members": list(self.members),
            "detector": self.detector,
            "score": round(self.score, 4),
            "attack": [
                {"id": one.id, "name": one.name, "tactic": one.tactic} for one in self.attack
            ],
            "response": {who: list(steps) for who, steps in self.response.items()},
            "evidence": self.evidence,
            "completeness": self.completeness,
            "sensor": self.sensor,
            "incident": self.incident or self.id,
            "corroboration": [asdict(one) for one in self.corroboration],
        }


def _party(party: Party | None) -> dict[str, str] | None:
    if party is None:
        return None
    return {"address": party.address, "mac": party.mac, "asset": party.asset}


def rfc3339(time: int) -> str:
    """Nanoseconds since the epoch as RFC 3339 in UTC with nine digits."""
    seconds, rest = divmod(time, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
