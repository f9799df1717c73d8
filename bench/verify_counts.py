"""What one `mailprov verify` does, as counts: they are the same on a machine that is busy.

    COUNTED                             what is counted; `to one port` are the connections to the busiest one
    counted(path, words) -> Counter     of a run, to its end
    python -m bench.verify_counts FILE verify WORDS…     the program itself, which writes them to FILE

Raises BenchFailed.
"""

from __future__ import annotations

import json
import ssl
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from bench.measure import run

COUNTED = ("connections", "to one port", "TLS handshakes", "DNS questions", "logins over SSH")
ROOT = Path(__file__).resolve().parent.parent


def counted(path: Path, words: list[str]) -> Counter[str]:
    with tempfile.TemporaryDirectory() as made:
        told = Path(made) / "counts.json"
        argv = [
            sys.executable,
            "-m",
            "bench.verify_counts",
            str(told),
            "verify",
            "--quiet",
            *words,
            str(path),
        ]
        run(argv, cwd=str(ROOT))
        return Counter(json.loads(told.read_text()))


def _main(file: str, words: list[str]) -> None:
    from mailprov.__main__ import main
    from mailprov.probe.clients.connection import Connection
    from mailprov.probe.clients.resolver import Resolver
    from mailprov.run.hosts import HostSession

    counts: Counter[str] = Counter()
    ports: Counter[tuple[str, int]] = Counter()

    def counting(owner: Any, name: str, what: str) -> None:
        real = getattr(owner, name)

        def call(*given: Any, **more: Any) -> Any:
            counts[what] += 1
            if what == "connections":
                ports[given[0], given[1]] += 1
            return real(*given, **more)

        setattr(owner, name, staticmethod(call) if owner is Connection else call)

    counting(Connection, "connect", "connections")
    counting(ssl.SSLSocket, "do_handshake", "TLS handshakes")
    counting(Resolver, "_query", "DNS questions")
    counting(HostSession, "run", "logins over SSH")
    sys.argv = ["mailprov", *words]
    try:
        main()
    finally:
        counts["to one port"] = max(ports.values(), default=0)
        Path(file).write_text(json.dumps(counts))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
