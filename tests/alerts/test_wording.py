"""Words: lists, numbers, durations, templates, and text from the wire made harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otids.alerts.wording import (
    FIELDS,
    UNKNOWN,
    clean,
    complain,
    fill,
    literal,
    spell_count,
    spell_duration,
    spell_frames,
    spell_list,
    spell_points,
)
from otids.traffic import EndpointName, PointName, RangeName


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("PLC-5, Füllstand 水位", "PLC-5, Füllstand 水位"),
        ("\x1b[31mred\x1b[0m", "\ufffdred\ufffd"),
        ("\x9b31mred", "\ufffdred"),
        ("\x1b]0;title\x07x", "\ufffdx"),
        ("\x1b]8;;http://evil\x1b\\x", "\ufffdx"),
        ("\x1b]never ends", "\ufffdnever ends"),
        ("\x1bc", "\ufffd"),
        ("\x1b", "\ufffd"),
        ("a\r\nb\tc", "a  b c"),
        ("a\x00b\x7f\x85", "a\ufffdb\ufffd "),
        ("abc\u202edef\u2066g", "abc\ufffddef\ufffdg"),
        ("zero\u200bwidth\ufeff", "zero\ufffdwidth\ufffd"),
        ("line\u2028end", "line end"),
        ("\ud800lone", "\ufffdlone"),
        ("tag\U000e0041", "tag\ufffd"),
        ("no\u00a0break", "no break"),
    ],
)
def test_clean(text: str, harmless: str) -> None:
    assert clean(text) == harmless


def test_clean_caps_the_length() -> None:
    assert clean("x" * 300) == "x" * 300
    assert clean("x" * 301) == "x" * 299 + "…"
    assert clean("x" * 10_000_000, 5) == "xxxx…"
    assert clean("\x1b[0m" * 10_000, 5) == "\ufffd\ufffd\ufffd\ufffd…"


@given(st.text(alphabet=st.characters(), max_size=60), st.integers(1, 40))
def test_clean_yields_one_short_printable_line(text: str, limit: int) -> None:
    harmless = clean(text, limit)
    assert harmless.isprintable()
    assert len(harmless) <= limit
    assert clean(harmless, limit) == harmless
    harmless.encode("utf-8")


def test_fill_names_what_is_unknown() -> None:
    assert set(UNKNOWN) == FIELDS
    assert fill("{source} and {target}", {"source": "PLC"}) == "PLC and an unknown device"
    assert fill("{{x}} {count}", {"count": "3"}) == "{x} 3"


def test_fill_takes_braces_in_values_as_text() -> None:
    assert fill("{source}", {"source": "{target}{0}{", "target": "x"}) == "{target}{0}{"


@given(st.text(alphabet="{}!:.source[]0 "))
def test_what_passes_can_be_filled(template: str) -> None:
    if complain(template) is None:
        fill(template, {})
    assert complain(literal(template)) is None
    assert fill(literal(template), {}) == template


def test_spell_list() -> None:
    assert spell_list([]) == ""
    assert spell_list(["a"]) == "a"
    assert spell_list(["a", "b"]) == "a and b"
    assert spell_list(["a", "b", "c"], limit=2) == "a, b and 1 more"
    assert spell_list(["a"], more=1234) == "a and 1,234 more"


def test_spell_points_joins_neighbours() -> None:
    server = EndpointName(0, "10.0.0.5")
    points = [
        str(PointName(server, "modbus", 1, "holding-register", address, ""))
        for address in (20, 10, 11, 12, 13, 14)
    ]
    assert spell_points(points) == "holding registers 10–14 and 20 of unit 1"
    ranges = [str(RangeName("coil", 0, 8, "write", "")), str(RangeName("coil", 8, 1, "write", ""))]
    assert spell_points(ranges) == "coils 0–8"
    assert spell_points(["coil 3"]) == "coil 3"


def test_spell_points_keeps_what_registers_form_apart() -> None:
    floats = ["input-register 2–3 of unit 1 (float)", "input-register 0–1 of unit 1 (float)"]
    assert spell_points(floats) == "input registers 0–1 and 2–3 of unit 1 (float)"
    assert spell_points([*floats[:1], "input-register 4 of unit 1"]) == (
        "input registers 2–3 of unit 1 (float) and input register 4 of unit 1"
    )


def test_spell_points_leaves_names_alone() -> None:
    entry = PointName(EndpointName(0, "x"), "goose", 0, "data-set-entry", 3, "LD0/LLN0$GO$gcb1")
    assert str(entry) == "data-set-entry 3 of LD0/LLN0$GO$gcb1"
    named = str(PointName(EndpointName(0, "x"), "mms", 0, "tag", 0, "Pump.Run"))
    assert spell_points([named, "coil 3"]) == "coil 3 and tag Pump.Run"
    assert spell_points([]) == ""


def test_spell_frames() -> None:
    assert spell_frames((), 0) == "no frames"
    assert spell_frames((7,), 1) == "frame 7"
    assert spell_frames((3, 4, 5, 9), 11) == "frames 3–5, 9 and 7 more"
    assert spell_frames(tuple(range(0, 40, 2)), 100) == (
        "frames 0, 2, 4, 6, 8, 10, 12, 14 and 92 more"
    )


def test_spell_count() -> None:
    assert spell_count(1234567) == "1,234,567"


@pytest.mark.parametrize(
    ("nanoseconds", "words"),
    [
        (0, "0 s"),
        (7, "7 ns"),
        (1_500, "1.5 µs"),
        (250_000_000, "250 ms"),
        (2_000_000_000, "2 s"),
        (9_960_000_000, "9.9 s"),
        (59_000_000_000, "59 s"),
        (90_000_000_000, "1 min 30 s"),
        (3_600_000_000_000, "1 h"),
        (3_601_000_000_000, "1 h"),
        (97_200_000_000_000, "1 d 3 h"),
        (-1_000_000_000, "-1 s"),
    ],
)
def test_spell_duration(nanoseconds: int, words: str) -> None:
    assert spell_duration(nanoseconds) == words
