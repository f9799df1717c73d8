"""What an exception means that a provider of octoDNS raises: they raise their own, and those of their libraries.

    failure(error, where, task, secrets) -> DnsFailed | DnsUnreachable
    redacted(text, secrets) -> text           on one line, cut, without the secrets in any spelling that messages have

Of HTTP the status decides, whatever the class. What is no answer (OSError, of which all of requests' are) is
DnsUnreachable. All else is DnsFailed: of a write it is then read back what was done.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from urllib.parse import quote, quote_plus

from mailprov.dns.shown import shown
from mailprov.errors import DnsFailed, DnsUnreachable, MailprovError
from mailprov.i18n import _

MOST_SHOWN = 300  # characters
_NOT_ALLOWED = ("unauthori", "authenticat", "forbidden", "accessdenied", "permission", "invalidtoken")


def failure(error: Exception, where: str, task: str, secrets: Collection[str]) -> DnsFailed | DnsUnreachable:
    """`task`: in words that go behind "asked to"."""
    if isinstance(error, DnsFailed | DnsUnreachable):
        return error
    if isinstance(error, MailprovError):
        return DnsFailed(error.where, error.what, error.advice)
    status = _status(error)
    kind = type(error).__name__
    said = redacted(str(error), secrets)
    what = _("it failed with {error} when asked to {task}").format(
        error=f"{kind}: {said}" if said else kind, task=task
    )
    if status in (401, 403) or (status is None and any(word in kind.lower() for word in _NOT_ALLOWED)):
        return DnsFailed(
            where, what, _("Correct the credentials in dns.settings, or allow them to change the zone")
        )
    if status == 429:
        return DnsFailed(where, what, _("It is called too often: run the command again later"))
    if status is not None and status < 500:
        return DnsFailed(where, what, _("Look at the records there, and plan anew"))
    if status is not None or isinstance(error, OSError | EOFError):
        return DnsUnreachable(
            where, what, _("Look whether it can be reached from here, then run the command again")
        )
    return DnsFailed(where, what, _("Look into the documentation of its package for what that means"))


def _status(error: Exception) -> int | None:
    """Of HTTP, wherever the libraries keep it."""
    response = getattr(error, "response", None)
    for holder, name in ((response, "status_code"), (response, "status"), (error, "status_code")):
        found = getattr(holder, name, None)
        if isinstance(found, int) and 100 <= found < 600:
            return found
    return None


def redacted(text: str, secrets: Collection[str]) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        spelled = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]}
        spelled.add(base64.b64encode(secret.encode("utf-8", "replace")).decode())
        for one in sorted(spelled, key=len, reverse=True):
            text = text.replace(one, "…")
    text = " ".join(shown(" ".join(text.split())).split()).rstrip(".")
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
