"""The inventory: what ticks show of devices, within bounds, and across restarts."""

from pathlib import Path

import pytest
from ticks import Wire, reads, writes

from otids import statefile
from otids.assets import Asset, AssetList, Inventory, Listed
from otids.assets.inventory import MOST_FACTS, MOST_MACS
from otids.detectors.base import StateError
from otids.traffic import SECOND, EndpointName

SCHNEIDER = 0x0080F4000005
SIEMENS = 0x000E8C000001
START = 1_700_000_000 * SECOND


def take(wire: Wire, inventory: Inventory | None = None) -> Inventory:
    inventory = inventory or Inventory()
    for tick in wire.ticks():
        inventory.take(tick)
    return inventory


def by_address(inventory: Inventory) -> dict[str, Asset]:
    return {asset.endpoint.address: asset for asset in inventory.assets()}


def test_roles_come_from_what_was_said() -> None:
    wire = Wire()
    wire.exchange(0.0, 3, reads("holding-register", 1, 2))
    wire.exchange(0.1, 3, reads("holding-register", 1, 2), client="10.0.0.8")
    wire.exchange(0.2, 6, writes("holding-register", 1, values=[1]), client="10.0.0.8")
    wire.exchange(0.3, 8, client="10.0.0.7")
    wire.exchange(1.3, 3, reads("holding-register", 1, 2), client="10.0.0.1", server="10.0.0.2")
    wire.request(1.4, 3, reads("coil", 1), client="10.0.0.9", server="10.0.0.200")
    wire.report(1.5, 99, activity="report", client="10.0.0.6", from_client=True)
    wire.report(1.6, 99, activity="report", server="10.0.0.5")
    roles = {address: asset.roles for address, asset in by_address(take(wire)).items()}
    assert roles == {
        "10.0.0.1": ("modbus server", "modbus client (reads)"),
        "10.0.0.2": ("modbus server",),
        "10.0.0.5": ("modbus server",),
        "10.0.0.6": ("modbus publisher",),
        "10.0.0.7": ("modbus client",),
        "10.0.0.8": ("modbus client (reads)", "modbus client (writes)"),
        "10.0.0.9": ("modbus client (reads)",),
    }


def test_times_are_those_of_the_messages() -> None:
    wire = Wire()
    wire.request(0.5, 3, reads("coil", 1))
    wire.request(0.75, 3, reads("coil", 1))
    wire.request(7.25, 3, reads("coil", 1))
    hmi = by_address(take(wire))["10.0.0.9"]
    assert (hmi.first_seen, hmi.last_seen) == (START + SECOND // 2, START + 29 * SECOND // 4)


def test_who_only_sends_frames_is_there_too() -> None:
    wire = Wire()
    parts = {"client": "10.0.0.3", "server": "10.0.0.4", "protocol": "unknown"}
    wire.volume(2.5, parts=parts, client_frames=3)
    wire.volume(9.5, parts=parts, client_frames=3)
    assets = by_address(take(wire))
    assert list(assets) == ["10.0.0.3"]
    assert assets["10.0.0.3"].first_seen == START + 2 * SECOND
    assert assets["10.0.0.3"].last_seen == START + 9 * SECOND


def test_macs_are_kept_with_their_vendors() -> None:
    wire = Wire()
    wire.sighting(0.0, "10.0.0.1", SIEMENS, arp=True)
    wire.sighting(1.0, "10.0.0.1", SCHNEIDER)
    wire.sighting(2.0, "10.0.0.1", SCHNEIDER, arp=True)
    wire.sighting(3.0, "10.0.0.1", 0x020000000001, arp=True)
    wire.sighting(3.1, "10.0.0.1", 0)
    wire.sighting(3.2, "10.0.0.1", 0xFFFFFFFFFFFF)
    inventory = take(wire)
    [asset] = inventory.assets()
    assert [(mac.address, mac.told) for mac in asset.macs] == [
        ("02:00:00:00:00:01", True),
        ("00:80:f4:00:00:05", False),
        ("00:0e:8c:00:00:01", True),
    ]
    assert asset.macs[0].vendor == ""
    assert "Siemens" in asset.macs[2].vendor
    assert asset.macs[1].first_seen == START + SECOND
    assert asset.macs[1].last_seen == START + 2 * SECOND
    assert inventory.mac(EndpointName(0, "10.0.0.1")) == "00:80:f4:00:00:05"
    assert inventory.mac(EndpointName(0, "10.0.0.99")) == ""


def test_what_arp_tells_is_better_than_nothing() -> None:
    wire = Wire()
    wire.sighting(0.0, "10.0.0.1", SIEMENS, arp=True)
    assert take(wire).mac(EndpointName(0, "10.0.0.1")) == "00:0e:8c:00:00:01"


def test_a_router_is_noted_and_not_merged() -> None:
    wire = Wire()
    for number in range(4):
        wire.sighting(number, f"10.0.{number}.1", SIEMENS)
    wire.sighting(5.0, "10.0.0.1", SIEMENS, vlan=7)
    assets = take(wire).assets()
    assert len(assets) == 5
    notes = {asset.endpoint: asset.note for asset in assets}
    assert notes[EndpointName(0, "10.0.0.1")].startswith(
        "shares its MAC address with 3 other addre"
    )
    assert notes[EndpointName(7, "10.0.0.1")] == ""


def test_facts_are_kept_with_when_they_were_heard() -> None:
    wire = Wire()
    wire.fact(0.0, "10.0.0.1", "vendor", "Schneider\x1b[2J")
    wire.fact(1.0, "10.0.0.1", "product", "BMX P34")
    wire.fact(2.0, "10.0.0.1", "product", "BMX P34")
    [asset] = take(wire).assets()
    assert [(fact.key, fact.value) for fact in asset.facts] == [
        ("product", "BMX P34"),
        ("vendor", "Schneider\ufffd"),
    ]
    assert asset.facts[0].heard_at == START + 2 * SECOND
    assert asset.facts[0].frame == 3


def test_lists_of_a_device_are_bounded() -> None:
    wire = Wire()
    for number in range(200):
        wire.sighting(number / 10, "10.0.0.1", SCHNEIDER + number)
        wire.fact(number / 10, "10.0.0.1", f"key {number}", "x")
    [asset] = take(wire).assets()
    assert len(asset.macs) == MOST_MACS
    assert asset.macs[0].address == "00:80:f4:00:00:cc"
    assert len(asset.facts) == MOST_FACTS
    assert {fact.key for fact in asset.facts} == {f"key {number}" for number in range(136, 200)}


def test_groups_are_no_devices() -> None:
    wire = Wire()
    for address in (
        "224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::",  # noqa: S104
        "01:0c:cd:01:00:01", "00:00:00:00:00:00",
    ):  # fmt: skip
        wire.sighting(0.0, address, SIEMENS)
    wire.sighting(0.0, "00:0e:8c:00:00:01", SIEMENS)
    assert list(by_address(take(wire))) == ["00:0e:8c:00:00:01"]


def test_assets_stand_in_order_of_their_numbers() -> None:
    wire = Wire()
    addresses = ["10.0.0.10", "fe80::1", "10.0.0.9", "00:0e:8c:00:00:01", "2001:db8::1"]
    for address in addresses:
        wire.sighting(0.0, address, SIEMENS)
    wire.sighting(0.0, "10.0.0.9", SIEMENS, vlan=7)
    found = [str(asset.endpoint) for asset in take(wire).assets()]
    assert found == [
        "10.0.0.9",
        "10.0.0.9 (VLAN 7)",
        "10.0.0.10",
        "2001:db8::1",
        "fe80::1",
        "00:0e:8c:00:00:01",
    ]


def test_people_give_names() -> None:
    listed = Listed("PLC-5", "controller", "cell 2", (("rack", "R7"),))
    inventory = Inventory(AssetList({(None, "10.0.0.1"): listed}))
    wire = Wire()
    wire.sighting(0.0, "10.0.0.1", SIEMENS)
    [asset] = take(wire, inventory).assets()
    assert (asset.name, asset.role, asset.zone) == ("PLC-5", "controller", "cell 2")
    assert asset.record()["labels"] == {"rack": "R7"}
    assert inventory.name(EndpointName(0, "10.0.0.1")) == "PLC-5"
    assert inventory.name(EndpointName(0, "10.0.0.2")) == ""


def test_ids_that_come_to_mean_another_device() -> None:
    wire = Wire()
    inventory = Inventory()
    wire.sighting(0.0, "10.0.0.1", SIEMENS)
    gone = wire.endpoint("10.0.0.1")
    take(wire, inventory)
    wire.retire("endpoints", [gone])
    wire.sighting(10.0, "10.0.0.2", SCHNEIDER)
    assert wire.endpoint("10.0.0.2") == gone
    assets = by_address(take(wire, inventory))
    assert assets["10.0.0.1"].last_seen == START
    assert assets["10.0.0.2"].first_seen == START + 10 * SECOND
    assert [mac.address for mac in assets["10.0.0.1"].macs] == ["00:0e:8c:00:00:01"]


def test_another_session_numbers_anew() -> None:
    inventory = Inventory()
    for session, address in enumerate(("10.0.0.1", "10.0.0.2", "10.0.0.1")):
        wire = Wire(session=session, start=1_700_000_000 + 100 * session)
        wire.sighting(0.0, address, SIEMENS)
        take(wire, inventory)
    assets = by_address(inventory)
    assert list(assets) == ["10.0.0.1", "10.0.0.2"]
    assert assets["10.0.0.1"].first_seen == START
    assert assets["10.0.0.1"].last_seen == START + 200 * SECOND


def test_the_longest_silent_make_room() -> None:
    wire = Wire()
    for number in range(10):
        wire.exchange(number, 3, reads("coil", 1), client="10.1.0.1", server=f"10.0.0.{number}")
    inventory = Inventory(most=5)
    take(wire, inventory)
    assert list(by_address(inventory)) == [f"10.0.0.{number}" for number in range(6, 10)] + [
        "10.1.0.1"
    ]
    assert by_address(inventory)["10.0.0.6"].roles == ("modbus server",)
    assert inventory.forgotten == 6


def test_more_at_once_than_there_is_room_for() -> None:
    wire = Wire()
    for number in range(100):
        wire.sighting(0.5, f"10.0.0.{number}", SIEMENS + number)
    inventory = take(wire, Inventory(most=5))
    assert len(inventory.assets()) == 5
    assert inventory.forgotten == 95


def plant() -> list[Wire]:
    wires = []
    for session in range(3):
        wire = Wire(session=session, start=1_700_000_000 + 100 * session)
        for number in range(8):
            address = f"10.0.0.{(number * 3 + session) % 11}"
            wire.exchange(number, 3, reads("coil", 1), client="10.1.0.1", server=address)
            wire.sighting(number + 0.5, address, SIEMENS + number)
            wire.fact(number + 0.6, address, "firmware", f"{session}.{number}")
        wires.append(wire)
    return wires


@pytest.mark.parametrize("most", [6, 100])
def test_a_restart_changes_nothing(most: int, tmp_path: Path) -> None:
    one = Inventory(most=most)
    for wire in plant():
        take(wire, one)
    for split in range(1, 3):
        first, second = Inventory(most=most), Inventory(most=most)
        for wire in plant()[:split]:
            take(wire, first)
        statefile.write(tmp_path / "s", "assets", 1, first.state())
        second.restore(statefile.read(tmp_path / "s", "assets", 1).payload)
        assert second.assets() == first.assets()
        for wire in plant()[split:]:
            take(wire, second)
        assert second.state() == one.state()
        assert second.assets() == one.assets()


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"devices": [{"endpoint": [0]}]},
        {"devices": [{"endpoint": [0, "10.0.0.1"], "macs": {"x": [1, 2, False]}}]},
        {"devices": [{"endpoint": [0, "10.0.0.1"], "facts": [["k", "v", 1, 2]] * 65}]},
        {"devices": [{"endpoint": [0, "10.0.0.1"]}, {"endpoint": [0, "10.0.0.1"]}]},
        {"forgotten": -1},
        {"surplus": 1},
    ],
)
def test_a_damaged_state_changes_nothing(damage: dict[str, object]) -> None:
    inventory = take(plant()[0])
    state = inventory.state()
    with pytest.raises(StateError, match="saved inventory"):
        inventory.restore({**state, **damage})
    assert inventory.state() == state
