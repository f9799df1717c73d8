"""--report KIND=FILE: what is refused before anything runs, and that each file is whole however a run ends."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from mailprov.components.templates import folders
from mailprov.errors import InputError, ReportFailed
from mailprov.model.events import Event, RunEnded
from mailprov.report import own_file
from mailprov.report.report_files import KINDS, LATE, ReportFiles
from mailprov.report.whole_run import Making
from tests.unit.cli.program import mailprov
from tests.unit.report import formats
from tests.unit.report.runs import RUNS, START

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/report.schema.json").read_text())
READERS = {
    "json": lambda text: formats.json_schema(json.loads(text), SCHEMA),
    "junit": formats.junit,
    "tap": formats.tap,
    "github": formats.commands,
    "nagios": formats.plugin,
    "prometheus": formats.metrics,
    "sarif": formats.sarif,
    "markdown": lambda text: text.index("## mailprov"),
    "html": formats.page,
}


def written(folder: Path, events: tuple[Event, ...], kinds: tuple[str, ...] = tuple(KINDS)) -> dict[str, str]:
    files = {kind: folder / f"report.{kind}" for kind in kinds}
    report = ReportFiles([f"{kind}={path}" for kind, path in files.items()], making=Making(folders=folders))
    for event in events:
        report(event)
    return {kind: path.read_text(encoding="utf-8") for kind, path in files.items() if path.exists()}


def test_every_kind_has_a_reader_here_and_is_in_the_documentation() -> None:
    assert set(READERS) == set(KINDS)
    page = (Path(__file__).parents[3] / "docs/reports.md").read_text()
    assert [kind for kind in KINDS if f"| `{kind}` |" not in page] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("run", RUNS)
def test_a_file_is_whole_however_the_run_ends(kind: str, run: str, tmp_path: Path) -> None:
    told = written(tmp_path, RUNS[run], (kind,))
    if run == "killed" and kind in LATE:
        assert told == {}, "nothing is written before the end"
        return
    READERS[kind](told[kind])
    assert sorted(os.listdir(tmp_path)) == [f"report.{kind}"]
    assert stat.S_IMODE((tmp_path / f"report.{kind}").stat().st_mode) == 0o666 & ~_umask(), "others read it"


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_a_run_that_was_killed_or_interrupted_says_so_in_every_file(tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    killed = written(tmp_path / "killed", RUNS["killed"])
    assert set(killed) == set(KINDS) - LATE
    told = dict.fromkeys(killed, "the run did not complete") | {"markdown": "did not complete"}
    assert {kind for kind in killed if told[kind] not in killed[kind]} == set()
    (tmp_path / "interrupted").mkdir()
    interrupted = written(tmp_path / "interrupted", RUNS["interrupted"])
    told = dict.fromkeys(interrupted, "interrupted") | {"prometheus": "mailprov_run_complete 0"}
    assert {kind for kind in interrupted if told[kind] not in interrupted[kind]} == set()
    assert json.loads(interrupted["json"])["run"]["complete"] is False
    assert len(json.loads(interrupted["json"])["findings"]) == 3, "what it had found until then"


def test_a_file_of_before_is_no_report_of_this_run_but_where_its_reader_looks_at_any_time(
    tmp_path: Path,
) -> None:
    for kind in KINDS:
        (tmp_path / f"report.{kind}").write_text("an old one")
    told = written(tmp_path, RUNS["killed"])
    assert {kind for kind, text in told.items() if text == "an old one"} == LATE & KINDS.keys()


WRONG = (
    ("junit", "it is no KIND=FILE"),
    ("junit=", "it is no KIND=FILE"),
    ("=x", 'no kind of report is ""'),
    ("xml=x", 'no kind of report is "xml"'),
    ("JSON=x", 'no kind of report is "JSON"'),
    ("json=no/x", "its folder does not exist"),
    ("json=.", "cannot be written: it is a folder"),
    (f"json={'x' * 300}", "cannot be written: File name too long"),
    ("json=mail.yml", "that file is read by this command"),
    ("json=./there/../mail.yml", "that file is read by this command"),
    ("json=link", "that file is read by this command"),
)


@pytest.mark.parametrize(("word", "what"), WRONG, ids=[word[:20] for word, _ in WRONG])
def test_a_wrong_word_is_refused_before_anything_is_written(
    word: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mail.yml").write_text("the inventory")
    (tmp_path / "link").symlink_to("mail.yml")
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError) as caught:
        ReportFiles(["tap=first.tap", word], Path("junit.xml"), kept=[Path("mail.yml")])
    assert what in str(caught.value)
    assert str(caught.value).startswith(f"--report {word}: ")
    assert sorted(os.listdir(tmp_path)) == ["link", "mail.yml", "there"]
    assert (tmp_path / "mail.yml").read_text() == "the inventory"


def test_two_kinds_in_one_file_are_refused_also_by_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("x")
    for words, junit in (
        (["json=x", "tap=./x"], None),
        (["json=x", "json=x"], None),
        (["json=x", "tap=link"], None),
        (["json=x"], Path("x")),
        (["json=-", "tap=-"], None),
    ):
        with pytest.raises(InputError, match="is written to the same place"):
            ReportFiles(words, junit)
    with pytest.raises(InputError, match="--json is printed there"):
        ReportFiles(["tap=-"], stdout_is_taken=True)
    assert os.listdir(tmp_path) == ["link"]


def test_one_file_that_cannot_be_written_at_the_end_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = ReportFiles([f"{kind}={tmp_path / kind}" for kind in ("json", "tap", "junit")])
    real = own_file.write

    def full(path: Path, text: str, *, private: bool = True) -> None:
        if path.name == "tap":
            raise OSError(28, "No space left on device")
        real(path, text, private=private)

    monkeypatch.setattr(own_file, "write", full)
    report(START)
    with pytest.raises(ReportFailed, match=r"--report tap=.*: cannot be written: No space left"):
        report(RunEnded(0, "done"))
    assert json.loads((tmp_path / "json").read_text())["run"]["complete"] is True
    assert "nothing ran" in (tmp_path / "junit").read_text()
    assert "did not complete" in (tmp_path / "tap").read_text(), "the one of the beginning is whole"


def test_a_device_or_a_pipe_gets_the_report_once_at_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    report = ReportFiles([f"tap={tmp_path / 'pipe'}"])
    for event in RUNS["sound"]:
        report(event)
    points, bailed = formats.tap(os.read(reader, 100_000).decode())
    os.close(reader)
    assert (len(points), bailed) == (32, "")


@pytest.mark.parametrize("command", ["verify", "apply", "dns check"])
def test_the_command_line_takes_it_and_its_files_are_there_also_when_the_inventory_is_wrong(
    command: str, tmp_path: Path
) -> None:
    (tmp_path / "mail.yml").write_text("hosts: {mx1: {nothing: 1}}\ndomains: {}\n")
    words = [word for kind in KINDS for word in ("--report", f"{kind}={kind}.out")]
    yes = ["--yes"] if command == "apply" else []
    seen = mailprov(*command.split(), *yes, *words, "mail.yml", cwd=tmp_path)
    assert seen.returncode == 2, seen.stderr
    for kind in KINDS:
        READERS[kind]((tmp_path / f"{kind}.out").read_text())
    assert json.loads((tmp_path / "json.out").read_text())["inventory_problems"]
    seen = mailprov(*command.split(), "--report", "xml=x", "mail.yml", cwd=tmp_path)
    assert seen.returncode == 2
    assert 'no kind of report is "xml"' in seen.stderr
    assert seen.stderr.count("\n") == 1


def test_on_stdout_the_report_is_alone_but_for_annotations(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text("hosts: {}\n")
    for kind in KINDS:
        seen = mailprov("verify", "--report", f"{kind}=-", "mail.yml", cwd=tmp_path)
        assert seen.returncode == (3 if kind == "nagios" else 2)
        READERS[kind](seen.stdout)


def test_as_a_plugin_whatever_keeps_it_from_running_is_unknown(tmp_path: Path) -> None:
    """2 would be CRITICAL to Nagios, and 1 a warning."""
    for words in (
        ("verify", "--report", "nagios=-", "--no-such-option"),
        ("verify", "--report", "nagios=-", "--accounts", "none", "mail.yml"),
        ("verify", "--report=nagios=-", "missing.yml"),
        ("verify", "--report", "nagios=-", "--report", "xml=x", "mail.yml"),
    ):
        seen = mailprov(*words, cwd=tmp_path)
        assert seen.returncode == 3, words
        assert seen.stdout.startswith("MAIL UNKNOWN - "), words
        assert seen.stdout.count("\n") == 1, words


def test_sigterm_leaves_whole_files(tmp_path: Path) -> None:
    """As a pipeline that is cancelled ends it. A password's command says that it runs, and waits."""
    import subprocess
    import sys

    (tmp_path / "mail.yml").write_text(
        "managed: false\nhosts: {mx1: {address: 127.0.0.1, fqdn: mx1.alpha.test}}\n"
        "domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: "
        "{command: 'echo > begun.fifo; cat forever.fifo'}}}}}\n"
    )
    os.mkfifo(tmp_path / "begun.fifo")
    os.mkfifo(tmp_path / "forever.fifo")
    words = [word for kind in KINDS for word in ("--report", f"{kind}={kind}.out")]
    running = subprocess.Popen(
        [sys.executable, "-m", "mailprov", "verify", *words, "mail.yml"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with open(tmp_path / "begun.fifo") as begun:
        begun.read()
    running.send_signal(signal.SIGTERM)
    assert running.wait() == 130
    for kind in KINDS:
        READERS[kind]((tmp_path / f"{kind}.out").read_text())
    assert json.loads((tmp_path / "json.out").read_text())["run"]["complete"] is False
