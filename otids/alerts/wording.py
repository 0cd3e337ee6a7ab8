"""How alerts are worded: templates, lists, numbers, and what must never reach a terminal."""

import re
import string
from collections.abc import Iterable, Mapping, Sequence

UNKNOWN: Mapping[str, str] = {
    "source": "an unknown device",
    "target": "an unknown device",
    "conversation": "an unknown conversation",
    "protocol": "an unknown protocol",
    "service": "several ports",
    "function": "no function in particular",
    "points": "no point in particular",
    "expected": "not stated",
    "observed": "not stated",
    "count": "an unknown number",
    "members": "none in particular",
}
"""What stands in a sentence where a finding leaves a field empty."""

FIELDS = frozenset(UNKNOWN)
"""What a template may name in braces."""

MOST_CHARACTERS = 300
MOST_LISTED = 8

# Sequences that a terminal takes as commands: CSI, OSC and its kin, and short escapes.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean(text: str, limit: int = MOST_CHARACTERS) -> str:
    """Make text from the wire harmless: one printable line of at most `limit` characters.

    Terminal commands, control and format characters (so also bidirectional overrides and
    zero-width ones), unpaired surrogates and unassigned code points become U+FFFD, white space
    becomes a blank, and what is too long ends in an ellipsis.
    """
    cut = len(text) > limit
    if not cut and text.isprintable():
        return text
    text = _ESCAPE.sub(_REPLACEMENT, text[: 4 * limit])
    if not text.isprintable():
        text = "".join(map(_printable, text))
    if len(text) > limit or cut:
        return text[: limit - 1] + "…"
    return text


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else _REPLACEMENT


def complain(template: str) -> str | None:
    """Say what is wrong with a template; None if it only names `FIELDS`, plainly."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        return f"braces do not match ({error})"
    for _, name, specification, conversion in parts:
        if name is None:
            continue
        if name not in FIELDS:
            return f"no field is called {{{name}}}; there are: {', '.join(sorted(FIELDS))}"
        if specification or conversion:
            return f"{{{name}}} takes no format"
    return None


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill a template that `complain` has passed; an empty value is worded as unknown."""
    return template.format_map({name: values.get(name) or UNKNOWN[name] for name in FIELDS})


def literal(text: str) -> str:
    """Make a template that says just `text`."""
    return text.replace("{", "{{").replace("}", "}}")


def spell_list(parts: Sequence[str], *, limit: int = MOST_LISTED, more: int = 0) -> str:
    """Spell "a, b and c", or "a, b and 12 more" beyond `limit`; `more` are not in `parts`."""
    shown = list(parts[:limit])
    more += len(parts) - len(shown)
    if more:
        shown.append(f"{spell_count(more)} more")
    *rest, last = shown or [""]
    return f"{', '.join(rest)} and {last}" if rest else last


_POINT = re.compile(
    r"(?P<kind>[a-z][a-z -]*?) (?P<first>\d{1,18})(?:–(?P<last>\d{1,18}))?"
    r"(?: of unit (?P<unit>\d{1,10}))?(?P<form> \([a-z0-9-]{1,20}\))?"
)


def spell_points(points: Iterable[str], *, limit: int = MOST_LISTED, more: int = 0) -> str:
    """Spell points together: "holding registers 10–14 and 20 of unit 1".

    Takes points and ranges as `PointName` and `RangeName` spell them, and what two registers form
    as a detector does; whatever is not of that form (points with names) is listed as it is.
    """
    ranges: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    others: list[str] = []
    for point in points:
        match = _POINT.fullmatch(point)
        if match is None:
            others.append(point)
            continue
        first = int(match["first"])
        key = match["kind"], match["unit"] or "", match["form"] or ""
        group = ranges.setdefault(key, [])
        group.append((first, int(match["last"] or first)))
    spelled = [
        _spell_group(kind, unit, sorted(group) if form else _join(group), limit) + form
        for (kind, unit, form), group in ranges.items()
    ]
    return spell_list([*spelled, *others], limit=limit, more=more)


def _join(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _spell_group(kind: str, unit: str, ranges: list[tuple[int, int]], limit: int) -> str:
    several = len(ranges) > 1 or ranges[0][0] != ranges[0][1]
    noun = kind.replace("-", " ") + ("s" if several and not kind.endswith("s") else "")
    numbers = spell_list([spell_range(first, last) for first, last in ranges], limit=limit)
    return f"{noun} {numbers}" + (f" of unit {unit}" if unit else "")


def spell_range(first: int, last: int) -> str:
    """Spell "7" or "7–9"."""
    return str(first) if first == last else f"{first}–{last}"


def spell_frames(frames: Sequence[int], count: int) -> str:
    """Spell ascending frame numbers of which `count` were seen: "frames 3–5, 9 and 7 more"."""
    if not frames:
        return "no frames"
    shown = _join([(frame, frame) for frame in frames])[:MOST_LISTED]
    listed = sum(last - first + 1 for first, last in shown)
    spelled = spell_list(
        [spell_range(first, last) for first, last in shown], more=max(count - listed, 0)
    )
    return f"{'frame' if count == 1 else 'frames'} {spelled}"


def spell_count(number: int) -> str:
    """Spell "1,234,567"."""
    return f"{number:,}"


_UNITS = (
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("µs", 1_000),
    ("ns", 1),
)


def spell_duration(nanoseconds: int) -> str:
    """Spell a duration by its two largest units: "2 d 3 h", "1 min 30 s", "1.5 s", "250 ms"."""
    if nanoseconds < 0:
        return f"-{spell_duration(-nanoseconds)}"
    for place, (name, size) in enumerate(_UNITS):
        if nanoseconds < size:
            continue
        whole, rest = divmod(nanoseconds, size)
        if name in {"d", "h", "min"}:
            next_name, next_size = _UNITS[place + 1]
            if rest >= next_size:
                return f"{whole} {name} {rest // next_size} {next_name}"
        elif nanoseconds < 10 * size and rest * 10 >= size > 1:
            return f"{whole}.{rest * 10 // size} {name}"
        return f"{whole} {name}"
    return "0 s"
