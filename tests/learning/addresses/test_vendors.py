"""MAC addresses: spelled, and traced to who made the device."""

import asyncio

import pytest

from otids.learning.addresses.vendors import is_group, read_mac, spell_mac, vendor


def test_spelling() -> None:
    assert spell_mac(0x0080F4000005) == "00:80:f4:00:00:05"
    assert read_mac("00:80:f4:00:00:05") == 0x0080F4000005
    assert [read_mac(text) for text in ("", "10.0.0.1", "00:80", "zz:80:f4:00:00:05")] == [0] * 4


def test_groups() -> None:
    assert is_group(0x010CCD010001)
    assert is_group(0xFFFFFFFFFFFF)
    assert not is_group(0x0080F4000005)


@pytest.mark.parametrize(
    ("mac", "name"),
    [
        (0x0080F4000005, "TELEMECANIQUE"),  # Schneider Electric
        (0x000E8C000001, "Siemens"),
        (0x0000BC000001, "Rockwell"),
    ],
)
def test_vendors_of_controllers(mac: int, name: str) -> None:
    assert name.lower() in vendor(mac).lower()


@pytest.mark.parametrize("mac", [0x020000000001, 0x0280F4000005, 0xFFFFFFFFFFFF, 0xFCFFFF000000])
def test_nobodys_addresses_have_no_vendor(mac: int) -> None:
    assert vendor(mac) == ""


def test_vendors_are_known_within_an_event_loop() -> None:
    async def ask() -> str:
        return vendor(0x000E8C000001)

    assert asyncio.run(ask())
