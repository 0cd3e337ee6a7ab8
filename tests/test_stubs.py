"""The type stub of the hot path says what the compiled module has."""

import subprocess
import sys
from pathlib import Path


def test_stub_matches_the_compiled_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mypy.stubtest", "otids._hotpath"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
