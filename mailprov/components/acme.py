"""ACME: certbot gets certificates from an authority, and its own timer renews them.

Pure, but for reading `tls.ca_file`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mailprov.components.base import Build, Component, Parts
from mailprov.i18n import N_, _
from mailprov.model.dns import DnsSettings
from mailprov.model.host_state import Service
from mailprov.model.inventory import Challenge, Host, Inventory, TlsMode
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath


class _Acme(Component):
    name = "acme"
    about = N_("certificates from an authority (RFC 8555), renewed by certbot")
    credentials = ("dns",)  # with dns-01, since the host must renew by itself

    def wanted(self, host: Host) -> bool:
        return host.tls.mode is TlsMode.ACME

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        """certbot as the distribution has it; its plugin for the DNS provider where that is used."""
        from mailprov.components.tls import certbot

        plugin = certbot.plugin(host, inventory.dns)
        return ("certbot", plugin.package) if plugin else ("certbot",)

    def parts(self, build: Build) -> Parts:
        from mailprov.components.tls import certbot, material
        from mailprov.components.web import place

        return Parts(
            packages=self.packages(build.inventory, build.host),
            files=certbot.files(
                build.host, build.inventory.dns, build.made(material.of).issued, web=place.serves(build)
            ),
            # The package enables it, and the guard against half-configured daemons keeps it from starting. It is not
            # retired: other certificates may need it.
            services=(Service(unit="certbot.timer"),),
        )

    def ports(self, build: Build) -> tuple[int, ...]:
        """Where the authority looks (RFC 8555 section 8.3)."""
        return (80,) if build.host.tls.acme.challenge is Challenge.HTTP else ()

    def check(self, file: Any, hosts: Sequence[Host], dns: DnsSettings, context: Context) -> None:
        """dns-01 goes by the key with which we write the zone, where certbot has a plugin for that provider."""
        from mailprov.dns import providers

        for host in hosts:
            if host.tls.mode is not TlsMode.ACME or host.tls.acme.challenge is not Challenge.DNS:
                continue
            path: KeyPath = (
                ("hosts", host.name, "tls") if "tls" in context.marks(("hosts", host.name)) else ("tls",)
            )
            own = dns.at(host.fqdn)
            if own.provider.dns_01 is None:
                need = _("challenge dns-01 needs {needed}; add them, or use http-01").format(
                    needed=providers.for_dns_01()
                )
                if own.provider.publishes and not providers.of(own).dns_01:
                    need = _(
                        "challenge dns-01 is not there for provider {provider}: each host would need the credential, "
                        "with which it could change your zones; use http-01, or `mode: files`"
                    ).format(provider=own.provider.name)
                if dns.zones:
                    need = f"{host.fqdn}: {need}"
                context.problem(path, own.provider.why_no_dns_01 or need, key=True)
                continue
            for name in _mail_names(file, host.name):
                if dns.at(name).provider != own.provider:
                    need = _(
                        "challenge dns-01: {name} would be in a certificate of host {host}, whose own zone is at "
                        "another provider, and a host gets the key of that one alone; use http-01, or leave "
                        "`mail_name` out"
                    )
                    context.problem(path, need.format(name=name, host=host.name), key=True)


def _mail_names(file: Any, host: str) -> list[str]:
    """The names of domains that lead to this host, as far as they are names."""
    found: dict[str, None] = {}
    for domain in file.domains.values():
        if domain.mail_name and (domain.hosts or [])[:1] == [host]:
            with suppress(names.BadName):
                found[names.fqdn(domain.mail_name)] = None
    return list(found)


COMPONENT = _Acme()
