"""Which other versions run beside a model's own: what a split, a bandit and a shadow name, looked up."""

import re

from podium.domain.references import AliasRef, LatestRef, ModelRef, StageRef, VersionRef, parse_reference
from podium.errors import InvalidReference, Misconfigured, NotFound, PodiumError
from podium.fleet.site import BesideOrder
from podium.fleet.sources import Wish
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import resolve
from podium.settings.home import Home
from podium.settings.model import ModelSettings


def beside_of(name: str, reference: ModelRef, settings: ModelSettings, home: Home) -> tuple[BesideOrder, ...]:
    """What is to run beside a model.

    A name that stands for nothing yet keeps nothing from being served: it is followed.

    Raises:
        Misconfigured: The model has no versions, or a name is none of its versions, stages or aliases.
    """
    wanted = [("split", word, percent) for word, percent in settings.split]
    wanted += [("bandit", word.strip(), 0) for words in settings.bandit for word in words.split(",") if word.strip()]
    if settings.shadow is not None:
        wanted.append(("shadow", settings.shadow, settings.shadow_percent))
    orders = []
    for key, word, percent in wanted:
        other, source = _other(name, key, word, reference), RegistryObserver(home)
        orders.append(BesideOrder(other, percent, key == "shadow", _first(other, home), source, key == "bandit"))
    return tuple(orders)


def _other(name: str, key: str, word: str, reference: ModelRef) -> ModelRef:
    if not isinstance(reference, VersionRef | StageRef | LatestRef | AliasRef):
        raise Misconfigured(
            f"{key} = {word} of {name}: {reference} has no other versions. "
            "A split, a bandit and a shadow need a registered model, models:/NAME/STAGE."
        )
    text = word if word.startswith("models:") else f"models:/{reference.name}{'' if word.startswith('@') else '/'}{word}"
    try:
        if not re.fullmatch(r"@?[\w\-]+|models:/.+", word):
            raise InvalidReference(f"{word!r} is none of a version's number, a stage, latest and @ALIAS")
        other = parse_reference(text)
    except InvalidReference as error:
        raise Misconfigured(f"{key} = {word} of {name}: {error.message}") from error
    if not isinstance(other, VersionRef | StageRef | LatestRef | AliasRef) or other.name != reference.name:
        raise Misconfigured(f"{key} = {word} of {name}: must be a version, a stage or an @alias of {reference.name} itself")
    return other


def _first(reference: ModelRef, home: Home) -> Wish:
    try:
        return Wish(resolve(reference, home))
    except PodiumError as error:
        return Wish(None, error.message, is_up=isinstance(error, NotFound))
