"""The versions that run beside an endpoint's own because a split, a bandit or a shadow names them: aliases are followed."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from podium.domain.planning import Candidate
from podium.domain.rollouts.evidence import Evidence
from podium.domain.traffic import Rules, Shadow, Target
from podium.fleet.bandit import Bandit, Standings
from podium.fleet.experiment import Experiment, SplitTrial
from podium.fleet.site import BesideOrder, EndpointOrder, Site
from podium.fleet.sources import Wish, follow, follows
from podium.fleet.telling.events import Event
from podium.registry.resolve import Resolved
from podium.telemetry.evidence import Outcomes


class Beside:
    """What the sources of a split, a bandit and a shadow said last. The part of what is not there is the stable one's.

    Args:
        order: The endpoint's.
        site: The server's; events are told there.
        heard: Called after each change.
        evidence: What is known of a version, by the endpoint's name and its label.
        outcomes: What was reported of its answers, likewise.
    """

    def __init__(
        self,
        order: EndpointOrder,
        site: Site,
        heard: Callable[[], None],
        evidence: Callable[[str, str], Evidence],
        outcomes: Callable[[str, str], Outcomes],
    ) -> None:
        has_arms = any(each.is_arm for each in order.beside)
        self._bandit = Bandit(order.settings, partial(evidence, order.name)) if has_arms else None
        # Shares that follow feedback break what a test assumes of the order of answers: of a bandit there are chances.
        is_split = not has_arms and any(not each.is_shadow for each in order.beside)
        is_drawn = order.settings.sticks_to is None
        self._experiment = Experiment(partial(outcomes, order.name), is_drawn=is_drawn) if is_split else None
        self._settings = order.settings
        self._site = site
        self._heard = heard
        self._orders = order.beside
        self._wishes = [each.first for each in order.beside]
        self._following: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Listen to the sources from now on."""
        for number, order in enumerate(self._orders):
            if follows(order.reference):
                poll_s, hear = self._site.settings.poll_s, partial(self._hear, number)
                following = follow(order.reference, order.first, order.source, poll_s, hear, is_rolled_out=False)
                self._following.append(self._site.tasks.create_task(following, name=f"source of {order.reference}"))
        self._heard()

    def stop(self) -> None:
        """Want what is wanted now."""
        for task in self._following:
            task.cancel()
        self._following.clear()

    @property
    def resolved(self) -> list[Resolved]:
        """What is wanted beside."""
        return [wish.resolved for wish in self._wishes if wish.resolved is not None]

    @property
    def parts(self) -> tuple[Candidate, ...]:
        """Who takes which part of the traffic; a shadow takes none."""
        learnt = {} if self._bandit is None else dict(self._bandit.standings.percents)
        parts = []
        for label, order in self._named():
            # Two names of a bandit may stand for one version: it is one arm.
            percent = learnt.pop(label, 0) if order.is_arm else order.percent
            parts.append(Candidate(label, 0 if order.is_shadow else percent))
        return tuple(parts)

    def learn(self, serving: str | None, *, is_held: bool) -> None:
        """Let feedback say who takes which part; while it is held, that stays as it is.

        Args:
            serving: The version that serves; without one there is nobody to compare with.
            is_held: Somebody else says it now: a rollout.
        """
        if self._bandit is None or serving is None:
            return
        if self._bandit.look([serving, *(label for label, order in self._named() if order.is_arm)], is_held=is_held):
            told = ", ".join(f"{percent} % version {label}" for label, percent in self._bandit.standings.percents.items())
            self._site.tell(Event("bandit", f"by feedback: {told}", serving))
            self._heard()

    def compare(self, targets: Sequence[Target], *, is_held: bool, is_settled: bool) -> None:
        """Look at how the versions of a split do beside the one that serves; while it is held, there is no experiment.

        Args:
            targets: Who gets which part now, the one that serves first.
            is_held: A rollout moves the parts, and judges by itself.
            is_settled: All gateways go by them.
        """
        if self._experiment is not None:
            weights = [(each.version, each.weight) for each in targets if each.weight]
            self._experiment.look([] if is_held else weights, is_settled=is_settled)

    @property
    def trial(self) -> SplitTrial | None:
        """What is known of the split's versions; None where there is none."""
        return None if self._experiment is None else self._experiment.trial

    @property
    def standings(self) -> Standings | None:
        """How the arms of the bandit are; None where none is asked for."""
        return None if self._bandit is None else self._bandit.standings

    def _named(self) -> list[tuple[str, BesideOrder]]:
        """What is there of what is named, as the labels of versions."""
        pairs = zip(self._orders, self._wishes, strict=True)
        return [(wish.resolved.label, order) for order, wish in pairs if wish.resolved is not None]

    def rules(self, candidate: Candidate | None) -> Rules | None:
        """What the routing table says of the endpoint's requests; None where there is nothing to say."""
        settings = self._settings
        shadow = next(
            (
                Shadow(wish.resolved.label, order.percent, settings.shadow_tolerance)
                for order, wish in zip(self._orders, self._wishes, strict=True)
                if order.is_shadow and wish.resolved is not None
            ),
            None,
        )
        is_compared = candidate is not None or bool(self._wishes)
        if not is_compared and not settings.version_header:
            return None
        salt = "" if candidate is None else candidate.version
        return Rules(settings.sticks_to, salt, settings.version_header, shadow, is_compared)

    def problems(self) -> list[str]:
        """Why something that is named is not there."""
        return [
            f"{order.reference}: {wish.error}"
            for order, wish in zip(self._orders, self._wishes, strict=True)
            if wish.resolved is None and wish.error
        ]

    def _hear(self, number: int, wish: Wish) -> None:
        order, before, self._wishes[number] = self._orders[number], self._wishes[number], wish
        was, now = (each.resolved.label if each.resolved else None for each in (before, wish))
        if was != now:
            role = "the shadow" if order.is_shadow else f"{order.percent} % of the traffic"
            said = f"is now version {now}" if now else f"names nothing now ({wish.error})"
            self._site.tell(Event("beside", f"{order.reference} {said}; it is named for {role}", now))
        self._heard()
