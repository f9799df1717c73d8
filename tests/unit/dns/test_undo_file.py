"""An inventory without hosts, by the program: its zone is planned and written, and an undo file brings it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.program import mailprov
from tests.unit.dns.servers import SECRET, NameServer
from tests.unit.dns.test_hosted import EXCHANGE, GOOGLE, KEY
from tests.unit.dns.transfer import whole

SERVER = """\
dns: {{provider: rfc2136, server: 127.0.0.1, port: {port}, tsig: {{name: mailprov, secret: {{env: MAILPROV_TSIG}}}}}}
"""


class Folder:
    def __init__(self, path: Path, port: int) -> None:
        self.path, self._port = path, port

    def write(self, text: str, zone: str) -> None:
        domains = text.format(zone=zone, dashes=zone.replace(".", "-"), key=KEY)
        (self.path / "mail.yml").write_text(SERVER.format(port=self._port) + domains)

    @property
    def undo_files(self) -> list[Path]:
        return sorted(self.path.glob("mail.yml.undo-*.json"))

    def run(self, *words: str, code: int = 0) -> str:
        done = mailprov(*words, cwd=self.path)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def folder(name_server: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MAILPROV_TSIG", SECRET)
    return Folder(tmp_path, name_server.port)


def test_a_zone_goes_back_and_forth_by_undo_files(name_server: NameServer, folder: Folder) -> None:
    zone = "contracth11.test"
    name_server.change(zone, lambda message: message.add(f"{zone}.", 77, "TXT", '"theirs"'))
    before = whole(name_server, zone)
    folder.write(GOOGLE, zone)

    assert "0 hosts, 1 domain" in folder.run("validate")
    folder.run("plan", "--exit-code", code=4)
    folder.run("dns", "plan", "--exit-code", code=4)
    assert "include:_spf.google.com" in folder.run("dns", "export")
    assert whole(name_server, zone) == before
    assert not folder.undo_files

    said = folder.run("apply", "--yes", "--no-verify")
    (first,) = folder.undo_files
    assert first.name in said
    assert first.stat().st_mode & 0o777 == 0o600
    assert SECRET not in first.read_text()
    at_google = whole(name_server, zone)
    assert at_google != before
    folder.run("dns", "plan", "--exit-code")
    assert "no changes" in folder.run("apply", "--yes", "--no-verify").lower()
    assert folder.undo_files == [first]

    folder.write(EXCHANGE, zone)
    folder.run("dns", "apply", "--yes")
    assert len(folder.undo_files) == 2
    at_microsoft = whole(name_server, zone)
    assert (f"autodiscover.{zone}", "CNAME") in at_microsoft

    folder.run("rollback", code=4)  # a preview, as nobody can be asked
    assert whole(name_server, zone) == at_microsoft
    folder.run("rollback", "--yes")
    assert whole(name_server, zone) == at_google
    folder.run("rollback", "--yes")  # undoes the rollback
    assert whole(name_server, zone) == at_microsoft
    assert "0 hosts, 4 runs" in folder.run("history")
    run = json.loads(folder.undo_files[0].read_text())["run"]
    folder.run("rollback", "--yes", "--to", run)
    assert whole(name_server, zone) == at_google


@pytest.mark.parametrize("name_server", ["bind"], indirect=True)
def test_what_somebody_else_wrote_into_an_undo_file_is_not_written(
    name_server: NameServer, folder: Folder
) -> None:
    zone = "contracth12.test"
    folder.write(GOOGLE, zone)
    folder.run("dns", "apply", "--yes")
    (path,) = folder.undo_files
    good = path.read_text()

    told = json.loads(good)
    for each in told["images"][0]["sets"]:
        if each["type"] == "MX":
            each["before"] = {"ttl": 300, "values": ["5 mail.evil.example"]}
    path.write_text(json.dumps(told))
    said = folder.run("rollback", "--yes", code=1)
    assert "5 mail.evil.example" not in str(whole(name_server, zone))
    assert "undo files of mail.yml" in said

    path.write_text(good[: len(good) // 2])
    said = folder.run("rollback", "--yes", code=2)
    assert f"{path.name}: is not the undo file that its name says" in said
    path.write_text(good)
