"""What commands print of texts that somebody else wrote: a registry, a model, a client."""

import ast
import json
from pathlib import Path

import pytest

import podium
from podium.cli.main import main
from podium.cli.output import print_facts, print_json, print_table, say, shown

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eexe.fdp\u2066\r"
HARMLESS = "\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\u202eexe.fdp\\u2066\\x0d"


def test_nothing_that_steers_a_terminal_or_turns_a_text_around_is_printed(capsys):
    """In a sentence, a table, facts, and in JSON, which stays the same JSON."""
    say(HOSTILE)
    print_table(["a"], [[HOSTILE]])
    print_facts({"a": HOSTILE})
    print_json({"a": HOSTILE})

    said, heading, row, fact, *document = capsys.readouterr().out.split("\n")
    assert (said, heading, row, fact) == (HARMLESS, "a", HARMLESS, f"a  {HARMLESS}")
    assert json.loads("".join(document)) == {"a": HOSTILE}
    assert not set("".join(document)) & set("\x1b\x07\x9b\u202e\u2066\r")


def test_no_text_passes_for_a_line_of_ours(capsys):
    """A cell stays in its row, and the lines of a fact under its name."""
    print_table(["name", "state"], [["a\nb  ready", "failed"]])
    print_facts({"reason": "x\nstate  ready"})

    assert capsys.readouterr().out.split("\n") == [
        "name         state", "a\\nb  ready  failed", "reason  x", "        state  ready", ""
    ]  # fmt: skip


def test_what_people_write_is_printed_as_it_is():
    assert shown("fräud 模型 ☕\tx\n") == "fräud 模型 ☕\tx\n"


@pytest.mark.parametrize("path", sorted((Path(podium.__file__).parent / "cli").glob("*.py")), ids=lambda path: path.name)
def test_commands_print_by_the_one_function_that_looks_at_what_it_prints(path: Path):
    """`say` and its neighbours; `click.echo` only for what has no text of anybody else in it."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    echoes = [call for call in calls if ast.unparse(call.func) == "click.echo" and call.args]
    allowed = {"output.py": 4, "predict.py": 1}

    assert len(echoes) <= allowed.get(path.name, 0), [ast.unparse(call) for call in echoes]


@pytest.mark.parametrize(
    "arguments",
    [["doctor", "http://joe:sesame@h/m"], ["keys", "revoke", "http://joe:sesame@h/m", "http://joe:sesame@h/m"]],
)
def test_what_was_typed_wrongly_is_repeated_without_its_password(capsys, monkeypatch, arguments):
    """Where a command line goes wrong its words may end in a log."""
    monkeypatch.setattr("sys.argv", ["podium", *arguments])

    with pytest.raises(SystemExit) as ended:
        main()

    told = capsys.readouterr().err
    assert (ended.value.code, "sesame" in told, "***@h/m" in told) == (2, False, True)
