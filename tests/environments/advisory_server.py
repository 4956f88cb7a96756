"""An OSV server and a package index on this machine, of the standard library, for as long as a test runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hosts import Answer, Handler, Route

_JSON = {"Content-Type": "application/json"}


def advisory(name: str, package: str, fixed: str, **more: Any) -> dict[str, Any]:
    """In OSV's schema: all versions below the fixed one are affected."""
    events = [{"introduced": "0"}, {"fixed": fixed}]
    affected = {"package": {"ecosystem": "PyPI", "name": package}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": name, "modified": "2024-01-01T00:00:00Z", "affected": [affected], **more}


# https://osv.dev/vulnerability/PYSEC-2018-28, in short; its sister is GitHub's.
REQUESTS = advisory(
    "PYSEC-2018-28",
    "requests",
    "2.20.0",
    aliases=["CVE-2018-18074", "GHSA-x84v-xcm2-53pg"],
    details="Requests sends an Authorization header to an http URI upon a redirect from https.",
)
SISTER = advisory(
    "GHSA-x84v-xcm2-53pg",
    "requests",
    "2.20.0",
    aliases=["CVE-2018-18074"],
    severity=[{"type": "CVSS_V3", "score": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}],
)


def osv_routes(known: Mapping[tuple[str, str], Sequence[dict[str, Any]]]) -> dict[str, Route]:
    """What an OSV server answers that knows these advisories of these versions."""

    def batch(handler: Handler) -> Answer:
        asked = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        pairs = [(query["package"]["name"], query["version"]) for query in asked["queries"]]
        results = [{"vulns": [{"id": each["id"]} for each in known[pair]]} if pair in known else {} for pair in pairs]
        return 200, _JSON, json.dumps({"results": results}).encode()

    entries = {each["id"]: each for found in known.values() for each in found}
    details = {f"/v1/vulns/{name}": (200, _JSON, json.dumps(entry).encode()) for name, entry in entries.items()}
    return {"/v1/querybatch": batch, **details}


def index_routes(projects: Mapping[str, Mapping[str, bool | str]]) -> dict[str, Route]:
    """What a simple API (PEP 691) answers that has these versions, yanked or not."""
    return {
        f"/simple/{name}/": (
            200,
            {"Content-Type": "application/vnd.pypi.simple.v1+json"},
            json.dumps(
                {
                    "meta": {"api-version": "1.1"},
                    "name": name,
                    "files": [
                        {"filename": f"{name}-{version}-py3-none-any.whl", "url": "", "hashes": {}, "yanked": yanked}
                        for version, yanked in versions.items()
                    ],
                }
            ).encode(),
        )
        for name, versions in projects.items()
    }
