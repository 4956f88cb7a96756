"""The stages of a version's life, with MLflow's names and rules."""

from enum import StrEnum

from podium.errors import InvalidInput


class Stage(StrEnum):
    """Where a version is in its life. Case-insensitive in (`Stage.parse`), canonical out."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"

    @property
    def is_exclusive(self) -> bool:
        """Whether a move into this stage archives, unless told otherwise, the versions that were there."""
        return self in {Stage.STAGING, Stage.PRODUCTION}

    @classmethod
    def parse(cls, text: str) -> "Stage":
        """Read a stage in any case.

        Raises:
            InvalidInput: In MLflow's own words, which its clients' tests compare.
        """
        for stage in cls:
            if stage.value.lower() == text.strip().lower():
                return stage
        names = ", ".join(stage.value for stage in cls)
        raise InvalidInput(f"Invalid Model Version stage: {text}. Value must be one of {names}.")
