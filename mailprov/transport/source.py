"""Which of this machine's addresses a host would see, were there no translation between.

source_address(address) -> str     "" without a route. Sends nothing, raises nothing.
"""

from __future__ import annotations

import socket


def source_address(address: str) -> str:
    """connect(2) of a UDP socket only asks the routing table; port 9 (discard) is any port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 9))
            return str(sock.getsockname()[0])
    except OSError:
        return ""
