"""The test alert: harmless, clearly marked, and a whole record like any other."""

import hashlib

from otids.alerts.alert import Alert
from otids.alerts.wording import clean

KIND = "sensor.test"
"""Sinks get alerts of this kind whatever severity they are set to."""


def make_test_alert(sensor: str, now: int) -> Alert:
    """Make one that says that nothing happened; `now` is in ns and makes its id its own."""
    id_ = hashlib.sha256(f"{KIND}\0{sensor}\0{now}".encode("utf-8", "replace")).hexdigest()[:16]
    name = clean(sensor)
    return Alert(
        id=id_,
        revision=1,
        status="closed",
        kind=KIND,
        severity="info",
        title=f"TEST: otids on {name} reaches you; nothing happened in the plant",
        explanation=(
            "Somebody ran otids test-alert to see whether alerts of this sensor arrive. "
            "No device did anything, and nothing has to be done."
        ),
        expected="this test alert arrives wherever alerts go",
        observed="it was sent",
        first_seen=now,
        last_seen=now,
        count=1,
        frames=(),
        frame_count=0,
        capture="",
        source=None,
        target=None,
        conversation="",
        protocol="",
        function="",
        points=(),
        members=(),
        detector="sensor",
        score=0.0,
        attack=(),
        response={
            "it": ("Tell whoever ran the test that it has arrived.",),
            "ot": ("Nothing: no device is concerned.",),
        },
        evidence="",
        completeness="nothing was captured for it",
        sensor=name,
        cause=(KIND, id_),
        accepts=(),
    )
