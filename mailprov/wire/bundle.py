"""The agent as bytes: what goes into argv, and what is sent on stdin.

    READY                  the loader's first line on stdout: Python runs, now send what must not be lost
    agent_modules()        {module name: source} of everything the host needs
    loader()               the short Python program for `python3 -I -u -c`
    start_payload(job)     the first bytes on stdin: agent and job

The loader reads stdin line by line and drops all before the magic: a sudo password that nobody consumed must
become neither code nor output. It then reads exactly the announced number of bytes and compares the hash: a
cut-off transfer never runs. It is one line without quote `'`, backslash, `!` and `$`, so that within single
quotes it is the same word for sh, bash, zsh, fish and csh. Raises nothing of its own.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import mailprov
from mailprov.wire.messages import IMPORTER, MAGIC, encode_start, pack

READY = MAGIC + b" ready"

_PACKING = threading.Lock()

_LOADER = (
    # First: python3-minimal has no hmac (nor json on older systems), and must not say that it is ready.
    "import sys,json,zlib,hashlib,hmac;"
    f'print("{READY.decode()}",flush=True);i=sys.stdin.buffer;'
    f'w=next((w for w in map(bytes.split,i)if len(w)==3 and w[0]==b"{MAGIC.decode()}"),0)or sys.exit(1);'
    "b=i.read(int(w[1]));"
    'hashlib.sha256(b).hexdigest()==w[2].decode()or sys.exit("mailprov: the agent did not arrive whole");'
    "j,n,z=b.split(bytes([10]),2);n=int(n);"
    "exec(zlib.decompress(z[:n]));serve(z[n:]);"
    "from mailprov.agent.main import run;run(json.loads(j),i)"
)


@lru_cache(maxsize=1)
def agent_modules() -> dict[str, str]:
    """Source of `mailprov.agent` and all below it, by module name; `mailprov` itself holds only the version.

    The package's own `mailprov` never travels, so an agent module that imports another package fails at once.
    """
    package = Path(mailprov.__file__).parent
    modules = {"mailprov": f"__version__ = {mailprov.__version__!r}\n"}
    for path in sorted((package / "agent").rglob("*.py")):
        parts = ("mailprov", *path.relative_to(package).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = path.read_text("utf-8")
    return modules


def loader() -> str:
    """The program in argv: prints READY, reads `start_payload`, calls `mailprov.agent.main.run(job, stdin)`.

    `stdin` is the buffered binary stream behind the payload. Exit status 1: stdin ended before all was there.
    """
    return _LOADER


def start_payload(job: dict[str, Any]) -> bytes:
    """Header line and body for this job (see `wire.messages`): the agent, and the importer that serves it."""
    with _PACKING:  # hosts begin at the same time, and all would pack
        packed = _packed(tuple(agent_modules().items()))
    return encode_start(packed, job)


@lru_cache(maxsize=1)
def _packed(modules: tuple[tuple[str, str], ...]) -> bytes:
    """Once for all hosts."""
    importer = Path(__file__).with_name("importer.py").read_text("utf-8")
    whole = {**dict(modules), IMPORTER: importer}
    sources = hashlib.sha256("\0".join(part for each in whole.items() for part in each).encode()).digest()
    path = Path(cache_from_source(str(Path(__file__).with_name("packed-agent.py"))))
    with suppress(OSError):
        found = path.read_bytes()
        if found[:32] == hashlib.sha256(sources + found[32:]).digest():
            return found[32:]
    packed = pack(whole)
    _keep(path, hashlib.sha256(sources + packed).digest() + packed)
    return packed


def _keep(path: Path, data: bytes) -> None:
    if sys.dont_write_bytecode:
        return
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)  # code: nobody else may write there
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
