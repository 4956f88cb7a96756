"""How a server speaks MLflow's protocol where there is a choice: to the letter, or stricter than MLflow."""

from dataclasses import dataclass
from typing import Literal, get_args

from podium.errors import Misconfigured

Mode = Literal["compat", "strict"]
NanForm = Literal["bare", "null", "string"]

MODES: tuple[str, ...] = get_args(Mode)
NAN_FORMS: tuple[str, ...] = get_args(NanForm)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a worker's codec and its model's enforcement go by; the defaults are MLflow's own behaviour.

    Args:
        mode: `compat` converts as MLflow does. `strict` refuses what MLflow converts silently and with a loss
            (`conversions.loss`), names that nobody asked for, and names given twice.
        nan: How NaN and the infinities are written: `bare` (MLflow's `NaN`, which is no JSON), as `null`, or as the
            `string`s "NaN", "Infinity" and "-Infinity".
        inputs_base64: Text for a binary column is base64 in `inputs` and `instances` too. MLflow decodes it in data
            frames only; a strict server decodes it everywhere.

    Raises:
        Misconfigured: A word that is none of these.
    """

    mode: Mode = "compat"
    nan: NanForm = "bare"
    inputs_base64: bool = False

    def __post_init__(self) -> None:
        for name, value, words in (("mode", self.mode, MODES), ("nan", self.nan, NAN_FORMS)):
            if value not in words:
                raise Misconfigured(f"{name} = {value!r}: must be one of {', '.join(words)}")

    @property
    def is_strict(self) -> bool:
        return self.mode == "strict"

    @property
    def decodes_base64(self) -> bool:
        """Whether `inputs` and `instances` hold base64 for binary columns."""
        return self.inputs_base64 or self.is_strict


COMPAT = Dialect()
