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

    def of_domain(self, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        policy = web.policy(wishes.inventory, domain)
        if policy is not None and domain.policy_served == policy.text():
            why = _("MTA-STS: senders fetch the policy of {name}, mode {mode}").format(
                name=domain.name, mode=policy.mode
            )
            text = f"v=STSv1; id={web.policy_id(domain, policy)}"
            yield Record(record_name(domain), "TXT", text, wishes.ttl, why, asked=False)

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


def record_name(domain: Domain) -> str:
    return f"_mta-sts.{domain.name}"


def kept(inventory: Inventory) -> Callable[[str], bool]:
    """Of a name at which mailprov has written and nothing is desired now."""
    policies = {domain: web.policy(inventory, domain) for domain in inventory.domains}
    waiting = {
        record_name(domain)
        for domain, policy in policies.items()
        if policy is not None and domain.policy_served != policy.text()
    }
    return waiting.__contains__


MTA_STS = MtaSts()
