"""`podium monitor copy`: this home's history, brought to the database that several servers share."""

import click

from podium.cli.output import print_json, print_table, say


@click.command("copy")
@click.option(
    "--monitor-store", metavar="URL", help="postgresql://… where servers keep their history. [PODIUM_SERVE_MONITOR_STORE]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def copy_command(monitor_store: str | None, as_json: bool) -> None:
    """Copy this home's history, monitor.db, into PostgreSQL, before servers keep theirs there.

    All of it or nothing: it is one transaction, and rows are counted on both sides before it is kept. Stop the servers of
    this home first. The file stays as it is; the database must hold no history yet.
    """
    from podium.api.histories import copy_monitor_history

    found = copy_monitor_history(monitor_store)
    if as_json:
        print_json(found._asdict())
        return
    print_table(("TABLE", "ROWS"), [(table, rows) for table, rows in found.rows.items() if rows])
    say()
    say(f"{found.source} is copied to {found.target}. Start servers with --monitor-store; the file is not read then.")
