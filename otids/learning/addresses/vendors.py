"""Who made a device: the vendor behind a MAC address, by the IEEE's register."""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor

import aiooui

_GROUP = 1 << 40
_LOCAL = 1 << 41


def spell_mac(mac: int) -> str:
    """Spell a MAC address: "00:80:f4:00:00:05"."""
    return mac.to_bytes(6, "big").hex(":")


def read_mac(text: str) -> int:
    """Read a MAC address as `spell_mac` spells it; 0 for anything else."""
    try:
        octets = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return 0
    return int.from_bytes(octets, "big") if len(octets) == 6 else 0  # noqa: PLR2004


def is_group(mac: int) -> bool:
    """Tell a multicast or broadcast address, which no device has as its own."""
    return bool(mac & _GROUP)


def vendor(mac: int) -> str:
    """Name who registered the prefix of a MAC address.

    Empty for an address that its owner made up (locally administered), a group address, and a
    prefix that nobody has registered.
    """
    if mac & (_GROUP | _LOCAL):
        return ""
    _load()
    return aiooui.get_vendor(spell_mac(mac)) or ""


@functools.cache
def _load() -> None:
    """Load the register once, when it is first needed.

    The library loads in an event loop; in a thread of its own that works whether or not the
    caller has one already.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, aiooui.async_load()).result()
