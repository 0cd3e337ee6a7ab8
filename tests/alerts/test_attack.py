"""The table of techniques is ATT&CK's, and the catalogue names none that is not in it."""

import re
from pathlib import Path

import pytest

from otids.alerts.alert import Technique
from otids.alerts.attack import Attack, load_attack
from otids.alerts.catalogue import Catalogue
from otids.rules.files import RuleError


def test_the_table_is_whole(attack: Attack) -> None:
    assert attack.version == "18.1"
    assert len(attack.techniques) == 83
    assert len(attack.deprecated) == 12
    tactics = {one.tactic for rows in attack.techniques.values() for one in rows}
    assert len(tactics) == 12


def test_the_table_equals_the_reference(attack: Attack, shared: Path) -> None:
    text = (shared / "FIELD.md").read_text(encoding="utf-8")
    section = text.split("\n## 7. ")[1].split("\n## 8. ")[0]
    rows = re.findall(r"^\| (T\d{4}) \| (.+?) \| (.+?) \|", section, re.MULTILINE)
    expected = {
        id_: tuple(Technique(id_, name, tactic) for tactic in tactics.split("/"))
        for id_, name, tactics in rows
    }
    assert len(expected) == 83
    assert attack.techniques == expected
    deprecated = section.split("Deprecated, must not be emitted: ")[1].split("\n")[0]
    assert attack.deprecated == dict(re.findall(r"(T\d{4}) ([^,.]+)", deprecated))


def test_the_catalogue_names_active_techniques(attack: Attack, catalogue: Catalogue) -> None:
    named = {one for entry in catalogue.entries.values() for one in entry.attack}
    assert len(named) > 10
    for technique in named:
        assert technique in attack.techniques[technique.id]
        assert technique.id not in attack.deprecated


def test_a_technique_of_two_tactics_stands_in_both(attack: Attack) -> None:
    assert attack.techniques["T0858"] == (
        Technique("T0858", "Change Operating Mode", "execution"),
        Technique("T0858", "Change Operating Mode", "evasion"),
    )


def test_complaints(attack: Attack) -> None:
    assert attack.complaint("T0855") is None
    assert attack.complaint("T0833") == (
        "T0833 (Modify Control Logic) was withdrawn from ATT&CK for ICS"
    )
    assert attack.complaint("T9999") == "'T9999' is no technique of ATT&CK for ICS v18.1"


HEAD = 'version = "1"\n[tactics]\nimpact = "TA0105"\n[techniques]\n'
TAIL = "\n[deprecated]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + 'T0001 = { name = "A", tactics = ["impact", "luck"] }' + TAIL,
            ":5: techniques.T0001: no tactic is called 'luck'",
        ),
        (
            HEAD + 'T0001 = { name = "A", tactics = ["impact"] }' + TAIL + 'T0001 = "A"',
            ":5: techniques.T0001: is both active and deprecated",
        ),
        (HEAD + 'T0001 = { name = "A", tactics = [] }' + TAIL, "length >= 1"),
        (HEAD + 'T0001 = { name = "A", tactics = ["impact"], x = 1 }' + TAIL, "unknown key"),
        (HEAD + 'T1 = { name = "A", tactics = ["impact"] }' + TAIL, "regex"),
        ("version = \n", ":1: is not TOML"),
    ],
)
def test_a_wrong_table_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "attack.toml"
    path.write_text(text)
    with pytest.raises(RuleError) as caught:
        load_attack(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"attack\.toml: No such file"):
        load_attack(tmp_path / "attack.toml")
