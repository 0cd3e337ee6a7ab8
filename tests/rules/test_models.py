"""Definitions of models: what is wrong is said with file, line and key."""

from pathlib import Path

import pytest

from otids.resources import data_folder
from otids.rules.files import RuleError
from otids.rules.models import load_models

GOOD = """\
description = "How much is polled"
over = "conversations"
protocols = ["modbus"]
features = ["sent_bytes", "messages"]
window = 10

[estimator]
name = "HalfSpaceTrees"
n_trees = 10
"""


def written(folder: Path, text: str, name: str = "polls") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, "utf-8")
    return path


def test_what_is_shipped_is_right() -> None:
    found = load_models([data_folder("models")])
    assert [one.name for one in found] == sorted(one.name for one in found)
    assert {one.over for one in found} == {"conversations", "devices"}


def test_a_definition_is_read(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    (one,) = load_models([tmp_path])
    assert (one.name, one.window, one.quantile) == ("polls", 10, 0.995)
    assert one.estimator.name == "HalfSpaceTrees"
    assert one.estimator.parameters() == {
        "n_trees": 10, "height": 6, "window_size": 100, "seed": 1,
    }  # fmt: skip


def test_what_learning_depends_on_is_in_the_fingerprint(tmp_path: Path) -> None:
    def fingerprint(text: str) -> str:
        written(tmp_path, text)
        (one,) = load_models([tmp_path])
        return one.fingerprint

    first = fingerprint(GOOD)
    assert fingerprint(GOOD.replace("How much", "What")) == first
    assert fingerprint(f"quantile = 0.99\n{GOOD}") == first
    for old, new in (("window = 10", "window = 20"), ("n_trees = 10", "n_trees = 11"),
                     ('"messages"', '"writes"')):  # fmt: skip
        assert fingerprint(GOOD.replace(old, new)) != first


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("window = 10", "windows = 10", r"polls.toml:5: windows = 10: unknown key; did you mean"),
        ("window = 10", "window = 0", r"polls.toml:5: window = 0: expected int >= 1"),
        ("n_trees = 10", "n_trees = 1000", r"polls.toml:9: estimator.n_trees = 1000: expected int"),
        ("n_trees = 10", "trees = 10", r"polls.toml:9: estimator.trees = 10: unknown key"),
        ("HalfSpaceTrees", "Oracle", r"polls.toml:8: estimator.name = 'Oracle': invalid value"),
        ('"messages"', '"mesages"', r"polls.toml:4: features = 'mesages': invalid enum value"),
        ('"messages"', '"sent_bytes"', r"polls.toml:4: features: names a feature twice"),
        ('"conversations"', '"devices"', r"polls.toml:3: protocols: a device is measured"),
        ('over = "conversations"\n', "", r"polls.toml:1: .*the key over is missing"),
        ("window = 10", 'name = "else"', r"polls.toml:5: name = 'else': is the name of the file"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(RuleError, match=message):
        load_models([tmp_path])


def test_a_protocol_is_taken_once(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    written(tmp_path, GOOD, "zweite")
    with pytest.raises(RuleError, match=r"zweite.toml:3: .*modbus is taken by polls.toml"):
        load_models([tmp_path])
    rest = GOOD.replace('protocols = ["modbus"]\n', "")
    written(tmp_path, rest)
    written(tmp_path, rest, "zweite")
    with pytest.raises(RuleError, match=r"all other protocols are taken by polls.toml"):
        load_models([tmp_path])
