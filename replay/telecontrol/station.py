"""A substation: `python -m telecontrol.station NAME --seed N --seconds S`.

Measured values go to the control centre every two seconds, states when they change. c104 looks at
the annotations of what it calls, so they are no strings here.
"""

import argparse
import math
import random
import time

import c104

from telecontrol import devices

CYCLE_MILLISECONDS = 2000
CENTRES = {100: (110.4, 0.3), 101: (212.0, 15.0), 102: (38.5, 2.0), 103: (50.0, 0.02)}
"""Middle and span of each measured value: kV, A, MW, Hz."""
SWING_SECONDS = 60.0


class Substation:
    """The points of a station and what moves them."""

    def __init__(self, name: str, seed: int) -> None:
        """Build the station; it does not listen yet."""
        host, common_address = devices.STATIONS[name]
        self._rng = random.Random(f"{seed}/{name}")
        self._start = time.monotonic()
        self.server = c104.Server(ip=host.address, port=devices.PORT)
        self._station = self.server.add_station(common_address=common_address)
        self._add_monitored()
        self._add_commanded()

    def _add_monitored(self) -> None:
        for address in devices.SINGLE_POINTS:
            self._station.add_point(address, c104.Type.M_SP_TB_1).value = True
        double = self._station.add_point(devices.DOUBLE_POINT, c104.Type.M_DP_TB_1)
        double.value = c104.Double.ON
        for address in devices.MEASURED:
            point = self._station.add_point(
                address, c104.Type.M_ME_NC_1, report_ms=CYCLE_MILLISECONDS
            )
            point.on_before_auto_transmit(callable=self._measure)
            point.on_before_read(callable=self._measure)
            point.value = CENTRES[address][0]
        self._station.add_point(devices.SET_POINT_SHOWN, c104.Type.M_ME_NC_1).value = 40.0
        for address in devices.COUNTERS:
            point = self._station.add_point(address, c104.Type.M_IT_NA_1)
            point.on_before_read(callable=self._count)

    def _add_commanded(self) -> None:
        pairs = zip(devices.SINGLE_COMMANDS, devices.SINGLE_POINTS, strict=True)
        for address, shown in pairs:
            self._add_command(address, c104.Type.C_SC_NA_1, shown)
        self._add_command(
            devices.DOUBLE_COMMAND,
            c104.Type.C_DC_NA_1,
            devices.DOUBLE_POINT,
            c104.CommandMode.SELECT_AND_EXECUTE,
        )
        self._add_command(devices.SET_POINT, c104.Type.C_SE_NC_1, devices.SET_POINT_SHOWN)

    def _add_command(
        self,
        address: int,
        kind: c104.Type,
        shown: int,
        mode: c104.CommandMode = c104.CommandMode.DIRECT,
    ) -> None:
        point = self._station.add_point(
            address,
            kind,
            related_io_address=shown,
            related_io_autoreturn=True,
            command_mode=mode,
        )
        point.on_receive(callable=self._obey)

    def _obey(  # c104 calls by these names
        self,
        point: c104.Point,
        previous_info: c104.Information,  # noqa: ARG002
        message: c104.IncomingMessage,  # noqa: ARG002
    ) -> c104.ResponseState:
        """Do what is commanded; the related point shows it."""
        shown = self._station.get_point(point.related_io_address)
        shown.value = point.value
        return c104.ResponseState.SUCCESS

    def _measure(self, point: c104.Point) -> None:
        """Let a value swing around its middle."""
        middle, span = CENTRES[point.io_address]
        turn = 2 * math.pi * (time.monotonic() - self._start) / SWING_SECONDS
        swing = 0.8 * math.sin(turn + point.io_address) + self._rng.uniform(-0.2, 0.2)
        point.value = round(middle + span * swing, 3)

    def _count(self, point: c104.Point) -> None:
        """Let a counter follow time."""
        counted = int((time.monotonic() - self._start) * 10)
        point.value = counted


def main() -> None:
    """Serve for so many seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=devices.STATIONS)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    station = Substation(options.name, options.seed)
    station.server.start()
    print("ready", flush=True)
    time.sleep(options.seconds)
    station.server.stop()


if __name__ == "__main__":
    main()
