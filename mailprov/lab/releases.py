"""The releases a lab host can have, and what its root is made of.

    RELEASES      by name: debian-12, ubuntu-24.04, …
    DEFAULT       the release of hosts that do not say
    DNS_ROOT      the root of the lab's own DNS host
    Release       suite, packages, apt options; `stamp` changes whenever the recipe does
    release       the Release of a name; InputError names the known ones
    with_packages a Release with more packages
    login         the user whom hosts of a release let in
    comes_early   whether hosts of a release count as up while their first boot goes on, as those of a cloud do

Package names only; mirrors are mmdebstrap's own defaults.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable

from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.lab import ubuntu
from mailprov.model.values import dataclass

DEFAULT = "debian-12"

# What a cloud image has that its users count on: init, SSH, Python, sudo, network tools, /etc/services
# (netbase), an editor and a pager. No mail package: the host has to be pristine.
_BASE = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "sudo",
    "iproute2",
    "iputils-ping",
    "ca-certificates",
    "netbase",
    "procps",
    "adduser",
    "apt-utils",
    "tzdata",
    "cron",
    "logrotate",
    "less",
    "vim-tiny",
)
# Timers that would start apt or sweep files while somebody measures or counts changes.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "apt-daily.service",
    "apt-daily-upgrade.service",
    "motd-news.timer",
    "fstrim.timer",
    "e2scrub_all.timer",
    "dpkg-db-backup.timer",
    "systemd-tmpfiles-clean.timer",
    "man-db.timer",
    "unattended-upgrades.service",
    # There is no such hardware and no console to log in on in a container.
    "systemd-udevd.service",
    "console-getty.service",
)
_REVISION = 3  # count up when `roots` treats the same recipe in another way


@dataclass(frozen=True)
class Release:
    name: str
    suite: str
    packages: tuple[str, ...] = _BASE
    apt_options: tuple[str, ...] = ()
    masked: tuple[str, ...] = MASKED
    built_on: str = ""  # the name of the release whose root is copied first
    setup: str = ""  # a Python program that runs in the root when its packages are there
    login: str = "root"
    cloud: bool = False  # hosts set themselves up with cloud-init
    components: tuple[str, ...] = ()  # of the archive; mmdebstrap's own default is main alone
    bracket: str = (
        ""  # the Debian releases whose Postfix and Dovecot come closest, where this one cannot be had
    )

    @property
    def stamp(self) -> str:
        fields = dataclasses.asdict(self)
        for name in (
            "setup",
            "login",
            "cloud",
            "components",
        ):  # came later: what says nothing makes no other root
            if fields[name] == getattr(Release, name):
                del fields[name]
        recipe = json.dumps([fields, _REVISION], sort_keys=True)
        return hashlib.sha256(recipe.encode()).hexdigest()[:12]


_NO_EXPIRY = (
    'Acquire::Check-Valid-Until "false"',
)  # a mirror of testing may lag by more than the week it is valid
# An archive of security updates is not kept whole after a release's support: its index names files that are gone.
# The last point release in the main archive is whole, and apt prefers what is of this codename (apt.conf(5)).
_POINT_RELEASE = ('APT::Default-Release "bullseye"',)

# Rspamd, OpenDKIM, certbot and fail2ban are in universe, which a server image of Ubuntu has.
_UBUNTU = ("main", "universe")

RELEASES = {
    release.name: release
    for release in (
        Release("debian-11", "bullseye", apt_options=_POINT_RELEASE),
        Release("debian-12", "bookworm"),
        Release("debian-13", "trixie"),
        Release("debian-testing", "testing", apt_options=_NO_EXPIRY),
        Release(
            "ubuntu-like",
            "testing",
            packages=ubuntu.PACKAGES,
            built_on="debian-testing",
            setup=ubuntu.SETUP,
            login=ubuntu.USER,
            cloud=True,
        ),
        Release("ubuntu-22.04", "jammy", components=_UBUNTU, bracket="debian-11 or debian-12"),
        Release("ubuntu-24.04", "noble", components=_UBUNTU, bracket="debian-12 or debian-13"),
        Release("ubuntu-26.04", "resolute", components=_UBUNTU, bracket="debian-13 or debian-testing"),
    )
}
_NGINX = "nginx-light"
_NGINX_OFF = "__import__('os').remove('/etc/systemd/system/multi-user.target.wants/nginx.service')"
DNS_ROOT = Release(
    "dns", "bookworm", packages=("bind9", "bind9-utils", _NGINX, "pebble"), built_on="debian-12"
)


def login(name: str) -> str:
    return RELEASES[name].login if name in RELEASES else "root"


def comes_early(name: str) -> bool:
    return name in RELEASES and RELEASES[name].cloud


def with_packages(base: Release, packages: Iterable[str]) -> Release:
    """`base` with more packages, as their maintainers configure them; but a web server that nobody has set up would be
    taken for somebody's.
    """
    made = Release("", base.suite, packages=tuple(sorted(packages)), built_on=base.name)
    if _NGINX in made.packages:
        made = dataclasses.replace(made, setup=_NGINX_OFF)
    return dataclasses.replace(made, name=f"{base.name}-with-{made.stamp[:6]}")


def release(name: str) -> Release:
    """The release `name`. Raises InputError that lists the known ones."""
    try:
        return RELEASES[name]
    except KeyError:
        raise InputError(
            "lab release",
            _("{name!r} is not known").format(name=name),
            _("Use one of {releases}").format(releases=", ".join(RELEASES)),
        ) from None
