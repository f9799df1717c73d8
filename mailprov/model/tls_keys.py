"""The keys of hosts' certificates as TLSA records name them (RFC 6698, RFC 7672): what a host tells of them. Pure.

    HostKeys               of one host, on port 25: what is published, what is served now
    ServedKeys             host name → HostKeys, of the hosts that have told theirs
    record_name(fqdn)      where its TLSA records are (RFC 7672 section 2.2.3)
    value(digest)          "3 1 1 …": the host's own key (RFC 7671 section 5.1), of which each renewal is a copy

Keys are SHA-256 digests of SubjectPublicKeyInfo, in lower case hex.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

DIGEST = re.compile(r"[0-9a-f]{64}")


class HostKeys(NamedTuple):
    """`published`: what the records must name: all that is served, and what will be. `changes`: this run changes what
    is served, so until that is done the records stay as they are. `served`: until now, whatever it comes from.
    `coming`: what this run changes it to, as far as that is known.
    """

    published: tuple[str, ...] = ()
    changes: bool = False
    served: tuple[str, ...] = ()
    coming: tuple[str, ...] = ()


ServedKeys = Mapping[str, HostKeys]


def record_name(fqdn: str) -> str:
    return f"_25._tcp.{fqdn}"


def value(digest: str) -> str:
    return f"3 1 1 {digest}"
