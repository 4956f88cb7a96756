"""`podium models accelerate`: a faster runtime for a model, if it is proven to answer the same."""

import json
from typing import TYPE_CHECKING, Any

import click

from podium.cli.mlflow_options import ALLOW_CODE, ENV_MANAGER, order_of
from podium.cli.model_tables import conversion_json
from podium.cli.output import print_json, print_table, say
from podium.domain.worth import told

if TYPE_CHECKING:
    from podium.api.accelerating import Accelerated


@click.command()
@click.argument("uri", metavar="URI")
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=1e-5, show_default=True, help="For numbers; labels: none."
)
@click.option(
    "--form",
    type=click.Choice(["auto", "split", "whole"]),
    default="auto",
    show_default=True,
    help="Convert a pipeline's last step, or all of it.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "double", "float"]),
    default="auto",
    show_default=True,
    help="Of the conversion; auto tries double, then float.",
)
@ALLOW_CODE
@ENV_MANAGER
@click.option("--show", "is_shown", is_flag=True, help="Convert nothing; show what was converted before.")
@click.option("--remove", "is_removed", is_flag=True, help="Forget the model's conversions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def accelerate(
    uri: str,
    tolerance: float,
    form: str,
    precision: str,
    allow_code: bool,
    env_manager: str,
    is_shown: bool,
    is_removed: bool,
    as_json: bool,
) -> None:
    """Convert the model at URI to ONNX and prove that it answers the same: every label, and numbers within the tolerance.

    It is converted in the Python that its workers would run in, which needs podium[accelerate].

    What is accepted is kept beside the model, which never changes, and answers where a server has no exact shortcut and it
    was measured to be faster; --runtime onnx prefers it.
    Exit code 1 when no conversion was accepted.
    """
    from podium.api.accelerating import FORMS, PRECISIONS, forget_conversions, known_conversions
    from podium.api.accelerating import accelerate as convert
    from podium.api.registering import Registry

    registry = Registry()
    found = registry.resolve(uri)
    if is_removed:
        count = forget_conversions(found, registry.home)
        if as_json:
            print_json({"removed": count})
        else:
            say(f"{count} removed.")
        return
    if is_shown:
        _print(known_conversions(found, registry.home), as_json)
        return
    forms = FORMS if form == "auto" else (form,)
    precisions = PRECISIONS if precision == "auto" else (precision,)
    order = order_of(env_manager)
    done = convert(found, order, registry.home, _tell, forms, precisions, tolerance, allow_code=allow_code)
    _print(done, as_json)
    if not done.is_accepted:
        raise SystemExit(1)


def _print(done: "Accelerated", as_json: bool) -> None:
    if as_json:
        print_json({"digest": done.digest, "conversions": [conversion_json(each) for each in done.conversions]})
        return
    rows: list[list[Any]] = []
    for each in done.conversions:
        proof = each.proof
        result = "accepted" if each.is_accepted else "rejected"
        compared = sum((proof.get("rows") or {}).values())
        largest = f"{proof.get('largest', 0.0):.1e}"
        rows.append([each.key, proof["facts"]["form"], proof["facts"]["precision"], result, compared, largest])
    print_table(["CONVERSION", "FORM", "PRECISION", "RESULT", "ROWS", "LARGEST"], rows)
    for each in done.conversions:
        if each.is_accepted:
            say(f"{each.key}: {told(each.proof.get('speed'))}", err=True)
            continue
        say(f"{each.key}: {each.proof.get('reason')}", err=True)
        counterexample = each.proof.get("counterexample")
        if counterexample:
            say(f"  {json.dumps(counterexample, ensure_ascii=False)}", err=True)


def _tell(text: str) -> None:
    say(text, err=True)
