"""Roundcube behind nginx, for the domains with `webmail: roundcube` whose first host this is.

    COMPONENT

The distribution's Roundcube, with a configuration folder of our own, so that what its package writes below
/etc/roundcube is neither read nor changed. Its PHP is a service of its own and not a pool in the distribution's: that
one runs as root, may be shared with what somebody else has, and cannot be shut in without shutting them in as well; and
when the webmail goes, nothing is left that would have to be told apart. It runs as its user from the start, so what
PHP could be made to do it does without any rights but to its own folders.

Roundcube speaks to the host by the loopback address: to Dovecot its logins are then local ones, no matter how the
host's name resolves there, and the unit can be kept from all other addresses. The certificate must be that of the
host's name all the same.

Pure, but for reading `tls.ca_file`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailprov.components import passwords
from mailprov.components.base import Build, Component, Parts
from mailprov.components.templates import render
from mailprov.components.versions import parse
from mailprov.components.webmail import place, refusals
from mailprov.i18n import N_, _
from mailprov.model import web as names
from mailprov.model.dns import DnsSettings
from mailprov.model.host_state import File, Service, User
from mailprov.model.inventory import Host, Inventory, TlsMode
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show

# `managesieve` besides, where the host has that service; `mailprov` is ours.
PLUGINS = ("archive", "zipdownload", "password", "mailprov")
_PHP = "php-fpm"
_ROUNDCUBE = "roundcube-core"
_PACKAGES = (_PHP, "php-zip", _ROUNDCUBE, "roundcube-plugins", "roundcube-sqlite3")
# The package asks where its database is, and would set up another web server.
_DEBCONF = (
    ("roundcube-core", "roundcube/dbconfig-install", "boolean", "false"),
    ("roundcube-core", "roundcube/reconfigure-webserver", "multiselect", ""),
)
# As another user, on another database; and what an upgrade of the system may bring, since PHP's packages name Apache
# first of all that they may depend on.
_UNWANTED = (
    "roundcube-cleandb.timer",
    "roundcube-gc.timer",
    "apache2.service",
    "apache-htcacheclean.service",
)
_PLUGIN = f"{place.PLUGINS}/mailprov"
_UNITS = "/etc/systemd/system"
_PROCESSES = 10
_MIB = 2**20
_WAITING = 60  # logins from one address that wait for their turn: a classroom's


class _Webmail(Component):
    name = "webmail"
    about = N_("webmail at https://webmail.DOMAIN/ (Roundcube)")

    def wanted(self, host: Host) -> bool:
        return bool(names.webmail_on(host))

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return _PACKAGES

    def parts(self, build: Build) -> Parts:
        if not place.serves(build):  # which the web corner tells
            return Parts()
        ours = _files(build)
        return Parts(
            packages=_PACKAGES,
            debconf=_DEBCONF,
            unwanted=(*_services_of_php(build.facts), *_UNWANTED),
            users=(User(place.USER, place.STATE, comment="webmail"),),
            files=ours,
            services=_services(ours),
        )

    def served(self, build: Build) -> tuple[str, ...]:
        return (f"{place.FOLDER}/nginx.conf",) if place.serves(build) else ()

    def counts_requests(self, build: Build) -> bool:
        return True

    def retired(self) -> tuple[Service, ...]:
        return Service(unit=place.UNIT, ports=(place.SOCKET,)), Service(unit=f"{place.CLEAN}.timer")

    def check(self, file: Any, hosts: Sequence[Host], dns: DnsSettings, context: Context) -> None:
        by_name = {host.name: host for host in hosts}
        for name, entry in file.domains.items():
            if not entry.webmail or not entry.hosts or entry.hosts[0] not in by_name:
                continue
            path: KeyPath = ("domains", name, "webmail")
            _check(by_name[entry.hosts[0]], path, context)
            label = f"{names.WEBMAIL}.{name}"
            if owner := _owner(label, file, hosts):
                what = _(
                    "`webmail` needs the name {name} for itself, and it is that of {owner}; leave one of them out"
                )
                context.problem(path, what.format(name=show(label), owner=owner), key=True)


COMPONENT = _Webmail()


def _owner(name: str, file: Any, hosts: Sequence[Host]) -> str:
    """Who in the file has this name already; empty: nobody."""
    for host in hosts:
        if host.fqdn == name:
            return _("host {host}").format(host=show(host.name))
    for domain, entry in file.domains.items():
        if name in (domain, entry.mail_name, *entry.domain_aliases):
            return _("domain {domain}").format(domain=show(domain))
    return ""


def _check(host: Host, path: KeyPath, context: Context) -> None:
    shown = show(host.name)
    if not host.managed:
        what = _("`webmail` is set up by mailprov, and {host} has `managed: false`; leave it out")
        context.problem(path, what.format(host=shown), key=True)
    elif not names.has(host):
        what = _(
            "`webmail` needs a web server on {host}, the domain's first host; write `web: true` there, or leave it out"
        )
        context.problem(path, what.format(host=shown), key=True)
    ways = place.doors(host)
    if ways.imap is None or ways.smtp is None:
        what = _(
            "`webmail` reads mail by IMAP and sends by submission; add {services} to the `services` of {host}, or "
            "leave it out"
        )
        missing = [*([] if ways.imap else ["imaps"]), *([] if ways.smtp else ["submissions"])]
        context.problem(path, what.format(services=", ".join(missing), host=shown), key=True)


def _services_of_php(facts: dict[str, Any]) -> tuple[str, ...]:
    """What its package brings: php8.2-fpm.service, by the version of php-fpm."""
    line = _line(facts, _PHP)
    return (f"php{line}-fpm.service",) if line else ()


def _line(facts: dict[str, Any], package: str) -> str:
    """Such as 8.2; empty where the package is not known."""
    found = facts["packages"].get(package, {})
    version = found.get("installed") or found.get("candidate")
    return parse(version).line if version else ""


def _files(build: Build) -> tuple[File, ...]:
    host, state = build.host, place.STATE
    ways = place.doors(host)
    limit = host.message_size_limit
    plugins = (*PLUGINS, *(("managesieve",) if ways.sieve else ()))
    sizes = {
        "message_size": limit,
        # base64 in lines of 76 signs, and headers (RFC 2045 section 6.8).
        "attachment_size": int(limit / 1.38),
        "request_size": limit + _MIB,
    }
    # A message is put together in memory, more than once.
    memory = 96 + 3 * limit // _MIB
    folder = place.FOLDER
    every = (account for domain in build.domains for account in domain.accounts)
    owners = [account.address.lower() for account in every if account.owner == "user"]
    units = {
        "unit": place.USER,
        "group": passwords.GROUP if owners else "",
        "user": place.USER,
        "folder": folder,
        "memory": max(512, 256 + 2 * memory),
    }
    authorities, more = _authorities(build)
    readable = ("/usr/share/roundcube", "/usr/share/php", "/usr/share/javascript", "/usr/share/nodejs")
    php = render(
        "webmail/php-fpm.conf.j2",
        **sizes,
        memory=memory,
        unit=place.USER,
        socket=place.SOCKET,
        folder=folder,
        state=state,
        processes=_PROCESSES,
        readable=(*readable, "/usr/share/misc", "/var/lib/roundcube", "/etc/roundcube", folder, state),
    )
    config = render(
        "webmail/config.inc.php.j2",
        database=place.DATABASE,
        key=place.KEY,
        state=state,
        log=place.LOG,
        fqdn=host.fqdn,
        authorities=authorities,
        imap=ways.imap,
        smtp=ways.smtp,
        sieve=ways.sieve,
        names=_names(build),
        message_size=limit,
        plugins=plugins,
        passwords=passwords.SOCKET,
        shortest=passwords.SETTING.of(host).min_length,
        owners=owners,
    )
    driver = render("webmail/passwords.php.j2", socket=passwords.SOCKET, refusals=refusals.SPANISH)
    setup = render(
        "webmail/setup.j2",
        state=state,
        key=place.KEY,
        database=place.DATABASE,
        php=_line(build.facts, _PHP),
        roundcube=_line(build.facts, _ROUNDCUBE),
    )
    return (
        *more,
        File(f"{folder}/config.inc.php", config),
        *(
            File(f"{folder}/{name}", render("webmail/of-debian.php.j2", file=name))
            for name in ("defaults.inc.php", "mimetypes.php")
        ),
        File(f"{_PLUGIN}/mailprov.php", render("webmail/plugin.php.j2")),
        File(f"{_PLUGIN}/passwords.php", driver),
        File(f"{folder}/php-fpm.conf", php),
        File(f"{folder}/nginx.conf", _nginx(build, sizes["request_size"])),
        File(f"{folder}/setup", setup, mode="0755"),
        File(f"{_UNITS}/{place.UNIT}", render("webmail/webmail.service.j2", **units)),
        File(f"{_UNITS}/{place.CLEAN}.service", render("webmail/clean.service.j2", **units)),
        File(f"{_UNITS}/{place.CLEAN}.timer", render("webmail/clean.timer.j2")),
    )


def _names(build: Build) -> tuple[str, ...]:
    """Of the domains whose webmail is here."""
    here = (each for each in build.domains if names.host_of(build.inventory, each) is build.host)
    return tuple(name for domain in here if (name := names.webmail(domain)))


def _nginx(build: Build, request_size: int) -> str:
    from mailprov.components.web import sites

    host = build.host
    issued = host.tls.mode is TlsMode.ACME and host.tls.ca_file is None
    return render(
        "webmail/nginx.conf.j2",
        listeners=sites.by_certificate(build, _names(build)),
        ipv6=build.ipv6,
        public=place.PUBLIC,
        socket=place.SOCKET,
        request_size=request_size,
        waiting=_WAITING,
        # Who has once seen it may not go on where a certificate is wrong: for those of public authorities alone.
        hsts=issued,
    )


def _authorities(build: Build) -> tuple[str, tuple[File, ...]]:
    """The file by which the certificate of this host is proved to Roundcube, and what of it is ours."""
    from mailprov.components.tls import certbot, material

    host = build.host
    if host.tls.mode is TlsMode.SELF_SIGNED:
        return build.made(material.of).pairs[0].certificate, ()
    if host.tls.ca_file is None:
        return "/etc/ssl/certs/ca-certificates.crt", ()
    path = f"{place.FOLDER}/authorities.pem"
    return path, (File(path, certbot.roots(host)),)


def _services(ours: tuple[File, ...]) -> tuple[Service, ...]:
    paths = [file.path for file in ours]
    clean = tuple(path for path in paths if f"/{place.CLEAN}." in path)
    # Roundcube reads its configuration with each request; what PHP and the unit have, when they start.
    once = (f"{place.FOLDER}/php-fpm.conf", f"{place.FOLDER}/setup", f"{_UNITS}/{place.UNIT}")
    timer = f"{place.CLEAN}.timer"
    return (
        Service(unit=place.UNIT, files=once, restart_on=once, ports=(place.SOCKET,)),
        Service(unit=timer, files=clean, restart_on=clean),
    )
