"""The loader under a real `python3 -I`: it runs what was sent whole, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailprov.wire import bundle
from mailprov.wire.messages import IMPORTER, decode_line, encode_start, pack

BOOT = """\
import json, sys
from mailprov.agent import speech

def run(job, stdin):
    if job.get("fail"):
        speech.fail()
    rest = stdin.read().decode()
    print(job["tag"], json.dumps({"t": "end", "rest": rest, "file": __file__, "said": speech.WORD}))
"""
SPEECH = """\
WORD = "ok"

def fail():
    raise ValueError("on purpose")
"""
FAKE = {"mailprov": "", "mailprov.agent": "", "mailprov.agent.main": BOOT, "mailprov.agent.speech": SPEECH}


def payload(job: dict[str, Any]) -> bytes:
    importer = Path(bundle.__file__).with_name("importer.py").read_text()
    return encode_start(pack({**FAKE, "mailprov.wire.importer": importer}), job)


def run(stdin: bytes, python: str = sys.executable) -> subprocess.CompletedProcess[bytes]:
    command = [python, "-I", "-u", "-c", bundle.loader()]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)


def end(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    messages = [decode_line(line, "aa11") for line in done.stdout.splitlines()]
    assert messages[-1] is not None, done
    return messages[-1]


def test_ready_comes_first_and_the_agent_runs_with_the_rest_of_stdin() -> None:
    done = run(payload({"tag": "aa11"}) + b"control line\n")
    assert done.stdout.splitlines()[0] == bundle.READY
    assert end(done)["rest"] == "control line\n"
    assert end(done)["said"] == "ok"
    assert end(done)["file"] == "mailprov/agent/main.py"


@pytest.mark.parametrize(
    "junk",
    [
        b"s3cret; import os\n",
        b"\n\n",
        b"MAILPROV1\n",
        b"MAILPROV1 12\n",
        b"x MAILPROV1 3 abc\n",
        b"\xff\xfe\n",
    ],
)
def test_what_comes_before_the_magic_is_dropped_silently(junk: bytes) -> None:
    done = run(junk + payload({"tag": "aa11"}))
    assert end(done)["said"] == "ok"
    assert done.stderr == b""
    assert len(done.stdout.splitlines()) == 2


def test_junk_alone_runs_nothing_and_says_nothing() -> None:
    done = run(b"s3cret\n")
    assert (done.returncode, done.stdout, done.stderr) == (1, bundle.READY + b"\n", b"")


def test_a_payload_cut_short_never_runs() -> None:
    done = run(payload({"tag": "aa11"})[:-1])
    assert done.returncode == 1
    assert done.stderr.strip() == b"mailprov: the agent did not arrive whole"


def test_a_changed_payload_never_runs() -> None:
    whole = payload({"tag": "aa11"})
    head, _, body = whole.partition(b"\n")
    other = b"{}\n" + pack({**FAKE, IMPORTER: ""})
    assert hashlib.sha256(other).hexdigest().encode() not in head
    done = run(head.replace(str(len(body)).encode(), str(len(other)).encode()) + b"\n" + other)
    assert done.returncode == 1
    assert b"did not arrive whole" in done.stderr


def test_tracebacks_show_the_lines_that_were_sent() -> None:
    done = run(payload({"tag": "aa11", "fail": True}))
    assert b'File "mailprov/agent/speech.py", line 4, in fail' in done.stderr
    assert b'raise ValueError("on purpose")' in done.stderr


def test_the_loader_is_one_word_in_every_shell() -> None:
    assert not re.search(r"['\\!$\n\r`]", bundle.loader())
    assert bundle.loader().isascii()


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "zsh", "fish", "csh", "tcsh"])
def test_shells_pass_the_loader_on_unchanged(shell: str) -> None:
    if not (path := shutil.which(shell)):
        pytest.skip(f"{shell} is not installed here")
    command = f"exec {sys.executable} -I -u -c '{bundle.loader()}'"
    done = subprocess.run(
        [path, "-c", command], input=payload({"tag": "aa11"}), capture_output=True, timeout=120, check=False
    )
    assert end(done)["said"] == "ok"


def test_the_bundle_holds_the_agent_and_no_other_room() -> None:
    modules = bundle.agent_modules()
    assert {"mailprov", "mailprov.agent"} <= set(modules)
    assert all(name == "mailprov" or name.startswith("mailprov.agent") for name in modules)
    header = bundle.start_payload({"tag": "x"}).split(b"\n", 1)[0].split()
    assert header[0] == b"MAILPROV1"
    assert len(header) == 3


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where what is packed is kept."""
    path = tmp_path / "__pycache__" / "packed-agent"
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(bundle, "cache_from_source", lambda _: str(path))
    bundle._packed.cache_clear()
    yield path
    bundle._packed.cache_clear()


def packed(**sources: str) -> dict[str, str]:
    bundle._packed.cache_clear()
    length, _, rest = bundle._packed(tuple(sources.items())).partition(b"\n")
    modules: dict[str, str] = json.loads(zlib.decompress(rest[int(length) :]))
    return {name: text for name, text in modules.items() if name in sources}


def test_the_agent_is_packed_once(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert packed(one="a = 1") == {"one": "a = 1"}
    monkeypatch.setattr(bundle, "pack", None)
    assert packed(one="a = 1") == {"one": "a = 1"}
    assert list(kept.parent.iterdir()) == [kept]


def test_other_sources_are_packed_anew(kept: Path) -> None:
    packed(one="a = 1", two="")
    for sources in ({"one": "a = 2", "two": ""}, {"one": "a = 1", "three": ""}, {"one": "a = 1"}):
        assert packed(**sources) == sources


def test_half_a_file_and_one_of_others_are_not_sent(kept: Path) -> None:
    packed(one="a = 1")
    whole = kept.read_bytes()
    other = zlib.compress(json.dumps({"one": "evil"}).encode())
    for data in (b"", whole[:-1], whole[:32] + other, whole[32:], b"rubbish"):
        kept.write_bytes(data)
        assert packed(one="a = 1") == {"one": "a = 1"}
        assert kept.read_bytes() == whole


def test_where_nothing_can_be_written_the_agent_is_packed_all_the_same(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.parent.write_text("in the way")
    assert packed(one="a = 1") == {"one": "a = 1"}
    kept.parent.unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert packed(one="a = 1") == {"one": "a = 1"}
    assert not kept.parent.exists()
