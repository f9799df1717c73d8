"""DMARC records read as receivers do (RFC 9989, RFC 9990).

    records(answer) -> [str]                 the DMARC records among TXT values
    tags(text) -> {tag: value}
    policy(text) -> str                      none, quarantine or reject; empty where there is no valid one
    doubts(text) -> [str]                    what is valid and probably not meant; clauses
    without_consent(domain, text, ask)       of those who are to get reports and did not agree: (domain, its record)
    found_above(domain, ask)                 (name, text) of the record that holds for a domain without one of its own

NoAnswer of `ask` passes through.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from mailprov.i18n import _
from mailprov.model.hostnames import inside
from mailprov.probe.clients.resolver import Answer

Ask = Callable[[str, str], Answer]

_STRENGTH = ("none", "quarantine", "reject")
_GONE = ("pct", "rf", "ri")  # RFC 9989 appendix: removed
_DEPTH = 8  # names that are looked at on the way up (RFC 9989 section 4.10)


def records(answer: Answer) -> list[str]:
    return [text for text in answer.values if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]


def tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, __, value in pairs}


def policy(text: str) -> str:
    found = tags(text).get("p", "").lower()
    return found if found in _STRENGTH else ""


def doubts(text: str) -> list[str]:
    said = tags(text)
    found = []
    if said.get("t", "").lower() == "y":
        found.append(_("t=y: receivers do less than the policy says, as in a test"))
    strength = _STRENGTH.index(policy(text)) if policy(text) else 0
    for tag in ("sp", "np"):
        value = said.get(tag, "").lower()
        if tag in said and value not in _STRENGTH:
            found.append(_("{tag} is no policy").format(tag=f"{tag}={said[tag]}"))
        elif value and _STRENGTH.index(value) < strength:
            form = _("{tag} is weaker than p, so mail is forged under names below the domain")
            found.append(form.format(tag=f"{tag}={value}"))
    if gone := [f"{tag}={said[tag]}" for tag in _GONE if tag in said]:
        found.append(_("{tags} is not in DMARC any more (RFC 9989)").format(tags=", ".join(gone)))
    for uri in _uris(said):
        if not re.fullmatch(r"mailto:[^@\s]+@[^@\s]+|https://\S+", uri, re.I):
            found.append(_("{uri} is no address for reports, which begins with mailto:").format(uri=uri))
    return found


def _uris(said: dict[str, str]) -> list[str]:
    return [
        uri.strip().split("!")[0]
        for tag in ("rua", "ruf")
        for uri in said.get(tag, "").split(",")
        if uri.strip()
    ]


def without_consent(domain: str, text: str, ask: Ask) -> list[tuple[str, str]]:
    """RFC 9990 section 4: whoever is not of the same organization must say that it takes the reports."""
    missing = {}
    own = ""
    for uri in _uris(tags(text)):
        at = unquote(uri).rpartition("@")[2].lower().rstrip(".")
        if not uri.lower().startswith("mailto:") or not at or inside(at, domain) or inside(domain, at):
            continue
        own = own or _organization(domain, ask)
        if inside(at, own) and _organization(at, ask) == own:
            continue
        name = f"{domain}._report._dmarc.{at}"
        if not records(ask(name, "TXT")):
            missing[at] = f'{name}. TXT "v=DMARC1"'
    return list(missing.items())


def _above(domain: str) -> list[str]:
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(1, len(labels) - 1)][-_DEPTH:]


def _organization(domain: str, ask: Ask) -> str:
    """The highest name at or above it that has a record: there the organization begins."""
    found = domain
    for name in _above(domain):
        if records(ask(f"_dmarc.{name}", "TXT")):
            found = name
    return found


def found_above(domain: str, ask: Ask) -> tuple[str, str]:
    for name in _above(domain):
        if texts := records(ask(f"_dmarc.{name}", "TXT")):
            return name, texts[0]
    return "", ""
