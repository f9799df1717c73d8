"""What others must be able to fetch before a record tells of it, as they would get it: read back over HTTPS.

    ReadBack(inventory)          begins at once, all files side by side
    .inventory() -> Inventory    each such domain with what its web server gives out (Domain.read_back)
    .reasons() -> (sentence, …)  of those that give out another one, or none
    fetch(host, name, path, kind) -> str      one file; raises whatever it meets, and its text says why

These are MTA-STS policies (RFC 8461 section 3.3) and the files of PACC. The certificate is verified as everybody does:
against this machine's authorities and `tls.ca_file`. The connection goes to the addresses that the inventory has of the
host, so it needs no DNS; whether the name leads there `verify` tells. ReadBack raises nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from mailprov.i18n import N_, _, all_of
from mailprov.model import mta_sts, web
from mailprov.model.inventory import Domain, Host, Inventory, TlsMode

_TOGETHER = 16
_PATIENCE = 8.0  # seconds for one file
_AGAIN = 20.0  # seconds in which one that was just put there must be given out
_POLICY = N_(
    "MTA-STS of {domain}: the record at _mta-sts waits until the policy can be fetched from outside: {reason}"
)
_FILE = N_(
    "PACC of {domain}: the record at _ua-auto-config waits until the file can be fetched from outside: {reason}"
)
_NOBODY = N_(
    "the records of MTA-STS and PACC of {domains} follow once the web server on {host} answers, which it does not yet"
)


class Untrusted(OSError):
    """The certificate is for other names, or of nobody known: that does not change by itself."""


class _File(NamedTuple):
    """What a domain's web server is to give out. `sentence`: of what waits for it; `kind`: the media type."""

    domain: Domain
    host: Host
    name: str  # the domain's, or that of an alias
    at: str
    path: str
    kind: str
    text: str
    sentence: str

    @property
    def url(self) -> str:
        return f"https://{self.at}{self.path}"


class ReadBack:
    """`waits`: the files were put there just now, so one that is not there yet is asked for again."""

    def __init__(self, inventory: Inventory, *, waits: bool = False) -> None:
        self._before = inventory
        self._seen: dict[str, dict[str, str]] = {}  # domain → URL → text
        self._why: dict[tuple[str, str], str] = {}  # of (sentence, domain or alias)
        self._mute: dict[str, set[str]] = {}  # host without a web server → domains and aliases
        self._waits = waits
        self._limit = threading.BoundedSemaphore(_TOGETHER)
        wanted = [file for domain in inventory.domains for file in _files(inventory, domain)]
        self._asking = [threading.Thread(target=self._ask, args=[file], daemon=True) for file in wanted]
        for one in self._asking:
            one.start()

    def inventory(self) -> Inventory:
        if not self._asking:
            return self._before
        self._wait()
        domains = (
            replace(domain, read_back=tuple(sorted(self._seen.get(domain.name, {}).items())))
            for domain in self._before.domains
        )
        return replace(self._before, domains=tuple(domains))

    def reasons(self) -> tuple[str, ...]:
        self._wait()
        mute = (
            _(_NOBODY).format(domains=all_of(sorted(names)), host=host)
            for host, names in sorted(self._mute.items())
        )
        others = (
            _(sentence).format(domain=name, reason=self._why[sentence, name])
            for sentence, name in sorted(self._why)
        )
        return (*mute, *others)

    def _wait(self) -> None:
        for one in self._asking:
            one.join()

    def _ask(self, file: _File) -> None:
        from mailprov.probe.clients.errors import Refused

        deadline = time.monotonic() + (_AGAIN if self._waits else 0)
        with self._limit:
            while (
                (why := self._once(file)) and not isinstance(why, Untrusted) and time.monotonic() < deadline
            ):
                time.sleep(0.5)
        if isinstance(why, Refused):
            self._mute.setdefault(file.host.name, set()).add(file.name)
        elif why:
            self._why[file.sentence, file.name] = f"{file.url}: {str(why) or type(why).__name__}"

    def _once(self, file: _File) -> Exception | None:
        """Why it is not given out as wanted; None where it is."""
        try:
            text = fetch(file.host, file.at, file.path, file.kind)
        except Exception as error:
            return error
        self._seen.setdefault(file.domain.name, {})[file.url] = text
        return None if text == file.text else OSError(_("another one is given out until now"))


def _files(inventory: Inventory, domain: Domain) -> Iterator[_File]:
    host = web.host_of(inventory, domain)
    if host is None:
        return
    if (policy := web.policy(inventory, domain)) is not None:
        for name in domain.names:
            at = mta_sts.host(name)
            yield _File(domain, host, name, at, mta_sts.POLICY_PATH, "text/plain", policy.text(), _POLICY)
    from mailprov.client import pacc as files  # few hosts have a web server
    from mailprov.model import pacc

    text = files.wanted(inventory, domain)
    if text is not None:
        meant = domain.pacc.file if domain.pacc else text
        yield _File(domain, host, domain.name, pacc.host(domain.name), pacc.PATH, pacc.KIND, meant, _FILE)


def fetch(host: Host, name: str, path: str, kind: str) -> str:
    import ssl

    from mailprov.probe.clients import https, tls
    from mailprov.probe.clients.connection import Connection, Deadline, Transcript

    last: Exception | None = None
    trusted = tls.verifying_context(host.tls.ca_file)
    deadline = Deadline(_PATIENCE)
    for address in (*host.ipv4, *host.ipv6) or (host.address,):
        try:
            connection = Connection.connect(address, 443, deadline, Transcript(), _PATIENCE / 2)
        except Exception as error:
            last = error
            continue
        with connection:
            try:
                page = https.get(connection, name, path, trusted, mta_sts.MOST)
            except ssl.SSLCertVerificationError as error:
                form = _("its certificate is not valid: {reason}")
                # One that an authority issues comes into service a moment after it was issued.
                kind_of = OSError if host.tls.mode is TlsMode.ACME else Untrusted
                raise kind_of(form.format(reason=tls.why_untrusted(error))) from None
        if page.status != 200 or page.kind != kind or page.body is None:
            raise OSError(_("status {code}, type {kind}").format(code=page.status, kind=page.kind or "?"))
        return page.body.decode("utf-8")
    assert last is not None
    raise last
