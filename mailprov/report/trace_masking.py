"""A trace that can be given to others: addresses of people whom it is not about are masked.

    Masker(keep).trace(trace) -> Trace     addresses but those of `keep` become `hidden-1@beta.test`, everywhere
    Masker.hidden                          how many there were

The domain stays, because DNS and servers are about it, and one address is one number on the whole page, so that it can
be followed. That holds for addresses in sentences, log lines, dialogues and headers, for what SRS made of one, for the
folders of mailboxes, and for the names that headers have beside addresses. Ids look like addresses and are none: they
stay. Pure.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from enum import Enum
from typing import Any, TypeVar

from mailprov.model.trace import Trace

T = TypeVar("T")

_WORD = r"[\w!#$%&*+\-?^`{|}~=]"
_DOMAIN = r"(?P<domain>\[[^\]\s]+\]|\w[\w-]*(?:\.[\w-]+)*)"
# RFC 5321 section 4.1.2, and letters of all scripts (RFC 6531). %40 and +40: in URLs, and as xtext (RFC 3461).
# Rspamd puts braces around some; none begins with one.
_ADDRESS = re.compile(
    rf"""(?P<local>"[^"\s]+"|(?![{{|}}]){_WORD}+(?:['./]{_WORD}+)*)(?P<at>@|%40|\+40){_DOMAIN}"""
)
_FOLDER = re.compile(rf"/{_DOMAIN}/(?P<local>[^/\s]+)(?=/|\s|$)")
_HOME = re.compile(r"/home/(?P<local>[^/\s]+)")
# `sasl_username=ana@…`: what log lines and Authentication-Results have before an address.
_KEY = re.compile(
    r"(?:\w+_)?(?:user(?:name)?|from|to|rcpts?|sender|recipient|addr(?:ess)?|auth|uid|orig_to|i|mfrom)="
    r"|(?:smtp|header|envelope|policy)[.-]\w+="
)
_ID = re.compile(r"(?:message-id|msgid|references|in-reply-to|\bid)\W{0,4}$", re.IGNORECASE)
_SRS = re.compile(r"SRS[01][-+=].*=(?P<domain>[^=]+)=(?P<local>[^=]+)$", re.IGNORECASE)
_NAMED = re.compile(r"(?:Resent-)?(?:From|To|Cc|Bcc|Sender|Reply-To):", re.IGNORECASE)
_DISPLAY = re.compile(r'\s*(?:"[^"]*"|[^<>,:"]+)\s*(?=<hidden-\d+@)')


class Masker:
    """`keep`: addresses that are shown, in any case of letters."""

    def __init__(self, keep: Collection[str]) -> None:
        self._keep = {each.lower() for each in keep}
        self._names = {each.partition("@")[0] for each in self._keep}
        self._numbers: dict[str, int] = {}
        self._message_id = ""

    @property
    def hidden(self) -> int:
        return len(self._numbers)

    def trace(self, trace: Trace) -> Trace:
        self._message_id = trace.message_id.strip("<> ")
        return dataclasses.replace(self._masked(trace), message_id=trace.message_id)

    def _masked(self, value: T) -> T:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self._text(value)  # type: ignore[return-value]
        if isinstance(value, tuple):
            return tuple(map(self._masked, value))  # type: ignore[return-value]
        if dataclasses.is_dataclass(value):
            parts: dict[str, Any] = {
                each.name: self._masked(getattr(value, each.name)) for each in dataclasses.fields(value)
            }
            return dataclasses.replace(value, **parts)  # type: ignore[type-var]
        return value

    def _text(self, text: str) -> str:
        if "@" in text or "40" in text:
            text = _ADDRESS.sub(self._address, text)
            if _NAMED.match(text):
                text = _DISPLAY.sub(" ", text)
        if "/" in text:
            text = _FOLDER.sub(self._folder, text)
            text = _HOME.sub(self._home, text)
        return text

    def _address(self, found: re.Match[str]) -> str:
        local, domain = found["local"], found["domain"]
        if found[0] == self._message_id or _ID.search(found.string, 0, found.start()):
            return found[0]
        key = _KEY.match(local)
        before, local = (key[0], local[key.end() :]) if key else ("", local)
        if self._kept(local, domain):
            return found[0]
        return f"{before}hidden-{self._number(local, domain)}{found['at']}{domain}"

    def _folder(self, found: re.Match[str]) -> str:
        """/var/vmail/beta.test/eva/Maildir; of other paths, those of addresses that were met."""
        local, domain = found["local"], found["domain"]
        address = f"{local}@{domain}".lower()
        mailbox = found.string.startswith("/Maildir", found.end()) and "." in domain
        if self._kept(local, domain) or not (mailbox or address in self._numbers):
            return found[0]
        return f"/{domain}/hidden-{self._number(local, domain)}"

    def _home(self, found: re.Match[str]) -> str:
        return found[0] if found["local"].lower() in self._names else "/home/hidden"

    def _kept(self, local: str, domain: str) -> bool:
        """Also where it is what SRS made of one that is shown."""
        if local.startswith("hidden-") or f"{local}@{domain}".lower() in self._keep:
            return True
        srs = _SRS.match(local)
        return srs is not None and f"{srs['local']}@{srs['domain']}".lower() in self._keep

    def _number(self, local: str, domain: str) -> int:
        return self._numbers.setdefault(f"{local}@{domain}".lower(), len(self._numbers) + 1)
