"""What is installed is what was locked: each package from PyPI, each file with its hash."""

import tomllib
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[3]


def test_every_locked_file_is_pypis_and_has_its_hash() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    ours, others = [p for p in packages if p["source"] == {"virtual": "."}], [p for p in packages if "registry" in p["source"]]

    assert [package["name"] for package in ours] == ["orderbus"]
    assert len(ours) + len(others) == len(packages), "a package from a path, a git repository or an address of its own"
    for package in others:
        assert package["source"]["registry"] == "https://pypi.org/simple", package["name"]
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        for file in files:
            url = urlsplit(file["url"])
            assert (url.scheme, url.netloc) == ("https", "files.pythonhosted.org"), file["url"]
            algorithm, _, digest = file["hash"].partition(":")
            assert algorithm == "sha256", file
            assert len(digest) == 64, file


def test_every_dependency_that_is_asked_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = {package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {entry.split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip().lower() for entry in asked}
    assert names <= locked
