"""How models, versions, moves and changes look: one JSON form for programs, one table for people."""

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from podium.cli.output import print_facts, print_json, print_table, say
from podium.domain.stages import Stage
from podium.domain.worth import told
from podium.fleet.host.runfiles import find_servers
from podium.registry.contract import Change, RegisteredModel, Version
from podium.registry.moves import Moved
from podium.registry.resolve import Resolved
from podium.settings.home import find_home

if TYPE_CHECKING:
    from podium.api.registering import Contents
    from podium.artifacts.derived import Derived

_LIVE = (Stage.PRODUCTION, Stage.STAGING)


def model_json(model: RegisteredModel) -> dict[str, Any]:
    """A registered model for programs; times are ISO 8601 in UTC."""
    return {
        "name": model.name,
        "description": model.description,
        "tags": dict(model.tags),
        "aliases": dict(model.aliases),
        "created": _time(model.created_ms),
        "updated": _time(model.updated_ms),
    }


def version_json(version: Version) -> dict[str, Any]:
    """A version for programs; times are ISO 8601 in UTC."""
    return {
        "name": version.name,
        "version": version.version,
        "stage": version.stage.value,
        "aliases": list(version.aliases),
        "digest": version.digest,
        "source": version.source,
        "description": version.description,
        "tags": dict(version.tags),
        "created": _time(version.created_ms),
        "created_by": version.created_by,
        "updated": _time(version.updated_ms),
    }


def change_json(change: Change) -> dict[str, Any]:
    """A change for programs; `before` and `after` are JSON merge patches of the model's document."""
    return {
        "id": change.id,
        "time": _time(change.at_ms),
        "actor": change.actor,
        "action": change.action.value,
        "model": change.model,
        "version": change.version,
        "before": change.before,
        "after": change.after,
    }


def show_model(model: RegisteredModel, versions: Sequence[Version], as_json: bool) -> None:
    """A registered model with its versions."""
    if as_json:
        print_json({**model_json(model), "versions": [version_json(version) for version in versions]})
        return
    show_facts(model_json(model))
    say()
    _version_table(versions)
    if versions and not any(version.stage is Stage.PRODUCTION for version in versions):
        next_command(f"podium models promote {shlex.quote(model.name)} {versions[-1].version}")


def show_version(version: Version, contents: "Contents | None", conversions: Sequence["Derived"], as_json: bool) -> None:
    """One version, what its folder holds (None where its files are gone), and what it was converted to."""
    if as_json:
        held = _contents_json(contents)
        print_json({**version_json(version), **held, "conversions": [conversion_json(each) for each in conversions]})
        return
    show_facts({**version_json(version), **_contents_told(contents), "runtime": _runtimes(conversions)})


def _contents_json(contents: "Contents | None") -> dict[str, Any]:
    if contents is None:
        return {"flavors": None, "signature": None, "needs_code": None}
    signature = contents.signature
    parts = {} if signature is None else {name: part and json.loads(part) for name, part in signature.to_dict().items()}
    return {"flavors": list(contents.flavors), "signature": parts or None, "needs_code": list(contents.needs_code)}


def _contents_told(contents: "Contents | None") -> dict[str, Any]:
    if contents is None:
        return {"flavors": "its files are gone", "needs_code": "its files are gone"}
    signature = contents.signature
    parts = {"inputs": "not said", "outputs": "not said"}
    if signature is not None:
        parts = {"inputs": str(signature.inputs or "not said"), "outputs": str(signature.outputs or "not said")}
        if signature.params:
            parts["params"] = ", ".join(map(str, signature.params))
    return {"flavors": ", ".join(contents.flavors), **parts, "needs_code": "; ".join(contents.needs_code) or "no"}


def conversion_json(conversion: "Derived") -> dict[str, Any]:
    """A conversion for programs: its key, and all of its proof."""
    return {"key": conversion.key, **conversion.proof}


def _runtimes(conversions: Sequence["Derived"]) -> str:
    """What a server of its own choice (`--runtime auto`) would look at, in the order that it does."""
    said = ["an exact shortcut where one is proven at load"]
    for each in conversions:
        facts = each.proof["facts"]
        name = f"ONNX ({facts['form']}, {facts['precision']})"
        if each.is_accepted:
            rows, largest = sum((each.proof.get("rows") or {}).values()), each.proof.get("largest", 0.0)
            within = f"numbers within {facts['tolerance']:g}, largest {largest:.1e}"
            said.append(f"{name}, accepted on {rows} rows ({within}; {told(each.proof.get('speed'))})")
        else:
            said.append(f"{name} was rejected: {each.proof.get('reason')}")
    return "; ".join([*said, "else the model itself"])


def show_versions(versions: Sequence[Version], as_json: bool) -> None:
    """Versions of one or more models."""
    if as_json:
        print_json([version_json(version) for version in versions])
    else:
        _version_table(versions)


def show_models(models: Sequence[RegisteredModel], versions: Sequence[Version], as_json: bool) -> None:
    """Registered models with what their stages and aliases stand for."""
    by_name: dict[str, list[Version]] = {model.name: [] for model in models}
    for version in versions:
        by_name.get(version.name, []).append(version)
    if as_json:
        print_json([{**model_json(model), **_standing(by_name[model.name])} for model in models])
        return
    rows = []
    for model in models:
        standing = _standing(by_name[model.name])
        live = [standing["stages"].get(stage.value) for stage in _LIVE]
        rows.append([model.name, *live, standing["latest"], _pairs(model.aliases), _time(model.updated_ms)])
    print_table(["NAME", "PRODUCTION", "STAGING", "LATEST", "ALIASES", "UPDATED"], rows)
    if not models:
        next_command("podium models register DIR NAME")


def show_move(moved: Moved, as_json: bool) -> None:
    """What a transition, promotion or rollback did, with a warning when the stage stands for another version."""
    version = moved.version
    if as_json:
        document = {"archived": list(moved.archived), "stands_for": moved.stands_for, "changed": moved.is_change}
        print_json({**version_json(version), **document, "warning": moved.warning})
    else:
        is_now = "is now in" if moved.is_change else "was already in"
        say(f"{version.name} version {version.version} {is_now} {version.stage.value}.")
        if moved.archived:
            say(f"Archived: {', '.join(map(str, moved.archived))}.")
    if moved.warning:
        say(f"warning: {moved.warning}", err=True)
    elif not as_json and version.stage.is_exclusive:
        next_command(_after_move(f"models:/{version.name}/{version.stage.value.lower()}"))


def _after_move(uri: str) -> str:
    """Look at the server that follows the stage already, or start one."""
    following = [
        server.facts["port"]
        for server in find_servers(find_home())
        if any(endpoint["uri"] == uri for endpoint in server.endpoints.values())
    ]
    return f"podium status --wait -p {following[0]}" if following else f"podium serve -m {shlex.quote(uri)}"


def show_validation(found: Resolved, report: Mapping[str, Any], as_json: bool) -> None:
    """What came of loading a model in a clean process: an `api.validating.ValidationReport` as a mapping."""
    model = str(found.reference)
    if as_json:
        print_json({"model": model, **report})
        return
    is_valid, log = report["is_valid"], report["log"]
    left_out = {"is_valid", "log", "message", "step"}
    said = "valid." if report["has_example"] else "it loads. It has no input example, so that nothing was scored."
    say(f"{model}: " + (said if is_valid else f"failed at step {report['step']}: {report['message']}"))
    facts = {name: value for name, value in report.items() if name not in left_out and value not in (None, False, ())}
    print_facts({name: "; ".join(value) if isinstance(value, tuple) else value for name, value in facts.items()})
    if is_valid and found.name is None:
        next_command(f"podium models register {shlex.quote(model)} NAME")
    elif is_valid and found.stage is not Stage.PRODUCTION:
        next_command(f"podium models promote {shlex.quote(found.name or '')} {found.version}")
    elif log:
        say(log, err=True)


def show_changes(changes: Sequence[Change], as_json: bool) -> None:
    """The change record, oldest first."""
    if as_json:
        print_json([change_json(change) for change in changes])
        return
    rows = [[_time(c.at_ms), c.actor, c.action.value, c.model, c.version, _difference(c)] for c in changes]
    print_table(["WHEN", "WHO", "WHAT", "MODEL", "VERSION", "CHANGE"], rows)


def show_facts(facts: Mapping[str, Any]) -> None:
    """Names and values; what is empty is left out."""
    print_facts({name: _text(value) for name, value in facts.items() if value not in ("", {}, [])})


def done(facts: Mapping[str, Any], said: str, as_json: bool) -> None:
    """What a command did, that has nothing to show."""
    if as_json:
        print_json(dict(facts))
    else:
        say(said)


def next_command(command: str) -> None:
    """Tell people what they are likely to type next."""
    say(f"Next: {command}", err=True)


def _version_table(versions: Sequence[Version]) -> None:
    rows = [
        [v.name, v.version, v.stage.value, ", ".join(v.aliases), v.digest[:19], _time(v.created_ms), v.created_by]
        for v in versions
    ]
    print_table(["NAME", "VERSION", "STAGE", "ALIASES", "DIGEST", "CREATED", "BY"], rows)


def _standing(versions: Sequence[Version]) -> dict[str, Any]:
    """Which version each stage, and `latest`, stands for. Versions come in ascending order: the last one wins."""
    stages = {version.stage.value: version.version for version in versions}
    return {"stages": stages, "latest": versions[-1].version if versions else None}


def _difference(change: Change) -> str:
    """A change in one line: `stage of 3: Staging -> Production`."""
    before, after = change.before or {}, change.after or {}
    said = []
    for number, part in (after.get("versions") or {}).items():
        old = (before.get("versions") or {}).get(number)
        if old is None:
            said.append(f"{number} from {part['source']}")
        elif part is None:
            said.append(f"{number} removed (was in {old['stage']})")
        else:
            said += [f"{key} of {number}: {_short(old.get(key))} -> {_short(value)}" for key, value in part.items()]
    plain = {key: value for key, value in after.items() if key != "versions" and value not in ("", {})}
    said += [
        f"{key}: {_short(before[key])} -> {_short(value)}" if key in before else f"{key}: {_short(value)}"
        for key, value in plain.items()
    ]
    return "; ".join(said)


def _short(value: Any) -> str:
    """A value in at most 60 characters of one line."""
    text = " ".join(_text(value).split())
    return text if len(text) <= 60 else text[:59] + "…"


def _text(value: Any) -> str:
    match value:
        case dict():
            return _pairs(value)
        case list():
            return ", ".join(map(str, value))
        case None:
            return "none"
        case _:
            return str(value)


def _pairs(value: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={'none' if item is None else item}" for key, item in value.items())


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
