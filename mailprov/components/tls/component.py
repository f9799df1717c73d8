"""The component of certificates: every host shows one."""

from __future__ import annotations

from mailprov.components.base import Build, Component, Parts
from mailprov.components.tls import settings
from mailprov.i18n import N_
from mailprov.model.host_state import Directory
from mailprov.model.inventory import Host, Inventory


class _Tls(Component):
    name = "tls"
    about = N_("the certificate that a host shows, and its key")
    settings = (settings.SETTING,)
    everywhere = True

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return ("openssl",)  # makes certificates, and hashes passwords

    def parts(self, build: Build) -> Parts:
        from mailprov.components.tls import material

        made = build.made(material.of)
        return Parts(
            packages=self.packages(build.inventory, build.host),
            directories=(Directory("/etc/mailprov"), Directory(material.FOLDER)),
            certificates=made.certificates,
            issued=made.issued,
            files=made.files,
        )


COMPONENT = _Tls()
