"""Which milter a host has: Rspamd, or OpenDKIM where nothing is filtered.

    FILTER     the key of the inventory that decides it
    Milter     what Postfix is told, and what belongs to the milter

Pure. Postfix asks a milter once for each message, when it comes in by SMTP or from a program of this host. Delivery to
Dovecot and forwards leave by other ways and are not asked about again.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from mailprov.components import dkim
from mailprov.components.parts import Parts
from mailprov.components.setting import Setting
from mailprov.i18n import N_
from mailprov.model.dkim import Key
from mailprov.model.host_state import Directory, File, Service, SigningKey
from mailprov.model.inventory import Filter
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath
from mailprov.schema.scalars import choice


def _resolve(entry: str, path: KeyPath, base: Filter, context: Context) -> Filter:
    return Filter(entry)


FILTER: Setting[Filter] = Setting(
    "filter",
    Annotated[str, choice("rspamd", "none")],
    N_("rspamd: checks what arrives, spam to Junk; none: only signs (small labs)"),
    _resolve,
    default=Filter.RSPAMD,
    if_missing=N_("rspamd if not given"),
    written="rspamd",
    field="filter",
    unmanaged=Filter.NONE,  # what mailprov would set up says nothing about a server of others
)


class Milter(NamedTuple):
    """`arrival`: it is asked about mail from outside, too, and not only about what is submitted."""

    package: str
    address: str  # as in Postfix's smtpd_milters
    arrival: bool
    keys: tuple[SigningKey, ...]
    files: tuple[File, ...]
    service: Service
    directory: Directory  # of its socket

    def parts(self, keys: tuple[Key, ...]) -> Parts:
        """What it is made of. `keys`: all that the host has, with their states."""
        return Parts(
            packages=(self.package,),
            directories=(self.directory,),
            keys=self.keys,
            files=(*self.files, dkim.state_file(keys)),
            services=(self.service,),
        )
