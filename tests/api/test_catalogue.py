"""What a running server may be asked to load, and who says so."""

import pytest

from podium.api.catalogue import ServerCatalogue, safe_name
from podium.domain.references import parse_reference
from podium.errors import InvalidReference, NotFound
from podium.fleet.site import NotAllowed
from podium.settings.home import Home
from podium.settings.model import ModelSettings


@pytest.fixture
def folder(tmp_path):
    """Two models, and a link that leads out."""
    for name in ("inside/a", "outside/b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "MLmodel").write_text("flavors: {}\n")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    return tmp_path


def catalogue(folder, allowed):
    named = {"own": parse_reference(str(folder / "outside" / "b"))}
    return ServerCatalogue(Home(folder / "home"), named, lambda _: ModelSettings(), allowed)


@pytest.mark.parametrize(
    ("allowed", "name", "uri", "error"),
    [
        ("catalogue", "own", None, None),
        ("catalogue", "own", "outside/b", None),
        ("catalogue", "own", "inside/a", NotAllowed),
        ("catalogue", "new", "inside/a", NotAllowed),
        ("catalogue", "new", "outside/b", NotAllowed),
        ("catalogue", "new", None, NotFound),
        ("any", "new", "inside/a", None),
        ("inside", "new", "inside/a", None),
        ("inside", "new", "outside/b", NotAllowed),
        ("inside", "new", "inside/../outside/b", NotAllowed),
        ("inside", "new", "inside/link/b", NotAllowed),
        ("inside", "own", None, None),
        ("any", "../new", "inside/a", InvalidReference),
        ("any", "", "inside/a", InvalidReference),
        ("any", "new", "ftp://host/model", InvalidReference),
    ],
)
def test_what_may_be_loaded(folder, allowed, name, uri, error):
    """By its own name always; anything else where it is allowed, wherever a path really leads."""
    allowed = str(folder / allowed) if allowed == "inside" else allowed
    uri = str(folder / uri) if uri and "://" not in uri else uri
    if error is None:
        assert catalogue(folder, allowed).order(name, uri).name == name
        return

    with pytest.raises(error):
        catalogue(folder, allowed).order(name, uri)


def test_a_server_that_loads_nothing_says_so(folder):
    """Neither loads nor unloads; and only one that may load new names may begin empty."""
    assert "allow_load = none" in (catalogue(folder, "none").forbid() or "")
    assert catalogue(folder, "catalogue").forbid() is None
    assert [catalogue(folder, each).may_grow for each in ("none", "catalogue", "any")] == [False, False, True]


@pytest.mark.parametrize(("name", "public"), [("a b", "a-b"), ("../x", "x"), ("ü.1", "ü.1"), ("...", "model")])
def test_a_registered_name_is_made_safe_for_paths(name, public):
    """No slash, no leading dot, never empty."""
    assert safe_name(name) == public
