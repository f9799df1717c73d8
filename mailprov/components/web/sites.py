"""Which names a host's web corner answers for, and with which files. Pure.

    PAGES                         the URLs: the same for every name that has the file
    sites(build) -> (Site, …)     of the host, of each name of its own that users' programs connect to, of its domains
                                  and domain aliases
    listeners(build, sites)       which certificates their names show; of webmail its own component has them
    by_certificate(build, names)  the same of any names of this host

No file names an account: everybody may fetch it.

Sources: draft-ietf-mailmaint-autoconfig section 4 (two URLs; Thunderbird asks port 80 before 443); MS-OXDSCLI section
3.1.5 (autodiscover is a POST, and programs differ in how they write the path); Apple, Device Management.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mailprov.client import pacc
from mailprov.client.autoconfig import autoconfig
from mailprov.client.autodiscover import autodiscover
from mailprov.client.mobileconfig import mobileconfig
from mailprov.client.settings import of_domain
from mailprov.components.base import Build
from mailprov.components.tls import material
from mailprov.components.web.place import SITES
from mailprov.model import mta_sts, web
from mailprov.model.host_state import File
from mailprov.model.inventory import Domain
from mailprov.model.pacc import PATH as PACC_PATH

AUTOCONFIG, AUTODISCOVER, MOBILECONFIG = "config-v1.1.xml", "autodiscover.xml", "mail.mobileconfig"
POLICY, PACC = "mta-sts.txt", "user-agent-configuration.json"


class Page(NamedTuple):
    """`location`: as nginx has it. `plain`: served on port 80 as well. `posts`: asked for by POST, at this URL."""

    location: str
    file: str
    plain: bool = False
    posts: str = ""


PAGES = (
    Page("= /mail/config-v1.1.xml", AUTOCONFIG, plain=True),
    Page("= /.well-known/autoconfig/mail/config-v1.1.xml", AUTOCONFIG, plain=True),
    Page(r"~* ^/autodiscover/autodiscover\.xml$", AUTODISCOVER, posts="/autodiscover/autodiscover.xml"),
    Page("= /mail.mobileconfig", MOBILECONFIG),
    Page(f"= {mta_sts.POLICY_PATH}", POLICY),
    Page(f"= {PACC_PATH}", PACC),
)


class Site(NamedTuple):
    """`name`: of its folder. `hosts`: the names that it answers for."""

    name: str
    hosts: tuple[str, ...]
    files: tuple[File, ...] = ()


class Listener(NamedTuple):
    """One server on port 443: the names that show these certificates; those of the first are shown to all others."""

    pairs: tuple[material.Pair, ...]
    hosts: tuple[str, ...]


def sites(build: Build) -> tuple[Site, ...]:
    made = build.made(material.of)
    found = {name: Site(name, (name,)) for name in (build.host.fqdn, *(name for name, _ in made.names))}
    for domain in build.domains:
        for site in _of(build, domain):
            before = found.get(site.name, Site(site.name, ()))
            hosts = tuple(dict.fromkeys((*before.hosts, *site.hosts)))
            files = {file.path: file for file in (*before.files, *site.files)}
            found[site.name] = Site(site.name, hosts, tuple(files.values()))
    return tuple(found.values())


def listeners(build: Build, served: tuple[Site, ...]) -> tuple[Listener, ...]:
    elsewhere = {web.webmail(domain) for domain in build.domains}
    names = [name for site in served for name in site.hosts if name not in elsewhere]
    first = build.made(material.of).pairs
    found = by_certificate(build, names)
    rest = tuple(each for each in found if each.pairs != first)
    return (next((each for each in found if each.pairs == first), Listener(first, ())), *rest)


def by_certificate(build: Build, names: Sequence[str]) -> tuple[Listener, ...]:
    made = build.made(material.of)
    own = dict(made.names) | {name: pairs for names, pairs in made.web for name in names}
    together: dict[tuple[material.Pair, ...], list[str]] = {}
    for name in names:
        together.setdefault(own.get(name, made.pairs), []).append(name)
    return tuple(Listener(pairs, tuple(names)) for pairs, names in together.items())


def _of(build: Build, domain: Domain) -> Iterator[Site]:
    policy = web.policy(build.inventory, domain)
    webmail = web.webmail(domain)
    if webmail:
        yield Site(webmail, (webmail,))  # of it nothing is here but what port 80 has of every name
    for name in domain.names:
        settings = of_domain(build.inventory, domain, name)
        files = {AUTOCONFIG: autoconfig(settings), AUTODISCOVER: autodiscover(settings)}
        if (
            settings.whole
        ):  # one profile for all names: who opens it is asked for the address of the account itself
            files[MOBILECONFIG] = mobileconfig(of_domain(build.inventory, domain))
        if policy:
            files[POLICY] = policy.text()
        if name == domain.name and (file := pacc.wanted(build.inventory, domain)):
            files[PACC] = domain.pacc.file if domain.pacc else file
        below = (one for one in web.names_below(build.inventory, domain, name) if one != webmail)
        yield Site(name, (*below, name), tuple(_file(name, *each) for each in files.items()))
    # Where SRV records send Outlook: to a name for which there is a certificate. Nothing in the answer is a domain's
    # own, so one answers for all domains that have this name.
    target, answer = domain.mail_name or build.host.fqdn, autodiscover(of_domain(build.inventory, domain))
    yield Site(target, (target,), (_file(target, AUTODISCOVER, answer),))


def _file(site: str, name: str, content: str) -> File:
    return File(f"{SITES}/{site}/{name}", content)
