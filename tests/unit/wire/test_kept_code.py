"""The agent's compiled code on a host: loaded where it is whole, root's alone and of this very agent; else ignored."""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import compiled
from mailprov.agent.files import Tree
from mailprov.wire import bundle, importer
from mailprov.wire.messages import IMPORTER, encode_start, pack
from tests.unit.wire.test_bundle import FAKE, end, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root's files are loaded")


def sent(packed: bytes) -> bytes:
    """What the importer is given of it."""
    length, _, rest = packed.partition(b"\n")
    return rest[int(length) :]


class Place:
    """A host's folder of compiled code, with that of FAKE whose word is "kept"."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "compiled"
        self.folder.mkdir(mode=0o700)
        text = Path(bundle.__file__).with_name("importer.py").read_text()
        assert f'KEPT = "{importer.KEPT}"' in text
        self.sent = pack({**FAKE, IMPORTER: text.replace(importer.KEPT, str(self.folder))})
        self.modules = importer.SentModules(sent(self.sent))
        self.file = self.folder / self.modules.kept_as
        self.write()

    def write(self) -> None:
        """Sources that were never sent show which of the two runs."""
        self.modules.unpacked()["mailprov.agent.speech"] = FAKE["mailprov.agent.speech"].replace("ok", "kept")
        self.file.write_bytes(self.modules.to_keep())
        self.file.chmod(0o600)

    def said(self) -> str:
        done = run(encode_start(self.sent, {"tag": "aa11"}))
        assert done.stderr == b""
        return str(end(done)["said"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_whole_code_of_this_agent_is_loaded(place: Place) -> None:
    assert place.said() == "kept"


def test_tracebacks_show_the_lines_that_were_sent(place: Place) -> None:
    done = run(encode_start(place.sent, {"tag": "aa11", "fail": True}))
    assert b'File "mailprov/agent/speech.py", line 4, in fail' in done.stderr
    assert b'raise ValueError("on purpose")' in done.stderr


def _flip(place: Place) -> None:
    data = bytearray(place.file.read_bytes())
    data[len(data) // 2] ^= 1
    place.file.write_bytes(data)


def _half(place: Place) -> None:
    place.file.write_bytes(place.file.read_bytes()[:500])


def _no_code(place: Place) -> None:
    data = marshal.dumps("not a dictionary")
    place.file.write_bytes(hashlib.sha256(data).digest() + data)


def _of_another_python(place: Place) -> None:
    magic = importlib.util.MAGIC_NUMBER.hex()
    assert magic in place.file.name
    place.file.rename(place.file.with_name(place.file.name.replace(magic, "6f0d0d0a")))


def _of_other_sources(place: Place) -> None:
    place.file.rename(place.file.with_name("0" + place.file.name[1:]))


def _link(place: Place) -> None:
    place.file.rename(place.folder / "other")
    place.file.symlink_to("other")


def _linked_folder(place: Place) -> None:
    place.folder.rename(place.folder.with_name("other"))
    place.folder.symlink_to("other")


def _pipe(place: Place) -> None:
    place.file.unlink()
    os.mkfifo(place.file, 0o600)


def _folder_in_its_place(place: Place) -> None:
    place.file.unlink()
    place.file.mkdir(0o700)


DOUBTFUL: dict[str, Callable[[Place], object]] = {
    "missing": lambda place: place.file.unlink(),
    "empty": lambda place: place.file.write_bytes(b""),
    "flipped": _flip,
    "half": _half,
    "no code": _no_code,
    "another python": _of_another_python,
    "other sources": _of_other_sources,
    "link": _link,
    "linked folder": _linked_folder,
    "pipe": _pipe,
    "folder": _folder_in_its_place,
    "readable": lambda place: place.file.chmod(0o644),
    "writable by a group": lambda place: place.file.chmod(0o620),
    "somebody's": lambda place: os.chown(place.file, 65534, -1),
    "in an open folder": lambda place: place.folder.chmod(0o777),
    "in a readable folder": lambda place: place.folder.chmod(0o750),
    "in somebody's folder": lambda place: os.chown(place.folder, 65534, -1),
}


@pytest.mark.parametrize("doubt", DOUBTFUL)
def test_in_any_doubt_the_sources_are_compiled(place: Place, doubt: str) -> None:
    DOUBTFUL[doubt](place)

    assert place.said() == "ok"


class Host:
    """A tree with a manifest, and an agent on it that was sent or loaded."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.tree = root, Tree(str(root))
        self.state = root / "var/lib/mailprov"
        self.state.mkdir(parents=True)
        self.manage('{"files": {"/etc/x": {}}}')
        self.loader = importer.SentModules(sent(pack({**FAKE, IMPORTER: ""})))
        monkeypatch.setattr(compiled, "__loader__", self.loader)

    def manage(self, manifest: str) -> None:
        (self.state / "manifest.json").write_text(manifest)

    def kept(self) -> dict[str, int]:
        return {path.name: path.stat().st_mode & 0o777 for path in (self.state / "compiled").glob("*")}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_it_is_kept_for_root_alone_and_others_go(host: Host) -> None:
    compiled.settle(host.tree)
    (host.state / "compiled/of-an-earlier-version").write_bytes(b"x")
    compiled.settle(host.tree)

    assert host.kept() == {host.loader.kept_as: 0o600}
    assert (host.state / "compiled").stat().st_mode & 0o777 == 0o700
    assert compiled.DIRECTORY == importer.KEPT


def test_what_was_loaded_is_not_written_again(host: Host) -> None:
    compiled.settle(host.tree)
    path = host.state / "compiled" / host.loader.kept_as
    host.loader.codes = {"mailprov": b""}
    before = path.stat().st_mtime_ns
    compiled.settle(host.tree)
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize("left", ['{"files": {}}', None])
def test_it_goes_where_nothing_is_managed_any_more(host: Host, left: str | None) -> None:
    compiled.settle(host.tree)
    (host.state / "manifest.json").unlink() if left is None else host.manage(left)
    compiled.settle(host.tree)

    assert not (host.state / "compiled").exists()


def test_a_host_where_it_cannot_be_kept_is_as_well_as_before(host: Host) -> None:
    (host.state / "compiled").write_text("in the way")
    compiled.settle(host.tree)
    host.manage("{")
    compiled.settle(host.tree)


def test_an_agent_that_nobody_sent_keeps_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "__loader__", object())
    compiled.settle(host.tree)
    assert host.kept() == {}


def test_every_module_of_the_agent_can_be_kept() -> None:
    packed = bundle._packed(tuple(bundle.agent_modules().items()))
    data = importer.SentModules(sent(packed)).to_keep()
    codes: dict[str, Any] = marshal.loads(data[32:])

    assert set(codes) == set(bundle.agent_modules())
    assert all(isinstance(marshal.loads(code), types.CodeType) for code in codes.values())
    assert sys.getsizeof(data) < importer._MOST


def test_nothing_half_written_is_left(host: Host) -> None:
    (host.state / "compiled" / host.loader.kept_as).mkdir(parents=True)
    compiled.settle(host.tree)
    assert list(host.kept()) == [host.loader.kept_as]
