"""What the walks of a gateway hold at a time: all together, for each model, and for each key where that is limited."""

from collections.abc import Callable, Mapping, Sized
from typing import NamedTuple, Protocol

from podium.domain.clients.admission import AdmissionRefusal, Bounds, admit, admit_share
from podium.errors import BodyTooLarge, Overloaded, PodiumError
from podium.settings.limits import ModelLimits
from podium.web.handling import NO_TERMS, RequestTerms

_RETRY_AFTER_S = 1.0
_SPARE = 64


class Held:
    """What one model or one key holds now.

    Attributes:
        is_bounded: It has a limit of its own.
        alone: A model's place where no key is counted.
    """

    __slots__ = ("alone", "body_bytes", "is_bounded", "max_body_bytes", "max_requests", "requests")

    def __init__(self, max_requests: int | None = None, max_body_bytes: int | None = None) -> None:
        self.requests = 0
        self.body_bytes = 0
        self.max_requests = max_requests
        self.max_body_bytes = max_body_bytes
        self.is_bounded = max_requests is not None or max_body_bytes is not None
        self.alone = CountPlace(self, None)


class CountPlace(NamedTuple):
    """Where a request is counted: with its model and, where that is limited, with its key."""

    held: Held
    key: Held | None


class CountedWalk(Protocol):
    """A walk, as far as it is counted."""

    body_size: int
    place: CountPlace


NOWHERE = Held().alone
"""Where nothing is counted yet."""


class Shares:
    """Counts what is held. Event loop's thread only.

    Args:
        bounds: Of all together.
        every_model: Limits of a model that has none of its own.
        models: Of each that has, by name.
        max_per_key: Requests of one key at a time; None has no limit.
    """

    def __init__(
        self, bounds: Bounds, every_model: ModelLimits, models: Mapping[str, ModelLimits], max_per_key: int | None
    ) -> None:
        self._bounds = bounds
        self._low = Bounds(max(1, bounds.requests // 2), bounds.body_bytes // 2)
        self._low_requests, self._low_bytes = self._low.requests, self._low.body_bytes
        self._every_model = every_model
        self._models = models
        self._max_per_key = max_per_key
        self._keys: dict[str, Held] = {}
        self._endpoints: dict[str, Held] = {}
        self._unknown = Held()
        self.requests = 0
        self.body_bytes = 0

    def place_of(self, name: str, principal: str, is_known: bool) -> CountPlace:
        """Where a request counts: for its model and, where that is limited, for its key; unknown models count together."""
        held = self._endpoints.get(name)
        if held is None:
            if is_known:
                limits = self._models.get(name, self._every_model)
                held = self._endpoints[name] = Held(limits.max_in_flight_per_model, limits.max_body_per_model)
            else:
                held = self._unknown
        return held.alone if self._max_per_key is None or not principal else CountPlace(held, self._of_key(principal))

    def _of_key(self, principal: str) -> Held:
        held = self._keys.get(principal)
        if held is None:
            if len(self._keys) > _SPARE:
                self._keys = {name: each for name, each in self._keys.items() if each.requests}
            held = self._keys[principal] = Held(self._max_per_key)
        return held

    def let_in(self, name: str, terms: RequestTerms, size: int, models: Sized) -> CountPlace | None:
        """Where a request for one of the models counts, if it may share a frame with others; None if it may not.

        A frame has one deadline: that of its first request. So little is held most of the time that nobody is refused, of
        whatever priority and model: below half of the bounds any one model holds less than what is free.
        """
        if terms is not NO_TERMS and (
            terms.timeout_s is not None or (terms.endpoint is not None and terms.endpoint != name)
        ):
            return None
        held = self._endpoints.get(name)
        is_at_ease = self.requests < self._low_requests and self.body_bytes + size <= self._low_bytes
        if is_at_ease and held is not None and not held.is_bounded and (self._max_per_key is None or terms is NO_TERMS):
            return held.alone
        place = self.place_of(name, terms.principal, is_known=True)
        if too_large(place.held, size) or self.refusal(place, size, terms.is_low, len(models)) is not None:
            return None
        return place

    def refusal(self, place: CountPlace, size: int, is_low: bool, models: int) -> AdmissionRefusal | None:
        """Why one more request is not taken, where there are so many models; None where it is."""
        requests, body_bytes = self.requests, self.body_bytes
        held, key = place
        found = admit(requests, body_bytes, size, self._bounds)
        if found is not None:
            return found
        if is_low and admit(requests, body_bytes, size, self._low) is not None:
            return AdmissionRefusal.LOW
        if held.max_requests is not None and held.requests >= held.max_requests:
            return AdmissionRefusal.MODEL
        if key is not None and key.requests >= (key.max_requests or 0):
            return AdmissionRefusal.KEY
        if models > 1:
            return admit_share(requests, body_bytes, held.requests, held.body_bytes, size, self._bounds)
        return None

    def enter(self, walk: CountedWalk, place: CountPlace) -> None:
        """Count a walk in."""
        walk.place = place
        held, key = place
        size = walk.body_size
        self.requests += 1
        self.body_bytes += size
        held.requests += 1
        held.body_bytes += size
        if key is not None:
            key.requests += 1

    def leave(self, walk: CountedWalk) -> None:
        """Count it out again; exactly once."""
        held, key = walk.place
        size = walk.body_size
        self.requests -= 1
        self.body_bytes -= size
        held.requests -= 1
        held.body_bytes -= size
        if key is not None:
            key.requests -= 1

    def keep(self, is_known: Callable[[str], bool], count: int) -> None:
        """Forget what is none of the models that there are now and holds nothing."""
        if len(self._endpoints) > count + _SPARE:
            self._endpoints = {name: each for name, each in self._endpoints.items() if each.requests or is_known(name)}


def error_of(refusal: AdmissionRefusal) -> PodiumError:
    """What a client is told."""
    return Overloaded(f"The server is full: {refusal.value}. Try again.", _RETRY_AFTER_S)


def too_large(held: Held, size: int) -> BodyTooLarge | None:
    """The error for a body that is too large for its model; None where it is not."""
    limit = held.max_body_bytes
    return BodyTooLarge(limit) if limit is not None and size > limit else None
