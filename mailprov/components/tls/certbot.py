"""Certificates by ACME: what certbot is told, and what it needs on the host besides.

    issued(host, name, key_type, dns, web=…) -> Issued
    issued_for_web(host, domain, names, dns) -> (Issued, …)
    files(host, dns, issued, web=…) -> tuple[File, ...]
    roots(host) -> str                 what `tls.ca_file` has
    webroot(host, web) -> str
    plugin(host, dns) -> Dns01 | None

Pure, but for reading `tls.ca_file`. Raises InputError for a file that cannot be read.
With dns-01 the host gets the key by which the zone is written, since it must renew by itself: in a file for root alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailprov.components.templates import render
from mailprov.components.web.place import WEBROOT
from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.dns import Dns01, DnsSettings
from mailprov.model.host_state import File, Issued
from mailprov.model.inventory import Challenge, Host, KeyType
from mailprov.model.ports import TlsStart

HOOK = "/etc/letsencrypt/renewal-hooks/deploy/mailprov"
MOST_NAMES = 100  # that an authority takes in one certificate (Let's Encrypt does)
# The key stays at each renewal, for there may be TLSA records of it; `mailprov tls rotate` changes it. On the host,
# agent/resources/acme.py knows this option, too.
REUSE = "--reuse-key"
_FOLDER = "/etc/mailprov/tls"
_CREDENTIALS = f"{_FOLDER}/dns-01.ini"
_ROOTS = f"{_FOLDER}/acme-roots.pem"
_DROP_IN = "/etc/systemd/system/certbot.service.d/mailprov.conf"


def plugin(host: Host, dns: DnsSettings) -> Dns01 | None:
    """The inventory has seen to it that there is one where the challenge needs it."""
    return dns.at(host.fqdn).provider.dns_01 if host.tls.acme.challenge is Challenge.DNS else None


def webroot(host: Host, web: bool) -> str:
    """Where certbot puts its answers to an authority that asks on port 80, for the web server to give out; "" where it
    answers on the port itself, or in DNS.
    """
    return WEBROOT if web and host.tls.acme.challenge is Challenge.HTTP else ""


def path(name: str, key_type: str) -> str:
    """What the daemons read: key and chain."""
    return f"{_FOLDER}/{_own(name, key_type)}.acme.pem"


def _own(name: str, key_type: str) -> str:
    """certbot keeps each kind of key under its own name."""
    return name if key_type == "ecdsa" else f"{name}-{key_type}"


def issued(
    host: Host, name: str, key_type: str, dns: DnsSettings, rotate: str = "", *, web: bool = False
) -> Issued:
    """The certificate of one name and one kind of key. `web`: the host has a web server."""
    own = _own(name, key_type)
    implicit = (port.number for port in host.ports if port.tls is TlsStart.IMPLICIT)
    return Issued(
        name=own,
        names=(name,),
        path=path(name, key_type),
        server=host.tls.acme.directory,
        authenticator=_authenticator(host, dns, web),
        arguments=tuple(_arguments(host, own, key_type, dns, web, "-d", name)),
        hook=HOOK,
        ports=(*implicit, *((443,) if web else ())),
        key_type=key_type,
        roots=_ROOTS if host.tls.ca_file else "",
        rotate=rotate,
        webroot=webroot(host, web),
    )


def issued_for_web(host: Host, domain: str, names: Sequence[str], dns: DnsSettings) -> tuple[Issued, ...]:
    """What the web server shows for the names of a domain: one certificate for each MOST_NAMES of them.

    The agent adds the names to certbot's arguments: those that lead to the host.
    """
    kind = "rsa" if host.tls.key_type is KeyType.RSA else "ecdsa"
    made = []
    for start in range(0, len(names), MOST_NAMES):
        own = f"{domain}-web{start // MOST_NAMES or ''}"  # the name of no host
        # Not with a key that stays: when certbot leaves a refused name out it begins anew, and removes the key file
        # that it would have used, the old one. No TLSA record names a key of port 443.
        arguments = (one for one in _arguments(host, own, kind, dns, web=True) if one != REUSE)
        more = ("--allow-subset-of-names", "--renew-with-new-domains")
        made.append(
            Issued(
                name=own,
                names=tuple(names[start : start + MOST_NAMES]),
                path=f"{_FOLDER}/{own}.pem",
                server=host.tls.acme.directory,
                authenticator=_authenticator(host, dns, web=True),
                arguments=(*arguments, *more),
                hook=HOOK,
                ports=(443,),
                key_type=kind,
                roots=_ROOTS if host.tls.ca_file else "",
                webroot=webroot(host, web=True),
                may_lack=True,
                addresses=(*host.ipv4, *host.ipv6),
            )
        )
    return tuple(made)


def _authenticator(host: Host, dns: DnsSettings, web: bool) -> str:
    dns_01 = plugin(host, dns)
    return dns_01.authenticator if dns_01 else "webroot" if webroot(host, web) else "standalone"


def _arguments(host: Host, own: str, key_type: str, dns: DnsSettings, web: bool, *names: str) -> list[str]:
    settings = host.tls.acme
    dns_01 = plugin(host, dns)
    arguments = ["certonly", "--non-interactive", "--agree-tos", "--force-renewal", REUSE]
    arguments += ["--server", settings.directory, "--cert-name", own, *names]
    arguments += ["--email", settings.email] if settings.email else ["--register-unsafely-without-email"]
    arguments += ["--key-type", key_type]
    # RSA below 3072 bits is being phased out; P-256 is what every client knows.
    arguments += ["--rsa-key-size", "3072"] if key_type == "rsa" else ["--elliptic-curve", "secp256r1"]
    if dns_01:
        option = f"--{dns_01.authenticator}"
        arguments += [option, f"{option}-credentials", _CREDENTIALS]
        arguments += [f"{option}-propagation-seconds", str(settings.propagation)]
    elif folder := webroot(host, web):
        arguments += ["--webroot", "--webroot-path", folder, "--preferred-challenges", "http"]
    else:
        arguments += ["--standalone", "--preferred-challenges", "http"]
    return arguments


def files(
    host: Host, dns: DnsSettings, certificates: tuple[Issued, ...], *, web: bool = False
) -> tuple[File, ...]:
    """The deploy hook; roots for certbot and its timer; the key for dns-01."""
    hook = render("acme/deploy.j2", certificates=certificates, web=web, webroot=webroot(host, web))
    made = [File(HOOK, hook, mode="0755")]
    if host.tls.ca_file:
        made.append(File(_ROOTS, roots(host)))
        made.append(File(_DROP_IN, render("acme/certbot.service.j2", roots=_ROOTS)))
    if dns_01 := plugin(host, dns):
        made.append(File(_CREDENTIALS, render(dns_01.template, **dns_01.values), mode="0600", secret=True))
    return tuple(made)


def roots(host: Host) -> str:
    assert host.tls.ca_file is not None
    try:
        return host.tls.ca_file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or _("it is not PEM")
        raise InputError(
            f"host {host.name}",
            _("cannot read {path}: {reason}").format(path=host.tls.ca_file, reason=reason),
            _("Check tls.ca_file"),
        ) from None
