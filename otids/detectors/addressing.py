"""Addressing: an address that is in the wrong hands, by MAC, by ARP, by hops, by two answers.

What each device was learned to have is kept by name. What shows up at an address and is not its
own is a claim: if the owner is heard again meanwhile, somebody stands in for it; if not, it was
replaced. Only changes are looked at, which the hot path tells as sightings.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated

import msgspec
import numpy as np

from otids.detectors.base import (
    MOST_FRAMES,
    Cause,
    Detector,
    Finding,
    Quarantine,
    Readiness,
    State,
    StateError,
    finding_over,
)
from otids.learning.addresses.address_words import (
    spell_contest,
    spell_device,
    spell_hops,
    spell_move,
    spell_owner,
    whose,
)
from otids.learning.addresses.addresses import Addresses, AddressesState
from otids.learning.addresses.claims import MOST_CLAIMS, SETTLED, Claim, Claims
from otids.learning.addresses.impostors import Seen, look
from otids.learning.addresses.second_answers import answered_before, is_second_answer
from otids.learning.causes import Causes
from otids.learning.ledger import UNKNOWN, Ledger
from otids.learning.listening import Listening, ListeningState
from otids.learning.words import spell_function, spell_list, spell_message, spell_points
from otids.traffic import SECOND, SIGHTED, Array, ConversationName, EndpointName, Tick

NAME = "addressing"
MOST_FINDINGS = 64
"""Findings of one sort in one tick; the last one tells that there were more."""
MOST_CONVERSATIONS = 4_096
"""Conversations in which two answers to a request were learned as normal."""
MOST_STRANGERS = 1_024
"""Unknown endpoints whose MAC addresses are kept in mind, to say who claims an address."""
MOST_MET = 256
"""Unknown endpoints of one tick that are taken in mind."""

_USED, _ANNOUNCEMENT = SIGHTED.index("used"), SIGHTED.index("announcement")


class AddressingState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checked form of the detector's state."""

    listening: ListeningState
    addresses: AddressesState
    contradicted: dict[str, object]
    claims: Annotated[list[Claim], msgspec.Meta(max_length=MOST_CLAIMS)]
    strangers: Annotated[
        list[tuple[EndpointName, Annotated[int, msgspec.Meta(ge=0, lt=1 << 48)]]],
        msgspec.Meta(max_length=MOST_STRANGERS),
    ]
    accepted: list[object]


class Addressing(Detector):
    """Knows who has which address, and says who takes another one's."""

    name = NAME

    def __init__(self) -> None:
        self.addresses = Addresses()
        self.listening = Listening()
        self._accepted = Causes(NAME)
        self._contradicted = Ledger(ConversationName, {}, MOST_CONVERSATIONS)
        self._strangers: dict[EndpointName, int] = {}  # with their MACs
        self._claims = Claims()
        self._next: Claims | None = None  # what the claims are after the tick that was judged
        self._due: int | None = None

    @property
    def counters(self) -> Mapping[str, int]:
        """How often something was too much to be learned, by what it was."""
        return {
            "addresses": self.addresses.refused,
            "conversations": self._contradicted.refused,
        }

    # --- judging -----------------------------------------------------------------------------

    def judge(self, tick: Tick) -> Sequence[Finding]:
        """Say which addresses of `tick` are in the wrong hands. Nothing is learned."""
        self._next = None
        # The columns themselves: most ticks have neither, and cost next to nothing.
        sightings, notices = tick.tables.sightings.mac.size, tick.tables.notices.kind.size
        is_due = self._due is not None and self._due <= tick.second
        if not (sightings or notices or is_due) or self.listening.declared:
            return ()
        findings: list[Finding] = []
        if sightings or is_due:
            seen = look(tick, self.addresses, self.listening, self._claims, self._may_have)
            self._next = seen.claims
            for told in (
                self._contests(tick, seen),
                self._moves(seen),
                self._announcements(tick, seen),
                self._hops(tick, seen),
            ):
                findings.extend(_some(told))
        if notices and self.listening.is_ready():
            findings.extend(_some(self._second_answers(tick)))
        return findings

    def _may_have(self, name: EndpointName, mac: int) -> bool:
        return self.addresses.belongs(name, mac) or _binding(name, mac) in self._accepted

    def _contests(self, tick: Tick, seen: Seen) -> Iterable[Finding]:
        for (name, mac), places in seen.contested.items():
            claim = seen.claims.find(name, mac)
            if claim is None:
                continue  # forgotten for its bound
            for kind, rows in _by_kind(tick, claim, np.array(sorted(places), np.int64)).items():
                yield self._contest(tick, seen, claim, kind, rows)

    def _contest(self, tick: Tick, seen: Seen, claim: Claim, kind: str, rows: Array) -> Finding:
        name, mac = claim.endpoint, claim.mac
        owners = self._owners(name.vlan, mac)
        others = [one for one in seen.claims.by(name.vlan, mac) if one != name]
        usual = spell_owner(name, self.addresses.macs(name))
        finding = finding_over(
            tick,
            {"sightings": rows},
            detector=NAME,
            kind=f"{NAME}.{kind}",
            cause=_binding(name, mac),
            expected=usual,
            observed=spell_contest(claim, owners, self.addresses.ttls(seen.rows[name]), others),
            source=whose(name.vlan, mac, owners),
            target=name,
            score=self.listening.sureness(),
            baseline=(usual,),
        )
        began = seen.begun.get((name, mac))
        if began is not None and began < min(finding.frames):
            # What began it may lie in an earlier second.
            finding = replace(
                finding,
                frames=(began, *finding.frames)[: 2 * MOST_FRAMES],
                frame_count=finding.frame_count + 1,
            )
        return finding

    def _moves(self, seen: Seen) -> Iterable[Finding]:
        for claim in seen.settled:
            name, mac = claim.endpoint, claim.mac
            macs = self.addresses.macs(name)
            router = next((one for one in macs if self.addresses.is_router(name.vlan, one)), None)
            owners = self._owners(name.vlan, mac)
            usual = spell_owner(name, macs)
            # An address that went from hand to hand before, or a device that had several, does
            # so again: addresses are given out there.
            is_pool = len(macs) > 1 or (
                len(owners) > 1 and not self.addresses.is_router(name.vlan, mac)
            )
            yield Finding(
                detector=NAME,
                kind=f"{NAME}.mac-changed",
                cause=_binding(name, mac)
                if router is None
                else (NAME, "moved", name.vlan, router, mac),
                first_seen=claim.time,
                last_seen=(claim.first + SETTLED) * SECOND,
                frames=(claim.frame,),
                frame_count=1,
                count=1,
                expected=usual,
                observed=spell_move(claim, owners),
                source=whose(name.vlan, mac, owners),
                target=name,
                score=self.listening.sureness(),
                severity="low" if is_pool else None,
                members=(str(name),),
                accepts=(_binding(name, mac),),
                baseline=(usual,),
            )

    def _announcements(self, tick: Tick, seen: Seen) -> Iterable[Finding]:
        for name, places in seen.announced.items():
            cause = (NAME, "announcement", *name)
            if cause in self._accepted:
                continue
            yield finding_over(
                tick,
                {"sightings": np.array(places, np.int64)},
                detector=NAME,
                kind=f"{NAME}.gratuitous-arp",
                cause=cause,
                expected=f"{name} never announced its address by ARP",
                observed=f"{name} announces its address by ARP, with the MAC address that it has, "
                "as a device does when it starts or gets its cable back",
                source=name,
                score=self.listening.sureness(),
                weak=True,
            )

    def _hops(self, tick: Tick, seen: Seen) -> Iterable[Finding]:
        for (name, ttl), places in seen.hops.items():
            usual = self.addresses.ttls(seen.rows[name])
            cause = (NAME, "ttl", *name, ttl)
            if not usual or cause in self._accepted:
                continue
            yield finding_over(
                tick,
                {"sightings": np.array(places, np.int64)},
                detector=NAME,
                kind=f"{NAME}.ttl-changed",
                cause=cause,
                expected=f"frames of {name} arrive with TTL {spell_list(map(str, usual))}",
                observed=spell_hops(name, ttl, usual),
                source=name,
                score=self.listening.sureness(),
                weak=True,
            )

    def _second_answers(self, tick: Tick) -> Iterable[Finding]:
        notices = tick.tables.notices
        rows = np.flatnonzero(is_second_answer(tick))
        rows = rows[~tick.loss.is_lossy(notices.conversation[rows])]
        for id in dict.fromkeys(notices.conversation[rows].tolist()):
            name = tick.names.conversation(id)
            cause = (NAME, "two-answers", *name.client, *name.server, name.protocol, name.port)
            if self._contradicted.row(name) == UNKNOWN and cause not in self._accepted:
                yield self._second_answer(tick, name, cause, rows[notices.conversation[rows] == id])

    def _second_answer(
        self, tick: Tick, name: ConversationName, cause: Cause, rows: Array
    ) -> Finding:
        before = answered_before(tick, rows)
        symbols = dict.fromkeys(tick.tables.messages.symbol[before].tolist())
        said = [tick.names.symbol(id) for id in symbols]
        asked = f" ({spell_list(map(spell_message, said), '; ')})" if said else ""
        claims = self._claims if self._next is None else self._next
        behind = next((one.mac for one in claims.at(name.server) if one.used), None)
        observed = "a request" if len(rows) == 1 else f"{len(rows)} requests"
        observed += f"{asked} had two answers that differ, both in the name of {name.server}"
        source = None
        if behind is not None:
            owners = self._owners(name.server.vlan, behind)
            source = whose(name.server.vlan, behind, owners)
            observed += f"; {spell_device(behind, owners)} sends in its name too"
        finding = finding_over(
            tick,
            {"notices": rows, "messages": before},
            detector=NAME,
            kind=f"{NAME}.two-answers",
            cause=cause,
            expected=f"{name.server} answers each request of {name.client} once",
            observed=observed,
            source=source,
            target=name.server,
            conversation=name,
            function=spell_function(said[0]) if said else "",
            points=spell_points(said),
            score=self.listening.sureness(),
        )
        return replace(finding, count=len(rows))

    def _owners(self, vlan: int, mac: int) -> list[EndpointName]:
        """Whose MAC address it is, as far as known."""
        return list(self.addresses.owners(vlan, mac)) or [
            name for name, one in self._strangers.items() if one == mac and name.vlan == vlan
        ]

    # --- learning ----------------------------------------------------------------------------

    def learn(self, tick: Tick, quarantine: Quarantine) -> None:
        """Take in who has which address, where that may still be learned."""
        if self._next is not None:
            self._claims, self._next = self._next, None
            self._due = self._claims.due()
        if tick.tables.sightings.mac.size:
            self._learn_sightings(tick, quarantine)
        if tick.tables.notices.kind.size and not self.listening.is_ready():
            self._learn_answers(tick, quarantine)
        self.listening.hear(tick.second)

    def _learn_sightings(self, tick: Tick, quarantine: Quarantine) -> None:
        sightings, listening = tick.tables.sightings, self.listening
        ledger = self.addresses.endpoints
        ledger.follow(tick.names, tick.names.endpoints.size)
        rows = ledger.find(sightings.endpoint, tick.names.endpoint)
        if listening.closed and not listening.declared:
            self._meet_strangers(tick, np.flatnonzero(rows < 0)[:MOST_MET])
            return
        since = 0 if listening.declared else listening.seconds
        may = (sightings.mac != 0) & (sightings.endpoint != 0)
        clean = quarantine.clean("sightings")
        if clean is not None:
            may &= clean
        if not listening.declared:
            known = np.flatnonzero(rows >= 0)
            ready = [listening.is_ready(one) for one in ledger["since"][rows[known]].tolist()]
            may[known] &= ~np.array(ready, np.bool_)
        places = np.flatnonzero(may)
        rows = ledger.enter(sightings.endpoint[places], tick.names.endpoint, tick.second)
        places, rows = places[rows >= 0], rows[rows >= 0]
        ledger.touch(rows, tick.second)
        ledger["since"][rows] = np.minimum(ledger["since"][rows], since)
        columns = (rows, sightings.mac[places], sightings.arp[places], sightings.ttl[places])
        every = zip(*(column.tolist() for column in columns), strict=True)
        for row, mac, how, ttl in dict.fromkeys(every):
            self.addresses.bind(ledger.name(row), mac, tick.second)
            if how == _USED and ttl:
                self.addresses.note_ttl(row, ttl)
            elif how == _ANNOUNCEMENT:
                ledger["announces"][row] = 1

    def _meet_strangers(self, tick: Tick, places: Array) -> None:
        """Keep in mind who is not known, to name it when it claims an address."""
        sightings = tick.tables.sightings
        for place in places.tolist():
            id, mac = int(sightings.endpoint[place]), int(sightings.mac[place])
            if id and mac:
                name = tick.names.endpoint(id)
                self._strangers.pop(name, None)
                self._strangers[name] = mac
        while len(self._strangers) > MOST_STRANGERS:
            del self._strangers[next(iter(self._strangers))]

    def _learn_answers(self, tick: Tick, quarantine: Quarantine) -> None:
        rows = is_second_answer(tick)
        clean = quarantine.clean("notices")
        if clean is not None:
            rows &= clean
        for id in np.unique(tick.tables.notices.conversation[rows]).tolist():
            row = self._contradicted.add(tick.names.conversation(id), tick.second)
            if row != UNKNOWN:
                self._contradicted["touched"][row] = tick.second

    def due(self) -> int | None:
        """When the next claim has taken the place of what it claims, if nobody contests it."""
        return self._due

    def interrupt(self) -> None:
        """What goes on at present does not go on from here."""
        self._claims, self._next, self._due = Claims(), None, None
        self._strangers = {}
        self.listening.interrupt()

    def begin_learning(self) -> None:
        """Everything that follows is normal."""
        self.listening.begin_learning()

    def close_world(self) -> None:
        """Whatever was not learned is new from now on."""
        self.listening.close_world()

    def learned(self) -> Mapping[str, Array]:
        """Endpoints that were learned."""
        return {"endpoints": self.addresses.endpoints.learned()}

    def forget(self, retired: Mapping[str, Array]) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        self.addresses.endpoints.forget(retired["endpoints"])

    def accept(self, cause: Cause) -> bool:
        """Let an endpoint have a MAC address or TTL, announce itself, or be contradicted."""
        if not self._accepted.add(cause):
            return False
        for claim in list(self._claims):
            if _binding(claim.endpoint, claim.mac) == cause:
                self._claims.drop(claim)
        self._due = self._claims.due()
        return True

    def undo(self, cause: Cause) -> bool:
        """Take that back."""
        return self._accepted.remove(cause)

    # --- state -------------------------------------------------------------------------------

    def readiness(self) -> Sequence[Readiness]:
        """How far learning is, of the plant as a whole."""
        return [Readiness(None, self.listening.progress(), self.listening.seconds_left())]

    def state(self) -> State:
        """Everything learned, by name."""
        state = AddressingState(
            self.listening.state(),
            self.addresses.state(),
            self._contradicted.state(),
            list(self._claims),
            list(self._strangers.items()),
            list(self._accepted.state()),
        )
        plain: State = msgspec.to_builtins(state, builtin_types=(bytes,))
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one."""
        checked, addresses, contradicted, accepted = _checked(state)
        self.addresses, self._contradicted, self._accepted = addresses, contradicted, accepted
        self.listening.restore(checked.listening)
        self._strangers = dict(checked.strangers)
        self._claims, self._next = Claims(checked.claims), None
        self._due = self._claims.due()

    def merge(self, state: State) -> None:
        """Add what another one learned; what goes on at present is each one's own."""
        checked = _checked(state)[0]
        self.listening.merge(checked.listening)
        self.addresses.merge(checked.addresses)
        self._contradicted.merge(checked.contradicted)
        self._accepted.merge(checked.accepted)


def _by_kind(tick: Tick, claim: Claim, rows: Array) -> dict[str, Array]:
    """Tell what is claimed by ARP from what is sent in somebody's name; rows by kind."""
    if not claim.claimed:
        return {"two-macs": rows}
    sightings = tick.tables.sightings
    sent = (sightings.arp[rows] == _USED) & (sightings.mac[rows] == claim.mac)
    parts = {"arp-spoofing": rows[~sent], "two-macs": rows[sent]}
    return {kind: part for kind, part in parts.items() if len(part)}


def _binding(name: EndpointName, mac: int) -> Cause:
    return (NAME, "binding", *name, mac)


def _checked(state: State) -> tuple[AddressingState, Addresses, Ledger, Causes]:
    """Check all of a state, and rebuild its parts. Raises `StateError`."""
    try:
        checked = msgspec.convert(state, AddressingState)
        addresses = Addresses.of(checked.addresses)
        contradicted = Ledger(ConversationName, {}, MOST_CONVERSATIONS)
        contradicted.restore(checked.contradicted)
        accepted = Causes(NAME)
        accepted.restore(checked.accepted)
    except (msgspec.ValidationError, ValueError) as error:
        raise StateError(f"the state of the addressing detector is damaged: {error}") from error
    return checked, addresses, contradicted, accepted


def _some(findings: Iterable[Finding]) -> Iterable[Finding]:
    """The first findings of a sort; the rows of those beyond the bound are left unsaid."""
    every = iter(findings)
    yield from islice(every, MOST_FINDINGS)
    if rest := list(every):
        first = rest[0]
        yield replace(
            first,
            cause=(NAME, first.kind, "further"),
            observed=f"{len(rest):,} further in the same second, past the {MOST_FINDINGS} told "
            f"apart; the first of them: {first.observed}",
            accepts=(),
        )
