"""The data folders are found where the wheel and the checkout have them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import otids
from otids import resources


def test_the_installed_package_is_under_test(repository: Path) -> None:
    package = Path(otids.__file__).resolve().parent
    assert package.parent.name == "site-packages"
    assert package != repository / "otids"


@pytest.mark.parametrize("name", ["rules", "models"])
def test_installed_folder_is_the_checkouts_copy(repository: Path, name: str) -> None:
    if not (repository / name).is_dir():
        pytest.skip(f"this checkout has no {name}/")
    installed = resources.data_folder(name)
    assert installed == Path(otids.__file__).parent / "_data" / name
    assert _contents(installed) == _contents(repository / name)


def test_missing_folder_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no folder 'poems'"):
        resources.data_folder("poems")


def test_checkout_prefers_its_own_folder(repository: Path, tmp_path: Path) -> None:
    package = tmp_path / "otids"
    package.mkdir()
    for name in ("__init__.py", "resources.py"):
        shutil.copy(repository / "otids" / name, package / name)
    (package / "_data" / "rules").mkdir(parents=True)
    (tmp_path / "rules").mkdir()
    script = "from otids.resources import data_folder; print(data_folder('rules'))"
    found = [_run(script, tmp_path)]
    (tmp_path / "pyproject.toml").touch()
    found.append(_run(script, tmp_path))
    assert found == [str(package / "_data" / "rules"), str(tmp_path / "rules")]


def _run(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
