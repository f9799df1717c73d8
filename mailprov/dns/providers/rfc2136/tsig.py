"""The TSIG key of the inventory (RFC 8945), as dnspython signs with it. Pure.

tsig_key(settings) -> key or None     InputError for an unusable name, secret or algorithm
"""

from __future__ import annotations

import base64
import binascii

import dns.exception
import dns.name
import dns.tsig

from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.errors import InputError
from mailprov.i18n import _


def tsig_key(settings: Rfc2136Settings) -> dns.tsig.Key | None:
    """The key to sign with, or None where the inventory has none (a server that trusts our address)."""
    if settings.tsig is None:
        return None
    tsig = settings.tsig
    try:
        secret = base64.b64decode("".join(tsig.secret.reveal().split()), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not secret:
        raise InputError(
            "dns.tsig.secret",
            _("the value from {source} is not base64").format(source=tsig.secret.origin),
            _("Give the secret exactly as `tsig-keygen` or the name server's key file shows it"),
        )
    algorithms = {name.to_text(omit_final_dot=True).lower(): name for name in dns.tsig.mac_sizes}
    wanted = tsig.algorithm.lower().rstrip(".")
    if wanted not in algorithms or algorithms[wanted] == dns.tsig.GSS_TSIG:
        known = ", ".join(sorted(name for name in algorithms if name.startswith("hmac-sha")))
        raise InputError(
            "dns.tsig.algorithm",
            _("{algorithm} is not known").format(algorithm=tsig.algorithm),
            _("Use one of {names}").format(names=known),
        )
    try:
        name = dns.name.from_text(tsig.name)
    except dns.exception.DNSException:
        raise InputError(
            "dns.tsig.name", _("{name!r} is not a DNS name").format(name=tsig.name), _("Use the key's name")
        ) from None
    return dns.tsig.Key(name, secret, algorithms[wanted])
