"""The control centre: `python -m telecontrol.centre --seed N --seconds S`.

It interrogates the stations, reads counters and single points, sets their clocks, and its operators
switch and set.
"""

from __future__ import annotations

import argparse
import random
import time

import c104

from telecontrol import devices

CONNECT_SECONDS = 15.0
EVERY = {"interrogate": 30.0, "count": 25.0, "clock": 35.0, "read": 7.0, "act": 6.0}
"""Seconds between two of each at each station."""
ORIGINATOR = 3


class Centre:
    """A connection to each station, and what is done over it."""

    def __init__(self, seed: int) -> None:
        """Prepare the connections."""
        self._rng = random.Random(f"{seed}/centre")
        self._client = c104.Client()
        self._client.originator_address = ORIGINATOR
        self._lines = {}
        for name, (host, common_address) in devices.STATIONS.items():
            line = self._client.add_connection(ip=host.address, port=devices.PORT)
            self._lines[name] = line
            self._add_points(line.add_station(common_address=common_address))

    @staticmethod
    def _add_points(station: c104.Station) -> None:
        for address in devices.SINGLE_POINTS:
            station.add_point(address, c104.Type.M_SP_TB_1)
        station.add_point(devices.DOUBLE_POINT, c104.Type.M_DP_TB_1)
        for address in (*devices.MEASURED, devices.SET_POINT_SHOWN):
            station.add_point(address, c104.Type.M_ME_NC_1)
        for address in devices.COUNTERS:
            station.add_point(address, c104.Type.M_IT_NA_1)
        for address in devices.SINGLE_COMMANDS:
            station.add_point(address, c104.Type.C_SC_NA_1)
        select = c104.CommandMode.SELECT_AND_EXECUTE
        station.add_point(devices.DOUBLE_COMMAND, c104.Type.C_DC_NA_1, command_mode=select)
        station.add_point(devices.SET_POINT, c104.Type.C_SE_NC_1)

    def work(self, seconds: float) -> None:
        """Connect, and do what is due until the time is over."""
        self._client.start()
        deadline = time.monotonic() + CONNECT_SECONDS
        while not all(line.is_connected for line in self._lines.values()):
            if time.monotonic() > deadline:
                message = "the stations do not answer"
                raise SystemExit(message)
            time.sleep(0.1)
        start = time.monotonic()
        due = {
            (name, task): start + self._rng.uniform(2.0, 4.0 + pause / 4)
            for name in self._lines
            for task, pause in EVERY.items()
        }
        turns = dict.fromkeys(due, 0)
        while (now := time.monotonic()) < start + seconds:
            for (name, task), moment in due.items():
                if now >= moment:
                    due[name, task] = now + EVERY[task] * self._rng.uniform(0.95, 1.05)
                    self._do(name, task, turns[name, task])
                    turns[name, task] += 1
            time.sleep(0.05)
        self._client.stop()

    def _do(self, name: str, task: str, turn: int) -> None:
        line, common_address = self._lines[name], devices.STATIONS[name][1]
        match task:
            case "interrogate":
                line.interrogation(common_address=common_address)
            case "count":
                line.counter_interrogation(common_address=common_address)
            case "clock":
                line.clock_sync(common_address=common_address)
            case "read":
                address = devices.MEASURED[turn % len(devices.MEASURED)]
                line.get_station(common_address).get_point(address).read()
            case _:
                self._act(line.get_station(common_address), turn)

    def _act(self, station: c104.Station, turn: int) -> None:
        """One operator's action; in turn, so that a run holds each several times."""
        commands = (*devices.SINGLE_COMMANDS, devices.DOUBLE_COMMAND, devices.SET_POINT)
        address = commands[turn % len(commands)]
        is_on = turn // len(commands) % 2 == 1
        point = station.get_point(address)
        if address == devices.SET_POINT:
            point.value = round(self._rng.uniform(35.0, 45.0), 1)
        elif address == devices.DOUBLE_COMMAND:
            point.value = c104.Double.ON if is_on else c104.Double.OFF
        else:
            point.value = is_on
        point.transmit(cause=c104.Cot.ACTIVATION)


def main() -> None:
    """Work for so many seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    Centre(options.seed).work(options.seconds)


if __name__ == "__main__":
    main()
