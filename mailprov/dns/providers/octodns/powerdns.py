"""What only octodns_powerdns needs: its records tell less than the server's answer, which is looked at as it comes.

Answers()                          a `watch` of sessions.py
  .copy() -> str                   what kind of copy of another server's zone it is, if it is one
  .disabled() -> {key: values}     stand there switched off; written by octoDNS they would be switched on
  .escaped() -> {key: text}        is stored with a backslash before `;`, which octoDNS does not tell from `;` alone
  .keeps_serial() -> bool          it is not raised by what is written over HTTP
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mailprov.dns.api.records import canonical, plain
from mailprov.dns.rrsets import Key

MODULE = "octodns_powerdns"
_MAKING_SERIALS = {"master", "primary", "producer"}
_COPIES = {"slave", "secondary", "consumer"}


class Answers:
    def __init__(self) -> None:
        self._zone: dict[str, Any] = {}

    def __call__(self, answer: Any) -> None:
        if answer.request.method != "GET" or answer.status_code != 200:
            return
        try:
            told = answer.json()
        except ValueError:
            return
        if isinstance(told, dict) and isinstance(told.get("rrsets"), list):
            self._zone = told

    def disabled(self) -> dict[Key, frozenset[str]]:
        found = {
            key: frozenset(canonical(key[1], one["content"]) for one in records if one.get("disabled"))
            for key, records in self._sets()
        }
        return {key: off for key, off in found.items() if off}

    def escaped(self) -> dict[Key, str]:
        return {
            key: one["content"] for key, records in self._sets() for one in records if "\\;" in one["content"]
        }

    def _sets(self) -> Iterator[tuple[Key, list[dict[str, Any]]]]:
        for rrset in self._zone.get("rrsets", ()):
            yield (plain(str(rrset["name"])), str(rrset["type"])), rrset["records"]

    def copy(self) -> str:
        kind = str(self._zone.get("kind", ""))
        return kind if kind.lower() in _COPIES else ""

    def keeps_serial(self) -> bool:
        kind = str(self._zone.get("kind", "")).lower()
        return kind in _MAKING_SERIALS and not self._zone.get("soa_edit_api")
