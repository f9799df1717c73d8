"""What shells offer after TAB: by the program's answers, and in a real bash, zsh and fish."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mailprov.cli import seen_runs
from mailprov.lab.paths import LabPaths
from mailprov.lab.state import LabHost, LabState, save
from mailprov.model.answers import PastRun
from mailprov.model.events import RunEnded
from tests.unit.cli.terminal import Terminal
from tests.unit.cli.test_help_page import libraries

INVENTORY = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}
  mx2: {address: 192.0.2.2, fqdn: mx2.alpha.test}
domains:
  alpha.test: {hosts: [mx1], domain_aliases: [alias.test], accounts: {ana: {password: {command: "touch ASKED"}}}}
  beta.test: {hosts: [mx2], accounts: {luis: {password: {env: SURELY_NOT_SET}}}}
"""
TEST_TOOLS = "make test installs it as root (scripts/test-tools)"


# Labs of this test, written down as `lab up` does: name → hosts.
LABS = {"ensayo": ("mx1", "mx2"), "otro": ("web",)}


def lay_lab(folder: Path, name: str, hosts: tuple[str, ...]) -> None:
    def host(index: int, name: str) -> LabHost:
        return LabHost(name, index, "debian-12", f"{name}.alpha.test", f"10.78.0.{index}", "", "0" * 32, "")

    (folder / "labs" / name).mkdir(parents=True)
    members = tuple(host(number, each) for number, each in enumerate(hosts, 11))
    made = LabState(
        name, "up", "2026-11-29T09:00:00+00:00", "10.78.0.0/24", "", "ns1", (), host(2, "ns1"), members
    )
    save(LabPaths(name, folder / "labs" / name), made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, hosts in LABS.items():
        lay_lab(tmp_path, name, hosts)
    (tmp_path / "mail.yml").write_text(INVENTORY)
    (tmp_path / "other.yml").write_text(INVENTORY.replace("mx2", "mx7").replace("beta", "gamma"))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/mailprov"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mailprov "$@"\n')
    program.chmod(0o755)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "MAILPROV_LAB_STATE": str(folder / "labs"),
        "MAILPROV_LAB_CACHE": str(folder / "lab-cache"),
    }


def offered(folder: Path, line: str, code: str = "from mailprov.__main__ import main; main()") -> list[str]:
    """As fish asks for it. Errors would be drawn into the line that is being typed: there must be none."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['mailprov']; {code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={
            **environment(folder),
            "_MAILPROV_COMPLETE": "complete_fish",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "_TYPER_COMPLETE_ARGS": line,
        },
    )
    assert done.stderr == ""
    return [word.partition("\t")[0] for word in done.stdout.splitlines() if word]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("mailprov trust mail.yml m", ["mx1", "mx2"]),
        ("mailprov trust mail.yml mx1 ", ["mx1", "mx2"]),
        ("mailprov trust other.yml m", ["mx1", "mx7"]),
        ("mailprov trust mx1 m", ["mx1", "mx2"]),  # the inventory is left out
        ("mailprov trust m", ["mail.yml", "mx1", "mx2"]),
        ("mailprov trust no/such.yml m", []),
        ("mailprov plan --host mx", ["mx1", "mx2"]),
        ("mailprov plan other.yml --host mx", ["mx1", "mx7"]),
        ("mailprov apply --domain a", ["alpha.test", "alias.test"]),
        ("mailprov dns plan --domain b", ["beta.test"]),
        ("mailprov dkim rotate mail.yml al", ["alpha.test", "alias.test"]),
        ("mailprov explain tls.ch", ["tls.chain"]),
        ("mailprov explain fail", ["fail2ban"]),
        ("mailprov explain tls-", ["tls-rpt"]),
        (
            "mailprov verify --probe dns.d",
            ["dns.delegation", "dns.dkim", "dns.dmarc", "dns.dnssec", "dns.dnssec-mx"],
        ),
        ("mailprov verify --probe tl", ["tls"]),
        ("mailprov lab stop --name e", ["ensayo"]),
        ("mailprov lab status --name ", ["ensayo", "otro"]),
        ("mailprov lab ssh m", ["mx1", "mx2"]),
        ("mailprov lab ssh --name otro ", ["web", "ns1"]),
        ("mailprov lab reset --name ensayo --host m", ["mx1", "mx2"]),
        ("mailprov lab reset --name no-such --host m", []),
        ("mailprov tru", ["trust"]),
        ("mailprov dkim r", ["rotate"]),
        ("mailprov plan --exi", ["--exit-code"]),
    ],
)
def test_names_of_the_inventory_on_the_line(line: str, names: list[str], folder: Path) -> None:
    assert offered(folder, line)[: len(names) or None] == names


def test_nothing_is_asked_that_is_not_on_the_disk(folder: Path) -> None:
    assert offered(folder, "mailprov purge mail.yml --host mx") == ["mx1", "mx2"]
    assert not (folder / "ASKED").exists(), "no command of a secret runs"


@pytest.mark.parametrize(
    "text",
    ["", "hosts: [", "hosts: {mx1: {adress: no}}\ndomains: 7", "hosts: mx1", "\0", "[]", "hosts: {mx1: }"],
)
def test_an_inventory_that_is_not_right_yet_gives_what_it_has_and_no_error(text: str, folder: Path) -> None:
    (folder / "mail.yml").write_text(text)

    assert offered(folder, "mailprov plan --host m") == (["mx1"] if "mx1:" in text else [])
    assert offered(folder, "mailprov plan --domain m") == []


def test_it_loads_little(folder: Path) -> None:
    """The user waits for it."""
    code = (
        "import json\nfrom mailprov.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "json.dump(sorted(sys.modules), open('modules', 'w'))"
    )
    assert offered(folder, "mailprov trust mail.yml m", code) == ["mx1", "mx2"]
    modules = set(json.loads((folder / "modules").read_text()))

    assert not libraries(modules) & {
        "paramiko",
        "cryptography",
        "dns",
        "jinja2",
        "mailprov.probe",
        "mailprov.lab",
    }
    assert "mailprov.cli.dkim" not in modules


def test_runs_that_history_showed_last(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.chdir(folder)
    remember = seen_runs.Remember(Path("mail.yml"))
    for run in ("20261128T090000Z-aaaaaa", "20261129T090000Z-bbbbbb"):
        for host in ("mx1", "mx2"):
            remember(PastRun(host, run, "apply", "ana@laptop", "2026-11-29T09:00:00Z", "", "ok", 3))
    remember(RunEnded(0, ""))

    assert [run for run, _ in seen_runs.of(Path("mail.yml"))] == [
        "20261129T090000Z-bbbbbb",
        "20261128T090000Z-aaaaaa",
    ]
    with pytest.raises(OSError, match="No such file"):
        seen_runs.of(Path("other.yml"))


def test_where_nothing_can_be_remembered_history_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    remember = seen_runs.Remember(Path("mail.yml"))
    remember(PastRun("mx1", "r", "apply", "ana@laptop", "", "", "ok", 3))
    remember(RunEnded(0, ""))


LINES = {
    "mailprov trust mail.yml mx": ["mx1", "mx2"],
    "mailprov dkim show be": ["beta.test"],
    "mailprov explain tls.ch": ["tls.chain"],
    "mailprov lab down --name en": ["ensayo"],
    "mailprov lab ssh --name ensayo mx": ["mx1", "mx2"],
}


_SCRIPTS: dict[str, str] = {}  # of each shell, the same in every folder


def script(folder: Path, shell: str) -> Path:
    """What `--show-completion` prints in that shell."""
    if shell not in _SCRIPTS:
        _SCRIPTS[shell] = subprocess.run(
            [folder / "bin/mailprov"],
            env={**environment(folder), "_MAILPROV_COMPLETE": f"source_{shell}"},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        assert str(folder) not in _SCRIPTS[shell]
    path = folder / f"script.{shell}"
    path.write_text(_SCRIPTS[shell])
    return path


@pytest.mark.parametrize("line", LINES)
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_in_bash(line: str, folder: Path) -> None:
    words = line.split()
    ask = (
        f"source {script(folder, 'bash')}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
        "complete -p mailprov | grep -q _mailprov_completion && _mailprov_completion mailprov\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", ask],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (LINES[line], "")


@pytest.mark.parametrize("line", LINES)
@pytest.mark.skipif(not shutil.which("fish"), reason=f"no fish; {TEST_TOOLS}")
def test_in_fish(line: str, folder: Path) -> None:
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script(folder, 'fish')}; complete -C '{line}'"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert [each.partition("\t")[0] for each in done.stdout.splitlines()] == LINES[line], done.stderr


@pytest.mark.parametrize("line", LINES)
@pytest.mark.skipif(not shutil.which("zsh"), reason=f"no zsh; {TEST_TOOLS}")
def test_in_zsh(line: str, folder: Path) -> None:
    """zsh completes at its prompt only: it has one here, and TAB is pressed."""
    path = script(folder, "zsh")
    argv = ["zsh", "-f", "-i"]
    with Terminal(cwd=folder, env=environment(folder), program=argv) as terminal:
        terminal.answer(
            "# " if os.geteuid() == 0 else "% ",
            f"PS1='READY '; autoload -Uz compinit; compinit -u -D; . {path}",
        )
        terminal.wait_for("READY ")
        terminal.press(line + "\t")
        for name in LINES[line]:
            terminal.wait_for(name)
        terminal.press("\x03")
