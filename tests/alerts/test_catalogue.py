"""The catalogue that ships is fit for use, and a wrong one is refused where it is wrong."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from otids.alerts.attack import Attack
from otids.alerts.catalogue import UNLISTED, Catalogue, load_catalogue
from otids.alerts.wording import complain, fill
from otids.rules.files import RuleError

KINDS = [
    "novelty.new-endpoint",
    "novelty.new-conversation",
    "novelty.write-from-new-client",
    "novelty.new-activity",
    "novelty.new-function",
    "novelty.new-unit",
    "novelty.new-item",
    "novelty.new-status",
    "novelty.function-scan",
    "novelty.address-scan",
    "scan.hosts",
    "scan.ports",
    "scan.units",
    "scan.functions",
    "scan.addresses",
    "flood.requests",
    "flood.exceptions",
    "flood.half-open",
    "flood.connections",
    "flood.writes",
    "flood.broadcast",
    "addressing.arp-spoofing",
    "addressing.two-macs",
    "addressing.mac-changed",
    "addressing.gratuitous-arp",
    "addressing.ttl-changed",
    "addressing.two-answers",
    "protocol.malformed",
    "protocol.unasked-response",
    "protocol.foreign",
    "protocol.overlap",
    "protocol.sequence",
    "policy.modbus-force-listen-only",
    "policy.modbus-restart-communications",
    "policy.modbus-clear-counters",
    "policy.umas-stop-plc",
    "policy.umas-start-plc",
    "policy.umas-download",
    "policy.umas-upload",
    "policy.goose-simulated",
    "policy.goose-needs-commissioning",
    "policy.sv-simulated",
    "policy.s7-stop",
    "policy.s7-start",
    "policy.s7-download",
    "policy.s7-activate-block",
    "policy.s7-delete-block",
    "policy.s7-compress",
    "policy.s7-memory-reset",
    "policy.s7-force",
    "policy.s7-breakpoint",
    "policy.s7-set-clock",
    "policy.s7-password",
    "policy.s7-upload",
    "policy.s7plus-operating-state",
    "policy.custom",
    "timing.silence",
    "timing.all-silent",
    "timing.fast",
    "timing.drift",
    "timing.slow-answers",
    "timing.unanswered",
    "unlisted",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_to_do(kind: str, catalogue: Catalogue) -> None:
    entry = catalogue.entries[kind]
    assert entry.kind == kind
    assert len(entry.title) <= 100
    assert "{expected}" not in entry.explanation, "the alert says so beside it"
    assert "{observed}" not in entry.explanation
    for steps in (entry.response["it"], entry.response["ot"]):
        assert 3 <= len(steps) <= 6
        assert steps[0].startswith("Check first: ")
        assert all(step.endswith((".", "?")) for step in steps)


def test_all_that_is_needed_is_listed(catalogue: Catalogue) -> None:
    assert set(catalogue.entries) >= set(KINDS)


def test_what_endangers_the_process_says_what_not_to_do(catalogue: Catalogue) -> None:
    for entry in catalogue.entries.values():
        if entry.severity in {"high", "critical"}:
            steps = entry.response["it"] + entry.response["ot"]
            assert any(step.startswith("Do not ") for step in steps), entry.kind
            assert entry.attack, entry.kind


def test_a_kind_without_entry_falls_back(catalogue: Catalogue) -> None:
    assert catalogue.entry("policy.our-own-rule").kind == "policy.custom"
    assert catalogue.entry("policy.custom.night-shift").kind == "policy.custom"
    assert catalogue.entry("novelty.new-item.coil").kind == "novelty.new-item"
    assert catalogue.entry("nobody.thought-of-this").kind == UNLISTED
    assert catalogue.entry("nobody").kind == UNLISTED
    assert catalogue.entry(UNLISTED).kind == UNLISTED


@dataclass(frozen=True)
class Rule:
    """A rule of the plant."""

    kind: str
    title: str
    explanation: str = ""
    attack: tuple[str, ...] = ()


def test_rules_bring_their_own_words(catalogue: Catalogue) -> None:
    rules = [
        Rule("policy.night", "No writes {at} night", "Agreed in May.", ("T0836",)),
        Rule("policy.umas-stop-plc", "theirs"),
        Rule("policy.plain", "Plain"),
    ]
    with_rules = catalogue.with_rules(rules)
    entry = with_rules.entry("policy.night")
    values = {"source": "A", "target": "B", "observed": "a write"}
    assert fill(entry.title, values) == "No writes {at} night: A to B"
    assert fill(entry.explanation, values).startswith("Agreed in May. an unknown conversation did")
    assert [one.id for one in entry.attack] == ["T0836"]
    assert entry.response == catalogue.entry("policy.custom").response
    assert "STOPPED" in with_rules.entry("policy.umas-stop-plc").title
    assert with_rules.entry("policy.plain").attack == ()
    with pytest.raises(RuleError, match=r"policy\.bad: attack: T0833"):
        catalogue.with_rules([Rule("policy.bad", "x", attack=("T0833",))])


GOOD = """
["unlisted"]
title = "t"
explanation = "e"
severity = "low"
["unlisted".response]
it = ["i"]
ot = ["o"]
"""


def write(folder: Path, text: str, name: str = "a.toml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_an_override_wins_key_by_key(attack: Attack, tmp_path: Path) -> None:
    shipped = write(tmp_path / "shipped", GOOD)
    mine = write(tmp_path / "mine", '[unlisted]\nseverity = "high"\nresponse.it = ["call 1"]\n')
    entry = load_catalogue(attack, shipped, mine).entry("unlisted")
    assert (entry.title, entry.severity) == ("t", "high")
    assert entry.response == {"it": ("call 1",), "ot": ("o",)}
    assert entry.many == "Many alerts of one kind: t"


def test_an_override_may_add_a_whole_kind(attack: Attack, tmp_path: Path) -> None:
    shipped = write(tmp_path / "shipped", GOOD)
    mine = write(tmp_path / "mine", GOOD.replace("unlisted", "policy.ours"))
    assert load_catalogue(attack, shipped, mine).entry("policy.ours").kind == "policy.ours"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'severity = "low"',
            'severity = "bad"',
            "a.toml:5: unlisted.severity = 'bad': invalid enum",
        ),
        ('title = "t"', 'title = "t"\ncolour = 1', "a.toml:4: unlisted.colour = 1: unknown key"),
        (
            'title = "t"',
            'title = "{colour}"',
            "a.toml:3: unlisted.title = '{colour}': no field is called",
        ),
        (
            'title = "t"',
            'title = "{source:>9}"',
            "unlisted.title = '{source:>9}': {source} takes no format",
        ),
        (
            'title = "t"',
            'title = "{source!r}"',
            "unlisted.title = '{source!r}': {source} takes no format",
        ),
        ('title = "t"', 'title = "{source.x}"', "no field is called {source.x}"),
        ('title = "t"', 'title = "{"', "a.toml:3: unlisted.title = '{': braces do not match"),
        ('title = "t"', "title = 1", "a.toml:3: unlisted.title = 1: expected str, got int"),
        ('title = "t"', 'many = "m"', "a.toml:2: unlisted: the key title is missing"),
        ('ot = ["o"]', "ot = []", "a.toml:8: unlisted.response.ot: expected array"),
        ('ot = ["o"]', 'ot = ["{x}"]', "a.toml:8: unlisted.response.ot: no field is called"),
        ('ot = ["o"]', 'ot = ["o"]\npa = ["x"]', "a.toml:9: unlisted.response.pa: unknown key"),
        (
            'severity = "low"',
            'severity = "low"\nattack = ["T0833"]',
            "a.toml:6: unlisted.attack: T0833 (Modify Control Logic) was withdrawn",
        ),
        ('severity = "low"', 'severity = "low"\nattack = ["T8"]', "'T8' is no technique"),
        ('["unlisted"]', '["Un listed"]\n', "regex"),
        ('["unlisted"]', "[[unlisted]]", "a.toml:2: unlisted: expected object, got array"),
        (GOOD, "", "has no entry 'unlisted'"),
    ],
)
def test_a_wrong_entry_is_refused(
    old: str, new: str, message: str, attack: Attack, tmp_path: Path
) -> None:
    folder = write(tmp_path / "rules", GOOD.replace(old, new))
    with pytest.raises(RuleError) as caught:
        load_catalogue(attack, folder)
    assert str(caught.value).startswith(str(folder))
    assert message in str(caught.value)


def test_an_error_names_the_file_that_overrides(attack: Attack, tmp_path: Path) -> None:
    shipped = write(tmp_path / "shipped", GOOD)
    mine = write(tmp_path / "mine", '[unlisted]\nseverity = "loud"\n', "mine.toml")
    with pytest.raises(RuleError, match=r"mine\.toml:2: unlisted\.severity"):
        load_catalogue(attack, shipped, mine)


@pytest.mark.parametrize("place", ["shipped", "mine"])
def test_a_kind_stands_once_in_a_folder(place: str, attack: Attack, tmp_path: Path) -> None:
    folders = [write(tmp_path / "shipped", GOOD), write(tmp_path / "mine", GOOD)]
    write(tmp_path / place, GOOD, "b.toml")
    with pytest.raises(RuleError, match=r"b\.toml:2: unlisted: is also in .*a\.toml"):
        load_catalogue(attack, *folders)


def test_a_missing_folder_is_named(attack: Attack, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="nowhere: is not a directory"):
        load_catalogue(attack, tmp_path / "nowhere")


def test_text_that_is_not_utf8_is_refused(attack: Attack, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleError, match=r"a\.toml:1: is not UTF-8"):
        load_catalogue(attack, tmp_path)


def test_every_template_is_plain(catalogue: Catalogue) -> None:
    for entry in catalogue.entries.values():
        for template in (entry.title, entry.many, entry.explanation):
            assert complain(template) is None
