"""The component Dovecot."""

from __future__ import annotations

from mailprov.components.base import Build, Component, Parts
from mailprov.components.dovecot import settings
from mailprov.i18n import N_
from mailprov.model.inventory import Host, Inventory


class _Dovecot(Component):
    name = "dovecot"
    about = N_("keeps mail, lets users read and filter it, and checks every login")
    settings = (settings.SETTING,)
    everywhere = True

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return (
            "dovecot-core",
            "dovecot-imapd",
            "dovecot-lmtpd",
            "dovecot-managesieved",
            "dovecot-pop3d",
            "dovecot-sieve",
        )

    def parts(self, build: Build) -> Parts:
        from mailprov.components.dovecot import files, passwd
        from mailprov.components.tls import material as tls

        return Parts(
            packages=self.packages(build.inventory, build.host),
            users=(files.MAIL_USER,),
            directories=files.DIRECTORIES,
            files=files.files(build),
            account_files=(passwd.accounts(build.mail.entries, build.releases.dovecot),),
            services=(files.service(build.host, build.made(tls.of)),),
            filters=(files.FILTERS,),
        )


COMPONENT = _Dovecot()
