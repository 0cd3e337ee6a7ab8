"""What known conversations say in a tick that they never said."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from otids.learning.plant.memory import Memory
from otids.learning.plant.plant import Acquaintance, plain
from otids.learning.plant.scans import Thing
from otids.learning.plant.talks import is_grave, refused
from otids.learning.plant.vocabulary import Novelty
from otids.learning.words import changes
from otids.traffic import ConversationName, SymbolName, Tick


@dataclass(slots=True)
class Heard:
    """What was new in one known conversation during a tick, symbol by symbol."""

    name: ConversationName
    known: Acquaintance
    symbols: list[int] = field(default_factory=list)
    spelled: list[SymbolName] = field(default_factory=list)
    news: list[list[Novelty]] = field(default_factory=list)

    def things(self, level: str, *, changing: bool) -> set[Thing]:
        """What is new at a level, in messages that may change a device or not."""
        return {
            new.what
            for spelled, news in zip(self.spelled, self.news, strict=True)
            for new in news
            if new.level == level and (changing or not changes(spelled))
        }

    def groups(self, scans: Collection[str]) -> dict[tuple[str, str], list[int]]:
        """Places of symbols by the level at which they are new, and by activity if it matters.

        What belongs to a scan of a level is at the level "function-scan" or "item-scan"; what
        changes a device, or may have, never is.
        """
        spared = refused(self.spelled)
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, (spelled, news) in enumerate(zip(self.spelled, self.news, strict=True)):
            level = news[0].level
            changing = changes(spelled) and level != "status"
            scan = "function" if level == "activity" else level
            if scan in scans and not is_grave(spelled, spared):
                found[f"{scan}-scan", ""].append(place)
            else:
                activity = spelled.activity if changing or level == "activity" else ""
                found[level, activity].append(place)
        return found


def hear(memory: Memory, tick: Tick, foreign: Collection[int]) -> Iterable[Heard]:
    """What ready conversations, but for `foreign` ids, say for the first time."""
    found: dict[int, Heard] = {}
    for symbol in memory.unknown_symbols(tick):
        conversation = int(tick.names.symbols.conversation[symbol])
        if conversation in foreign:
            continue
        spelled = tick.names.symbol(symbol)
        name = plain(spelled.conversation)
        known = memory.plant.conversations.get(name)
        if known is None or not memory.is_ready(known, conversation):
            continue
        news = memory.news(name, spelled)
        if not news:
            memory.recognise(symbol)
            continue
        one = found.setdefault(conversation, Heard(name, known))
        one.symbols.append(symbol)
        one.spelled.append(spelled)
        one.news.append(news)
    return found.values()
