"""Puts the parts together: replay, service and the commands that look at state build on this."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from otids.alerts.alert import Alert
from otids.alerts.attack import load_attack
from otids.alerts.catalogue import Catalogue, load_catalogue
from otids.alerts.triage import Triage
from otids.assets import AssetList, Inventory
from otids.detectors import make_detectors
from otids.detectors.base import Cause, Detector, State, StateError
from otids.folder import StateFolder
from otids.pipeline import Pipeline
from otids.replay import Replay
from otids.resources import data_folder
from otids.rules.conditions import PolicyRule
from otids.rules.files import RuleError
from otids.rules.policies import load_policies
from otids.status import Status


@dataclass(frozen=True, slots=True)
class Rules:
    """What people wrote: what is said of alerts, and what must not happen."""

    catalogue: Catalogue
    policies: Sequence[PolicyRule]
    folders: tuple[Path, ...]  # of the operator, beside what otids brings

    @classmethod
    def load(cls, folders: Iterable[Path] = ()) -> Self:
        """Read what otids brings, then `folders`. Raises `RuleError`."""
        own = tuple(folder.absolute() for folder in folders)
        for folder in own:
            if not folder.is_dir():
                raise RuleError(f"{folder}: is not a directory")
        packaged = data_folder("rules")
        policies = load_policies([packaged / "policies", *_policy_folders(own)])
        catalogue = load_catalogue(
            load_attack(packaged / "attack.toml"),
            packaged / "catalogue",
            *(one for folder in own if (one := folder / "catalogue").is_dir()),
        )
        return cls(catalogue.with_rules(policies), policies, own)


def _policy_folders(folders: Iterable[Path]) -> Iterable[Path]:
    """Rules may stand in a folder of rules itself, or in its `policies`."""
    for folder in folders:
        yield folder
        if (folder / "policies").is_dir():
            yield folder / "policies"


def make_inventory(assets: Path | None = None) -> Inventory:
    """Make an inventory that has seen nothing yet; `assets` names devices. Raises `RuleError`."""
    return Inventory(AssetList.read(assets) if assets else None)


def make_pipeline(
    rules: Rules,
    inventory: Inventory,
    commit: Callable[[Sequence[Alert]], None],
    *,
    sensor: str,
) -> Pipeline:
    """Make a pipeline that has learned nothing yet."""
    return Pipeline(
        make_detectors(rules.policies),
        Triage(rules.catalogue, inventory, sensor=sensor),
        inventory,
        commit,
    )


def take_up(pipeline: Pipeline, folder: StateFolder) -> None:
    """Let a pipeline go on from what a folder holds. Raises `StateError`."""
    state = folder.load()
    if state is not None:
        pipeline.restore(state)
    folder.apply_decisions(pipeline.detectors)


def replace_rules(pipeline: Pipeline, rules: Rules) -> None:
    """Let a running pipeline judge and speak by other rules; what was learned stays."""
    fresh = make_detectors(rules.policies)
    policy = next(one for one in fresh if one.name == "policy")
    old = next(one for one in pipeline.detectors if one.name == policy.name)
    policy.restore(old.state())
    pipeline.detectors = [policy if one is old else one for one in pipeline.detectors]
    pipeline.triage.catalogue = rules.catalogue


# --- what a folder holds, looked at without a pipeline ------------------------------------------


def note_origin(folder: StateFolder, rules: Rules, sensor: str) -> None:
    """Note with what a folder is judged, so that its alerts can be judged again."""
    folder.store.set_meta({"rules": json.dumps([*map(str, rules.folders)]), "sensor": sensor})


def rules_of(folder: StateFolder) -> Rules:
    """The rules with which a folder was judged. Raises `RuleError`."""
    noted = folder.store.meta().get("rules", "[]")
    return Rules.load(map(Path, json.loads(noted)))


def detectors_of(folder: StateFolder, rules: Rules) -> list[Detector]:
    """Detectors with what a folder holds of each. Raises `StateError`."""
    return _restored(_baseline_of(folder), rules)


def status_of(folder: StateFolder) -> Status:
    """How things stood when a folder was last saved. Raises `StateError`, `RuleError`."""
    pipeline = make_pipeline(rules_of(folder), Inventory(), lambda _: None, sensor="")
    pipeline.restore(_baseline_of(folder))
    folder.apply_decisions(pipeline.detectors)
    return pipeline.status()


def makes_normal(folder: StateFolder, causes: Iterable[Cause]) -> list[Cause]:
    """Find those of `causes` that some detector can take as normal. Changes nothing."""
    detectors = detectors_of(folder, rules_of(folder))
    return [cause for cause in causes if any(one.accept(cause) for one in detectors)]


def save_decisions(folder: StateFolder) -> None:
    """Put what people decided into the baseline of a folder. Raises `StateError`."""
    state = _baseline_of(folder)
    detectors = _restored(state, rules_of(folder))
    folder.apply_decisions(detectors)
    learned = {one.name: one.state() for one in detectors}
    folder.save({**state, "detectors": {**state["detectors"], **learned}})


def _baseline_of(folder: StateFolder) -> State:
    state = folder.load()
    if state is None or not isinstance(state.get("detectors"), dict):
        raise StateError(f"{folder.path}: nothing was learned here yet")
    return state


def _restored(state: State, rules: Rules) -> list[Detector]:
    detectors = make_detectors(rules.policies)
    for detector in detectors:
        if detector.name in state["detectors"]:
            detector.restore(state["detectors"][detector.name])
    return detectors


def judge_again(folder: StateFolder, evidence: Path, scratch: Path) -> list[Alert]:
    """Judge a piece of evidence by what a folder has learned; `scratch` is an empty folder.

    Raises `CaptureError`, `StateError`, `OSError`.
    """
    rules = rules_of(folder)
    alerts: dict[str, Alert] = {}
    with StateFolder(scratch, writing=True) as other:
        pipeline = make_pipeline(rules, Inventory(), other.store.commit, sensor="")
        state = _baseline_of(folder)
        for detector in pipeline.detectors:
            if detector.name in state["detectors"]:
                detector.restore(state["detectors"][detector.name])
        folder.apply_decisions(pipeline.detectors)
        told = alerts.update
        run = Replay(other, pipeline, on_alerts=lambda some: told((one.id, one) for one in some))
        run.judge([evidence])
    return list(alerts.values())
