"""The lab's certificate authority that speaks ACME (RFC 8555): Debian's pebble, on the DNS host.

    directory_url    where certbot asks
    files            what lies on the DNS host: path → content, for root alone
    trust            writes whom to trust (the lab's CA, and the roots of every pebble that has run in this lab)

pebble makes a new root at each start and tells it on a port of its own, so `trust` is called whenever the DNS host has
booted. Its own HTTPS has the certificate that the lab's CA made for the DNS host. Raises LabError.
"""

from __future__ import annotations

import json
import ssl
import time
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from mailprov.errors import LabError
from mailprov.i18n import _
from mailprov.lab.keys import give
from mailprov.lab.paths import LabPaths
from mailprov.lab.state import LabState

PORT = 14000
_ROOTS_PORT = 15000
_FOLDER = "/etc/pebble"
UNIT = "lab-acme.service"
_DAYS = 90  # as most public authorities give


def directory_url(state: LabState) -> str:
    """The ACME server's directory; the DNS host's name is in its zone from the first second."""
    return f"https://{state.dns.fqdn}:{PORT}/dir"


def files(paths: LabPaths, state: LabState) -> dict[str, str]:
    """pebble asks the lab's BIND, and connects to ports 80 and 443 as a public authority does."""
    configuration = {
        "pebble": {
            "listenAddress": f"0.0.0.0:{PORT}",
            "managementListenAddress": f"0.0.0.0:{_ROOTS_PORT}",
            "certificate": f"{_FOLDER}/server.pem",
            "privateKey": f"{_FOLDER}/server.key",
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "certificateValidityPeriod": _DAYS * 86400,
        }
    }
    return {
        f"{_FOLDER}/config.json": json.dumps(configuration, indent=1) + "\n",
        f"{_FOLDER}/server.pem": paths.certificate(state.dns.name).read_text(),
        f"{_FOLDER}/server.key": paths.key(state.dns.name).read_text(),
        f"/etc/systemd/system/{UNIT}": f"""[Unit]
Description=ACME server of the lab
After=named.service

[Service]
# No pauses for realism, and every challenge is really looked at. Of good nonces pebble would refuse one in twenty;
# certbot tries again once only, so every tenth renewal or so would fail.
Environment=PEBBLE_VA_NOSLEEP=1 PEBBLE_AUTHZREUSE=0 PEBBLE_WFE_NONCEREJECT=0
ExecStart=/usr/bin/pebble -config {_FOLDER}/config.json -dnsserver 127.0.0.1:53
Restart=on-failure

[Install]
WantedBy=multi-user.target
""",
    }


def trust(paths: LabPaths, state: LabState, timeout: float = 15) -> None:
    """Ask pebble for its root and add it to `paths.acme_ca`, which begins with the lab's CA."""
    if not Path(state.dns.root, "usr/bin/pebble").exists():
        return  # a lab that an earlier mailprov brought up
    root = _root(paths, state, timeout)
    known = paths.acme_ca.read_text() if paths.acme_ca.exists() else paths.ca.read_text()
    if root not in known:
        paths.acme_ca.write_text(known + root)
        give(paths.acme_ca)


def _root(paths: LabPaths, state: LabState, timeout: float) -> str:
    context = ssl.create_default_context(cafile=str(paths.ca))
    context.check_hostname = False  # the connection goes to an address, its certificate is for the name
    deadline = time.monotonic() + timeout
    while True:
        connection = HTTPSConnection(state.dns.address, _ROOTS_PORT, timeout=5, context=context)
        try:
            connection.request("GET", "/roots/0")
            answer = connection.getresponse()
            text = answer.read().decode("ascii")
            if answer.status == 200 and "BEGIN CERTIFICATE" in text:
                return text if text.endswith("\n") else text + "\n"
            why = f"status {answer.status}"
        except (OSError, HTTPException, UnicodeDecodeError) as error:
            why = str(error) or type(error).__name__
        finally:
            connection.close()
        if time.monotonic() > deadline:
            raise LabError(
                state.dns.name, _("its ACME server does not tell its root ({reason})").format(reason=why)
            )
        time.sleep(0.05)
