"""Registry: registered models; of one its versions, which was live when, and who changed what."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from podium.api.registering import Contents
from podium.dashboard.charts.lanes import lanes
from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.screens.stays import stays_of
from podium.dashboard.sources import DashboardSources
from podium.domain.rollouts.records import PIN_KEY, PREFIX
from podium.domain.stages import Stage
from podium.errors import NotFound
from podium.registry.contract import Change, RegisteredModel, Version
from podium.registry.moves import stands_for

_MOST_LANES, _PAGE = 24, 50
_LONGEST = 400


def registry(sources: DashboardSources, asked: Question) -> Page:
    """Every registered model."""
    models = sources.models()
    versions = sources.versions()
    served = {each.registered for each in sources.served()}
    rows = [_model_row(model, [each for each in versions.value if each.name == model.name]) for model in models.value]
    wanted = asked.query.get("q", "").strip().lower()
    shown = [row for row in rows if wanted in row["name"].lower()]
    for row in shown:
        row["is_served"] = row["name"] in served
    columns = ("model", "versions", "production", "staging", "latest", "updated_ms", "description")
    values = [
        [
            row["name"],
            row["versions"],
            row["production"],
            row["staging"],
            row["latest"],
            row["updated_ms"],
            row["description"],
        ]
        for row in shown
    ]
    content = {
        "rows": shown,
        "all": len(rows),
        "wanted": asked.query.get("q", ""),
        "fault": models.problem or versions.problem,
    }
    return Page("registry.html", "Registry", "registry", content, [Table("models", columns, values)])


def registered(sources: DashboardSources, asked: Question) -> Page:
    """One registered model."""
    name, store = asked.path["name"], sources.registry
    model = store.model(name)
    versions = sorted(store.versions(name), key=lambda each: -each.version)
    changes = store.history(name)
    number = _page_of(asked.query.get("page"), len(changes))
    newest_first = changes[::-1]
    lanes_of = [str(each.version) for each in versions[:_MOST_LANES]]
    start = min((change.at_ms / 1000 for change in changes), default=asked.now)
    picture = lanes(
        lanes_of,
        stays_of(changes, asked.now),
        start,
        max(asked.now, start + 60),
        f"Which version of {name} was in which stage",
    )
    content = {
        "model": model,
        "tags": _tags(model.tags),
        "versions": [_version_row(each) for each in versions],
        "production": stands_for(versions, Stage.PRODUCTION),
        "picture": picture if lanes_of else None,
        "hidden_lanes": len(versions) - len(lanes_of),
        "changes": [_change_row(each) for each in newest_first[number * _PAGE : (number + 1) * _PAGE]],
        "page": number,
        "pages": max(1, -(-len(changes) // _PAGE)),
        "served": [each for each in sources.served() if each.registered == name],
    }
    return Page("registered.html", name, "registry", content, [_versions_table(versions), _changes_table(newest_first)])


def version(sources: DashboardSources, asked: Question) -> Page:
    """One version of one model: what it holds."""
    name, store = asked.path["name"], sources.registry
    text = asked.path["version"]
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFound(f"{text!r} is no version of {name}; versions are numbers.")
    found = store.version(name, int(text))
    contents = store.contents(found)
    inputs, outputs = _fields(contents, "inputs"), _fields(contents, "outputs")
    content = {
        "version_of": found,
        "tags": _tags(found.tags),
        "contents": contents,
        "inputs": inputs,
        "outputs": outputs,
        "conversions": store.conversions(found),
        "changes": [_change_row(each) for each in store.history(name)[::-1] if each.version == found.version][:_PAGE],
        "others": [each.version for each in store.versions(name)],
    }
    fields = [["input", *each] for each in inputs] + [["output", *each] for each in outputs]
    table = Table("signature", ("side", "name", "type", "is_required"), fields)
    return Page("version.html", f"{name} version {found.version}", "registry", content, [table])


def _model_row(model: RegisteredModel, versions: Sequence[Version]) -> dict[str, Any]:
    return {
        "name": model.name,
        "description": model.description,
        "versions": len(versions),
        "production": stands_for(versions, Stage.PRODUCTION),
        "staging": stands_for(versions, Stage.STAGING),
        "latest": max((each.version for each in versions), default=None),
        "aliases": sorted(model.aliases.items()),
        "updated_ms": max([model.updated_ms, *[each.updated_ms for each in versions]]),
    }


def _version_row(each: Version) -> dict[str, Any]:
    return {
        "number": each.version,
        "stage": each.stage.value,
        "aliases": each.aliases,
        "digest": each.digest,
        "description": each.description,
        "created_s": each.created_ms / 1000,
        "created_by": each.created_by,
        "tags": _tags(each.tags),
    }


def _tags(tags: Mapping[str, str]) -> list[tuple[str, str]]:
    """Those that people write: rollouts are kept as tags too, and have a screen of their own."""
    return [(key, _cut(value)) for key, value in sorted(tags.items()) if not (key.startswith(PREFIX) or key == PIN_KEY)]


def _change_row(change: Change) -> dict[str, Any]:
    return {
        "id": change.id,
        "at": change.at_ms / 1000,
        "actor": change.actor,
        "action": change.action.value,
        "version": change.version,
        "before": _patch(change.before),
        "after": _patch(change.after),
        "said": _said(change),
    }


def _said(change: Change) -> str:
    """A stage's move in words; empty where the patch has to speak for itself."""
    before = ((change.before or {}).get("versions") or {}) if change.before else {}
    moved = [
        f"{number}: {(before.get(number) or {}).get('stage') or 'new'} → {part['stage']}"
        for number, part in ((change.after or {}).get("versions") or {}).items()
        if part and "stage" in part
    ]
    return ", ".join(moved)


def _patch(patch: Mapping[str, Any] | None) -> str:
    return "" if not patch else _cut(json.dumps(patch, ensure_ascii=False, sort_keys=True))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _fields(contents: Contents | None, side: str) -> list[tuple[str, str, bool]]:
    """Name, type and whether it is needed, of each input or output."""
    schema = None if contents is None or contents.signature is None else getattr(contents.signature, side)
    specs = getattr(schema, "columns", None) or getattr(schema, "tensors", None) or ()
    return [
        (_name_of(spec, number), _type_of(spec), bool(getattr(spec, "required", True))) for number, spec in enumerate(specs)
    ]


def _name_of(spec: Any, number: int) -> str:
    return str(getattr(spec, "name", None) or f"#{number}")


def _type_of(spec: Any) -> str:
    kind = getattr(spec, "type", None) or getattr(spec, "dtype", None)
    shape = getattr(spec, "shape", None)
    return f"{kind}{'' if shape is None else f' {list(shape)}'}"


def _page_of(text: str | None, rows: int) -> int:
    wanted = int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else 0
    return min(wanted, max(0, -(-rows // _PAGE) - 1))


def _versions_table(versions: Sequence[Version]) -> Table:
    columns = ("version", "stage", "aliases", "digest", "source", "created_ms", "created_by", "description")
    rows = [
        [each.version, each.stage.value, list(each.aliases), each.digest, each.source, each.created_ms, each.created_by,
         each.description]
        for each in versions
    ]  # fmt: skip
    return Table("versions", columns, rows)


def _changes_table(changes: Sequence[Change]) -> Table:
    columns = ("id", "at_ms", "actor", "action", "version", "before", "after")
    rows = [[each.id, each.at_ms, each.actor, each.action.value, each.version, each.before, each.after] for each in changes]
    return Table("changes", columns, rows)
