"""Signatures of model folders: OpenSSF model signing (https://github.com/sigstore/model-transparency) with a local key.

The signature of FOLDER is FOLDER.sig, beside it: the content and its digest stay what they are. It holds the SHA-256 of
each file, signed with an elliptic key. The library brings much along, so `verify` is asked in a process of its own where
a server asks:

    python -m podium.artifacts.signing FOLDER SIGNATURE PUBLIC_KEY        exit status 0: it is what was signed
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from podium.errors import LoadFailed, Misconfigured, MissingDependency
from podium.settings.source_tree import child_command, environ_for_children

CAUSE = "signature"
_LONGEST_S = 600.0


def signature_of(folder: Path) -> Path:
    """Where the signature of a folder lies."""
    return folder.with_name(folder.name + ".sig")


def sign(folder: Path, key: Path, password: str | None = None) -> Path:
    """Sign a folder's content and return where the signature lies.

    Args:
        folder: The model's.
        key: A private elliptic key (PEM).
        password: Of the key, where it has one.

    Raises:
        MissingDependency: `podium[signing]` is not installed.
        Misconfigured: The key cannot be read, or is of another kind.
    """
    library = _library()
    target = signature_of(folder.absolute())
    try:
        signer = library.signing.Config().use_elliptic_key_signer(private_key=_file(key), password=password)
    except (ValueError, TypeError) as error:
        raise Misconfigured(
            f"{key} cannot be used to sign: {error}. Expected a private elliptic key in PEM; make one with: "
            "openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
        ) from error
    signer.set_hashing_config(_hashing(library, folder)).sign(folder, target)
    return target


def verify(folder: Path, signature: Path, public_key: Path) -> None:
    """Check that a folder's content is what was signed, by this key.

    Raises:
        LoadFailed: It is not, or there is no signature; the cause is `signature`.
        MissingDependency, Misconfigured: As `sign`.
    """
    if not signature.is_file():
        raise _unsigned(signature)
    library = _library()
    try:
        verifier = library.verifying.Config().use_elliptic_key_verifier(public_key=_file(public_key))
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"{public_key} cannot be used to verify: {error}. Expected a public elliptic key.") from error
    try:
        verifier.set_hashing_config(_hashing(library, folder)).verify(folder, signature)
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise LoadFailed(
            f"The signature {signature} does not hold for this model: {text or type(error).__name__}. The model was "
            "changed after it was signed, or another key signed it; nothing of it was loaded.",
            CAUSE,
        ) from error


def verify_elsewhere(folder: Path, signature: Path, public_key: Path) -> None:
    """The same, in a process of its own.

    Raises:
        LoadFailed: As `verify`.
    """
    if not signature.is_file():
        raise _unsigned(signature)
    words = ["podium.artifacts.signing", *(str(path.absolute()) for path in (folder, signature, public_key))]
    try:
        done = subprocess.run(
            child_command(words),
            env=environ_for_children(),
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"The signature {signature} was not verified within {_LONGEST_S:g} s.", CAUSE) from error
    if done.returncode != 0:
        said = done.stderr.strip().rpartition("\n")[2][:1000]
        raise LoadFailed(said or f"Verifying {signature} failed with status {done.returncode}.", CAUSE)


def _unsigned(signature: Path) -> LoadFailed:
    return LoadFailed(
        f"The model is not signed: there is no {signature}, and only signed models are served here. "
        "Run: podium models sign FOLDER_OR_URI --key PRIVATE.pem",
        CAUSE,
    )


def _file(path: Path) -> Path:
    if not path.is_file():
        raise Misconfigured(f"There is no key {path}.")
    return path


def _hashing(library: Any, folder: Path) -> Any:
    """All of the folder, but for what is no content (`artifacts.tree`): no copy that is loaded has it."""
    ignored = [path.relative_to(folder) for path in folder.rglob("__pycache__")]
    ignored += [Path("registered_model_meta")] if (folder / "registered_model_meta").exists() else []
    return library.hashing.Config().set_ignored_paths(paths=ignored, ignore_git_paths=False)


def _library() -> Any:
    try:
        import model_signing  # noqa: PLC0415 - heavy, and used here alone
    except ImportError as error:
        raise MissingDependency("model-signing", "Signing models", "signing") from error
    return model_signing


def main(words: list[str]) -> int:
    """Verify; what is wrong goes to stderr as one line."""
    folder, signature, public_key = map(Path, words)
    try:
        verify(folder, signature, public_key)
    except (LoadFailed, MissingDependency, Misconfigured) as error:
        sys.stderr.write(f"\n{error.message}\n".replace("\n", " ").strip() + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
