"""How far learning is and what is heard badly, for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from otids.alerts.wording import spell_duration
from otids.cli.alert_view import lines_of
from otids.cli.causes import Names, spell_conversation
from otids.cli.output import SECOND, counted, labelled, shown
from otids.detectors.base import Readiness
from otids.status import Learning, Status

MOST_SHOWN = 10
WHY = {
    "gaps": "frames were missing in the last minute",
    "one-sided": "only one side is in the capture",
}


def spell_readiness(one: Readiness) -> str:
    """Say how far learning is: "ready", "learning 40 %, ready in about 3 h"."""
    if one.progress >= 1:
        return "ready"
    text = f"learning {int(one.progress * 100)} %"
    if one.seconds_left is None:
        return text
    return f"{text}, ready in about {spell_duration(int(one.seconds_left) * SECOND)}"


def spell_learning(one: Learning) -> str:
    """Sum up a detector: "12 conversations ready, 3 learning (the next in about 4 min)"."""
    if one.is_silent:
        return "has nothing to learn"
    parts = []
    if one.plant is not None:
        parts.append(f"new devices and conversations: {spell_readiness(one.plant)}")
    parts.append(f"{counted(one.ready, 'conversation')} ready")
    if one.learning:
        left = [each.seconds_left for each in one.learning if each.seconds_left is not None]
        about = f", the next in about {spell_duration(int(min(left)) * SECOND)}" if left else ""
        parts.append(f"{len(one.learning):,} learning{about}")
    return "; ".join(parts)


def print_learning(out: Console, status: Status, names: Names) -> None:
    """Print how far each detector is, and which conversations it still learns."""
    out.print(Text("Learning", "bold"))
    out.print(labelled((one.detector, spell_learning(one)) for one in status.learning))
    for one in status.learning:
        if not one.learning:
            continue
        lines = [
            f"{spell_conversation(each.conversation, names)}: {spell_readiness(each)}"
            for each in one.learning[:MOST_SHOWN]
            if each.conversation is not None
        ]
        out.print()
        out.print(lines_of(f"Still learned by {one.detector}", _cut(lines, len(one.learning))))


def print_blind(out: Console, status: Status, names: Names) -> None:
    """Print which conversations are not heard whole."""
    lines = blind_lines(status, names)
    if lines:
        out.print(lines_of("Not heard whole", lines))
    else:
        out.print(Text.assemble(("Not heard whole  ", "bold"), ("none", "green")))


def blind_lines(status: Status, names: Names) -> list[str]:
    """Say of each conversation that is not heard whole why, of the first few of each sort."""
    lines = []
    for why, conversations in status.blind.items():
        some = [
            f"{spell_conversation(name, names)}: {WHY[why]}" for name in conversations[:MOST_SHOWN]
        ]
        lines += _cut(some, len(conversations))
    return lines


def _cut(lines: Sequence[str], total: int) -> list[str]:
    more = [shown(f"and {total - len(lines):,} more (--json lists them)").plain]
    return [*lines, *(more if total > len(lines) else [])]
