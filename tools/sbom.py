"""Writes what otids consists of into dist/, as CycloneDX: what pip installs, and what is linked.

usage: tools/sbom.py PYTHON
PYTHON is one in which otids and what it needs are installed, and nothing else. The list of crates
is the one that maturin put into the wheel.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"


def write_python(interpreter: str, path: Path) -> None:
    """List the packages that an interpreter has; cyclonedx-py validates it."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--validate"]
    what = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"]
    form = ["--spec-version", "1.6", "--output-reproducible", "--output-file", str(path)]
    subprocess.run([*command, *what, *form, interpreter], check=True)


def write_rust(wheel: Path, path: Path) -> None:
    """Take the list of crates out of the wheel, and validate it."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".cyclonedx.json"))
        text = archive.read(name).decode()
    wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if wrong:
        sys.exit(f"sbom: {name} in {wheel.name}: {wrong}")
    path.write_text(text, "utf-8")


def main() -> None:
    """Write both lists beside the wheel."""
    (wheel,) = DIST.glob("otids-*.whl")
    stem = "-".join(wheel.name.split("-")[:2])
    write_python(sys.argv[1], DIST / f"{stem}-python.cdx.json")
    write_rust(wheel, DIST / f"{stem}-rust.cdx.json")


if __name__ == "__main__":
    main()
