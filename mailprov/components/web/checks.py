"""Probes of the web corner: what programs fetch is what the host should serve, and its servers take a login.

Public: the probes `web.autoconfig`, `web.autodiscover`, `web.mobileconfig` and `web.pacc`. Each asks as its program
asks, by the host's own address, and then logs in with nothing but what the file says, at a domain alias as an address
there. A file with anything else in it fails before a password is sent. Errors of `clients` pass through; the runner
makes them errors.
"""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Callable, Iterator

from mailprov.client import pacc as files
from mailprov.client import reading
from mailprov.client.autoconfig import autoconfig
from mailprov.client.autodiscover import autodiscover, question
from mailprov.client.mobileconfig import mobileconfig
from mailprov.client.settings import Server, Settings, of_domain
from mailprov.i18n import N_, _, all_of
from mailprov.model import pacc, web
from mailprov.model.accounts import Account
from mailprov.model.findings import Finding
from mailprov.model.inventory import Host, TlsMode
from mailprov.model.ports import PORTS, Port
from mailprov.model.values import dataclass
from mailprov.probe.accounts import lacking, usable
from mailprov.probe.clients import https, tls
from mailprov.probe.clients.connection import Connection
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.remedies import publish
from mailprov.probe.web_names import elsewhere

_MOST = 65_536  # bytes of a file
_APPLY = N_("run {command}, and see on the host: {other_command}")
_AGAIN = N_("run `mailprov apply`, which keeps file and record together")
_NO_WEB = N_("no host of the inventory has `web: true`")
_VERDICTS = {
    "pass": N_("the file is the one that the host should serve, and its servers take the login"),
    "warn": N_(
        "the name does not exist or leads elsewhere, or the certificate is for other names, so that programs find "
        "nothing, or ask"
    ),
    "fail": N_("no file, another one, or one whose servers refuse the login"),
    "error": N_("no answer from the host or from the name server"),
    "skip": N_("no account with a known password"),
}


@dataclass(frozen=True)
class _File:
    """How a program asks: label of the name below the domain, path, media type, and how it reads the file. `one`: it is
    the same below a domain alias, whose users type the address of the account itself.
    """

    label: str
    path: str
    kind: str
    text: Callable[[Settings], str]
    read: Callable[[bytes, str], tuple[Server, ...]]
    secure: bool = True
    posts: bool = False
    one: bool = False

    @property
    def number(self) -> int:
        return 443 if self.secure else 80


def _host(context: DomainContext) -> Host | None:
    """The one that the domain's names lead to."""
    return web.host_of(context.run.inventory, context.domain)


def _applies(context: DomainContext) -> bool:
    return _host(context) is not None


@probe(
    "web.autoconfig",
    Scope.DOMAIN,
    N_("Thunderbird and others set themselves up from address and password"),
    expected=N_("the file at http://autoconfig.DOMAIN/mail/config-v1.1.xml, and servers that take the login"),
    steps=(
        N_("Look up autoconfig.DOMAIN, and fetch the file on port 80, as Thunderbird does first."),
        N_("Compare it with what the host should serve."),
        N_("Log in with what it says: by IMAP, POP and SMTP, at the first server of each."),
    ),
    verdicts=_VERDICTS,
    refs=("draft-ietf-mailmaint-autoconfig section 4",),
    applies=_applies,
    unless=_NO_WEB,
)
def web_autoconfig(context: DomainContext) -> Iterator[Finding]:
    path = "/mail/config-v1.1.xml"
    file = _File("autoconfig", path, "text/xml", autoconfig, reading.of_autoconfig, secure=False)
    yield _look(context, file)


@probe(
    "web.autodiscover",
    Scope.DOMAIN,
    N_("Outlook finds the servers of the domain"),
    expected=N_("the answer to a POST at https://autodiscover.DOMAIN/autodiscover/autodiscover.xml"),
    steps=(
        N_("Look up autodiscover.DOMAIN, and ask by POST over HTTPS, as classic Outlook does."),
        N_("Compare the answer with what the host should serve, and the certificate with the name."),
        N_("Log in with what it says: by IMAP, POP and SMTP."),
    ),
    verdicts=_VERDICTS,
    refs=("MS-OXDSCLI section 3.1.5",),
    applies=_applies,
    unless=_NO_WEB,
)
def web_autodiscover(context: DomainContext) -> Iterator[Finding]:
    path = "/autodiscover/autodiscover.xml"
    yield _look(
        context,
        _File("autodiscover", path, "text/xml", autodiscover, reading.of_autodiscover, posts=True),
    )


@probe(
    "web.mobileconfig",
    Scope.DOMAIN,
    N_("Apple's programs are set up by the domain's profile"),
    expected=N_(
        "the profile at https://autoconfig.DOMAIN/mail.mobileconfig, as application/x-apple-aspen-config"
    ),
    steps=(
        N_("Look up autoconfig.DOMAIN, and fetch the profile over HTTPS."),
        N_("Compare it with what the host should serve, and the certificate with the name."),
        N_("Log in with what it says: by IMAP and SMTP."),
    ),
    verdicts=_VERDICTS,
    refs=("Apple Device Management, com.apple.mail.managed",),
    applies=_applies,
    unless=_NO_WEB,
)
def web_mobileconfig(context: DomainContext) -> Iterator[Finding]:
    kind = "application/x-apple-aspen-config"
    yield _look(
        context,
        _File("autoconfig", "/mail.mobileconfig", kind, mobileconfig, reading.of_mobileconfig, one=True),
    )


def _has_pacc(context: DomainContext) -> bool:
    host = _host(context)
    return host is not None and web.trusted(host) and context.name == context.domain.name


@probe(
    "web.pacc",
    Scope.DOMAIN,
    N_("Mail programs that know PACC take the domain's file, by its digest in DNS"),
    expected=N_(
        "the file at https://ua-auto-config.DOMAIN/.well-known/user-agent-configuration.json, as application/json, and "
        "its SHA-256 in a TXT record at _ua-auto-config.DOMAIN"
    ),
    steps=(
        N_("Look up ua-auto-config.DOMAIN, and fetch the file over HTTPS."),
        N_("Ask for TXT at _ua-auto-config.DOMAIN, and look for the digest of the file among them."),
        N_("Compare the file with what the host should serve, and the certificate with the name."),
        N_("Log in with what it says: by IMAP, POP and SMTP, as the address itself."),
    ),
    verdicts={
        "pass": N_("file, digest and certificate belong together, and the servers take the login"),
        "warn": N_(
            "the name does not exist or leads elsewhere, the certificate is for other names, or there is no record "
            "yet, so that programs find nothing; or another file follows"
        ),
        "fail": N_(
            "a record without its file, no digest that is the file's, another file, or a login refused"
        ),
        "error": N_("no answer from the host or from the name server"),
        "skip": N_("no account with a known password"),
    },
    refs=("draft-ietf-mailmaint-pacc",),
    applies=_has_pacc,
    unless=N_(
        "no host of the inventory has `web: true` and a certificate that others trust, or this is a domain alias"
    ),
)
def web_pacc(context: DomainContext) -> Iterator[Finding]:
    file = _File(pacc.LABEL, pacc.PATH, pacc.KIND, files.pacc, reading.of_pacc)
    values = context.follow(pacc.record_name(context.name), "TXT").values
    stated = pacc.stated(values)

    def vouched(page: https.Page, meant: bytes, untrusted: str) -> Finding | None:
        name = f"{file.label}.{context.name}"
        if page.status != 200 or page.body is None:
            return None if stated else context.warn(_status(name, file, page), _(_AGAIN))
        url, text = _url(name, file), page.body.decode("utf-8", "replace")
        if not stated and page.body == meant:
            if untrusted:  # for which the record waits: that is what is to be said
                return None
            record = f'{pacc.record_name(context.name)}. TXT "{pacc.record(text)}"'
            observed = _("{url} is there, and no record with its digest, so programs do not take it")
            return context.warn(observed.format(url=url), publish(record))
        if stated and pacc.digest(text) not in stated:
            observed = _("no record at {name} has the digest of {url}, so programs refuse the file")
            return context.failed(observed.format(name=pacc.record_name(context.name), url=url), _(_AGAIN))
        if page.body != meant and pacc.digest(meant.decode()) in stated:
            observed = _("{url}: another file follows, whose digest is published already")
            return context.warn(observed.format(url=url), _(_AGAIN))
        return None

    yield _look(context, file, vouched)


def _look(
    context: DomainContext,
    file: _File,
    vouched: Callable[[https.Page, bytes, str], Finding | None] = lambda page, meant, untrusted: None,
) -> Finding:
    """`vouched`: of a page, the file that it should be, and why its certificate is not valid ("": it is), what else
    there is to say.
    """
    host = _host(context)
    assert host is not None
    addresses = context.run.addresses.get(host.name, ())
    if not addresses:
        return context.skip(_("{host} was not looked at").format(host=host.name))
    name = f"{file.label}.{context.name}"
    if strange := elsewhere(context, host, name):
        return strange
    page, untrusted = _fetch(context, host, addresses[0], name, file)
    advice = _(_APPLY).format(
        command=f"mailprov apply --host {host.name}", other_command="journalctl -u nginx -t nginx"
    )
    alias = "" if file.one else context.name
    meant = file.text(of_domain(context.run.inventory, context.domain, alias)).encode()
    if said := vouched(page, meant, untrusted):
        return said
    if page.status != 200:
        return context.failed(_status(name, file, page), advice)
    if page.body != meant:
        return context.failed(_("{url} has another file").format(url=_url(name, file)), advice)
    if page.kind != file.kind:
        text = _("{url} is of the type {kind}, and {wanted} is what programs take")
        return context.failed(
            text.format(url=_url(name, file), kind=page.kind or "-", wanted=file.kind), advice
        )
    account = usable(context.domain)
    if account is None or account.password is None:
        return context.skip(lacking(context.domain))
    typed = account.address if file.one else f"{account.address.rpartition('@')[0]}@{context.name}"
    told = _logins(context, host, addresses[0], file.read(page.body, typed), account)
    if isinstance(told, Finding):
        return told
    if untrusted:
        form = _("the file is right, but the certificate is not valid for {name}: {reason}")
        return context.warn(
            form.format(name=name, reason=untrusted),
            _(
                "with `tls: {{mode: acme}}` each name has one; else give one whose subjectAltName holds it"
            ).format(),
        )
    return context.passed(
        _("{url}: as it should be, and logged in at {servers}").format(url=_url(name, file), servers=told)
    )


def _status(name: str, file: _File, page: https.Page) -> str:
    form = _("{url}: {status} {reason}")
    return form.format(url=_url(name, file), status=page.status, reason=page.reason)


def _url(name: str, file: _File) -> str:
    return f"{'https' if file.secure else 'http'}://{name}{file.path}"


def _fetch(
    context: DomainContext, host: Host, address: str, name: str, file: _File
) -> tuple[https.Page, str]:
    """The page, and why its certificate is not to be trusted: a program asks then, so it is fetched all the same. What
    the inventory calls self-signed is that.
    """
    if not file.secure:
        return _ask(context, address, name, file, None), ""
    try:
        return _ask(context, address, name, file, context.run.verifying_context(host.tls.ca_file)), ""
    except ssl.SSLCertVerificationError as error:
        reason = "" if host.tls.mode is TlsMode.SELF_SIGNED else tls.why_untrusted(error)
    return _ask(context, address, name, file, tls.looking_context()), reason


def _ask(
    context: DomainContext, address: str, name: str, file: _File, tls_context: ssl.SSLContext | None
) -> https.Page:
    number = context.run.port_map.get((address, file.number), file.number)
    posts = question(f"nobody@{context.name}").encode() if file.posts else None
    with Connection.connect(
        address, number, context.deadline, context.transcript, context.run.timing.connect, way=context.run.way
    ) as connection:
        if tls_context is not None:
            connection.start_tls(tls_context, name)
        return https.ask(connection, name, file.path, _MOST, posts=posts)


def _logins(
    context: DomainContext, host: Host, address: str, servers: tuple[Server, ...], account: Account
) -> Finding | str:
    """The servers that took the login, the first of each protocol; or a finding about one that did not."""
    assert account.password is not None
    password = account.password.reveal()
    context.transcript.hide(password)
    tried: dict[str, str] = {}
    for server in servers:
        if server.protocol.value in tried:
            continue
        shown = f"{server.host}:{server.port}"
        tried[server.protocol.value] = shown
        # The certificate is checked for the name in the file, as the program does it.
        named = dataclasses.replace(host, fqdn=server.host)
        client = context.open(named, address, _port(server), secret=True)
        with client.connection:
            login = client.login(server.user, password)
            worked, after = client.prove_login(account.address) if login.accepted else (False, login.words)
        if not worked:
            form = _("the file says {server} and {user}, and there it is refused: {reply}")
            return context.failed(
                form.format(server=shown, user=server.user, reply=after),
                _("see the server's log, and on the host: {command}").format(
                    command=f"doveadm auth test {server.user}"
                ),
            )
    return all_of(tried.values())


def _port(server: Server) -> Port:
    known = next((port for port in PORTS if port.number == server.port), None)
    if known and (known.protocol, known.tls) == (server.protocol, server.tls):
        return known
    return Port(server.port, server.protocol, server.tls, True, server.protocol.value, "")
