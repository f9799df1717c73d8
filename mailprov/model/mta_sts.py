"""MTA-STS (RFC 8461): its record at _mta-sts, and the policy that a domain serves over HTTPS. Pure.

    POLICY_PATH, host(domain), url(domain)      where the policy is
    records(values)                   those of TXT values that are MTA-STS records
    record_flaw(text)                 why senders do not take a record; "" where they do
    parse(text) -> Policy             raises BadPolicy, whose text is one clause
    Policy.text()                     as it is served
    Policy.uncovered(targets)         MX that no pattern of it is for
    doubts(policy)                    what is valid and probably not meant; clauses
    MOST                              octets that senders read (RFC 8461 section 3.3)

A policy that one sender may not understand counts as wrong: whoever is strict about it delivers as if there were none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.i18n import _
from mailprov.model.hostnames import matches
from mailprov.model.values import dataclass

POLICY_PATH = "/.well-known/mta-sts.txt"
MOST = 64 * 1024

MODES = ("enforce", "testing", "none")
LONGEST = 31_557_600  # a year, in seconds (section 3.2)
# "Weeks or greater" is what section 3.2 expects: whoever can keep senders from the policy for as long as it is
# remembered switches it off.
_SHORT = 7 * 86400

_RECORD = re.compile(
    r"v=STSv1(?:[ \t]*;[ \t]*[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+)+(?:[ \t]*;)?[ \t]*"
)
_ID = re.compile(r";[ \t]*id=([^;]*?)[ \t]*(?:;|$)")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PATTERN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_ONCE = ("version", "mode", "max_age")


class BadPolicy(ValueError):
    """The text is one clause without a final dot."""


def host(domain: str) -> str:
    return f"mta-sts.{domain}"


def url(domain: str) -> str:
    return f"https://{host(domain)}{POLICY_PATH}"


def records(values: Iterable[str]) -> list[str]:
    """Section 3.1: others at that name do not count."""
    return [text for text in values if re.match(r"v=STSv1[ \t]*(;|$)", text)]


def record_flaw(text: str) -> str:
    found = _ID.search(text)
    if found is None:
        return _("it has no id")
    if not re.fullmatch(r"[A-Za-z0-9]{1,32}", found[1]):
        return _("its id is not 1 to 32 letters and digits")
    if not _RECORD.fullmatch(text):
        return _("it is not made of name=value, each behind a semicolon")
    return ""


@dataclass(frozen=True)
class Policy:
    """`max_age`: seconds that senders remember it. `mx`: names, or `*.` and a name, for one label more."""

    mode: str
    max_age: int
    mx: tuple[str, ...] = ()

    def text(self) -> str:
        lines = ["version: STSv1", f"mode: {self.mode}", *(f"mx: {one}" for one in self.mx)]
        return "".join(f"{line}\r\n" for line in [*lines, f"max_age: {self.max_age}"])

    def uncovered(self, targets: Iterable[str]) -> list[str]:
        """Section 4.1."""
        return [name for name in targets if not any(_covers(pattern, name) for pattern in self.mx)]


def _covers(pattern: str, name: str) -> bool:
    """As in a certificate, except that nothing forbids a wildcard directly below a top-level domain."""
    pattern, name = pattern.lower(), name.lower().rstrip(".")
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return matches(pattern, name)


def parse(text: str) -> Policy:
    """Unknown keys are left aside; of a key that is there twice the first counts, but for mx (section 3.2)."""
    found: dict[str, str] = {}
    mx: list[str] = []
    for number, line in enumerate(_lines(text), 1):
        key, colon, value = line.partition(":")
        if not colon or not _KEY.fullmatch(key):
            form = _("line {number} is not `key: value`: {line}")
            raise BadPolicy(form.format(number=number, line=line[:60]))
        value = value.strip(" \t")
        if key == "mx":
            if not _PATTERN.fullmatch(value):
                form = _("mx is neither a name nor `*.` and a name: {value}")
                raise BadPolicy(form.format(value=value[:60]))
            mx.append(value)
        else:
            found.setdefault(key, value)
    for key in _ONCE:
        if key not in found:
            raise BadPolicy(_("it has no {key}").format(key=key))
    if found["version"] != "STSv1":
        raise BadPolicy(_("its version is {value}, not STSv1").format(value=found["version"][:60]))
    if found["mode"] not in MODES:
        form = _("its mode is {value}, and not one of {modes}")
        raise BadPolicy(form.format(value=found["mode"][:60], modes=", ".join(MODES)))
    if not re.fullmatch(r"[0-9]{1,10}", found["max_age"]) or int(found["max_age"]) > LONGEST:
        form = _("its max_age is {value}, and not a number up to {most}")
        raise BadPolicy(form.format(value=found["max_age"][:60], most=LONGEST))
    if not mx and found["mode"] != "none":
        raise BadPolicy(_("it names no mx"))
    return Policy(found["mode"], int(found["max_age"]), tuple(mx))


def _lines(text: str) -> list[str]:
    """Ended by LF or CRLF, the last one perhaps by nothing."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r").rstrip(" \t") for line in lines]


def doubts(policy: Policy) -> list[str]:
    if policy.mode == "none":
        return [_("mode: none says that there is no policy any more")]
    if policy.mode == "testing":
        return [_("mode: testing forbids nothing: failures are reported, and mail is delivered all the same")]
    if policy.max_age < _SHORT:
        form = _("max_age of {seconds} s: senders forget the policy within a week")
        return [form.format(seconds=policy.max_age)]
    return []
