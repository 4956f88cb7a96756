"""`podium monitor`: whether models in service are still what they were."""

import importlib

import click

from podium.cli.main import OfferingGroup

# command: (module, attribute); imported when it runs.
_COMMANDS = {
    "alerts": ("podium.cli.monitor_alerts", "alerts"),
    "baseline": ("podium.cli.monitor_baseline", "baseline"),
    "compare": ("podium.cli.monitor_compare", "compare"),
    "copy": ("podium.cli.monitor_copy", "copy_command"),
    "cost": ("podium.cli.monitor_cost", "cost"),
    "export": ("podium.cli.monitor_export", "export"),
    "report": ("podium.cli.monitor_report", "report"),
    "silence": ("podium.cli.monitor_alerts", "silence"),
    "test": ("podium.cli.monitor_alerts", "test_channel"),
}


class MonitorGroup(OfferingGroup):
    """The commands stand in files of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=MonitorGroup, context_settings={"help_option_names": ["-h", "--help"]})
def monitor() -> None:
    """Say whether models in service are still what they were: profiles of their data, drift, alerts."""
