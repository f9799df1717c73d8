"""A smarthost: what Postfix needs to hand all mail that leaves to one host, over TLS, after a login.

    roots(host) -> str                   what certificates of other hosts are checked with
    files(host) -> tuple[File, ...]      the password's table, for root alone, and the smarthost's roots
    PACKAGE                              what Postfix logs in with

Pure, but for reading `relayhost.ca_file`. Raises InputError when that cannot be read.
"""

from __future__ import annotations

from mailprov.components.templates import MANAGED
from mailprov.errors import InputError
from mailprov.model.host_state import File
from mailprov.model.inventory import Host

PACKAGE = "libsasl2-modules"
FOLDER = "/etc/postfix/mailprov"
PASSWORD = f"{FOLDER}/relay_password"
_ROOTS = f"{FOLDER}/relay_roots.pem"
SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"


def roots(host: Host) -> str:
    """What Postfix checks certificates of others with."""
    return _ROOTS if host.relay and host.relay.ca_file else SYSTEM_ROOTS


def files(host: Host) -> tuple[File, ...]:
    """Postfix opens both before it gives up root and enters its chroot."""
    relay = host.relay
    if relay is None:
        return ()
    row = f"{relay.nexthop} {relay.user}:{relay.password.reveal()}"
    text = f"# {MANAGED}\n# The login at the smarthost (SASL_README).\n{row}\n"
    made = [File(PASSWORD, text, mode="0600", secret=True)]
    if relay.ca_file:
        try:
            made.append(File(_ROOTS, relay.ca_file.read_text(encoding="ascii")))
        except (OSError, UnicodeDecodeError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or "it is not PEM"
            where = f"host {host.name}"
            raise InputError(
                where, f"cannot read {relay.ca_file}: {reason}", "Check relayhost.ca_file"
            ) from None
    return tuple(made)
