"""The inventory: which devices have spoken, with which MAC addresses, and what they do.

Rows of a tick are looked at as columns; only what is new (an endpoint, a binding to a MAC, a
fact, a role) is taken up one by one.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec
import numpy as np

from otids.alerts.wording import clean
from otids.assets.asset import Asset, Fact, Mac, numeric_order
from otids.assets.heard import (
    CLIENT,
    DOINGS,
    PUBLISHER,
    SERVER,
    doings,
    last_of_each,
    overheard,
    said,
    senders,
)
from otids.assets.listed import AssetList
from otids.detectors.base import State, StateError
from otids.learning.addresses.vendors import is_group, read_mac, spell_mac, vendor
from otids.traffic import Array, Dictionaries, EndpointName, Tick

VERSION = 1
MOST_ASSETS = 20_000
MOST_MACS = 8
MOST_FACTS = 64
MOST_ROLES = 64
CONTROLLERS = frozenset(
    {"plc", "rtu", "ied", "dcs", "pac", "sis", "controller", "controllers", "cnc", "robot"}
    | {"drive", "vfd", "inverter", "relay", "safety", "io", "i/o", "actuator", "sensor"}
    | {"instrument", "analyser", "analyzer", "meter"}
)
"""Words in the role of a listed device that say that it serves the process."""

_UNKNOWN, _NO_DEVICE = -1, -2
_NEVER = np.iinfo(np.int64).max

_Role: TypeAlias = tuple[str, str]  # protocol, one of DOINGS
_Macs: TypeAlias = Annotated[
    # By address: first and last seen, and whether only ARP has told it.
    dict[Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2}:){5}[0-9a-f]{2}$")],
         tuple[int, int, bool]],
    msgspec.Meta(max_length=MOST_MACS),
]  # fmt: skip
_Facts: TypeAlias = Annotated[list[tuple[str, str, int, int]], msgspec.Meta(max_length=MOST_FACTS)]
_Roles: TypeAlias = Annotated[list[_Role], msgspec.Meta(max_length=MOST_ROLES)]


class _Device(msgspec.Struct, forbid_unknown_fields=True):
    """One endpoint; MACs and facts stand in the order in which they were heard last."""

    endpoint: EndpointName
    first_seen: int = 0
    last_seen: int = 0
    macs: _Macs = msgspec.field(default_factory=dict)
    facts: _Facts = msgspec.field(default_factory=list)
    roles: _Roles = msgspec.field(default_factory=list)


class _Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    devices: Annotated[list[_Device], msgspec.Meta(max_length=MOST_ASSETS)]
    forgotten: Annotated[int, msgspec.Meta(ge=0)]


class Inventory:
    """All endpoints that have spoken, at most `most`; then the longest silent are forgotten.

    `forgotten` counts those. Also tells triage the names and MAC addresses of endpoints.
    """

    def __init__(self, listed: AssetList | None = None, *, most: int = MOST_ASSETS) -> None:
        self.listed = listed or AssetList()
        self.forgotten = 0
        self._most = min(most, MOST_ASSETS)
        self._clear()

    def _clear(self) -> None:
        # By slot. The times of a device are in the arrays until they are saved or shown.
        self._devices: list[_Device | None] = []
        self._first = np.zeros(0, np.int64)
        self._last = np.zeros(0, np.int64)
        self._slots: dict[EndpointName, int] = {}
        self._free: list[int] = []
        self._forget_ids()

    # --- what triage asks ------------------------------------------------------------------------

    def name(self, endpoint: EndpointName) -> str:
        """Tell the name that people gave the device; empty if none."""
        return self.listed.find(endpoint).name

    def mac(self, endpoint: EndpointName) -> str:
        """Tell the MAC address that an endpoint used last, or else that ARP tells; or nothing."""
        slot = self._slots.get(endpoint)
        device = None if slot is None else self._devices[slot]
        if device is None:
            return ""
        used = [mac for mac, (_, _, told) in device.macs.items() if not told]
        return (used or list(device.macs) or [""])[-1]

    def is_controller(self, endpoint: EndpointName) -> bool | None:
        """Tell whether a device serves the process (controllers, drives, remote I/O).

        What people say of its role goes before what was heard: who answers requests, or reports
        unasked, serves; who only asks does not. None if nothing is known.
        """
        said = set(re.findall(r"[a-z0-9/]+", self.listed.find(endpoint).role.casefold()))
        if said:
            return bool(said & CONTROLLERS)
        slot = self._slots.get(endpoint)
        device = None if slot is None else self._devices[slot]
        if device is None or not device.roles:
            return None
        return any(doing in {SERVER, PUBLISHER} for _, doing in device.roles)

    # --- taking a tick ---------------------------------------------------------------------------

    def take(self, tick: Tick) -> None:
        """Take up what a tick shows of devices."""
        names, tables = tick.names, tick.tables
        self._keep_up(names)
        if self._take_known(tick):
            return
        symbols, earliest, latest = said(tick)
        conversation = names.symbols.conversation[symbols]
        sender = senders(names, symbols, conversation)
        sightings, facts = tables.sightings, tables.facts
        framed, seconds = overheard(tick)
        exact = np.concatenate([sender, sightings.endpoint, facts.endpoint])
        first = np.concatenate([earliest, sightings.time, facts.time, seconds])
        last = np.concatenate([latest, sightings.time, facts.time, seconds])
        ids = np.concatenate([exact, framed])
        stale = self._slot_of[ids] == _UNKNOWN
        if stale.any():
            self._meet(names, ids, first, stale, len(exact))
        slots = self._slot_of[ids]
        device = slots >= 0
        np.maximum.at(self._last, slots[device], last[device])
        self._take_roles(names, symbols, sender, conversation, anew=bool(stale.any()))
        self._is_noted[symbols] = True
        if len(sightings):
            self._take_bindings(tick)
        if len(facts):
            self._take_facts(tick)

    def _take_known(self, tick: Tick) -> bool:
        """Take up a tick that shows nothing new but when devices were heard; False: there is more.

        Most ticks are such.
        """
        tables, slot_of = tick.tables, self._slot_of
        if len(tables.sightings) or len(tables.facts):
            return False
        slots, times = [], []
        if len(tables.messages):
            symbols = tables.messages.symbol
            if np.count_nonzero(self._is_noted[symbols]) < len(symbols):
                return False
            slots.append(slot_of[self._sender_of[symbols]])
            times.append(tables.messages.time)
        if len(tables.traffic):
            ids, seconds = overheard(tick)
            slots.append(slot_of[ids])
            times.append(seconds)
        if not slots:
            return True
        slot, time = np.concatenate(slots), np.concatenate(times)
        is_device = slot >= 0
        if np.count_nonzero(is_device) < len(slot):
            if np.count_nonzero(slot == _UNKNOWN):
                return False
            slot, time = slot[is_device], time[is_device]
        np.maximum.at(self._last, slot, time)
        return True

    # --- endpoints -------------------------------------------------------------------------------

    def _forget_ids(self) -> None:
        self._names: Dictionaries | None = None
        self._slot_of = np.zeros(0, np.int64)
        self._vlan_of = np.zeros(0, np.int64)
        self._address_of = np.zeros(0, object)
        # By symbol: who said it and what it does, as far as roles go.
        self._sender_of = np.zeros(0, np.int64)
        self._doing_of = np.zeros(0, np.int64)
        self._is_noted = np.zeros(0, np.bool_)  # since ids came to mean something else
        self._versions = (0, 0, 0)

    def _keep_up(self, names: Dictionaries) -> None:
        """Have a place for every id; those that mean another endpoint by now are forgotten."""
        endpoints = names.endpoints
        versions = (endpoints.version, names.symbols.version, names.conversations.version)
        if names is self._names and versions == self._versions:
            return
        if names is not self._names:
            self._forget_ids()
            self._names = names
        for size, columns in (
            (names.endpoints.size, ("_slot_of", "_vlan_of", "_address_of")),
            (names.symbols.size, ("_sender_of", "_doing_of")),
        ):
            known = len(getattr(self, columns[0]))
            if size > known:
                for name in columns:
                    column: Array = getattr(self, name)
                    grown = np.full(max(size, 2 * known), _UNKNOWN, column.dtype)
                    grown[:known] = column
                    setattr(self, name, grown)
        if versions[0] != self._versions[0]:
            size = endpoints.size
            changed = self._vlan_of[:size] != endpoints.vlan[:size]
            changed |= self._address_of[:size] != endpoints.address[:size]
            self._slot_of[:size][changed] = _UNKNOWN
        self._slot_of[0] = _NO_DEVICE  # nobody
        if len(self._is_noted) < len(self._sender_of) or versions[1:] != self._versions[1:]:
            self._is_noted = np.zeros(len(self._sender_of), np.bool_)
        self._versions = versions

    def _meet(
        self, names: Dictionaries, ids: Array, first: Array, stale: Array, exact: int
    ) -> None:
        """Find the slots of stale ids; devices heard for the first time get one.

        The first `exact` times are to the nanosecond, the others are whole seconds.
        """
        times = np.full(names.endpoints.size, _NEVER, np.int64)
        np.minimum.at(times, ids[:exact], first[:exact])
        rough = times[ids] == _NEVER
        np.minimum.at(times, ids[rough], first[rough])
        new = np.unique(ids[stale])
        self._vlan_of[new] = names.endpoints.vlan[new]
        self._address_of[new] = names.endpoints.address[new]
        self._slot_of[new] = [self._known_slot(names.endpoint(id_)) for id_ in new.tolist()]
        unknown = new[self._slot_of[new] == _UNKNOWN]
        self._take_up(names, ids, unknown, times[unknown])

    def _known_slot(self, endpoint: EndpointName) -> int:
        if not _is_device(endpoint.address):
            return _NO_DEVICE
        return self._slots.get(endpoint, _UNKNOWN)

    def _take_up(self, names: Dictionaries, spared: Array, ids: Array, first: Array) -> None:
        """Give devices a slot, the first ones if there are too many; those `spared` keep theirs."""
        lacking = len(self._slots) + len(ids) - self._most
        if lacking > 0:
            self._forget_silent(max(lacking, self._most // 16), self._slot_of[spared])
        room = self._most - len(self._slots)
        self.forgotten += max(len(ids) - room, 0)
        for id_, time in zip(ids[:room].tolist(), first[:room].tolist(), strict=True):
            self._slot_of[id_] = self._add(_Device(names.endpoint(id_)), time, time)

    def _add(self, device: _Device, first: int, last: int) -> int:
        if self._free:
            slot = self._free.pop()
        else:
            slot = len(self._devices)
            self._devices.append(None)
            if slot >= len(self._first):
                self._first = np.append(self._first, np.zeros(slot + 64, np.int64))
                self._last = np.append(self._last, np.zeros(slot + 64, np.int64))
        self._devices[slot] = device
        self._slots[device.endpoint] = slot
        self._first[slot], self._last[slot] = first, last
        return slot

    def _forget_silent(self, count: int, spared: Array) -> None:
        """Forget the devices that have been silent longest, but for those in slots `spared`."""
        used = np.fromiter(self._slots.values(), np.int64, len(self._slots))
        used = used[~np.isin(used, spared)]
        silent = used[np.argsort(self._last[used], kind="stable")[:count]]
        for slot in silent.tolist():
            device = self._devices[slot]
            if device is not None:
                del self._slots[device.endpoint]
            self._devices[slot] = None
            self._free.append(slot)
        self.forgotten += len(silent)
        self._slot_of[np.isin(self._slot_of, silent)] = _UNKNOWN

    def _device(self, id_: int) -> _Device | None:
        """Find the device behind an endpoint id that was heard in this tick."""
        slot = int(self._slot_of[id_]) if id_ else _UNKNOWN
        return self._devices[slot] if slot >= 0 else None

    # --- roles, bindings, facts ------------------------------------------------------------------

    def _take_roles(
        self,
        names: Dictionaries,
        symbols: Array,
        sender: Array,
        conversation: Array,
        *,
        anew: bool,
    ) -> None:
        """Note what senders do; looks only at symbols that are new, unless `anew`."""
        doing = doings(names, symbols, conversation)
        new = (self._sender_of[symbols] != sender) | (self._doing_of[symbols] != doing)
        if not (anew or new.any()):
            return
        self._sender_of[symbols], self._doing_of[symbols] = sender, doing
        slots = self._slot_of[sender]
        for slot, role in set(zip(slots.tolist(), doing.tolist(), strict=True)):
            device = self._devices[slot] if slot >= 0 else None
            if device is None:
                continue
            words = (names.texts.name(role >> 8), DOINGS[role & 0xFF])
            if words not in device.roles and len(device.roles) < MOST_ROLES:
                device.roles = sorted([*device.roles, words])

    def _take_bindings(self, tick: Tick) -> None:
        table = tick.tables.sightings
        for row in last_of_each(table.endpoint, table.mac, table.arp).tolist():
            device = self._device(int(table.endpoint[row]))
            mac = int(table.mac[row])
            if device is None or mac == 0 or is_group(mac):
                continue
            time, told, spelled = int(table.time[row]), bool(table.arp[row]), spell_mac(mac)
            first, _, only_told = device.macs.pop(spelled, (time, time, True))
            device.macs[spelled] = (first, time, told and only_told)
            if len(device.macs) > MOST_MACS:
                del device.macs[next(iter(device.macs))]

    def _take_facts(self, tick: Tick) -> None:
        table, texts = tick.tables.facts, tick.names.texts
        for row in last_of_each(table.endpoint, table.key, table.value).tolist():
            device = self._device(int(table.endpoint[row]))
            if device is None:
                continue
            key, value = (
                clean(texts.name(int(column[row]))) for column in (table.key, table.value)
            )
            device.facts = [fact for fact in device.facts if fact[:2] != (key, value)]
            device.facts = device.facts[1 - MOST_FACTS :]
            device.facts.append((key, value, int(table.time[row]), int(table.frame[row])))

    # --- showing and saving ----------------------------------------------------------------------

    def assets(self) -> list[Asset]:
        """Return all devices in order of their addresses."""
        devices = self._timed()
        shared = Counter((one.endpoint.vlan, mac) for one in devices for mac in one.macs)
        return [
            self._asset(device, shared)
            for device in sorted(devices, key=lambda one: numeric_order(one.endpoint))
        ]

    def _asset(self, device: _Device, shared: Counter[tuple[int, str]]) -> Asset:
        listed = self.listed.find(device.endpoint)
        current = self.mac(device.endpoint)
        others = shared[device.endpoint.vlan, current] - 1
        note = (
            f"shares its MAC address with {others} other address{'es' if others > 1 else ''}: "
            "a router, or one device with several addresses"
        )
        return Asset(
            endpoint=device.endpoint,
            name=listed.name,
            role=listed.role,
            zone=listed.zone,
            labels=listed.labels,
            macs=tuple(
                Mac(mac, vendor(read_mac(mac)), told, first, last)
                for mac, (first, last, told) in reversed(device.macs.items())
            ),
            first_seen=device.first_seen,
            last_seen=device.last_seen,
            roles=_spell_roles(device.roles),
            facts=tuple(Fact(*fact) for fact in sorted(device.facts)),
            note=note if others > 0 else "",
        )

    def _timed(self) -> list[_Device]:
        devices = []
        for slot in self._slots.values():
            device = self._devices[slot]
            if device is not None:
                device.first_seen, device.last_seen = int(self._first[slot]), int(self._last[slot])
                devices.append(device)
        return devices

    def state(self) -> State:
        """Return all that is known, as plain data."""
        plain: State = msgspec.to_builtins(_Saved(VERSION, self._timed(), self.forgotten))
        return plain

    def restore(self, state: State) -> None:
        """Take back a state. Raises StateError if it is not one; then nothing has changed."""
        try:
            saved = msgspec.convert(state, _Saved)
        except msgspec.ValidationError as error:
            raise StateError(f"saved inventory: {error}") from None
        if saved.version != VERSION:
            raise StateError(f"saved inventory is of version {saved.version}, not {VERSION}")
        if len({device.endpoint for device in saved.devices}) < len(saved.devices):
            raise StateError("saved inventory: an endpoint stands twice")
        self._clear()
        self.forgotten = saved.forgotten
        for device in saved.devices[: self._most]:
            self._add(device, device.first_seen, device.last_seen)


def _is_device(address: str) -> bool:
    """Tell a device's address from that of a group, or of none."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        mac = read_mac(address)
        return mac != 0 and not is_group(mac)
    return not (ip.is_multicast or ip.is_unspecified or address == "255.255.255.255")


def _spell_roles(roles: Sequence[_Role]) -> tuple[str, ...]:
    """Spell roles; a mere client is not worth saying of one of which more is known."""
    more = {protocol for protocol, doing in roles if doing.startswith(f"{CLIENT} ")}
    return tuple(
        f"{protocol} {doing}"
        for protocol, doing in sorted(roles, key=lambda one: (one[0], DOINGS.index(one[1])))
        if not (doing == CLIENT and protocol in more)
    )
