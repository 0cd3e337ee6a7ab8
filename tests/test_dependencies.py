"""Dependencies: each direct one is justified, locked, and of a licence that is listed."""

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GROUPS = PROJECT["dependency-groups"]
LICENCES = ROOT / "tools" / "licences.py"


def named(requirements: list[str]) -> set[str]:
    """Return the names in a list of requirements."""
    return {Requirement(one).name for one in requirements}


def crates() -> set[str]:
    """Return the crates of others that the workspace names, for whatever purpose."""
    kinds = ("dependencies", "dev-dependencies", "build-dependencies")
    manifests = [
        tomllib.loads(path.read_text("utf-8"))
        for path in (ROOT / "hotpath").rglob("Cargo.toml")
        if "target" not in path.relative_to(ROOT).parts
    ]
    tables = [
        table.get(kind, {})
        for manifest in manifests
        for table in (manifest, *manifest.get("target", {}).values())
        for kind in kinds
    ]
    entries = {name: entry for table in tables for name, entry in table.items()}
    return {name for name, entry in entries.items() if "path" not in entry}


DIRECT = {
    "Python, at run time": named(PROJECT["project"]["dependencies"]),
    "Python, to build, test and audit": named([one for group in GROUPS.values() for one in group]),
    "Rust": crates(),
}


@pytest.mark.parametrize("section", DIRECT)
def test_every_direct_dependency_is_justified_and_no_other(section: str) -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    _, found, rest = page.partition(f"\n## {section}\n")
    assert found
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in rest.partition("\n## ")[0].splitlines()
        if line.startswith("|")
    ][2:]
    names = [re.sub(r" *\(.*?\)", "", name) for row in rows for name in row[0].split(", ")]
    assert sorted(names) == sorted(DIRECT[section])
    assert all(all(row) for row in rows)


@pytest.mark.parametrize(
    ("lock", "names"),
    [
        ("runtime", DIRECT["Python, at run time"]),
        *((group, named(requirements)) for group, requirements in GROUPS.items()),
    ],
)
def test_every_direct_dependency_is_locked_with_its_digests(lock: str, names: set[str]) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text.partition("\n\n")[0])
    pinned = {entry.partition("==")[0]: entry for entry in entries if "==" in entry}
    assert pinned.keys() >= names
    for entry in pinned.values():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_what_builds_the_wheel_is_what_is_locked() -> None:
    assert PROJECT["build-system"]["requires"] == GROUPS["build"]


def test_every_crate_is_locked_to_a_digest() -> None:
    locks = [ROOT / "hotpath" / "Cargo.lock", ROOT / "hotpath" / "fuzz" / "Cargo.lock"]
    packages = [one for lock in locks for one in tomllib.loads(lock.read_text("utf-8"))["package"]]
    bought = [one for one in packages if "source" in one]
    assert {one["name"] for one in bought} >= crates()
    for one in bought:
        assert one["source"].endswith("crates.io-index"), one["name"]
        assert len(one["checksum"]) == 64, one["name"]


def test_every_advisory_that_is_passed_over_has_a_reason() -> None:
    python = tomllib.loads((ROOT / "requirements" / "ignored.toml").read_text("utf-8"))
    assert all(isinstance(reason, str) and reason.strip() for reason in python.values())
    rust = tomllib.loads((ROOT / "hotpath" / "deny.toml").read_text("utf-8"))
    assert all(one["id"] and one["reason"].strip() for one in rust["advisories"]["ignore"])


def test_licences_are_allowed_and_their_lists_are_current() -> None:
    done = subprocess.run(
        [sys.executable, LICENCES, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("expression", "permitted"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR Apache-2.0 AND GPL-3.0-only", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("(MIT OR Apache-2.0) AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH LLVM-exception", False),
    ],
)
def test_an_expression_is_permitted_if_allowed_licences_meet_it(
    expression: str, permitted: bool
) -> None:
    allowed = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"}
    assert runpy.run_path(str(LICENCES))["permits"](expression, allowed) is permitted
