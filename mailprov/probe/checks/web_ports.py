"""The probe of a web server's own ports: `web.tls`. What is served there is looked at by components (web, webmail).

Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model import web
from mailprov.model.findings import Finding, Verdict
from mailprov.model.ports import PORTS, Port, TlsStart
from mailprov.probe.checks import tls_versions
from mailprov.probe.clients import https
from mailprov.probe.clients.errors import ConnectionClosed, Refused
from mailprov.probe.context import HostContext, PortContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.targets import has_route

# Rows as those of the table of mail ports, for who dials; which protocol of mail stands there is of no account.
_HTTP = Port(80, PORTS[0].protocol, TlsStart.UPGRADE, True, "http", "")
_HTTPS = Port(443, PORTS[0].protocol, TlsStart.IMPLICIT, True, "https", "")
_MOST = 65_536  # bytes of a page that is sent in clear


@probe(
    "web.tls",
    Scope.HOST,
    N_("The web server speaks TLS 1.2 and TLS 1.3 only, and nobody logs in without it"),
    expected=N_("on port 443 what tls.versions and tls.ciphers want; on port 80 webmail is sent on to HTTPS"),
    steps=(
        N_("Send a ClientHello for TLS 1.3 and TLS 1.2, then such for older versions, as tls.versions does."),
        N_("Send such with none but weak suites, as tls.ciphers does."),
        N_("Ask for http://webmail.DOMAIN/ of each domain that has webmail there."),
    ),
    verdicts={
        "pass": N_("old versions and weak suites are refused, and webmail is not served in clear"),
        "fail": N_("one of them is agreed to, or webmail is served without TLS: passwords go over it"),
        "error": N_("usual suites are refused as well, no TLS, silence, or a dropped connection"),
        "skip": N_("no address of the host can be reached from here"),
    },
    refs=("RFC 8996", "RFC 9325 section 4.1", "RFC 9110 section 4.2.2"),
    applies=lambda context: web.has(context.host),
    unless=N_("no host of the inventory has `web: true`"),
)
def web_tls(context: HostContext) -> Iterator[Finding]:
    every = context.run.addresses.get(context.host.name, ())
    addresses = [one for one in every if ":" not in one or has_route(context.run, one)]
    if not addresses or not web.has(context.host) or context.host.name in context.run.web_held:
        yield context.skip(_("{host} was not looked at").format(host=context.host.name))
        return
    for address in addresses:
        port = PortContext(
            context.run, context.entry, context.seconds, host=context.host, address=address, port=_HTTPS
        )
        for look in (tls_versions.versions, tls_versions.ciphers, _in_clear):
            found = list(look(port))
            if any(one.verdict is not Verdict.PASS for one in found):
                break
        yield from found


def _in_clear(context: PortContext) -> Iterator[Finding]:
    """What port 80 says to who asks for webmail; where nothing is on port 80, nothing is said."""
    for domain in context.run.inventory.domains:
        name = web.webmail(domain)
        if not name or domain.name not in web.webmail_on(context.host):
            continue
        try:
            with context.dial(context.address, _HTTP) as connection:
                page = https.ask(connection, name, "/", _MOST)
        except (Refused, ConnectionClosed):
            continue
        url = f"http://{name}/"
        sent_on = 300 <= page.status < 400 and page.location.startswith("https://")
        if not sent_on and page.status < 400:
            form = _("{url} answers {status} without TLS, and does not send browsers on to HTTPS")
            answer = f"{page.status} {page.reason}".strip()
            yield context.failed(
                form.format(url=url, status=answer),
                _("run `mailprov apply --host {host}`").format(host=context.host.name),
            )
            return
    yield context.passed(_("TLS 1.2 or later, no weak suites, and no webmail in clear"))
