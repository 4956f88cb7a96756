"""docs/reference/settings.md, made from the declared settings themselves:

python tests/house/settings_reference.py > docs/reference/settings.md
"""

from podium.api.endpoint import SETTINGS

_HEAD = """# Settings

Made from the declarations by `tests/house/settings_reference.py`; a test keeps it so.
[Configure a server](../how-to/configure.md) says where they are written and which place wins.

Each is also an argument of `podium.serve`, called as its key.
"""

_COLUMNS = "| key | variable | flag | default | meaning | written as |"


def reference() -> str:
    """The whole page."""
    lines = [_HEAD]
    for table in dict.fromkeys(setting.table for setting in SETTINGS):
        lines += [
            f"## `[{table}]`",
            "",
            "| key | variable | flag | default | meaning | written as |",
            "|---|---|---|---|---|---|",
        ]
        for setting in SETTINGS:
            if setting.table == table:
                default = setting.default_text or setting.shown(setting.default)
                cells = [f"`{setting.key}`", f"`{setting.variable}`", f"`{setting.flag}`", default, setting.help]
                lines.append("| " + " | ".join([*cells, setting.expected]) + " |")
        lines.append("")
    own = ", ".join(f"`{setting.key}`" for setting in SETTINGS if setting.is_of_model)
    lines += ["## Of one model of several", "", f"Under `[models.NAME]`, beside `uri`, may stand: {own}."]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    print(reference(), end="")
