"""`podium plugins`: what other packages add to podium, and whether it keeps the laws."""

from dataclasses import asdict

import click

from podium.cli.output import counted, print_json, print_table, say


@click.group()
def plugins() -> None:
    """List what other packages add to podium, flavors and channels of alerts, and check them."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_plugins(as_json: bool) -> None:
    """List the plugins that are installed beside podium, and whether each can be used.

    Each is imported to see that. A model uses a plugin of its own environment, which may have others.
    """
    from podium.api.plugins import list_plugins as listed

    found = listed()
    if as_json:
        print_json([asdict(each) for each in found])
        return
    print_table(
        ["NAME", "KIND", "DISTRIBUTION", "VERSION", "STATE"],
        [(each.name, each.kind, each.distribution, each.version, each.state) for each in found],
    )
    for each in found:
        if each.fault is not None:
            say(f"{each.name}: {each.fault}", err=True)


@plugins.command("check")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def check(context: click.Context, name: str, as_json: bool) -> None:
    """Run the conformance suite on a plugin, with what it brings to be checked with.

    A flavor's sample models are saved, moved, damaged and loaded in temporary folders and in processes of their own. A
    channel is given receivers of this machine that are not there, say nothing, hang up or speak nonsense. Exit code 1 when
    a law does not hold.
    """
    from podium.api.plugins import check_plugin

    outcomes = []
    for outcome in check_plugin(name):
        outcomes.append(outcome)
        if not as_json:
            about = "" if outcome.sample is None else f" [{outcome.sample}]"
            say(f"{'ok' if outcome.failure is None else 'FAILED':<7} {outcome.law}{about}")
            if outcome.failure is not None:
                say(f"{'':<7} → {outcome.failure}")
    failed = sum(outcome.failure is not None for outcome in outcomes)
    if as_json:
        print_json({"name": name, "is_conforming": not failed, "outcomes": [asdict(each) for each in outcomes]})
    else:
        say(f"{counted(len(outcomes), 'check')}, {failed} failed", err=True)
    if failed:
        context.exit(1)
