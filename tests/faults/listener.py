"""The controller of `mailprov trace --wire` without a message, as a process that faults can happen to.

    python -m tests.faults.listener INVENTORY SECONDS ADDRESS

Says `on` when the hosts of the inventory listen for mail from and to the address, waits for a line, collects, and says
`off`. An error ends it with its text and 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mailprov.errors import MailprovError
from mailprov.inventory import load
from mailprov.run.trace_wire import Wire
from mailprov.transport.connections import Connections


def main(path: str, seconds: str, address: str) -> int:
    read = load(Path(path))
    try:
        with Connections(read.hosts) as connections:
            with Wire(
                read.hosts,
                [address],
                [address],
                command="trace",
                emit=lambda event: None,
                start=connections.start,
                seconds=int(seconds),
            ) as wire:
                print("on", flush=True)
                sys.stdin.readline()
                wire.collect({})
            print("off", *wire.gaps, flush=True)
    except MailprovError as error:
        print(error, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
