"""Debian versions become upstream versions that compare, and choose the templates."""

from __future__ import annotations

import pytest
from desired_cases import BOOKWORM, TRIXIE, facts

from mailprov.components import versions
from mailprov.components.versions import parse, version
from mailprov.errors import HostFailed


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1:2.4.1+dfsg1-6", (2, 4, 1)),
        ("1:2.3.19.1+dfsg1-2.1+deb12u7", (2, 3, 19, 1)),
        ("3.7.11-0+deb12u1", (3, 7, 11)),
        ("3.10.13-0+deb13u1", (3, 10, 13)),
        ("3.8.6-1build2", (3, 8, 6)),
        ("1:2.3.16+dfsg1-3ubuntu2.4", (2, 3, 16)),
        ("1:2.3.13+dfsg1-2~bpo10+1", (2, 3, 13)),
        ("1:2.4.0+really2.3.21+dfsg1-1", (2, 3, 21)),
        ("3.11", (3, 11)),
    ],
)
def test_upstream_part(text: str, parts: tuple[int, ...]) -> None:
    assert parse(text) == version(*parts)


def test_numbers_compare_as_numbers_and_tilde_comes_before() -> None:
    assert parse("3.10.1-1") > parse("3.9.4-1") > parse("3.7.11-1")
    assert parse("2.4.0-9") < parse("1:2.4.1~rc1-1") < parse("2.4.1-1")


def test_nonsense_is_no_version() -> None:
    with pytest.raises(ValueError, match="unknown"):
        parse("unknown")


@pytest.mark.parametrize(("packages", "folder"), [(BOOKWORM, "dovecot-2.3"), (TRIXIE, "dovecot-2.4")])
def test_family_by_version(packages: dict[str, str], folder: str) -> None:
    seen = facts(packages)
    chosen = versions.choose(seen, "mx1")
    assert chosen.dovecot_templates == folder
    # The agent compares these with what apt installed in the end.
    for package, prefix in chosen.rendered_for():
        assert seen["packages"][package]["candidate"].rpartition(":")[2].startswith(prefix + ".")


def test_installed_counts_before_candidate() -> None:
    seen = facts(TRIXIE)
    seen["packages"]["dovecot-core"]["installed"] = BOOKWORM["dovecot-core"]
    assert versions.choose(seen, "mx1").dovecot_templates == "dovecot-2.3"


@pytest.mark.parametrize(
    ("package", "text", "words"),
    [
        ("postfix", "3.4.23-0+deb10u1", ("Postfix 3.4.23-0+deb10u1", "3.5 or later", "apt would install")),
        ("dovecot-core", "1:2.3.4.1-5", ("Dovecot 1:2.3.4.1-5", "2.3.13")),
        ("dovecot-core", "1:2.4.0-1", ("Dovecot 1:2.4.0-1", "2.4.1")),
        ("dovecot-core", "1:2.4.1~rc1-1", ("2.4.1~rc1",)),
        ("dovecot-core", "1:2.5.0-1", ("2.5.0",)),
        ("dovecot-core", "weird", ("'weird'", "no version number")),
    ],
)
def test_unsupported_is_one_sentence_with_the_version(
    package: str, text: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(HostFailed) as caught:
        versions.choose(facts({**TRIXIE, package: text}), "mx1")
    for word in ("host mx1", *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("gone", [{"installed": None, "candidate": None}, None])
def test_nothing_available(gone: dict[str, None] | None) -> None:
    seen = facts(TRIXIE)
    seen["packages"]["postfix"] = gone
    with pytest.raises(HostFailed, match=r"postfix.*neither installed nor available"):
        versions.choose(seen, "mx1")


@pytest.mark.parametrize(
    ("text", "newline", "pipelining", "level"),
    [
        ("3.5.6", "", False, "2"),
        ("3.5.20", "", True, "2"),
        ("3.5.23", "yes", True, "2"),
        ("3.5.25", "normalize", True, "2"),
        ("3.6.4", "", False, "3.6"),
        ("3.7.8", "", True, "3.7"),
        ("3.7.9", "yes", True, "3.7"),
        ("3.7.11", "normalize", True, "3.7"),
        ("3.8.4", "yes", True, "3.8"),
        ("3.8.6", "normalize", True, "3.8"),
        ("3.9.0", "normalize", True, "3.9"),
        ("3.10.13", "normalize", True, "3.10"),
        ("3.11.0", "normalize", True, "3.11"),
    ],
)
def test_what_each_postfix_knows(text: str, newline: str, pipelining: bool, level: str) -> None:
    found = parse(text)
    assert versions.bare_newline(found) == newline
    assert versions.forbids_pipelining(found) is pipelining
    assert versions.compatibility_level(found) == level
