"""What a start costs, counted in modules: libraries that a command does not need are not imported."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mailprov import transport
from mailprov.cli.app import build_app
from mailprov.cli.help_page import COMMANDS, page

INVENTORY = """\
ssh: {user: root, host_key: "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDhYIr3Jv2VxTjKdEM"}
hosts: {mx1: {address: 127.0.0.1, fqdn: mx1.alpha.test, ssh: {port: 1}}}
domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: HOME}}}}}
"""


def imported(*words: str) -> set[str]:
    """The modules that a run of mailprov leaves imported; those of a bare Python are not counted."""
    code = (
        "import sys; bare = set(sys.modules); sys.argv = ['mailprov', *sys.argv[1:]]\n"
        "from mailprov.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "found = sorted(set(sys.modules) - bare)\n"
        "import json; sys.stderr.write('\\n' + json.dumps(found))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def libraries(modules: set[str]) -> set[str]:
    """Those that take their time."""
    known = {
        "asyncio",
        "cryptography",
        "email.message",
        "dns",
        "invoke.runners",
        "jinja2",
        "paramiko",
        "pydantic",
        "rich",
    }
    known |= {"ruamel", "typer", "unittest", "mailprov.probe", "mailprov.lab"}
    return {name for name in known if name in modules}


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["-h"]])
def test_the_first_page_and_the_version_import_nothing_but_mailprov(words: list[str]) -> None:
    own = {
        "mailprov",
        "mailprov.__main__",
        "mailprov.cli",
        "mailprov.cli.help_page",
        "mailprov.i18n",
        "__future__",
    }

    assert imported(*words) <= own


def test_the_help_of_a_command_imports_no_other_command() -> None:
    modules = imported("apply", "--help")

    assert "mailprov.cli.apply" in modules
    assert "mailprov.cli.verify" not in modules
    assert libraries(modules) <= {"typer", "pydantic", "email.message"}


@pytest.mark.parametrize("command", [["plan"], ["apply", "--yes"]])
def test_a_run_without_dns_or_verification_loads_neither(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(INVENTORY)

    modules = imported(*command, str(path))

    assert "paramiko" in modules  # it got as far as the connection
    assert not libraries(modules) & {
        "dns",
        "rich",
        "typer",
        "email.message",
        "unittest",
        "invoke.runners",
        "mailprov.probe",
        "mailprov.lab",
    }


def test_the_ssh_program_needs_no_ssh_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(INVENTORY.replace("ssh: {user", "ssh: {transport: openssh, user"))

    modules = imported("plan", "--only", "hosts", str(path))

    assert "mailprov.transport.openssh.program" in modules  # it got as far as the connection
    assert "paramiko" not in modules
    assert "mailprov.transport.ssh.handshake" not in modules


def test_the_stand_in_for_metadata_says_what_it_would_say() -> None:
    stand_in = transport._Metadata("importlib.metadata")

    assert stand_in.version("paramiko") == importlib.metadata.version("paramiko")
    assert stand_in.version("ruamel.yaml") == importlib.metadata.version("ruamel.yaml")
    assert stand_in.distributions is importlib.metadata.distributions
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        stand_in.version("no-such-package")


def test_the_first_page_says_what_the_commands_say() -> None:
    for name, (module, attribute, line) in COMMANDS.items():
        made = getattr(importlib.import_module(f"mailprov.cli.{module}"), attribute)
        text = made.info.help if isinstance(made, typer.Typer) else made.__doc__

        assert text.split()[0] == line.split()[0]
        assert f"\n  {name.ljust(8)}  {line}\n" in page()


def test_all_commands_are_there_and_the_group_shows_the_same_page() -> None:
    from typer.testing import CliRunner

    done = CliRunner().invoke(build_app(), ["--help"])

    assert done.stdout == page()
    for name in COMMANDS:
        assert CliRunner().invoke(build_app(name), [name, "--help"]).exit_code == 0
