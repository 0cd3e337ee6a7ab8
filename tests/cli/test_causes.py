"""Causes in words: what becomes normal, without codes and ids."""

import pytest

from otids.cli.causes import spell_cause
from otids.detectors.base import Cause
from otids.learning.plant.accepted import flat
from otids.traffic import ConversationName, EndpointName

HMI = EndpointName(0, "10.0.0.9")
PLC = EndpointName(0, "10.0.0.5")
TALK = flat(ConversationName(HMI, PLC, "modbus", "tcp", 502))
NAMES = {"10.0.0.5": "PLC-5"}
BETWEEN = "between 10.0.0.9 and PLC-5 (10.0.0.5)"
READ = ("request", "read", 3, 4294967295, 1, "holding-register 0+4 read ")


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (
            (
                "values",
                "out-of-range",
                *PLC,
                "modbus",
                1,
                "input-register",
                2,
                "",
                "float",
                "up to 2.50000001",
            ),
            "PLC-5 (10.0.0.5): input-register 2–3 of unit 1 (float) may go up to 2.5",
        ),
        (
            ("values", "written-out-of-range", *PLC, "modbus", 0, "analog", 2, "level", "", ""),
            "PLC-5 (10.0.0.5): analog 2 of level may be set anywhere",
        ),
        (
            ("values", "new-state", *PLC, "modbus", 1, "coil", 2, "", "", "1.0"),
            "PLC-5 (10.0.0.5): coil 2 of unit 1 may be 1",
        ),
        (
            ("timing", "silence", *TALK, *READ),
            f"{BETWEEN}: Read Holding Registers (holding-register 0–3, unit 1) falls silent",
        ),
        (
            ("timing", "silence", *TALK),
            f"{BETWEEN}: all that is said falls silent",
        ),
        (
            ("timing", "slow-answers", *TALK, 3, 1),
            f"{BETWEEN}: Read Holding Registers (unit 1) is answered as late as it will",
        ),
        (("timing", "all-silent"), "nothing at all is heard for as long as it will"),
        (
            ("flood", "writes", *TALK),
            "10.0.0.9 writes to PLC-5 (10.0.0.5) as often as it will",
        ),
        (
            ("flood", "half-open", *PLC, 502),
            "connections to PLC-5 (10.0.0.5), port 502, are begun and not opened",
        ),
        (("scan", "ports", *HMI, *PLC), "10.0.0.9 looks for ports of PLC-5 (10.0.0.5)"),
        (
            ("addressing", "binding", *PLC, 0x00A0458E2B13),
            "PLC-5 (10.0.0.5) has the MAC address 00:a0:45:8e:2b:13",
        ),
        (("addressing", "ttl", *PLC, 63), "frames of PLC-5 (10.0.0.5) arrive with TTL 63"),
        (
            ("protocol", "foreign", *HMI),
            "10.0.0.9 sends something else than the protocol of a port",
        ),
    ],
)
def test_every_detector_says_what_becomes_normal(cause: Cause, words: str) -> None:
    assert spell_cause(cause, NAMES) == words


@pytest.mark.parametrize(
    "cause",
    [
        ("values", "out-of-range", "x"),
        ("values", "unheard-of", *PLC, "modbus", 1, "coil", 2, "", "", ""),
        ("values", "new-state", *PLC, "modbus", 1, "coil", 2, "", "", "nothing"),
        ("timing", "silence", *TALK, "more"),
        ("timing", "unheard-of", *TALK),
        ("flood", "writes", 0),
        ("scan", "unheard-of", *HMI),
        ("addressing", "binding", *PLC, "no number"),
        ("addressing", "binding", *PLC, 1 << 48),
        ("timing", "silence", *"abcdefg"),
        ("volume", "device", *PLC, "no feature", 8),
        ("of", "another", "version"),
        ("alone",),
    ],
)
def test_what_is_of_another_version_is_told_as_it_stands(cause: Cause) -> None:
    assert spell_cause(cause, NAMES) == " ".join(map(str, cause))
