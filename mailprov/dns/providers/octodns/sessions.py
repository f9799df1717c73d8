"""The HTTP connections of a provider of octoDNS, which nearly all make with requests: what is done to each of them.

    guard(provider, watch, secret)      once it is made; `watch` gets each answer
    close(provider)

A redirect is not followed: requests would take along a key that is in a header of its own. Where a secret goes with the
calls, plain http is for this machine itself only. A call without a time limit gets CALL_SECONDS.

Sessions are found in what the provider holds, STEPS deep. Raises from within a call: DnsFailed.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from mailprov.errors import DnsFailed
from mailprov.i18n import _

CALL_SECONDS = 60
STEPS = 4
_MOST = 5000  # objects that are looked at
Watch = Callable[[Any], None]


def guard(provider: Any, where: str, watch: Watch, *, secret: bool) -> None:
    for session in _sessions(provider):
        session.send = _guarded(session.send, where, watch, secret)


def close(provider: Any) -> None:
    for session in _sessions(provider):
        session.close()


def _guarded(send: Callable[..., Any], where: str, watch: Watch, secret: bool) -> Callable[..., Any]:
    def guarded(request: Any, **options: Any) -> Any:
        address = urlsplit(request.url)
        if secret and address.scheme == "http" and not _here(address.hostname or ""):
            what = _("it would send the secret unencrypted, to {server}; nothing was sent")
            raise DnsFailed(
                where,
                what.format(server=address.netloc),
                _("Use https, or a tunnel to this machine (dns.settings)"),
            )
        if options.get("timeout") is None:
            options["timeout"] = CALL_SECONDS
        answer = send(request, **{**options, "allow_redirects": False})
        if answer.is_redirect:
            server = urlsplit(answer.headers.get("location", "")).netloc or address.netloc
            raise DnsFailed(
                where,
                _("it redirects to {server}, where the secret is not sent").format(server=server),
                _("Something answers in place of {server}, or its address has changed").format(
                    server=address.netloc
                ),
            )
        watch(answer)
        return answer

    return guarded


def _here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _sessions(provider: Any) -> Iterator[Any]:
    requests = sys.modules.get("requests")
    if requests is None:
        return
    seen: dict[int, Any] = {}
    around = [provider]
    for __ in range(STEPS):
        inner: list[Any] = []
        for one in around:
            if id(one) in seen or len(seen) > _MOST:
                continue
            seen[id(one)] = one
            if isinstance(one, requests.Session):
                yield one
            elif isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list | tuple | set | frozenset):
                inner += one
            elif not isinstance(one, str | bytes | int | float | type | type(sys) | logging.Logger):
                inner += getattr(one, "__dict__", {}).values()
        around = inner
