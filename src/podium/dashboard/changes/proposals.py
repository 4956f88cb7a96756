"""What a page that asks for confirmation shows, and what it has to be told. Values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from podium.dashboard.sources import DashboardSources
from podium.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class FormField:
    """Something that whoever confirms has to say.

    Args:
        name: In the form.
        label: For people.
        value: What stands there at first.
        hint: How it is written.
        choices: What there is to choose from; empty where any text will do.
        is_long: Whether it has several lines.
        is_needed: Whether it may not be empty.
    """

    name: str
    label: str
    value: str = ""
    hint: str = ""
    choices: Sequence[str] = ()
    is_long: bool = False
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would happen.

    Args:
        title: Of the page.
        section: Which entry of the navigation is lit.
        back: The page that it was come from.
        verb: On the button.
        effects: What would happen, a sentence each.
        warnings: What one had better know before.
        fields: What is to be said.
        kept: What the form takes along, by name: how things stood when it was made.
        is_possible: Whether there is anything to confirm.
    """

    title: str
    section: str
    back: str
    verb: str
    effects: Sequence[str]
    warnings: Sequence[str] = ()
    fields: Sequence[FormField] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    is_possible: bool = True


@dataclass(frozen=True, slots=True)
class WantedChange:
    """A change that somebody looks at, or has confirmed.

    Args:
        path: Parts of the path by name.
        values: What the form says, or the query string where nothing was sent yet.
        author: Who it is, for the record; None is whoever runs this process.
    """

    path: Mapping[str, str]
    values: Mapping[str, str]
    author: str | None = None

    def said(self, name: str, otherwise: str = "") -> str:
        """A field's text."""
        return self.values.get(name, otherwise).strip()


@dataclass(frozen=True, slots=True)
class Done:
    """What was done.

    Args:
        message: For whoever did it.
        back: The page that shows it.
    """

    message: str
    back: str


@dataclass(frozen=True, slots=True)
class PageChange:
    """Something that can be changed.

    Args:
        propose: Says what would happen now; changes nothing.
        make: Does it. Raises PodiumError where it cannot, or where things are not as the form has them.
    """

    propose: Callable[[DashboardSources, WantedChange], Proposal]
    make: Callable[[DashboardSources, WantedChange], Done]


def numbers_in(text: str | None) -> tuple[int, ...]:
    """The versions that a form says a stage held, as `written` has them.

    Raises:
        InvalidInput: It does not say so.
    """
    parts = [] if text == "" else (text or "?").split(",")
    if not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in parts):
        raise InvalidInput("The form does not say how things stood when it was made. Open the page again.")
    return tuple(map(int, parts))


def written(numbers: Sequence[int]) -> str:
    """Numbers for a form."""
    return ",".join(map(str, numbers))
