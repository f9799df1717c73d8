"""nginx with files of mailprov's own, and nothing else: the host's web corner.

    COMPONENT     `place.SETTING.of(host)`: whether the inventory asks for it

Debian's unit runs it, with a drop-in that names our configuration: so its package's upgrades and the administrator's
`systemctl` work as ever, and what is in /etc/nginx is neither read nor changed. A host where somebody else's server has
ports 80 or 443 gets none of it, and its plan says so (place.why_not).
"""

from __future__ import annotations

from mailprov.components.base import Build, Component, Parts
from mailprov.components.templates import render
from mailprov.components.web import place
from mailprov.i18n import N_, _
from mailprov.model.host_state import Directory, File, Service
from mailprov.model.inventory import Host, Inventory

_UNIT = place.RELOAD
_CONFIGURATION = f"{place.FOLDER}/nginx.conf"
_DROP_IN = f"/etc/systemd/system/{_UNIT}.d/mailprov.conf"


class _Web(Component):
    name = "web"
    about = N_("what mail programs set themselves up by, on ports 80 and 443 (nginx)")
    settings = (place.SETTING,)

    def wanted(self, host: Host) -> bool:
        return place.SETTING.of(host)

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return (place.SMALLEST,)

    def consulted(self, host: Host) -> tuple[str, ...]:
        return tuple(name for name in place.FLAVOURS if name != place.SMALLEST)

    def parts(self, build: Build) -> Parts:
        if why_not := place.why_not(build.facts):
            return Parts(notices=(why_not,))
        files = _files(build)
        package = place.package(build)
        return Parts(
            packages=(package,),
            notices=_notices(build, package),
            directories=(Directory(place.FOLDER), Directory(place.WEBROOT)),
            files=files,
            services=(_service(build, files),),
        )

    def ports(self, build: Build) -> tuple[int, ...]:
        return place.PORTS if place.serves(build) else ()

    def retired(self) -> tuple[Service, ...]:
        return (Service(unit=_UNIT, ports=place.PORTS),)


COMPONENT = _Web()


def _files(build: Build) -> tuple[File, ...]:
    from mailprov.components.tls.material import TLS12_CIPHERS
    from mailprov.components.web import sites

    served = sites.sites(build)
    text = render(
        "web/nginx.conf.j2",
        sites=served,
        listeners=sites.listeners(build, served),
        pages=sites.PAGES,
        ipv6=build.ipv6,
        ciphers=TLS12_CIPHERS,
        folder=place.SITES,
        webroot=place.WEBROOT,
        challenges=place.CHALLENGES,
        others=_others(build),
    )
    drop_in = File(_DROP_IN, render("web/drop-in.conf.j2", configuration=_CONFIGURATION))
    return (File(_CONFIGURATION, text), drop_in, *(file for site in served for file in site.files))


def _notices(build: Build, package: str) -> tuple[str, ...]:
    known = build.facts["packages"]
    if package == place.SMALLEST or known.get(package, {}).get("installed"):
        return ()
    form = _("web: {package} instead of {smallest}, which cannot hold back here who tries many passwords")
    return (form.format(package=package, smallest=place.SMALLEST),)


def _others(build: Build) -> tuple[str, ...]:
    return tuple(path for each in build.components for path in each.served(build))


def _service(build: Build, files: tuple[File, ...]) -> Service:
    """It reads pages anew for each request; certificates only when it is told to."""
    from mailprov.components.tls import material

    return Service(
        unit=_UNIT,
        files=(_CONFIGURATION, _DROP_IN, *_others(build), *build.made(material.of).watched),
        restart_on=(_DROP_IN,),
        checks=(("nginx", "-t", "-q", "-c", _CONFIGURATION),),
        ports=place.PORTS,
    )
