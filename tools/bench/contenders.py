"""Who is measured: otids, and what others have for the same work."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
OTIDS = (sys.executable, "-P", "-m", "otids")
DECODE = "import sys; from otids import _hotpath; _hotpath.measure(sys.argv[1], 'decode', loops=1)"
FIELDS = (
    "frame.number", "frame.time_epoch", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport",
    "modbus.func_code", "modbus.reference_num", "modbus.word_cnt",
)  # fmt: skip

LIBPCAP = "bare libpcap loop"
DECODED = "otids decode, without output"
RECORDS = "otids decode, JSON lines"
REPLAYED = "otids replay, all detectors"
SURICATA = "Suricata, Modbus log"
TSHARK = "tshark, nine fields"
DPKT = "dpkt"
EK, PYSHARK = "PyShark, EK mode", "PyShark"


@dataclass(frozen=True)
class Contender:
    """A command, and over how many frames it is run: few, and many. `{capture}` stands for them.

    `{once}` is what they are made of, `{folder}` is thrown away. `missing` says why it cannot run.
    """

    name: str
    command: Sequence[str]
    few: int
    many: int
    missing: str = ""


def contenders(folder: Path, python: Path | None) -> Iterator[Contender]:
    """All of them; `python` has the peers written in Python, and `folder` is for what is built."""
    counting, missing = _build_count(folder)
    yield Contender(LIBPCAP, (str(counting), "{capture}"), 200_000, 2_000_000, missing)
    decode = (sys.executable, "-P", "-c", DECODE, "{capture}")
    yield Contender(DECODED, decode, 200_000, 2_000_000)
    records = (*OTIDS, "decode", "--output", "{folder}/out.jsonl", "{capture}")
    yield Contender(RECORDS, records, 200_000, 2_000_000)
    replay = (
        *OTIDS, "replay", "--quiet", "--state", "{folder}/state", "--learn", "{once}",
        "--alerts", "{folder}/alerts.jsonl", "{capture}",
    )  # fmt: skip
    yield Contender(REPLAYED, replay, 200_000, 1_000_000)
    suricata = (
        "suricata", "-c", str(HERE / "suricata.yaml"), "-S", "/dev/null", "--runmode", "single",
        "-k", "none", "-l", "{folder}", "-r", "{capture}",
    )  # fmt: skip
    yield Contender(SURICATA, suricata, 200_000, 1_000_000, _lacks("suricata"))
    dpkt = (str(python), str(HERE / "with_dpkt.py"), "{capture}")
    yield Contender(DPKT, dpkt, 100_000, 400_000, "" if python else "no environment has it")
    tshark = ("tshark", "-n", "-r", "{capture}", "-T", "fields", *_each("-e", FIELDS))
    yield Contender(TSHARK, tshark, 20_000, 120_000, _lacks("tshark"))
    pyshark = (sys.executable, str(HERE / "with_pyshark.py"), "{capture}")
    yield Contender(EK, (*pyshark, "ek"), 1_000, 10_000, _lacks("tshark"))
    yield Contender(PYSHARK, pyshark, 500, 2_500, _lacks("tshark"))


def scaled(one: Contender, scale: float) -> Contender:
    """The same over fewer frames, for a quick look."""
    few = max(2, round(one.few * scale))
    many = max(few + 2, round(one.many * scale))
    return Contender(one.name, one.command, few, many, one.missing)


def _each(option: str, values: Sequence[str]) -> Iterator[str]:
    for value in values:
        yield from (option, value)


def _lacks(program: str) -> str:
    return "" if shutil.which(program) else f"{program} is not installed"


def _build_count(folder: Path) -> tuple[Path, str]:
    """Compile the loop over libpcap; return the program, or why there is none."""
    program = folder / "count"
    command = ["cc", "-O2", "-o", str(program), str(HERE / "count.c"), "-lpcap"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return program, "it could not be compiled: a C compiler and libpcap-dev are needed"
    return program, ""
