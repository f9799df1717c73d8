"""Which Postfix, Dovecot and PostSRSd a host has, or would get, and what those releases know.

    parse(text) -> Version          a Debian version, such as "1:2.3.19.1+dfsg1-2.1+deb12u7"
    choose(facts, host) -> Releases raises HostFailed when a release is missing or not supported
    Releases                        the versions and the families of templates they need
    bare_newline(version), forbids_pipelining(version), compatibility_level(version)

The version installed decides, else the candidate that apt would install; never the distribution's name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from mailprov.errors import HostFailed
from mailprov.i18n import _

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


class Version(NamedTuple):
    """An upstream version that compares: four numbers; `released` is False for what comes before (~rc1)."""

    parts: tuple[int, int, int, int]
    released: bool = True

    @property
    def line(self) -> str:
        """The release line, which is also the prefix of its versions: "2.4"."""
        return f"{self.parts[0]}.{self.parts[1]}"

    def at_least(self, *parts: int) -> bool:
        return self >= version(*parts)


@lru_cache
def version(*parts: int) -> Version:
    padded = (*parts, 0, 0, 0, 0)
    return Version((padded[0], padded[1], padded[2], padded[3]))


def parse(text: str) -> Version:
    """The upstream version inside a Debian one: `[epoch:]upstream[-revision]` (deb-version(7)).

    What follows `+` (dfsg1, deb12u7) does not change the software, but for `2.4.0+really2.3.21`, which is
    2.3.21. `~` sorts before the end: 2.4.1~rc1 is less than 2.4.1. Raises ValueError when there is no number
    to compare.
    """
    upstream = text.partition(":")[2] or text
    upstream = upstream.rpartition("-")[0] or upstream
    upstream = upstream.partition("+really")[2] or upstream
    upstream = upstream.partition("+")[0]
    upstream, tilde, __ = upstream.partition("~")
    found = _NUMBERS.match(upstream)
    if not found:
        raise ValueError(text)
    plain = version(*(int(part) for part in found.group().split(".")))
    return Version(plain.parts, released=not tilde)


class Releases(NamedTuple):
    postfix: Version
    dovecot: Version
    postsrsd: Version

    @property
    def dovecot_templates(self) -> str:
        """The folder of templates: Dovecot 2.4 cannot read the settings of 2.3, nor the reverse."""
        return f"dovecot-{self.dovecot.line}"

    def rendered_for(self) -> tuple[tuple[str, str], ...]:
        lines = (("postfix", self.postfix.line), ("dovecot-core", self.dovecot.line))
        return (*lines, ("postsrsd", str(self.postsrsd.parts[0])))


def choose(facts: dict[str, Any], host: str) -> Releases:
    """The releases on this host, by `facts["packages"]`. HostFailed says which version was seen."""
    postfix = _seen(facts, "postfix", "Postfix", host)
    if not (postfix.at_least(3, 5) and not postfix.at_least(4)):
        raise _unsupported("postfix", facts, "Postfix", host, _between("3.5", "4"))
    dovecot = _seen(facts, "dovecot-core", "Dovecot", host)
    known = (dovecot.at_least(2, 3, 13) and dovecot.line == "2.3") or (
        dovecot.at_least(2, 4, 1) and dovecot.line == "2.4"
    )
    if not known:
        raise _unsupported("dovecot-core", facts, "Dovecot", host, _("2.3 from 2.3.13 and 2.4 from 2.4.1"))
    postsrsd = _seen(facts, "postsrsd", "PostSRSd", host)
    if not (postsrsd.at_least(1, 4) and not postsrsd.at_least(3)):
        raise _unsupported("postsrsd", facts, "PostSRSd", host, _between("1.4", "3"))
    return Releases(postfix, dovecot, postsrsd)


def _between(first: str, limit: str) -> str:
    return _("{first} or later (below {limit})").format(first=first, limit=limit)


def _text(facts: dict[str, Any], package: str) -> str:
    found = facts.get("packages", {}).get(package) or {}
    return found.get("installed") or found.get("candidate") or ""


def _seen(facts: dict[str, Any], package: str, name: str, host: str) -> Version:
    text = _text(facts, package)
    if not text:
        raise HostFailed(
            f"host {host}",
            _("{name} (Debian package {package}) is neither installed nor available").format(
                name=name, package=package
            ),
            _("Check the host's package sources, then run `apt-get update` there"),
        )
    try:
        return parse(text)
    except ValueError:
        raise HostFailed(
            f"host {host}",
            _("{name} has the version {version!r}, which is no version number").format(
                name=name, version=text
            ),
        ) from None


def _unsupported(package: str, facts: dict[str, Any], name: str, host: str, supported: str) -> HostFailed:
    if facts["packages"][package].get("installed"):
        text = _("{name} {version} is installed, and mailprov supports {supported}")
    else:
        text = _("{name} {version} is what apt would install, and mailprov supports {supported}")
    return HostFailed(
        f"host {host}",
        text.format(name=name, version=_text(facts, package), supported=supported),
        _("Use a release of Debian or Ubuntu that has a supported version"),
    )


def _since(version: Version, *fixes: tuple[int, int, int]) -> bool:
    """Whether a feature is there that came with 3.9 and, for older lines, with the given patch levels."""
    if version.at_least(3, 9):
        return True
    return any(
        version.line == f"{major}.{minor}" and version.at_least(major, minor, patch)
        for major, minor, patch in fixes
    )


def bare_newline(postfix: Version) -> str:
    """The best value of smtpd_forbid_bare_newline that this Postfix knows; "" when it has no such setting.

    postconf(5): yes came with 3.5.23, 3.6.13, 3.7.9 and 3.8.4, normalize one patch level later; 3.9 has both.
    """
    if _since(postfix, (3, 5, 24), (3, 6, 14), (3, 7, 10), (3, 8, 5)):
        return "normalize"
    return "yes" if _since(postfix, (3, 5, 23), (3, 6, 13), (3, 7, 9), (3, 8, 4)) else ""


def forbids_pipelining(postfix: Version) -> bool:
    """Whether there is smtpd_forbid_unauth_pipelining (postconf(5): 3.5.20, 3.6.10, 3.7.6, 3.8.1, 3.9)."""
    return _since(postfix, (3, 5, 20), (3, 6, 10), (3, 7, 6), (3, 8, 1))


def compatibility_level(postfix: Version) -> str:
    """The level at which this release uses its own defaults; before 3.6 a level was a whole number."""
    return postfix.line if postfix.at_least(3, 6) else "2"
