"""PACC (draft-ietf-mailmaint-pacc): where a domain's file for mail programs is, and the record of it. Pure.

    PATH, host(domain), url(domain)     where the file is
    KIND                                its media type
    record_name(domain)                 where the record is
    record(text, since) -> value        of that file's octets; `since`: the hour (UTC) from which on it is given out
    stated(values) -> {digest: since}   of TXT values, those that programs take; since is "" where it says nothing
    digest(text)
    Change                              a domain whose file is another one than its users' programs know yet

A program fetches the file over HTTPS, then the TXT records at `_ua-auto-config`, and takes the file only if one of them
has the SHA-256 of its very octets. So whoever changes the file publishes the new digest beside the old one, waits until
caches have forgotten the set before, and takes the old digest away when nobody gets the old file any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.model.values import dataclass

LABEL = "ua-auto-config"
PATH = "/.well-known/user-agent-configuration.json"
KIND = "application/json"
MOST = 64 * 1024  # octets that are read of a file

# Programs skip tags that they do not know, so one of ours may stand in the record. It is there only until the file is.
_SINCE = re.compile(r"\d{10}")
_TAG = re.compile(r"[ \t]*([A-Za-z0-9]+)[ \t]*=[ \t]*([\x21-\x3a\x3c-\x7e]+)[ \t]*")


@dataclass(frozen=True)
class Change:
    """`file` is what the domain's host gives out, for the time being or from this run on; `before` what it gave out
    when the run began. `values`: the records, as long as that is given out.
    """

    file: str
    before: str
    values: tuple[str, ...]


def host(domain: str) -> str:
    return f"{LABEL}.{domain}"


def url(domain: str) -> str:
    return f"https://{host(domain)}{PATH}"


def record_name(domain: str) -> str:
    return f"_{LABEL}.{domain}"


def digest(text: str) -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def record(text: str, since: str = "") -> str:
    return f"v=UAAC1; a=sha256; d={digest(text)}" + (f"; from={since}" if since else "")


def stated(values: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        tags = _tags(value)
        if tags.get("v") == "UAAC1" and tags.get("a") == "sha256" and tags.get("d"):
            since = tags.get("from", "")
            found[tags["d"]] = since if _SINCE.fullmatch(since) else ""
    return found


def _tags(value: str) -> dict[str, str]:
    """Empty where it is no such list, or has a tag twice."""
    found: dict[str, str] = {}
    for part in value.rstrip(" \t").removesuffix(";").split(";"):
        tag = _TAG.fullmatch(part)
        if tag is None or tag[1] in found:
            return {}
        found[tag[1]] = tag[2]
    return found
