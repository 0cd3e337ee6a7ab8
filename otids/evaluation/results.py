"""The result of an evaluation, as a table for people and as JSON for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otids.evaluation.score import HOUR, SUMMED, Score, Tally, add

HEAD = (
    "case",
    "attacks",
    "recall",
    "delay s",
    "alerts",
    "true",
    "ok",
    "false",
    "precision",
    "hours",
    "false/h",
    "ok events",
)


@dataclass(frozen=True, slots=True)
class Scored:
    """The numbers of a case. One that was not judged counts as one without alerts."""

    name: str
    set: str
    protocol: str
    score: Score
    was_judged: bool = True
    left_out: int = 0  # alerts, by severity or kind


class Result:
    """The numbers of all cases, in their order; `cases` holds at least one."""

    def __init__(self, cases: Sequence[Scored]) -> None:
        self.cases = cases
        by_set: dict[str, list[Score]] = {}
        for one in cases:
            by_set.setdefault(one.set, []).append(one.score)
        self.counts = {name: len(scores) for name, scores in by_set.items()}
        self.sets = {name: add(scores) for name, scores in by_set.items()}
        self.overall = add([one.score for one in cases])

    @property
    def missing(self) -> list[str]:
        """Names of the cases that were not judged."""
        return [one.name for one in self.cases if not one.was_judged]

    @property
    def left_out(self) -> int:
        """How many alerts were left out by severity or kind."""
        return sum(one.left_out for one in self.cases)

    def mean_of_sets(self, ratio: str) -> float | None:
        """Mean of the recall or precision of the sets that have one."""
        each = [value for one in self.sets.values() if (value := getattr(one, ratio)) is not None]
        return sum(each) / len(each) if each else None

    def record(self) -> dict[str, Any]:
        """Everything, as plain data for JSON."""
        cases = [
            {
                "case": one.name,
                "set": one.set,
                "protocol": one.protocol,
                **_of_case(one.score),
                **_ratios(one.score),
            }
            for one in self.cases
        ]
        sets = [
            {
                "case": name,
                "cases": self.counts[name],
                **_of_total(score),
                "set": name,
                **_ratios(score),
            }
            for name, score in self.sets.items()
        ]
        overall = {
            "case": "overall",
            "cases": len(self.cases),
            **_of_total(self.overall),
            **_ratios(self.overall),
            "mean_recall_of_sets": self.mean_of_sets("recall"),
            "mean_precision_of_sets": self.mean_of_sets("precision"),
        }
        return {
            "cases": cases,
            "sets": sets,
            "overall": overall,
            "missing": self.missing,
            "problems": [],
            "left_out": self.left_out,
        }


def _of_case(score: Score) -> dict[str, Any]:
    sums = {name: getattr(score, name) for name in SUMMED}
    return {
        "attacks": sums.pop("attacks"),
        "detected": sums.pop("detected"),
        "types": _tallies(score.types, "detected"),
        "ok_types": _tallies(score.ok_types, "raised"),
        "delays": list(score.delays),
        "alerts": sums.pop("alerts"),
        "true_alerts": sums.pop("true_alerts"),
        "false_alerts": sums.pop("false_alerts"),
        "ok_alerts": sums.pop("ok_alerts"),
        "ok_events": sums.pop("ok_events"),
        "ok_events_raised": sums.pop("ok_events_raised"),
        "in_learning": sums.pop("in_learning"),
        "false_by_kind": dict(score.false_by_kind),
        **sums,
    }


def _of_total(score: Score) -> dict[str, Any]:
    return {
        **{name: getattr(score, name) for name in SUMMED},
        "delays": list(score.delays),
        "types": _tallies(score.types, "detected"),
        "ok_types": _tallies(score.ok_types, "raised"),
        "false_by_kind": dict(score.false_by_kind),
    }


def _tallies(tallies: Mapping[str, Tally], touched: str) -> dict[str, dict[str, int]]:
    return {label: {touched: one.touched, "total": one.total} for label, one in tallies.items()}


def _ratios(score: Score) -> dict[str, Any]:
    return {
        "recall": score.recall,
        "precision": score.precision,
        "false_per_hour": score.false_per_hour,
        "median_delay": score.median_delay,
    }


# --- the table -----------------------------------------------------------------------------------


def table(result: Result, *, with_types: bool = False) -> str:
    """Lay out a line a case, a set, and all; then, if wanted, what was found by sort of attack."""
    lines = _laid_out(_rows(result))
    if with_types:
        lines += _by_type(result)
    if result.missing:
        lines += ["", f"* no alert file: {len(result.missing)} cases"]
    if result.left_out:
        lines.append(f"{result.left_out} alerts left out by severity or kind")
    return "\n".join(lines)


def _rows(result: Result) -> list[Sequence[str]]:
    """The cells of each line; an empty row is an empty line."""
    rows: list[Sequence[str]] = [HEAD]
    for name, score in result.sets.items():
        rows += [
            _row(one.name + ("" if one.was_judged else " *"), one.score)
            for one in result.cases
            if one.set == name
        ]
        rows += [_row(f"= {name} ({result.counts[name]} cases)", score), ()]
    rows.append(_row(f"= overall ({len(result.cases)} cases)", result.overall))
    if len(result.sets) > 1:
        means = dict.fromkeys(HEAD, "")
        means["case"] = "= mean of the sets"
        for ratio in ("recall", "precision"):
            means[ratio] = _spelled(result.mean_of_sets(ratio), ".0%")
        rows.append([*means.values()])
    return rows


def _row(name: str, score: Score) -> list[str]:
    return [
        name,
        f"{score.detected}/{score.attacks}",
        _spelled(score.recall, ".0%"),
        _spelled(score.median_delay, ".2f"),
        str(score.alerts),
        str(score.true_alerts),
        str(score.ok_alerts),
        str(score.false_alerts),
        _spelled(score.precision, ".0%"),
        f"{score.quiet_seconds / HOUR:.3f}",
        _spelled(score.false_per_hour, ".2f"),
        f"{score.ok_events_raised}/{score.ok_events}",
    ]


def _spelled(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _laid_out(rows: Sequence[Sequence[str]]) -> list[str]:
    """Names to the left, numbers to the right of their columns."""
    full = [row for row in rows if row]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _by_type(result: Result) -> list[str]:
    lines = ["", "by attack type"]
    for name, score in result.sets.items():
        lines += [
            f"  {name}: {label}: {one.touched}/{one.total}" for label, one in score.types.items()
        ]
    lines += ["", "ok events that raised alerts"]
    for name, score in result.sets.items():
        lines += [
            f"  {name}: {label}: {one.touched}/{one.total}" for label, one in score.ok_types.items()
        ]
    lines += ["", "false alerts by kind"]
    lines += [
        f"  {kind or '(no kind)'}: {count}" for kind, count in result.overall.false_by_kind.items()
    ]
    return lines
