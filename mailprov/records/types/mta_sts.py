"""MTA-STS: that a domain has a policy, and which one (RFC 8461 section 3.1). The policy itself is at its web server.

The record comes behind the policy: senders that find it look for the policy at once, and one that is not there is a
failure. So there is a record only of a policy that was read back in this run (run/policies.py); before, and where it
cannot be read, what stands stays as it is (`kept`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from mailprov.i18n import N_, _
from mailprov.model import web
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Follows, Need, Own, RecordType, Wishes


class MtaSts(RecordType):
    name = "MTA-STS"
    need = Need.RECOMMENDED
    follows = Follows.MAIL
    why = N_("senders that know it are told whether to deliver over verified TLS alone")
    key = N_("domains.DOMAIN.mta_sts: testing, enforce or off")
    instead = N_("`mta_sts: off` leaves it at that")
    places = (("TXT", re.compile(rf"_mta-sts\.{PLAIN}")),)

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        policy = web.policy(wishes.inventory, domain)
        if policy is None:
            return
        from mailprov.model import mta_sts

        url, text = mta_sts.url(name), policy.text()
        if domain.gives_out(url, text):
            form = _("MTA-STS: senders fetch the policy of {name}, mode {mode}")
            if domain.unread:
                form = _("MTA-STS: publish it when {url} gives out the policy of {name}, mode {mode}")
            why = form.format(name=name, mode=policy.mode, url=url)
            value = f"v=STSv1; id={web.policy_id(domain, policy)}"
            yield Record(record_name(name), "TXT", value, wishes.ttl, why, asked=False)

    def alone(self, name: str, kind: str, value: str) -> bool:
        # RFC 8461 section 3.1: with more than one, senders take none.
        return kind == "TXT" and name.startswith("_mta-sts.") and value.startswith("v=STSv1")

    def judge(self, values: Sequence[str], wanted: str) -> str:
        if len(values) > 1:
            return _("of several records senders take none")
        from mailprov.model import mta_sts

        flaw = mta_sts.record_flaw(values[0])
        return _("senders do not take it: {reason}").format(reason=flaw) if flaw else ""

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


def record_name(name: str) -> str:
    return f"_mta-sts.{name}"


def kept(inventory: Inventory) -> Callable[[str], bool]:
    """Of a name at which mailprov has written and nothing is desired now."""
    from mailprov.model import mta_sts

    waiting: set[str] = set()
    for domain in inventory.domains:
        if (policy := web.policy(inventory, domain)) is not None:
            text = policy.text()
            names = (name for name in domain.names if not domain.gives_out(mta_sts.url(name), text))
            waiting.update(map(record_name, names))
    return waiting.__contains__


MTA_STS = MtaSts()
