"""Says rhythms and delays in words, and what a decision about a symbol is called."""

from collections.abc import Sequence
from hashlib import blake2b

from otids.learning.causes import Cause
from otids.learning.plant.accepted import flat
from otids.learning.rhythm.answers import AnswerName
from otids.learning.rhythm.rhythm import NEVER
from otids.traffic import SECOND, SymbolName, function_name

MILLISECOND = 1_000_000
MINUTE = 60 * SECOND
MOST_LETTERS = 500


def spell_span(span: int) -> str:
    """A length of time (ns) with two digits or so."""
    if span >= NEVER:
        return "ever"
    if span >= 2 * 60 * MINUTE:
        return f"{span / (60 * MINUTE):.1f} h"
    if span >= 2 * MINUTE:
        return f"{span / MINUTE:.1f} min"
    if span >= SECOND - MILLISECOND:
        return f"{span / SECOND:.1f} s"
    if span >= 10 * MILLISECOND:
        return f"{span / MILLISECOND:.0f} ms"
    return f"{span / MILLISECOND:.1f} ms"


def every(period: int) -> str:
    """How often something is said."""
    return f"every {spell_span(period)}"


def spell_each(names: Sequence[SymbolName]) -> str:
    """That others are concerned as well."""
    others = len(names) - 1
    if not others:
        return ""
    return f"; so are {others} other requests" if others > 1 else "; so is one other request"


def spell_who(name: AnswerName) -> str:
    """What is asked for."""
    unit = f" (unit {name.unit})" if name.unit else ""
    function = function_name(name.conversation.protocol, name.function)
    return f"{function}{unit} of {name.conversation.client}"


def cause_of(detector: str, kind: str, name: SymbolName) -> Cause:
    """What a decision about one symbol is called: short, whatever the symbol's objects are."""
    objects = ", ".join(
        f"{one.kind} {one.address}+{one.size} {one.access} {one.name}" for one in name.objects
    )
    if len(objects) > MOST_LETTERS:
        objects = blake2b(objects.encode(errors="replace"), digest_size=16).hexdigest()
    said = (name.role, name.activity, name.function, name.subfunction, name.unit, objects)
    return (detector, kind, *flat(name.conversation), *said)
