"""Probes of webmail: it is there by its name, nothing else of it is, and a user gets in and sees the inbox.

Public: the probes `webmail.page`, `webmail.closed` and `webmail.login`. Each asks by the host's own address, as a
browser asks by the name. What stands in the way is told apart: no PHP behind the web server, a database that cannot
be written, a password that is refused. Mail is none of that: it goes on. Errors of `clients` pass through; the runner
makes them errors.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from enum import Enum
from urllib.parse import urlencode

from mailprov.i18n import N_, _, all_of
from mailprov.model import web
from mailprov.model.findings import Finding
from mailprov.model.inventory import Host, TlsMode
from mailprov.probe.accounts import lacking, usable
from mailprov.probe.clients import https, tls
from mailprov.probe.clients.connection import Connection
from mailprov.probe.clients.errors import UntrustedCertificate
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.web_names import elsewhere

_MOST = 2**20  # bytes of a page
_LOG, _WHOLE_LOG = (
    "journalctl -t roundcube",
    "journalctl -t roundcube -u mailprov-webmail -t mailprov-webmail",
)
_STATUS, _ROOM = "systemctl status mailprov-webmail", "df /var/lib/mailprov-webmail"
_NO_WEBMAIL = N_("no domain of the inventory has `webmail`")
_TOKEN = re.compile(rb'name="_token" value="([A-Za-z0-9]{1,80})"')
_REQUEST_TOKEN = re.compile(rb'"request_token":"([A-Za-z0-9]{1,80})"')
_INBOX = re.compile(rb'"mailbox":"INBOX"')
_HEADERS = (
    ("content-security-policy", re.compile(r"default-src 'none'.*frame-ancestors 'self'")),
    ("x-frame-options", re.compile(r"SAMEORIGIN|DENY", re.IGNORECASE)),
    ("x-content-type-options", re.compile(r"nosniff", re.IGNORECASE)),
    ("referrer-policy", re.compile(r"no-referrer|same-origin")),
)
# What must not be served, below the root of the site.
CLOSED = (
    "/installer/",
    "/installer/index.php",
    "/config/config.inc.php",
    "/config/defaults.inc.php",
    "/logs/errors",
    "/temp/",
    "/SQL/sqlite.initial.sql",
    "/bin/updatedb.sh",
    "/program/include/iniset.php",
    "/program/lib/Roundcube/rcube.php",
    "/plugins/managesieve/managesieve.php",
    "/plugins/password/config.inc.php",
    "/plugins/../../../../etc/mailprov/webmail/config.inc.php",
    "/plugins/%2e%2e/%2e%2e/%2e%2e/%2e%2e/var/lib/mailprov-webmail/roundcube.db",
    "/roundcube.db",
    "/.htaccess",
    "/index.php/x.php",
)


def _host(context: DomainContext) -> Host | None:
    """The one that has it; None where the domain has none."""
    if context.name != context.domain.name or not web.webmail(context.domain):
        return None
    host = web.host_of(context.run.inventory, context.domain)
    return host if host and context.domain.name in web.webmail_on(host) else None


def _applies(context: DomainContext) -> bool:
    return _host(context) is not None


@probe(
    "webmail.page",
    Scope.DOMAIN,
    N_("Webmail is where its users look for it"),
    expected=N_("the login at https://webmail.DOMAIN/, with a certificate of that name and security headers"),
    steps=(
        N_("Look up webmail.DOMAIN, and fetch its first page over HTTPS."),
        N_("Compare the certificate with the name."),
        N_("Read the headers: Content-Security-Policy, X-Frame-Options and others."),
    ),
    verdicts={
        "pass": N_("the login page is there, with its security headers"),
        "warn": N_("the name does not exist or leads elsewhere, or the certificate is for other names"),
        "fail": N_("no login page, or one without the headers"),
        "error": N_("no answer from the host or from the name server"),
        "skip": N_("the host was not looked at"),
    },
    refs=("CSP Level 3", "RFC 7034", "RFC 9525"),
    applies=_applies,
    unless=_NO_WEBMAIL,
)
def webmail_page(context: DomainContext) -> Iterator[Finding]:
    found = _visit(context)
    if isinstance(found, Finding):
        yield found
        return
    page = found.ask("/")
    if wrong := _not_there(context, found, page):
        yield wrong
        return
    fields: dict[str, str] = {}
    for name, value in page.fields:
        fields.setdefault(name, value)
    lacking_here = [name for name, wanted in _HEADERS if not wanted.search(fields.get(name, ""))]
    if lacking_here:
        text = _("{url} comes without these security headers: {headers}")
        yield context.failed(text.format(url=found.url, headers=all_of(lacking_here)), _apply(found.host))
    elif found.untrusted:
        form = _("the login page is there, but the certificate is not valid for {name}: {reason}")
        yield context.warn(
            form.format(name=found.name, reason=found.untrusted),
            _(
                "with `tls: {{mode: acme}}` each name has one; else give one whose subjectAltName holds it"
            ).format(),
        )
    else:
        yield context.passed(_("{url}: the login page, with its security headers").format(url=found.url))


@probe(
    "webmail.closed",
    Scope.DOMAIN,
    N_("Of webmail nothing is served but what browsers need"),
    expected=N_("no installer, no configuration, no database, no program but one"),
    steps=(
        N_("Ask for the installer, the configuration, the database, programs of plugins and others."),
        N_("Each must be refused (403 or 404)."),
    ),
    verdicts={
        "pass": N_("each was refused"),
        "fail": N_("one was served"),
        "error": N_("no answer from the host or from the name server"),
        "warn": N_("the name does not exist or leads elsewhere"),
        "skip": N_("the host was not looked at"),
    },
    refs=("OWASP ASVS 5.0 section 13.4",),
    applies=_applies,
    unless=_NO_WEBMAIL,
)
def webmail_closed(context: DomainContext) -> Iterator[Finding]:
    found = _visit(context)
    if isinstance(found, Finding):
        yield found
        return
    open_ones = []
    for path in CLOSED:
        status = found.ask(path).status
        if status not in (400, 403, 404):
            open_ones.append(f"{path} ({status})")
    if open_ones:
        text = _("{url} serves what is not for browsers: {paths}")
        yield context.failed(text.format(url=found.url, paths=all_of(open_ones)), _apply(found.host))
    else:
        yield context.passed(_("{count} paths, each refused").format(count=len(CLOSED)))


@probe(
    "webmail.login",
    Scope.DOMAIN,
    N_("A user logs in to webmail and sees the inbox"),
    expected=N_("a login with an account's password, and then the list of its inbox"),
    steps=(
        N_("Fetch the login page, and send an account's name and password, as its form does."),
        N_("Follow to the mail page, and ask for the list of the inbox."),
        N_("Log out."),
        N_(
            "Where it is refused, fetch the login page again in the same session: where that is forgotten, the "
            "database cannot be written."
        ),
    ),
    verdicts={
        "pass": N_("the inbox was listed"),
        "fail": N_("no login, a database that cannot be written, a password that is refused, or no inbox"),
        "error": N_("no answer from the host, or a certificate to which no password is sent"),
        "warn": N_("the name does not exist or leads elsewhere"),
        "skip": N_("no account with a known password"),
    },
    refs=("RFC 9110", "RFC 6265"),
    applies=_applies,
    unless=_NO_WEBMAIL,
)
def webmail_login(context: DomainContext) -> Iterator[Finding]:
    found = _visit(context)
    if isinstance(found, Finding):
        yield found
        return
    yield _log_in(context, found)


class _Proof(Enum):
    """By what the server was told to be the host: a certificate of the name that was asked for, the host's own, a
    self-signed one that is the same as on its other ports, or nothing.
    """

    NAME, HOST, PIN, NOTHING = range(4)


class _Visit:
    """A browser's session at one webmail: its cookies, and what was wrong with the certificate."""

    def __init__(self, context: DomainContext, host: Host, address: str, name: str) -> None:
        self.context, self.host, self.name = context, host, name
        self.untrusted = (
            ""  # why a browser would ask; of what the inventory calls self-signed nothing is said
        )
        self.proof = _Proof.NAME
        self._address, self._cookies = address, dict[str, str]()

    def another(self) -> _Visit:
        """Another browser's, which has seen nothing yet."""
        made = _Visit(self.context, self.host, self._address, self.name)
        made.proof = self.proof
        return made

    @property
    def url(self) -> str:
        return f"https://{self.name}/"

    def ask(self, path: str, form: dict[str, str] | None = None, token: str = "") -> https.Page:
        """`form` is sent by POST; `token` is what scripts of the page send with each request."""
        while True:
            try:
                return self._ask(path, form, token)
            except (ssl.SSLCertVerificationError, UntrustedCertificate) as error:
                self._give_way(error)

    def _give_way(self, error: Exception) -> None:
        """To the next proof that there may be."""
        signed = self.host.tls.mode is TlsMode.SELF_SIGNED
        if isinstance(error, ssl.SSLCertVerificationError) and not signed:
            self.untrusted = self.untrusted or tls.why_untrusted(error)
        follows = {
            _Proof.NAME: _Proof.PIN if signed else _Proof.HOST,
            _Proof.HOST: _Proof.NOTHING,
            _Proof.PIN: _Proof.NOTHING,
        }
        self.proof = follows[self.proof]

    def _context(self) -> ssl.SSLContext:
        if self.proof in (_Proof.NAME, _Proof.HOST):
            run, by_name = self.context.run, self.proof is _Proof.NAME
            return run.verifying_context(self.host.tls.ca_file, check_name=by_name)
        return tls.looking_context()

    def _prove(self, certificate: bytes) -> None:
        leaf, good = tls.Leaf.parse(certificate), True
        if self.proof is _Proof.HOST:
            good = leaf.is_for(self.host.fqdn)
        elif self.proof is _Proof.PIN:
            with self.context.run.lock:
                pin = self.context.run.pins.setdefault(self.host.name, leaf.der)
            good = leaf.self_signed and pin == leaf.der
        if not good:
            raise UntrustedCertificate("")

    def _ask(self, path: str, form: dict[str, str] | None, token: str) -> https.Page:
        run, context = self.context.run, self.context
        number = run.port_map.get((self._address, 443), 443)
        more = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if token:
            more |= {"X-Requested-With": "XMLHttpRequest", "X-Roundcube-Request": token}
        with Connection.connect(
            self._address, number, context.deadline, context.transcript, run.timing.connect, way=run.way
        ) as connection:
            connection.start_tls(self._context(), self.name)
            self._prove(connection.certificate)
            page = https.ask(
                connection,
                self.name,
                path,
                _MOST,
                posts=urlencode(form).encode("ascii") if form is not None else None,
                posted="application/x-www-form-urlencoded",
                more=more if self._cookies or token else {},
                shown=f"{'POST' if form is not None else 'GET'} {self.name} {path.partition('?')[0]}",
            )
        for name, value in page.fields:
            if name == "set-cookie":
                key, __, content = value.partition(";")[0].partition("=")
                self._cookies[key.strip()] = content.strip()
        return page


def _visit(context: DomainContext) -> _Visit | Finding:
    host = _host(context)
    assert host is not None
    addresses = context.run.addresses.get(host.name, ())
    if not addresses:
        return context.skip(_("{host} was not looked at").format(host=host.name))
    name = web.webmail(context.domain)
    return elsewhere(context, host, name) or _Visit(context, host, addresses[0], name)


def _apply(host: Host) -> str:
    return _("run {command}").format(command=f"mailprov apply --host {host.name}")


def _not_there(context: DomainContext, visit: _Visit, page: https.Page) -> Finding | None:
    """A finding where this is no login."""
    if page.status in (502, 504):
        return context.failed(
            _(
                "the web server of {host} answers, and Roundcube's PHP does not ({status}); mail goes on"
            ).format(host=visit.host.name, status=page.status),
            _see(_STATUS),
        )
    if page.status != 200 or not page.body or not _TOKEN.search(page.body):
        return context.failed(
            _("{url}: {status} {reason}, and not Roundcube's login page; mail goes on").format(
                url=visit.url, status=page.status, reason=page.reason
            ),
            _see(_WHOLE_LOG),
        )
    return None


def _token(page: https.Page) -> str:
    found = _TOKEN.search(page.body or b"")
    return found[1].decode("ascii") if found else ""


def _log_in(context: DomainContext, visit: _Visit) -> Finding:
    account = usable(context.domain)
    if account is None or account.password is None:
        return context.skip(lacking(context.domain))
    first = visit.ask("/")
    if wrong := _not_there(context, visit, first):
        return wrong
    if visit.proof is _Proof.NOTHING:
        raise UntrustedCertificate(
            _("the password was not sent, the certificate is not trusted: {reason}").format(
                reason=visit.untrusted or _("it is another one than on the host's other ports")
            )
        )
    password = account.password.reveal()
    context.transcript.hide(password)
    form = {"_task": "login", "_action": "login", "_timezone": "_default_", "_url": ""}
    form |= {"_token": _token(first), "_user": account.login_name, "_pass": password}
    answer = visit.ask("/?_task=login", form)
    if answer.status != 302:
        return _refused(context, visit, account.login_name, answer)
    page = visit.ask("/?_task=mail")
    token = _REQUEST_TOKEN.search(page.body or b"")
    if page.status != 200 or token is None:
        text = _("{url} took the login of {account}, and then has no mail page ({status}); mail goes on")
        return context.failed(
            text.format(url=visit.url, account=account.address, status=page.status), _see(_LOG)
        )
    told = token[1].decode("ascii")
    listed = visit.ask("/?_task=mail&_action=list&_mbox=INBOX&_remote=1", token=told)
    visit.ask(f"/?_task=logout&_token={told}")
    if listed.status != 200 or not _INBOX.search(listed.body or b""):
        text = _("{account} is logged in at {url}, and the inbox is not listed ({status}); mail goes on")
        return context.failed(
            text.format(url=visit.url, account=account.address, status=listed.status), _see(_LOG)
        )
    return context.passed(
        _("{account} logged in at {url} and saw the inbox").format(account=account.address, url=visit.url)
    )


def _see(*commands: str) -> str:
    return _("see on the host: {commands}").format(commands=all_of(commands))


def _refused(context: DomainContext, visit: _Visit, login: str, answer: https.Page) -> Finding:
    """Roundcube keeps a session in its database before anybody has logged in, and its token with it."""
    begun = visit.another()
    first, again = _token(begun.ask("/")), _token(begun.ask("/"))
    if first and first != again:
        return context.failed(
            _(
                "Roundcube on {host} cannot write: its database is locked, or its disk is full; mail goes on"
            ).format(host=visit.host.name),
            _see(_LOG, _ROOM),
        )
    if answer.status == 401:
        return context.failed(
            _("{url} refuses the login of {account}").format(url=visit.url, account=login),
            _see(_LOG, f"doveadm auth test {login}"),
        )
    text = _("{url} answers the login of {account} with {status} {reason}; mail goes on")
    return context.failed(
        text.format(url=visit.url, account=login, status=answer.status, reason=answer.reason), _see(_LOG)
    )
