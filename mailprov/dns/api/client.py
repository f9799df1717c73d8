"""Calls of a provider's HTTP API, and what can be wrong with them.

    Api                                   what is to be known of one
    Client(api, sign, secrets)            a connection, made at the first call
      .call(method, path, …) -> Reply     JSON in, JSON out
      .get(path, …) -> Reply
      .pages(fetch, …) -> items           all pages of a list
      .refusal(reply, …) -> error         what an answer says that is no success

Certificates are verified with the system's roots (SSL_CERT_FILE names others). No redirect is followed: the token would
go where it leads. An answer has ANSWER_SECONDS and MOST_OCTETS at most. What the provider says in an error is shown
cut, and without the secrets; what is no JSON is not shown. urllib3 logs method, path and status only, and secrets are
in none of these.

When a provider says that it is called too often (429) the call was not done: it is made again after what the answer
asks for (Retry-After, RFC 9110 section 10.2.3), as long as that is WAIT_SECONDS at most in all. What only reads is
tried once more when the connection breaks or the provider has a fault (5xx); what writes never is: it may have been
done.

Raises InputError (the extra is not installed, the token cannot be one), DnsFailed (it answered and refused: also a
redirect, and a list that does not stand still) and DnsUnreachable (no usable answer: of a write it is then not known
whether it was done).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from mailprov import __version__
from mailprov.dns.api.pace import shared
from mailprov.dns.extras import library
from mailprov.errors import DnsFailed, DnsUnreachable, InputError
from mailprov.i18n import _
from mailprov.model.values import dataclass, field

if TYPE_CHECKING:
    import urllib3

T = TypeVar("T")
sleep = time.sleep  # tests have a clock of their own
Query = Sequence[tuple[str, str | int]]
# Method, address and body of a call → its headers, secrets among them.
Sign = Callable[[str, str, bytes], Mapping[str, str]]
Fetch = Callable[[int], "tuple[Sequence[T], int | None, bool]"]

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 30.0  # until the next octets come
ANSWER_SECONDS = 60.0  # for all of an answer
WAIT_SECONDS = 60.0
MOST_OCTETS = 32 * 1024 * 1024
MOST_PAGES = 10_000
MOST_SHOWN = 300  # characters of what a provider says


@dataclass(frozen=True)
class Api:
    """`where`: as errors begin ("Cloudflare"). `url`: of all paths, without a final slash. `extra`: of the package.
    `token`: what the inventory calls the secret, and where that is. `needs`: what it must be allowed to do. `refuses`:
    whether an answer says that it is not, where that is not 401 or 403.
    """

    where: str
    url: str
    extra: str
    token: str
    needs: str
    calls_per_second: float | None = None
    refuses: Callable[[int, Any], bool] = field(default=lambda status, data: False)


@dataclass(frozen=True)
class Reply:
    status: int
    data: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class _Lost(Exception):
    """No usable answer came; the text says why."""


class Client:
    """Not for several threads at once."""

    def __init__(self, api: Api, sign: Sign, secrets: Collection[str]) -> None:
        self.api, self._sign, self._secrets = api, sign, [one for one in secrets if len(one) > 3]
        for secret in secrets:
            if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
                raise InputError(
                    api.token, _("gives a text that cannot be a token"), _("Copy it from the provider's page")
                )
        self._pool: urllib3.PoolManager | None = None
        self._pace = shared(f"{api.where} {api.url}", api.calls_per_second)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def get(self, path: str, query: Query = (), *, absent: bool = False) -> Reply:
        return self.call("GET", path, query=query, absent=absent)

    def call(
        self,
        method: str,
        path: str,
        about: str = "",
        *,
        query: Query = (),
        body: Any = None,
        absent: bool = False,
    ) -> Reply:
        """`path`: below the API's address, quoted (`part`). `about`: what errors name in place of it, such as the
        records that are written. `absent`: 404 is an answer too, with its data.
        """
        asked = f"{method} {about or path}"
        url = self.api.url + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        content = b"" if body is None else json.dumps(body).encode()
        tries, waited = (2 if method == "GET" else 1), 0.0
        while True:
            tries -= 1
            self._pace.wait()
            try:
                reply = self._once(method, url, content)
            except _Lost as lost:
                if tries:
                    continue
                raise self._unreachable(str(lost), asked) from None
            if reply.status == 429 and (pause := _pause(reply.headers)) + waited <= WAIT_SECONDS:
                waited += pause
                tries += 1
                sleep(pause)
                continue
            if reply.status >= 500 and tries:
                continue
            if reply.status < 300 or (absent and reply.status == 404):
                return reply
            raise self.refusal(reply, asked)

    def pages(self, fetch: Fetch[T], asked: str) -> list[T]:
        """`fetch(number)`: page `number` (from 1): its items, how many there are in all if that is told, and whether
        there are more. Between two pages somebody may change the list: then it is read again.
        """
        tries = 3
        while tries:
            tries -= 1
            items: list[T] = []
            count: int | None = None
            for number in range(1, MOST_PAGES + 1):
                some, count, more = fetch(number)
                items += some
                if not more:
                    break
            if count is None or count == len(items):
                return items
        what = _("the list changes each time it is read")
        raise DnsFailed(
            self.api.where, f"{what} ({asked})", _("Run the command again when nobody else changes it")
        )

    def _once(self, method: str, url: str, content: bytes) -> Reply:
        pool = self._opened()
        import urllib3
        from urllib3.exceptions import HTTPError

        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"mailprov/{__version__}",
            **({"Content-Type": "application/json"} if content else {}),
            **self._sign(method, url, content),
        }
        late = time.monotonic() + ANSWER_SECONDS
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENT_SECONDS)
        try:
            response = pool.request(
                method,
                url,
                body=content or None,
                headers=headers,
                timeout=timeout,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except (HTTPError, OSError) as error:
            raise _Lost(self._why(error)) from None
        raw = bytearray()
        try:
            while chunk := response.read1(65536, decode_content=False):
                raw += chunk
                if len(raw) > MOST_OCTETS:
                    raise _Lost(_("its answer is larger than {count} MiB").format(count=MOST_OCTETS >> 20))
                if time.monotonic() > late:
                    raise _Lost(
                        _("its answer is not complete after {seconds} s").format(
                            seconds=f"{ANSWER_SECONDS:g}"
                        )
                    )
        except (HTTPError, OSError) as error:
            response.close()
            raise _Lost(self._why(error)) from None
        except _Lost:
            response.close()
            raise
        response.release_conn()
        told = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, self._json(bytes(raw), response.status), told)

    def _json(self, raw: bytes, status: int) -> Any:
        try:
            return json.loads(raw) if raw.strip() else None
        except (ValueError, RecursionError):
            if status < 300:
                raise _Lost(
                    _("its answer is no JSON; something between here and the API may have answered")
                ) from None
            return None

    def _opened(self) -> urllib3.PoolManager:
        if self._pool is None:
            library(self.api.extra, "urllib3")
            import urllib3

            if self.api.url.startswith("https:"):
                import ssl

                self._pool = urllib3.PoolManager(num_pools=2, ssl_context=ssl.create_default_context())
            else:
                self._pool = urllib3.PoolManager(num_pools=2)
        return self._pool

    def _why(self, error: BaseException) -> str:
        from urllib3 import exceptions

        if isinstance(error, exceptions.SSLError):
            return _("no trusted connection ({reason})").format(reason=self._shown(str(error.args[0])))
        if isinstance(error, exceptions.NameResolutionError):
            return _("the name {name} does not resolve").format(name=urlsplit(self.api.url).hostname)
        if isinstance(error, exceptions.NewConnectionError):  # a ConnectTimeoutError, too
            return _("no connection ({reason})").format(reason=self._shown(str(error.__cause__ or error)))
        if isinstance(error, exceptions.ConnectTimeoutError):
            return _("no connection within {seconds} s").format(seconds=f"{CONNECT_SECONDS:g}")
        if isinstance(error, exceptions.ReadTimeoutError):
            return _("no answer within {seconds} s").format(seconds=f"{SILENT_SECONDS:g}")
        return _("the connection was closed before the answer was complete")

    def _unreachable(self, why: str, asked: str) -> DnsUnreachable:
        server = urlsplit(self.api.url).netloc
        advice = _("Look whether {server} can be reached from here, then run the command again").format(
            server=server
        )
        return DnsUnreachable(self.api.where, f"{why} ({asked})", advice)

    def refusal(self, reply: Reply, asked: str) -> DnsFailed | DnsUnreachable:
        where, status = self.api.where, reply.status
        said = self._shown(_said(reply.data))
        answer = f"{status}: {said}" if said else str(status)
        if status in (401, 403) or self.api.refuses(status, reply.data):
            what = _("it refused the token with {answer}").format(answer=answer)
            advice = _("Correct {setting}; what the token needs: {scope}").format(
                setting=self.api.token, scope=self.api.needs
            )
            return DnsFailed(where, f"{what} ({asked})", advice)
        if status == 429:
            what = _("it is called too often and asks to wait {seconds} s, by {answer}").format(
                seconds=f"{_pause(reply.headers):g}", answer=answer
            )
            return DnsFailed(where, f"{what} ({asked})", _("Run the command again then"))
        if 300 <= status < 400:
            what = _("it redirects to {server}, where the token is not sent, by {answer}").format(
                server=self._shown(urlsplit(reply.headers.get("location", "")).netloc or "?"), answer=answer
            )
            advice = _("Something answers in place of {server}, or its address has changed").format(
                server=urlsplit(self.api.url).netloc
            )
            return DnsFailed(where, f"{what} ({asked})", advice)
        what = _("it answered {answer}").format(answer=answer)
        if status >= 500:
            return DnsUnreachable(where, f"{what} ({asked})", _("Run the command again later"))
        return DnsFailed(where, f"{what} ({asked})", _("Look at the records there, and plan anew"))

    def _shown(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        text = " ".join(text.split())
        return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def part(text: str) -> str:
    """One step of a path."""
    return quote(text, safe="")


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds; a date is not taken for one (no provider here sends it)."""
    try:
        return min(max(float(headers.get("retry-after", "")), 1.0), 1e6)
    except ValueError:
        return 5.0


def _said(data: Any) -> str:
    """What an error says in words, wherever that is in it."""
    return "; ".join(dict.fromkeys(_words(data, 4)))


_SAYING = ("message", "error", "errors", "detail", "error_chain")


def _words(data: Any, depth: int) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, list) and depth:
        for one in data[:5]:
            yield from _words(one, depth - 1)
    elif isinstance(data, dict) and depth:
        for name in _SAYING:
            yield from _words(data.get(name), depth - 1)
