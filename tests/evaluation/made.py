"""Makes small labelled cases for tests: a capture with a frame at each given second."""

from collections.abc import Iterable
from pathlib import Path

from captures import SECOND, pcap, pcapng

from otids.evaluation.cases import Case, load_cases
from otids.evaluation.score import Raised

BEGIN = 1_700_000_000
"""When captures begin; all other times in tests are seconds after it."""

EMPTY = bytes(60)


def capture(path: Path, seconds: Iterable[float]) -> Path:
    """Write a capture with a frame at each of `seconds`; its name tells the format."""
    frames = [(BEGIN * SECOND + round(second * SECOND), EMPTY) for second in seconds]
    path.write_bytes((pcapng if path.suffix == ".pcapng" else pcap)(frames))
    return path


def windows(*rows: tuple[float, float, str]) -> str:
    """A label file of windows."""
    return "start,end,label\n" + "".join(
        f"{BEGIN + start:.6f},{BEGIN + end:.6f},{label}\n" for start, end, label in rows
    )


def frames(*rows: tuple[int, str]) -> str:
    """A label file of frames."""
    return "frame,label\n" + "".join(f"{number},{label}\n" for number, label in rows)


def write_case(
    folder: Path, labels: str, more: str = "", seconds: Iterable[float] = range(3601)
) -> Path:
    """Write a `cases.toml` with one case, its capture (a frame a second) and its labels."""
    folder.mkdir(exist_ok=True)
    capture(folder / "judged.pcap", seconds)
    (folder / "labels.csv").write_text(labels)
    file = folder / "cases.toml"
    file.write_text(
        '[[case]]\nname = "one"\njudge = ["judged.pcap"]\nlabels = "labels.csv"\n' + more
    )
    return file


def make_case(
    folder: Path, labels: str, more: str = "", seconds: Iterable[float] = range(3601)
) -> Case:
    """Write a case, and load it."""
    (case,) = load_cases([write_case(folder, labels, more, seconds)])
    return case


def raised(
    first: float,
    last: float | None = None,
    names: Iterable[int] = (),
    severity: str = "high",
    kind: str = "k",
) -> Raised:
    """An alert from `first` to `last`, which `names` frames."""
    end = first if last is None else last
    return Raised(BEGIN + first, BEGIN + end, tuple(names), severity, kind)
