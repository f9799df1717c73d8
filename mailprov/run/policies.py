"""The MTA-STS policies of the inventory's domains, as senders would get them: read back before a record tells of them.

    ReadBack(inventory)          begins at once, all domains side by side
    .inventory() -> Inventory    each such domain with the policy that its web server gives out
    .reasons() -> (sentence, …)  of those that give out another one, or none

Over HTTPS with a certificate that is verified, as RFC 8461 section 3.3 has it: against this machine's authorities and
`tls.ca_file`. The connection goes to the addresses that the inventory has of the host, so it needs no DNS; whether the
name leads there `verify` tells. Raises nothing.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from mailprov.i18n import _
from mailprov.model import web
from mailprov.model.inventory import Domain, Host, Inventory

if TYPE_CHECKING:
    from mailprov.model.mta_sts import Policy

_TOGETHER = 16
_PATIENCE = 8.0  # seconds for one policy
_AGAIN = 20.0  # seconds in which one that was just put there must be given out


class ReadBack:
    """`waits`: the policies were put there just now, so one that is not there yet is asked for again."""

    def __init__(self, inventory: Inventory, *, waits: bool = False) -> None:
        self._before = inventory
        self._policies = {
            domain.name: policy
            for domain in inventory.domains
            if (policy := web.policy(inventory, domain)) is not None
        }
        self._seen: dict[str, str] = {}  # domain → the policy's text
        self._why: dict[str, str] = {}
        self._waits = waits
        self._limit = threading.BoundedSemaphore(_TOGETHER)
        self._asking = [
            threading.Thread(target=self._ask, args=[domain], daemon=True)
            for domain in inventory.domains
            if domain.name in self._policies
        ]
        for one in self._asking:
            one.start()

    def inventory(self) -> Inventory:
        if not self._asking:
            return self._before
        self._wait()
        domains = (
            replace(domain, policy_served=self._seen.get(domain.name)) for domain in self._before.domains
        )
        return replace(self._before, domains=tuple(domains))

    def reasons(self) -> tuple[str, ...]:
        self._wait()
        form = _(
            "MTA-STS of {domain}: the record at _mta-sts is published, or follows a new policy, once the policy was "
            "read back: {reason}"
        )
        return tuple(form.format(domain=name, reason=self._why[name]) for name in sorted(self._why))

    def _wait(self) -> None:
        for one in self._asking:
            one.join()

    def _ask(self, domain: Domain) -> None:
        deadline = time.monotonic() + (_AGAIN if self._waits else 0)
        policy, host = self._policies[domain.name], web.host_of(self._before, domain)
        assert host is not None, "whoever has a policy has a host for it"
        with self._limit:
            while (why := self._once(domain, policy, host)) and time.monotonic() < deadline:
                time.sleep(0.5)
        if why:
            self._why[domain.name] = why

    def _once(self, domain: Domain, policy: Policy, host: Host) -> str:
        """Why it is not given out as wanted; "" where it is."""
        try:
            text = _fetch(domain, host)
        except Exception as error:
            from mailprov.model import mta_sts

            reason = str(error) or type(error).__name__
            return f"https://{mta_sts.host(domain.name)}{mta_sts.POLICY_PATH}: {reason}"
        self._seen[domain.name] = text
        return "" if text == policy.text() else _("another policy is served until now")


def _fetch(domain: Domain, host: Host) -> str:
    """Raises whatever it meets; its text says why."""
    import ssl

    from mailprov.model import mta_sts
    from mailprov.probe.clients import https, tls
    from mailprov.probe.clients.connection import Connection, Deadline, Transcript

    name, last = mta_sts.host(domain.name), None  # type: str, Exception | None
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
                page = https.get(connection, name, mta_sts.POLICY_PATH, trusted, mta_sts.MOST)
            except ssl.SSLCertVerificationError as error:
                form = _("its certificate is not valid: {reason}")
                raise OSError(form.format(reason=tls.why_untrusted(error))) from None
        if page.status != 200 or page.kind != "text/plain" or page.body is None:
            raise OSError(_("status {code}, type {kind}").format(code=page.status, kind=page.kind or "?"))
        return page.body.decode("utf-8")
    assert last is not None
    raise last
