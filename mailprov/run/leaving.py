"""Domains that leave MTA-STS (`mta_sts: off`): senders are told so for as long as they remember the policy before.

    settled(inventory, say) -> Inventory     each such domain with `leaving`, until when it is told

RFC 8461 section 8.3: a policy of mode none takes the place of the one that senders remember, with a record that has
another id; when all have forgotten, both go. How far that is the zone says, as of a domain that moves: the id of that
record is `none` and the hour (UTC) from which on an apply removes it. So it goes on from any machine, and a record that
is not of this form or of an id that mailprov makes is somebody else's, and none of its business.

Raises DnsUnreachable, DnsFailed.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import replace

from mailprov.i18n import _
from mailprov.model import web
from mailprov.model.inventory import Domain, Inventory

_OURS = re.compile(r"v=STSv1; id=(?:none(\d{10})|([0-9a-f]{20}))")
_HOUR = "%Y%m%d%H"


def settled(inventory: Inventory, say: Callable[[str], None] = lambda text: None) -> Inventory:
    """The inventory itself where no domain leaves."""
    off = [domain for domain in inventory.domains if domain.mta_sts == "off" and _can_tell(inventory, domain)]
    if not off:
        return inventory
    until = {domain.name: _until(inventory, domain, _now()) for domain in off}
    form = _(
        "MTA-STS of {domain} ends: until {time} UTC senders are told mode none, as some remember the policy before; an "
        "apply after that removes record and policy"
    )
    for name, hour in until.items():
        if hour:
            time = f"{hour[:4]}-{hour[4:6]}-{hour[6:8]} {hour[8:]}:00"
            say(form.format(domain=name, time=time))
    domains = (replace(domain, leaving=until.get(domain.name)) for domain in inventory.domains)
    return replace(inventory, domains=tuple(domains))


def _can_tell(inventory: Inventory, domain: Domain) -> bool:
    """Whether it would have a policy if it were not off."""
    provider = inventory.dns.at(domain.name).provider
    return provider.publishes and web.policy(inventory, replace(domain, mta_sts="testing")) is not None


def _until(inventory: Inventory, domain: Domain, now: datetime.datetime) -> str | None:
    """None where nothing is left to tell."""
    from mailprov.dns.standing import standing

    name = f"_mta-sts.{domain.name}"
    stands = standing(inventory.dns.at(name), [(name, "TXT")]).get((name, "TXT"))
    found = [seen for value in (stands.values if stands else ()) if (seen := _OURS.fullmatch(value))]
    if len(found) != 1:
        return None
    if found[0][1]:
        return found[0][1] if found[0][1] > now.strftime(_HOUR) else None
    # The longest that it may have been: which one it was the id does not tell.
    age = datetime.timedelta(seconds=max(web.MAX_AGE.values()), hours=1)
    return (now + age).strftime(_HOUR)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
