"""Names in DNS compared: which lies below which, and which host a certificate is for. Pure; raises nothing.

    inside(name, parent)      the same name, or one below it
    below(name, parent)       one below it
    matches(dns_name, host)   RFC 9525

Names are in lower case and without the final dot, as the model has them; `matches` takes a certificate's as they come.
"""

from __future__ import annotations


def inside(name: str, parent: str) -> bool:
    """Label by label: `xalpha.test` is not in `alpha.test`."""
    return name == parent or below(name, parent)


def below(name: str, parent: str) -> bool:
    return name.endswith(f".{parent}")


def matches(dns_name: str, host: str) -> bool:
    """RFC 9525 section 6.3: the same name, or `*` as the whole first label in place of exactly one. `dns_name` is one
    of subjectAltName; the common name is never asked.
    """
    name, host = dns_name.lower().rstrip("."), host.lower().rstrip(".")
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:] and "." in name[2:]
    return name == host
