"""Where everything of a lab lives, and what its pieces are called on this machine.

    LabPaths    the paths and names of one lab; all derive from its name and the state directory, so that
                what a lab left behind is found even when its state file is gone
    paths       the LabPaths of a lab name
    state_root, cache_root, RUN_ROOT    STATE and CACHE: where those are when nobody says
    TAG_PREFIX  begins the name of each bridge, machine and cgroup of any lab

Raises InputError for a name that cannot be one.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.values import dataclass

RUN_ROOT = Path("/run/mailprov-lab")
STATE, CACHE = Path("/var/lib/mailprov-lab"), Path("/var/cache/mailprov-lab")
TAG_PREFIX = "mpl"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def state_root() -> Path:
    """The directory with one directory per lab (MAILPROV_LAB_STATE, default /var/lib/mailprov-lab)."""
    return Path(os.environ.get("MAILPROV_LAB_STATE") or STATE).resolve()


def cache_root() -> Path:
    """Roots and packages, shared by all labs (MAILPROV_LAB_CACHE, default /var/cache/mailprov-lab)."""
    return Path(os.environ.get("MAILPROV_LAB_CACHE") or CACHE).resolve()


@dataclass(frozen=True)
class LabPaths:
    """One lab's names. `tag` is short, for the name of a network link has at most 15 characters."""

    name: str
    directory: Path

    @property
    def tag(self) -> str:
        return TAG_PREFIX + hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:7]

    @property
    def bridge(self) -> str:
        return self.tag + "b"

    @property
    def table(self) -> str:
        """The nftables table, family inet."""
        return f"mailprov_lab_{self.tag}"

    @property
    def cgroup(self) -> str:
        """The directory in each cgroup hierarchy under which all processes of the lab run."""
        return f"mailprov-lab-{self.tag}"

    @property
    def run(self) -> Path:
        return RUN_ROOT / self.tag

    def machine(self, index: int) -> str:
        """The name systemd-nspawn knows a host by; index is the last number of its address (2 to 254)."""
        return f"{self.tag[3:]}-{index}"

    def link(self, index: int) -> str:
        """The host's end of its network link; systemd-nspawn makes it from the machine name
        (systemd-nspawn(1), -n).
        """
        return f"vb-{self.machine(index)}"

    @property
    def link_prefix(self) -> str:
        return f"vb-{self.tag[3:]}-"

    def host(self, name: str) -> Path:
        return self.directory / "hosts" / name

    @property
    def inventory(self) -> Path:
        return self.directory / "inventory.yml"

    @property
    def identity(self) -> Path:
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def acme_ca(self) -> Path:
        """Whom to trust where certificates come from the lab's ACME server."""
        return self.directory / "acme-ca.pem"

    def certificate(self, host: str) -> Path:
        return self.directory / "tls" / f"{host}.pem"

    def key(self, host: str) -> Path:
        return self.directory / "tls" / f"{host}.key"

    def secret(self, name: str) -> Path:
        """The file of one secret. A local part may hold a slash (RFC 5322 atext), a file name may not."""
        return self.directory / "secrets" / name.replace("%", "%25").replace("/", "%2F")


def paths(name: str) -> LabPaths:
    """The LabPaths of the lab `name`. Raises InputError when the name has other than letters, digits, dot,
    dash, underscore.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"lab {name!r}",
            _("a lab's name has letters, digits, dots, dashes and underscores only"),
            _("Give one with --name"),
        )
    for directory in (state_root(), cache_root()):
        if set(str(directory)) & set(':,"\\\n'):  # mount(8) takes them for the end of an overlay's option
            raise InputError(
                str(directory),
                _("a lab cannot be kept in a directory with a colon, comma, quote or backslash in its name"),
            )
    return LabPaths(name, state_root() / name)
