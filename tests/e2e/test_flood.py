"""The service under a flood of strangers: it holds what it may, and judges what it has learned."""

import logging
from pathlib import Path

import pytest
from e2e.network import Network, unpacked
from e2e.test_endurance import heard
from e2e.test_service import Running, folder, net, replay, service, stored, write_config
from noise import write_noise, write_symbols

__all__ = ["folder", "net"]

SERVERS = ["10.20.1.11", "10.20.1.12", "10.20.1.13"]
STRANGERS, SYMBOLS = 30_000, 300_000
FRAMES_A_SECOND = 8_000
BEYOND = 1.1
"""Between two looks more may be held than may be, by so much."""


def most_held(process: int) -> float:
    """The most that a process ever held, in MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def flood(net: Network, one: Running, capture: Path, frames: int, frames_a_second: int) -> None:
    """Send a capture, and wait until each of its frames was judged, or counted as lost."""
    before = heard(one)
    net.send(capture, f"--pps={frames_a_second}", "--preload-pcap")
    one.wait_for(lambda: heard(one) >= before + frames, 120.0)
    status = one.ask("status")
    logging.getLogger(__name__).info(
        "%s: at most %.0f MiB; %s; lost: %s",
        capture.stem, most_held(one.process.pid), status["memory"], status["lost"],
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mebibytes", [512])
def test_a_flood_of_strangers_stays_within_the_memory_and_blinds_nothing(
    net: Network, folder: Path, normal: Path, attacks: Path, mebibytes: int
) -> None:
    start = 1_800_000_000
    strangers = write_noise(
        folder / "strangers.pcap", 1, STRANGERS, start=start, a_second=100, servers=SERVERS
    )
    symbols = write_symbols(
        folder / "symbols.pcap", 2, SYMBOLS, start=start, a_second=100, server=SERVERS[0]
    )
    replay(folder / "state", "--learn", normal, normal)
    config = write_config(folder)
    config.write_text(f'memory = "{mebibytes}M"\n{config.read_text()}')
    with service(net, config) as one:
        one.serves()
        flood(net, one, strangers, 4 * STRANGERS, FRAMES_A_SECOND)
        flood(net, one, symbols, SYMBOLS // 100, FRAMES_A_SECOND // 20)
        before = one.ask("status")["counts"]["frames"]
        net.send(unpacked(attacks, folder), "--multiplier=40")
        one.hears(before + 12_243)
        most = most_held(one.process.pid)
        logging.getLogger(__name__).info("at most %.0f MiB", most)
        assert one.stop() == 0
    kinds = {one["kind"] for one in stored(folder / "state", limit=10_000)}
    assert {"policy.umas-stop-plc", "novelty.write-from-new-client"} <= kinds
    assert most < BEYOND * mebibytes
