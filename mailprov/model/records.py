"""A DNS record as mailprov means it, independent of any provider's spelling."""

from __future__ import annotations

from mailprov.i18n import N_
from mailprov.model.values import dataclass

# How much mail needs a record, and in the user's language.
NEEDS = {
    "required": N_("required"),
    "recommended": N_("recommended"),
    "optional": N_("optional"),
}
# A name of hosts and domains, as a pattern: all that mailprov gives names to.
PLAIN = r"(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}"


@dataclass(frozen=True, order=True)
class Record:
    """One record. `name` is absolute, lower case, without a final dot; `type` is A, AAAA, MX, TXT and
    what records/types has besides.

    `value` is canonical: an address for A/AAAA; `10 mx1.alpha.test` for MX (no final dot); for TXT the whole
    string, unquoted and not cut into 255-octet pieces (the edges cut and quote, RFC 1035 section 3.3.14).
    `why` is one line for people and for the zone file's comment. `label`, `need` and `purpose` are those of its type
    (records/types): what people call it; required, recommended or optional; what it is for, in one sentence. All three
    are in English, and translated where they are shown.
    `asked`: the inventory wants it. Else it is a default of mailprov, which gives way to what stands at its name
    (dns/defaults.py).
    """

    name: str
    type: str
    value: str
    ttl: int = 3600
    why: str = ""
    label: str = ""
    need: str = ""
    purpose: str = ""
    asked: bool = True
