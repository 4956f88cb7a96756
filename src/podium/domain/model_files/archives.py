"""Which names are those of archives: a model folder in one file."""

ARCHIVE_ENDINGS = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")


def archive_stem(name: str) -> str | None:
    """The name without its ending, `fraud` of `fraud.tar.gz`; None when it is not an archive's."""
    for ending in ARCHIVE_ENDINGS:
        if name.lower().endswith(ending) and len(name.rpartition("/")[2]) > len(ending):
            return name[: -len(ending)]
    return None
