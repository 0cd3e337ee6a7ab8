"""The units for systemd: sound, and hardened as far as listening allows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ANALYZE = shutil.which("systemd-analyze") or "systemd-analyze"
UNITS = ["otids.service", "otids@.service"]
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (systemd)"
)


def analyze(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ANALYZE, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest, repository: Path, tmp_path: Path) -> Path:
    """A unit whose program exists on this computer."""
    path: Path = tmp_path / request.param
    text = (repository / "systemd" / request.param).read_text()
    path.write_text(text.replace("/opt/otids/bin/otids", "/bin/true"))
    return path


@needs_systemd
def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    done = analyze("verify", "--man=no", unit)
    assert done.returncode == 0
    assert unit.name not in done.stderr


@needs_systemd
def test_exposure_is_below_two(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--threshold=20", unit)
    assert done.returncode == 0, done.stdout
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert score is not None
    assert float(score[1]) < 2


def test_both_units_differ_in_places_only(repository: Path) -> None:
    one, many = ((repository / "systemd" / name).read_text() for name in UNITS)

    def settings(text: str) -> list[str]:
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    placed = [re.sub(r" on %i|/%i(?!\.)", "", line) for line in settings(many)]
    assert [line.replace("/%i.toml", "/otids.toml") for line in placed] == settings(one)


@pytest.mark.parametrize("name", ["sysusers.d", "tmpfiles.d"])
def test_user_and_folders_are_those_of_the_unit(repository: Path, name: str) -> None:
    text = (repository / "systemd" / name / "otids.conf").read_text()
    unit = (repository / "systemd" / "otids.service").read_text()
    assert "User=otids" in unit
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    if name == "sysusers.d":
        assert [line[:2] for line in lines] == [["u", "otids"]]
    else:
        modes = {line[1]: line[2] for line in lines}
        assert modes["/var/lib/otids"] == "0750"
        assert f"StateDirectoryMode={modes['/var/lib/otids']}" in unit
        assert f"RuntimeDirectoryMode={modes['/run/otids']}" in unit
