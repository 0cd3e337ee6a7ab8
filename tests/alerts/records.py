"""Alerts for the tests of stores and sinks."""

from alerts.findings import START

from otids.alerts.alert import Alert, Party, Technique


def write_alert(id_: str = "a" * 16, revision: int = 1, **changes: object) -> Alert:
    """Make a revision of an alert, but for `changes`."""
    fields: dict[str, object] = {
        "status": "open",
        "kind": "novelty.new-item",
        "severity": "medium",
        "title": "Titel mit Umlaut: ä",
        "explanation": "e",
        "expected": "x",
        "observed": "y",
        "first_seen": START,
        "last_seen": START + revision,
        "count": revision,
        "frames": (1, 2),
        "frame_count": 2,
        "capture": "plant.pcap",
        "source": Party("10.0.0.66"),
        "target": Party("10.0.0.5", "00:80:f4:00:00:05", "PLC-5"),
        "conversation": "c",
        "protocol": "modbus",
        "function": "f",
        "points": ("coil 3",),
        "members": (),
        "detector": "novelty",
        "score": 0.5,
        "attack": (Technique("T0855", "Unauthorized Command Message", "impair-process-control"),),
        "response": {"it": ("i",), "ot": ("o",)},
        "evidence": "",
        "completeness": "",
        "sensor": "s",
        "cause": ("novelty", 1),
        "accepts": (),
    }
    return Alert(id=id_, revision=revision, **(fields | changes))  # type: ignore[arg-type]
