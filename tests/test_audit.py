"""`make audit`: what is found fails, and what was not asked about is never reported as clean."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NEWER = "2.5"


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Return the tool, over two locked versions of one package, with advisories about none."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    lock = tmp_path / "runtime.txt"
    lock.write_text(
        "numpy==2.4 ; python_full_version < '3.12' \\\n    --hash=sha256:00\n"
        f"numpy=={NEWER} ; python_full_version >= '3.12' \\\n    --hash=sha256:00\n"
    )
    monkeypatch.setattr(tool, "LOCKS", [lock])
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "IGNORED", tmp_path / "ignored.toml")
    tool.IGNORED.write_text("")
    monkeypatch.setattr(tool, "ask_about", lambda pins: [clean(pin) for pin in pins])
    monkeypatch.setattr(tool, "deny", lambda *_: True)
    return tool


def clean(pin: str) -> dict[str, Any]:
    """Return the answer that nothing is known."""
    name, _, version = pin.partition("==")
    return {"name": name, "version": version, "vulns": []}


def bad(pin: str) -> dict[str, Any]:
    """Return an answer that names a vulnerability of the newer version."""
    vuln = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"]}
    return clean(pin) | {"vulns": [vuln] if pin.endswith(NEWER) else []}


def skipped(pin: str) -> dict[str, Any]:
    """Return an answer about a package that could not be looked up."""
    return {"name": pin.partition("==")[0], "skip_reason": "not found"}


def test_every_version_is_asked_about(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[list[str]] = []

    def remember(pins: list[str]) -> list[dict[str, Any]]:
        calls.append(pins)
        return [clean(pin) for pin in pins]

    monkeypatch.setattr(audit, "ask_about", remember)
    assert audit.main() == 0
    assert sorted(calls) == [["numpy==2.4"], [f"numpy=={NEWER}"]]
    assert "2 of 2 asked about, 0 findings" in capsys.readouterr().out


def test_what_is_found_fails_and_is_named(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ask_about", lambda pins: [bad(pin) for pin in pins])
    assert audit.main() == audit.FOUND
    said = capsys.readouterr().out
    assert f"FOUND: numpy {NEWER}: PYSEC-1, mended in 3" in said
    assert said.splitlines()[-1].startswith("audit: FAILED")


@pytest.mark.parametrize("known_as", ["PYSEC-1", "CVE-1"])
def test_what_is_ignored_by_any_of_its_names_does_not_fail(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, known_as: str
) -> None:
    monkeypatch.setattr(audit, "ask_about", lambda pins: [bad(pin) for pin in pins])
    audit.IGNORED.write_text(f'{known_as} = "never called"\n')
    assert audit.main() == 0


def test_an_exception_that_is_about_nothing_is_told(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.IGNORED.write_text('PYSEC-9 = "never called"\n')
    assert audit.main() == 0
    assert "PYSEC-9 is about nothing that is locked" in capsys.readouterr().out


def test_what_could_not_be_asked_about_is_not_clean(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ask_about", lambda pins: [skipped(pin) for pin in pins])
    assert audit.main() == audit.NOT_ASKED
    assert capsys.readouterr().out.splitlines()[-1].startswith("audit: INCOMPLETE")


def test_no_answer_is_not_clean(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_pins: list[str]) -> list[dict[str, Any]]:
        raise ValueError

    monkeypatch.setattr(audit, "ask_about", fails)
    assert audit.main() == audit.NOT_ASKED


def test_what_was_found_before_an_answer_failed_still_counts(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_for_the_older(pins: list[str]) -> list[dict[str, Any]]:
        if pins == ["numpy==2.4"]:
            raise ValueError
        return [bad(pin) for pin in pins]

    monkeypatch.setattr(audit, "ask_about", fails_for_the_older)
    assert audit.main() == audit.FOUND


@pytest.mark.parametrize(
    ("refused", "code"),
    [("fetch", 3), ("advisories", 1), ("licenses", 1)],
)
def test_crates_fail_by_what_is_found_and_not_by_what_is_not_to_be_had(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, refused: str, code: int
) -> None:
    monkeypatch.setattr(audit, "deny", lambda *words: refused not in words)
    assert audit.main() == code


def test_the_page_names_every_last_line() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    text = (ROOT / "tools" / "audit.py").read_text("utf-8")
    words = re.findall(r'say\(f?"([A-Z]+(?: [A-Z]+)?|nothing is known against)\b', text)
    assert len(set(words)) == 5
    for word in words:
        assert word in page
