"""`podium monitor cost`: what each version of a running server cost, at your prices."""

from pathlib import Path

import click

from podium.cli.output import print_json, print_table, say
from podium.cli.servers import the_server
from podium.settings.home import find_home


@click.command()
@click.option(
    "--prices",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="TOML: cpu_hour, memory_gib_hour, gpu_hour, currency.",
)
@click.option("-p", "--port", type=int, default=None, help="Which server, where several run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def cost(prices: Path, port: int | None, as_json: bool) -> None:
    """Say what each version has cost since the server began, in all and for 1,000 predictions, and which are idle.

    Counted are the processors' time, the memory and the GPUs of a version's workers, loading included; not the gateways.
    Where the server requires a key, PODIUM_API_KEY holds one that may read.
    """
    from podium.api.costing import costs, prices_in

    at = prices_in(prices)
    server = the_server(find_home(), port)
    found = costs(str(server.facts["url"]), at, server.certificate)
    if as_json:
        entries = [
            {
                "model": each.spent.model,
                "version": each.spent.version,
                "cost": each.total,
                "cpu_cost": each.cpu,
                "memory_cost": each.memory,
                "gpu_cost": each.gpu,
                "cpu_seconds": each.spent.cpu_s,
                "memory_byte_seconds": each.spent.memory_byte_s,
                "gpu_seconds": each.spent.gpu_s,
                "requests": each.spent.requests,
                "rows": each.spent.rows,
                "cost_of_1000_rows": each.of_1000_rows,
                "is_idle": each.is_idle,
            }
            for each in found
        ]
        print_json({"currency": at.currency, "versions": entries, "cost": sum(each.total for each in found)})
        return
    headings = ("MODEL", "VERSION", "COST", "CPU", "MEMORY", "GPU", "ROWS", "FOR 1,000", "")
    rows = [
        (
            each.spent.model,
            each.spent.version,
            f"{each.total:.6g}",
            f"{each.cpu:.6g}",
            f"{each.memory:.6g}",
            f"{each.gpu:.6g}",
            each.spent.rows,
            None if each.of_1000_rows is None else f"{each.of_1000_rows:.6g}",
            "idle" if each.is_idle else None,
        )
        for each in found
    ]
    print_table(headings, rows)
    say(f"{sum(each.total for each in found):.6g} {at.currency}".rstrip() + " since the server began")
