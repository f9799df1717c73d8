"""The component Postfix."""

from __future__ import annotations

from mailprov.components.base import Build, Component, Parts
from mailprov.components.postfix import settings
from mailprov.i18n import N_
from mailprov.model.inventory import Host, Inventory


class _Postfix(Component):
    name = "postfix"
    about = N_("takes mail, sends it, and hands what is for accounts to Dovecot")
    settings = (settings.SETTING,)
    everywhere = True

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return "ca-certificates", "postfix"  # the first: what it trusts when it sends

    def parts(self, build: Build) -> Parts:
        from mailprov.components import relayhost
        from mailprov.components.postfix import files
        from mailprov.components.tls import material as tls

        ours = files.files(build)
        service = files.service(build.host, (*ours, *relayhost.files(build.host)), build.made(tls.of))
        return Parts(
            packages=self.packages(build.inventory, build.host),
            debconf=(*files.DEBCONF, ("postfix", "postfix/mailname", "string", build.host.fqdn)),
            directories=files.DIRECTORIES,
            files=ours,
            services=(service,),
        )


COMPONENT = _Postfix()
