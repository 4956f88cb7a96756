"""Why a version did not load or a process ended: the stable names, and which error has which.

    import_error      a module is missing or cannot be imported        invalid_model    a part of the folder is missing
    load_error        anything else that loading raised                digest_mismatch  not what was registered
    out_of_memory     raised, or killed by the kernel for it           signal, exit     how the process ended
    killed            by SIGKILL, and not for memory: somebody else did it, not the model
    code_not_allowed  it would run its author's code, and allow_code = false (or MLflow's switch) forbids that
    signature         not signed, or not what was signed, where only signed models are loaded
    environment       the model's Python could not be built
    timeout           not ready, or not gone, within its limit         hang             busy with one batch for too long

The same name stands in `podium status`, `podium models validate`, `podium_load_failures_total` and the log.
"""

from podium.errors import DigestMismatch, InvalidModel, LoadFailed, MissingDependency

KILLED = "killed"


def load_cause(error: BaseException) -> str:
    """The name for what loading raised; an error that already carries a cause keeps it."""
    match error:
        case LoadFailed(cause=cause):
            return cause
        case DigestMismatch():
            return "digest_mismatch"
        case InvalidModel():
            return "invalid_model"
        case MemoryError():
            return "out_of_memory"
        case ImportError() | MissingDependency():
            return "import_error"
        case _:
            return "load_error"
