"""TLS-RPT: where senders report that TLS to a domain's hosts failed (RFC 8460).

Only where the inventory names who reads such reports: a letter a day from each large sender, in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from mailprov.i18n import N_, _
from mailprov.model.inventory import Domain
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Need, Own, RecordType, Wishes


class TlsRpt(RecordType):
    name = "TLS-RPT"
    need = Need.OPTIONAL
    why = N_("other servers report when TLS to yours fails")
    otherwise = N_("or leave `tls_rpt` out")
    key = N_("domains.DOMAIN.tls_rpt: who gets the reports; none are asked for if not given")
    places = (("TXT", re.compile(rf"_smtp\._tls\.{PLAIN}")),)

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if domain.tls_rpt:
            why = _("TLS-RPT: who is told when TLS to the hosts of {domain} fails").format(domain=name)
            text = f"v=TLSRPTv1; rua=mailto:{quote(domain.tls_rpt, safe='@')}"
            yield Record(f"_smtp._tls.{name}", "TXT", text, wishes.ttl, why)

    def alone(self, name: str, kind: str, value: str) -> bool:
        # RFC 8460 section 3: with more than one, senders take none.
        return kind == "TXT" and name.startswith("_smtp._tls.") and value.lower().startswith("v=tlsrptv1")

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


TLS_RPT = TlsRpt()
