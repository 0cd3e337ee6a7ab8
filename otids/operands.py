"""Objects of S7comm as people write them: "DB1.DBW10", "M4.0", "SZL 0x0011/0x0000"."""

from __future__ import annotations

from typing import Final

_WIDTHS: Final = {"byte": 1, "word": 2, "int": 2, "dword": 4, "dint": 4, "real": 4}
_LETTERS: Final = {"byte": "B", "word": "W", "int": "W", "dword": "D", "dint": "D", "real": "D"}
_BLOCKS: Final = {"db": "DB", "di": "DI"}
_AREAS: Final = frozenset({"m", "i", "q", "p", "l", "v"})
_NUMBERED: Final = {"timer": "T", "counter": "C"}
_TYPED: Final = frozenset({"int", "dint", "real"})


def spell_operands(kind: str, first: int, last: int) -> str | None:
    """Spell objects of a kind that has operands; None of any other kind."""
    area, _, form = kind.rpartition("-")
    if area in _BLOCKS or area in _AREAS:
        return _spell_memory(area, form, first, last)
    if kind in _NUMBERED:
        return _span(_NUMBERED[kind], str(first), str(last))
    if kind == "szl":
        return f"SZL 0x{first >> 16:04X}/0x{first & 0xFFFF:04X}"
    if kind == "attribute":
        return f"attribute {first & 0xFFFF_FFFF} of object {first >> 32}"
    return None


def has_operands(kind: str) -> bool:
    """Whether objects of this kind are operands."""
    return spell_operands(kind, 0, 0) is not None


def _spell_memory(area: str, form: str, first: int, last: int) -> str | None:
    if form != "bit" and form not in _WIDTHS:
        return None
    block, start = divmod(first, 1 << 32)
    end = last - (block << 32)
    prefix = area.upper()
    if area in _BLOCKS:
        prefix = f"{_BLOCKS[area]}{block}.{_BLOCKS[area]}"
    if form == "bit":
        bits = (f"{place // 8}.{place % 8}" for place in (start, end))
        return _span(prefix + ("X" if area in _BLOCKS else ""), *bits)
    # The last address is a byte of the last element.
    end = max(start, end - (end - start + 1 - _WIDTHS[form]) % _WIDTHS[form] - _WIDTHS[form] + 1)
    spelled = _span(prefix + _LETTERS[form], str(start), str(end))
    return f"{spelled} ({form})" if form in _TYPED else spelled


def _span(prefix: str, first: str, last: str) -> str:
    return f"{prefix}{first}" if first == last else f"{prefix}{first}–{last}"
