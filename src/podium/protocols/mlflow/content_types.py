"""Which of the three forms a request's Content-Type asks for, by MLflow's rules and in its words.

The media type is compared exactly and case-sensitively; the only parameter known is `charset`, and the only charset UTF-8.
"""

from enum import StrEnum
from functools import lru_cache

from podium.errors import UnsupportedContentType

NPY, ARROW = "application/x-npy", "application/vnd.apache.arrow.stream"
"""Bodies beyond MLflow's, which `columnar.py` reads and writes."""
_ACCEPT = "; accept="


class Form(StrEnum):
    """How a request's body is written."""

    CSV = "text/csv"
    JSON = "application/json"
    PARQUET = "application/vnd.apache.parquet"


PROTOCOL_CHANGE = (
    "IMPORTANT: The MLflow Model scoring protocol has changed in MLflow version 2.0. If you are seeing this error, you are "
    "likely using an outdated scoring request format. To resolve the error, either update your request format or "
    "adjust your MLflow Model's requirements file to specify an older version of MLflow (for example, change the "
    "'mlflow' requirement specifier to 'mlflow==1.30.0'). If you are making a request using the MLflow client (e.g. via "
    "`mlflow.pyfunc.spark_udf()`), upgrade your MLflow client to a version >= 2.0 in order to use the new request "
    "format. For more information about the updated MLflow Model scoring protocol in MLflow 2.0, see "
    "https://mlflow.org/docs/latest/models.html#deploy-mlflow-models."
)


@lru_cache(maxsize=64)
def form_of(content_type: str | None) -> Form:
    """The form that a Content-Type header names; None is a request without the header.

    Raises:
        UnsupportedContentType: MLflow's sentence. A missing header, which crashes MLflow, reads as an empty one.
    """
    header = content_type or ""
    media_type, *pairs = (part.strip() for part in header.split(";"))
    parameters = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    if parameters.get("charset", "utf-8").lower() != "utf-8":
        raise UnsupportedContentType("The scoring server only supports UTF-8")
    if unknown := [name for name in parameters if name != "charset"]:
        raise UnsupportedContentType(f"Unrecognized content type parameters: {', '.join(unknown)}. {PROTOCOL_CHANGE}")
    try:
        return Form(media_type)
    except ValueError:
        raise UnsupportedContentType(
            "This predictor only supports the following content types: "
            f"Types: {[form.value for form in Form]}. Got '{header}'."
        ) from None


def asked_for(accept: str) -> str | None:
    """Which of `NPY` and `ARROW` an Accept header names; None for neither."""
    if not accept.startswith("application/") and "," not in accept:
        return None
    named = {part.partition(";")[0].strip() for part in accept.split(",")}
    return next((kind for kind in (NPY, ARROW) if kind in named), None)


def with_answer(content_type: str, kind: str) -> str:
    """A request's content type, with what its answer is to be."""
    return f"{content_type}{_ACCEPT}{kind}"


def split_answer(content_type: str) -> tuple[str, str | None]:
    """The content type alone, and what `with_answer` added; None where it added nothing."""
    kind, separator, wanted = content_type.rpartition(_ACCEPT)
    return (kind, wanted) if separator and wanted in (NPY, ARROW) else (content_type, None)
