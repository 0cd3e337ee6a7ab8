"""Work for processes of their own, in a module that each of them finds by its name."""

import os
import signal
import time
from pathlib import Path


def square(number: int) -> int:
    """Work that succeeds, or fails in one of many ways."""
    if number == 13:
        raise ZeroDivisionError("thirteen")
    if number == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        os._exit(5)
    while number == 100:
        time.sleep(1)
    return number * number


def stay(place: tuple[Path, str]) -> int:
    """Work that counts who is at work beside it."""
    folder, name = place
    (folder / name).touch()
    time.sleep(0.05)  # long enough for others to be seen, were there any
    count = len(list(folder.iterdir()))
    (folder / name).unlink()
    return count


def hold(file: Path) -> None:
    """Work that tells its process; the quick one ends once the slow one has begun."""
    file.write_text(str(os.getpid()))
    while file.name == "slow" or not file.with_name("slow").exists():
        time.sleep(0.01)


def break_down(*_: object) -> None:
    """Work with a bug in it."""
    raise KeyError("broken")
