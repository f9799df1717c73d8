"""The way to Ubuntu's images, `--release ubuntu-24.04`, against an archive on loopback that is laid out as Ubuntu's.

Its packages are Debian's, and only as many as a root needs; what is shown is that suites, components, mirror and
keyring are the right ones, and that what is not signed by the right key makes no root.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov.errors import LabError
from mailprov.lab.releases import RELEASES, Release
from mailprov.lab.rootfs import ensure_roots
from tests.lab.labs import silent
from tests.lab.ubuntu_archive import COMPONENTS, OTHER, SUITES, Archive

pytestmark = pytest.mark.lab

RECIPE = dataclasses.replace(RELEASES["ubuntu-24.04"], packages=("lab-main", "lab-universe"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    root = ensure_roots([RELEASES["debian-12"]], silent)["debian-12"]
    return Archive(tmp_path_factory.mktemp("archive"), root)


@pytest.fixture
def mirror(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MAILPROV_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MAILPROV_LAB_UBUNTU_KEYRING", str(archive.keyring))
    with archive.serve() as url:
        monkeypatch.setenv("MAILPROV_LAB_UBUNTU_MIRROR", url)
        yield url
    archive.sign()


def built(recipe: Release = RECIPE) -> Path:
    return ensure_roots([recipe], silent)[recipe.name]


def test_a_root_comes_from_the_releases_own_suites_and_components(archive: Archive, mirror: str) -> None:
    root = built()
    indexes = {path for path in archive.asked if "/dists/" in path}
    assert {re.sub(r"/ubuntu/dists/|/InRelease", "", path) for path in indexes if "InRelease" in path} == set(
        SUITES
    )
    for suite in SUITES:
        for component in COMPONENTS:
            assert any(path.startswith(f"/ubuntu/dists/{suite}/{component}/") for path in indexes)
    assert not {path for path in indexes if "/restricted/" in path or "/multiverse/" in path}

    listed = subprocess.check_output(
        ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n", "lab-*"],
        text=True,
    )
    assert listed == "lab-main 3\nlab-universe 3\n", "the newest of all suites"
    # A host of the lab fetches from there, too, and verifies with the same key, which it has.
    sources = (root / "etc/apt/sources.list").read_text()
    assert sources.count(f'deb [signed-by="/etc/apt/keyrings/mirror.gpg"] {mirror} noble') == 3
    assert (root / "etc/apt/keyrings/mirror.gpg").read_bytes() == archive.keyring.read_bytes()


def wrong_key(archive: Archive) -> None:
    archive.sign(OTHER)


def no_key(archive: Archive) -> None:
    archive.sign(None)


def changed_after_signing(archive: Archive) -> None:
    for index in archive.tree.glob("dists/noble/universe/*/Packages"):
        index.write_text(index.read_text().replace("tells where", "knows where"))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (wrong_key, r"The repository 'http://\S+ noble\S* InRelease' is not signed"),
        (no_key, r"The repository 'http://\S+ noble\S* Release' is not signed"),
        (changed_after_signing, r"Failed to fetch http://\S+/noble/universe/\S+ +Hash Sum mismatch"),
    ],
)
def test_what_the_right_key_has_not_signed_makes_no_root(
    spoil: Callable[[Archive], None], told: str, archive: Archive, mirror: str, tmp_path: Path
) -> None:
    indexes = {path: path.read_text() for path in archive.tree.glob("dists/*/*/*/Packages")}
    spoil(archive)
    try:
        with pytest.raises(LabError) as caught:
            built()
    finally:
        for path, text in indexes.items():
            path.write_text(text)
    said = str(caught.value)
    assert re.fullmatch(
        rf"ubuntu-24\.04: Ubuntu's archive cannot be reached or trusted from here \({told}.*\)\. "
        r"Use debian-12 or debian-13, whose Postfix and Dovecot bracket it\.",
        said,
    ), said
    assert "\n" not in said
    assert [path.name for path in (tmp_path / "cache/roots/ubuntu-24.04").iterdir()] == []


def test_a_keyring_that_is_not_there_is_named(mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILPROV_LAB_UBUNTU_KEYRING", "/nowhere/ubuntu.gpg")
    with pytest.raises(LabError, match=r"there is no keyring /nowhere/ubuntu\.gpg"):
        built()
