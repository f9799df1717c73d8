"""A DNS record as mailprov means it, independent of any provider's spelling."""

from __future__ import annotations

from dataclasses import dataclass

# A name of hosts and domains, as a pattern: all that mailprov gives names to.
PLAIN = r"(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}"


@dataclass(frozen=True, order=True)
class Record:
    """One record. `name` is absolute, lower case, without a final dot; `type` is A, AAAA, MX or TXT.

    `value` is canonical: an address for A/AAAA; `10 mx1.alpha.test` for MX (no final dot); for TXT the whole
    string, unquoted and not cut into 255-octet pieces (the edges cut and quote, RFC 1035 section 3.3.14).
    `why` is one line for people and for the zone file's comment.
    """

    name: str
    type: str
    value: str
    ttl: int = 3600
    why: str = ""
