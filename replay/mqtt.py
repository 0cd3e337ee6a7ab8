"""Record a small plant that speaks MQTT: a broker, a tank, a pump, a control room, and a rogue.

Run as root, with `requirements/mqtt.txt` installed: `python replay/mqtt.py mqtt-normal`, or
`mqtt-attacks`.
The broker is amqtt's, the clients are paho's; the other commands run one of them on its host.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amqtt.broker import Broker
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from plant.devices import Host
from plant.network import Network, NetworkError, stop
from record import (
    FOLDER,
    Label,
    RecordingError,
    compress,
    start_capture,
    wait_for_line,
    write_labels,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BROKER = Host("broker", "10.50.1.10", "00:0c:29:3a:51:10")
TANK = Host("tank", "10.50.2.11", "00:30:de:12:9c:11")
PUMP = Host("pump", "10.50.2.12", "00:30:de:12:9c:12")
CONTROL_ROOM = Host("control", "10.50.3.10", "00:0c:29:3a:51:30")
ROGUE = Host("rogue", "10.50.3.66", "b8:27:eb:5d:c0:66")

PORT = 1883
SECONDS = 90.0
PERIOD = 0.5
LIMIT = 60.0
"""How long past its work a process may live."""
START, PAUSE = 30.0, 8.0
"""When the first attack comes, and how long after each the next one."""
COMMANDS, STATES = "plant/pump/set", "plant/pump/state"
# A SUBSCRIBE without a filter, a PUBLISH to a wildcard, and one that ends in its topic.
MALFORMED = bytes.fromhex("82020001 300400012331 3003000974")
CONNECT = bytes.fromhex("101500044d5154540402003c0009") + b"panel-013"


def connect(name: str, subscriptions: tuple[str, ...] = (), user: str = "") -> Client:
    """Connect to the broker and subscribe, and keep the connection in a thread."""
    client = Client(CallbackAPIVersion.VERSION2, name)
    if user:
        client.username_pw_set(user, "hunter2")
    ready: list[object] = []
    client.on_connect = lambda *_: ready.append(1)
    client.connect(BROKER.address, PORT, keepalive=10)
    client.loop_start()
    deadline = time.monotonic() + 10
    while not ready and time.monotonic() < deadline:
        time.sleep(0.01)
    for filter_ in subscriptions:
        client.subscribe(filter_, qos=1)
    return client


def broker() -> None:
    """Serve whoever comes."""

    async def serve() -> None:
        plugins: dict[str, Any] = {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
        }
        listeners = {"default": {"type": "tcp", "bind": f"{BROKER.address}:{PORT}"}}
        one = Broker({"listeners": listeners, "plugins": plugins})
        await one.start()
        print("ready", flush=True)
        await asyncio.sleep(SECONDS + LIMIT)
        await one.shutdown()

    asyncio.run(serve())


def ticks(period: float) -> range:
    """Turns of the whole recording."""
    return range(int(SECONDS / period))


def wait(begin: float, moment: float) -> None:
    """Sleep until `moment` seconds after `begin`."""
    time.sleep(max(0.0, begin + moment - time.monotonic()))


def tank(seed: int) -> None:
    """Publish level and temperature twice a second, a summary in JSON every three seconds."""
    dice = random.Random(seed)
    client, begin = connect("tank-1"), time.monotonic()
    for turn in ticks(PERIOD):
        wait(begin, turn * PERIOD)
        level = 50 + 20 * math.sin(turn / 9) + dice.uniform(-0.5, 0.5)
        client.publish("plant/tank/level", f"{level:.2f}")
        client.publish("plant/tank/temperature", f"{21 + dice.uniform(-0.5, 0.5):.1f}", qos=1)
        if turn % 6 == 0:
            state = {"level": round(level, 2), "valve": {"open": level > 50, "mode": "auto"}}
            client.publish("plant/tank/summary", json.dumps(state), qos=2)
    client.disconnect()


def pump() -> None:
    """Obey what is published to it, and publish its state, retained."""
    client = connect("pump-1", (COMMANDS,))
    client.on_message = lambda _client, _data, message: client.publish(
        STATES, message.payload, qos=1, retain=True
    )
    time.sleep(SECONDS)
    client.disconnect()


def control(seed: int) -> None:
    """Watch the plant, switch the pump about every four seconds, and connect anew twice."""
    dice = random.Random(seed)
    begin, is_on = time.monotonic(), False
    client = connect("control-room", ("plant/tank/+", STATES))
    for turn in ticks(1.0):
        wait(begin, turn)
        if turn % 4 == 2:
            is_on = not is_on
            time.sleep(dice.uniform(0.0, 0.5))
            client.publish(COMMANDS, "ON" if is_on else "OFF", qos=1)
        if turn % 30 == 27:
            client.disconnect()
            client.loop_stop()
            client = connect("control-room", ("plant/tank/+", STATES))
    client.disconnect()


def _session(name: str, work: Callable[[Client], object], user: str = "") -> None:
    client = connect(name, user=user)
    work(client)
    time.sleep(1.0)
    client.disconnect()
    client.loop_stop()


def _garble() -> None:
    with socket.create_connection((BROKER.address, PORT), timeout=5) as connection:
        connection.sendall(CONNECT)
        connection.recv(4)
        connection.sendall(MALFORMED)
        time.sleep(1.0)


ATTACKS: dict[str, tuple[Host, Callable[[], None]]] = {
    "rogue-subscribes-to-all": (
        ROGUE,
        lambda: _session("explorer", lambda client: client.subscribe([("#", 0), ("$SYS/#", 0)])),
    ),
    "rogue-command": (
        ROGUE,
        lambda: _session("explorer", lambda client: client.publish(COMMANDS, "OFF", qos=1)),
    ),
    "value-out-of-range": (
        TANK,
        lambda: _session("tank-2", lambda client: client.publish("plant/tank/level", "950.00")),
    ),
    "delete-retained": (
        CONTROL_ROOM,
        lambda: _session("tool", lambda client: client.publish(STATES, b"", qos=1, retain=True)),
    ),
    "password-in-clear": (PUMP, lambda: _session("pump-2", lambda _client: None, user="admin")),
    "garbled-packets": (CONTROL_ROOM, _garble),
}


def attack(label: str) -> None:
    """Do one of the attacks, and print when it began and ended."""
    begin = time.time()
    ATTACKS[label][1]()
    print(begin, time.time(), flush=True)


def command(*words: str) -> list[str]:
    """Command line of one of the hosts' parts."""
    return [sys.executable, str(Path(__file__).resolve()), *words]


def run(name: str, path: Path) -> list[Label]:
    """Let the plant work and capture it to `path`; the labels of what happened."""
    has_attacks = name == "mqtt-attacks"
    labels: list[Label] = []
    hosts = (BROKER, TANK, PUMP, CONTROL_ROOM, *((ROGUE,) if has_attacks else ()))
    with Network(name, hosts) as network:
        wait_for_line(network.start("broker", command("broker"), FOLDER), "the broker")
        capture = start_capture(network, path, SECONDS + LIMIT)
        seed = "2" if has_attacks else "1"
        clients = [
            network.start(host.name, command(host.name, "--seed", seed), FOLDER)
            for host in (TANK, PUMP, CONTROL_ROOM)
        ]
        zero = time.monotonic()
        for place, (label, (host, _)) in enumerate(ATTACKS.items() if has_attacks else ()):
            wait(zero, START + PAUSE * place)
            process = network.start(host.name, command("attack", label), FOLDER)
            begin, end = map(float, wait_for_line(process, label).split())
            labels.append(Label(begin, end, label))
        for client in clients:
            if client.wait(timeout=SECONDS + LIMIT):
                message = "a client failed"
                raise RecordingError(message)
        time.sleep(2)
        stop(capture)
    return labels


def main() -> int:
    """Record a scenario, or run one host's part."""
    parts: dict[str, Callable[[int, str], None]] = {
        "broker": lambda *_: broker(),
        "tank": lambda seed, _: tank(seed),
        "pump": lambda *_: pump(),
        "control": lambda seed, _: control(seed),
        "attack": lambda _, label: attack(label),
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("mqtt-normal", "mqtt-attacks", *parts))
    parser.add_argument("label", nargs="?", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="default: captures/SCENARIO")
    options = parser.parse_args()
    if options.what in parts:
        parts[options.what](options.seed, options.label)
        return 0
    if os.geteuid() != 0:
        print("mqtt.py: network namespaces need root", file=sys.stderr)
        return 2
    # Ending it must delete the namespaces too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    output: Path = options.output or FOLDER / "captures" / options.what
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "capture.pcap"
        try:
            labels = run(options.what, capture)
        except (RecordingError, NetworkError) as error:
            print(f"mqtt.py: {options.what}: {error}", file=sys.stderr)
            return 2
        compress(capture, output / f"{options.what}.pcap.gz")
    write_labels(output / "labels.csv", labels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
