"""Hosts and points of the substations."""

from __future__ import annotations

from plant.devices import Host

PORT = 2404

CENTRE = Host("centre", "10.20.3.10", "00:0c:29:4f:31:10")
STATION_1 = Host("station1", "10.20.4.11", "00:80:a3:90:11:0b")
STATION_2 = Host("station2", "10.20.4.12", "00:80:a3:90:11:0c")
ROGUE = Host("rogue", "10.20.3.66", "b8:27:eb:5d:c3:66")

STATIONS = {STATION_1.name: (STATION_1, 1), STATION_2.name: (STATION_2, 2)}
"""Each station and its common address."""

SINGLE_POINTS = (1, 2, 3)
DOUBLE_POINT = 10
MEASURED = (100, 101, 102, 103)
SET_POINT_SHOWN = 110
COUNTERS = (300, 301)
SINGLE_COMMANDS = (201, 202, 203)
DOUBLE_COMMAND = 210
SET_POINT = 220
NO_POINT = 900
"""From here on there is no point."""
