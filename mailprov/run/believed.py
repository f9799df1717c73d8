"""What is believed of what a host tells: only what is about that host itself. Pure, but for the clock.

Everything arrives through wire/shapes.py, so it has the form it should have. What each message is then good for:

    hello       its clock, for this host's own failure; version, pid and uid are not used
    facts       versions and addresses decide what is rendered for this host alone. `dkim`: see `keys`
      .peer     shown, if it is an address: a proposal for this host's own fail2ban
    plan        shown, and confirmed by the fingerprint that the host gave it; done on this host alone
      .keys     published: so only the names that the controller itself has just asked for, see `public`
    runs        history: shown. rollback: the id decides which run is undone on all hosts, so see `run`
      .images   written into zones: so only with the controller's seal, or as far as the zone itself bears it out:
                see dns/seal.py, `run` here, and dns/unsealed.py for what needs the zone
    keys        as `dkim` in facts: `keys`
    bans        shown; `verify` looks at fewer ports of this host because of it, and says so
    mailboxes   shown; nothing is deleted by it: a purge names the address, and the host looks for itself
    notice, progress, applied, end     shown; they count for this host alone
    beat, ready                        that it lives, and that its service runs: its own zones wait for that

A lie raises NotBelieved: that host's failure, exit code 1. Nothing is written because of it, and other hosts go on as
if it had not been asked. Where nothing is a lie but nothing proves it either (an image without a seal), that record set
is left as it is, and told.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mailprov.dns import seal
from mailprov.errors import NotBelieved
from mailprov.i18n import _
from mailprov.model import dkim
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Host, Inventory
from mailprov.model.records import PLAIN

CLOCK_LIMIT = 300.0  # seconds; TSIG's fudge (RFC 8945 section 10) and about what TLS and DKIM bear
# Whoever made a run, and we now: each within CLOCK_LIMIT of the host's clock.
AHEAD = 2 * CLOCK_LIMIT

MOST_KEYS = 50_000  # each domain that has left is looked for in DNS
# As run.ident.run_id makes them; where a run had none, the agent tells the name of its directory (agent/runs.py).
_RUN = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{6,12}")
_DOMAIN = re.compile(rf"(?=.*\.){PLAIN}")


def run(inventory: Inventory, host: Host, told: Mapping[str, Any], now: float) -> None:
    """A run that a rollback may choose, for all hosts: its id is not of the future, its images may be this host's.

    `now`: unix seconds. That a host says "I was part of a run a minute ago" cannot be disproved: runs of one host alone
    are usual. Then the plan says that only this host goes back, and --host chooses others.
    """
    found = _RUN.fullmatch(told["run"])
    try:
        when = calendar.timegm(time.strptime(found[1], "%Y%m%dT%H%M%SZ")) if found else None
    except ValueError:
        when = None
    if when is None:
        raise NotBelieved(
            host.name,
            _("it reports a run {run!r}, which is not the id of a run").format(run=told["run"][:60]),
        )
    if when > now + AHEAD:
        raise NotBelieved(
            host.name, _("it reports a run {run}, which is later than now").format(run=told["run"])
        )
    _images(inventory, host, told.get("images", ()))


def _images(inventory: Inventory, host: Host, told: Iterable[Mapping[str, Any]]) -> None:
    """Before-images that cannot be this host's: of zones where it serves nothing, at names where mailprov does not
    write. One with the controller's seal is what the controller gave to it, also for a domain that has left since.
    """
    for image in told:
        if seal.genuine(dict(image), inventory.dns):
            continue
        zone = image["zone"]
        # Without a key there are no seals, and a domain may have left; then the zone's markers are the only witness.
        if seal.possible(inventory.dns, zone) and not any(
            inside(name, zone) for name in names(inventory, host)
        ):
            raise NotBelieved(
                host.name,
                _("it reports what zone {zone} was before, in which it serves no domain").format(zone=zone),
            )
        for each in image["sets"]:
            if not _writes_at(each["name"], each["type"]) or not inside(each["name"], zone):
                raise NotBelieved(
                    host.name,
                    _("it reports what {name} {type} was before, where mailprov never writes").format(
                        name=each["name"], type=each["type"]
                    ),
                )
            from mailprov.records import types

            values = [
                value for half in ("before", "after") for value in (each[half] or {"values": ()})["values"]
            ]
            if wrong := next((value for value in values if not types.valid(each["type"], value)), None):
                raise NotBelieved(
                    host.name,
                    _("it reports {value!r} at {name} {type}, which is not such a record").format(
                        value=wrong[:60], name=each["name"], type=each["type"]
                    ),
                )


def names(inventory: Inventory, host: Host) -> tuple[str, ...]:
    """Every name that leads to this host or is served by it."""
    served = [
        name for domain in inventory.domains_on(host.name) for name in (domain.name, *domain.domain_aliases)
    ]
    own = (host.fqdn, inventory.sender_domain(host))
    return (*dict.fromkeys(own), *inventory.mail_names(host.name), *served)


def _writes_at(name: str, kind: str) -> bool:
    """Whether mailprov ever writes there; the first label of a name is never a wildcard."""
    from mailprov.dns.ownership import (  # here, because a plan of hosts alone needs none of it
        is_marker,
        marker_name,
    )
    from mailprov.records import types

    if is_marker(name):
        return kind == "TXT" and re.fullmatch(PLAIN, name.removeprefix(marker_name(""))) is not None
    return types.writes_at(name, kind)


def keys(inventory: Inventory, host: Host, told: Mapping[str, Any], now: float) -> None:
    """The DKIM keys in facts, or of mode keys, as far as they are about domains of this host; others are passed over.

    Selectors of another host of the inventory are refused: their records are that one's. Those of nobody are not: the
    host may have had another name in the inventory when it made the key, and it signs for these domains anyway.
    """
    served = {domain.name for domain in inventory.domains_on(host.name)}
    everybody = [each.name for each in inventory.hosts]
    known = dkim.read(told["state"])
    if len(known) > MOST_KEYS:
        raise NotBelieved(host.name, _("it reports {count} DKIM keys").format(count=len(known)))
    for key in known:
        if not _DOMAIN.fullmatch(key.domain) or len(key.domain) > 253:
            raise NotBelieved(
                host.name,
                _("it reports a DKIM key of {domain!r}, which is not a domain").format(
                    domain=key.domain[:80]
                ),
            )
        if key.domain not in served:
            continue  # it has left, see dns/survey.py: only where a marker knows that its mail came here
        whose = dkim.owner(key.selector, everybody)
        if whose not in ("", host.name):
            raise NotBelieved(
                host.name,
                _("it reports a DKIM key {selector} of {domain}, which is {host}'s to tell").format(
                    selector=key.selector, domain=key.domain, host=whose
                ),
            )
        since = dkim.read_since(key)
        if since is None or since > now + AHEAD:
            raise NotBelieved(
                host.name,
                _("it reports a DKIM key {selector} of {domain} since {date!r}, no time before now").format(
                    selector=key.selector, domain=key.domain, date=key.since[:40]
                ),
            )
        text = told["public"].get(key.name)
        if text is not None:
            _record(host, key.name, key.selector, text)


def public(host: Host, asked: Collection[dkim.Key], told: Mapping[str, str], *, made: bool) -> None:
    """The keys in a plan: of those that the host was asked to have, and no others. `made`: none is still to be made."""
    wanted = {key.name: key for key in asked}
    for name, text in told.items():
        if name not in wanted:
            raise NotBelieved(
                host.name,
                _("it reports a DKIM key {name!r}, which it was not asked to have").format(name=name[:80]),
            )
        if text or made:
            _record(host, name, wanted[name].selector, text)


def _record(host: Host, name: str, selector: str, text: str) -> None:
    if wrong := dkim.flaw(selector, text):
        raise NotBelieved(
            host.name,
            _("the record that it reports for its DKIM key {name} {wrong}").format(name=name, wrong=wrong),
        )
