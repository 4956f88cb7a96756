"""Where commands look for the monitor's history: where the servers of this place were told to keep it."""

import os
from collections.abc import Mapping
from pathlib import Path

from podium.settings.config_file import find_config, read_config
from podium.settings.declared import settings_of
from podium.settings.provenance import read
from podium.settings.serve import ServeSettings

_SETTING = next(each for each in settings_of(ServeSettings) if each.key == "monitor_store")


def monitor_store_said(environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> str | None:
    """What PODIUM_SERVE_MONITOR_STORE says, else `serve.monitor_store` of podium.toml; None where nobody says anything.

    Args:
        environ: Variables.
        folder: Where podium.toml is looked for; None is the current one.

    Raises:
        Misconfigured: What is said there is no text, or podium.toml cannot be read.
    """
    raw, source = environ.get(_SETTING.variable), _SETTING.variable
    if raw is None and (config := find_config(environ, folder or Path.cwd())) is not None:
        content, lines, source = read_config(config)
        table = content.get(_SETTING.table)
        raw = table.get(_SETTING.key) if isinstance(table, dict) else None
        source = f"{source}:{lines.get((_SETTING.table, _SETTING.key), 1)}"
    value: str | None = read(_SETTING, raw, source)
    return value
