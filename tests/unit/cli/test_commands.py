"""The program as its user starts it: exit codes, one sentence per mistake, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.program import mailprov

GOOD = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {password: {hash: "{SHA512-CRYPT}$6$saltsalt$hash"}}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "mail.yml"
    path.write_text(GOOD)
    return path


def test_version_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['mailprov', '--version']; from mailprov.__main__ import main; main(); "
        "heavy = {'typer', 'rich', 'paramiko', 'pydantic', 'dns', 'jinja2'}; "
        "print(sorted(heavy & {m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("mailprov ")
    assert done.stdout.splitlines()[1] == "[]"


def test_help_imports_no_ssh_dns_or_schema() -> None:
    code = (
        "import sys; sys.argv = ['mailprov', '--help']\n"
        "from mailprov.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'paramiko', 'pydantic', 'dns', 'jinja2', 'cryptography'}\n"
        "print(sorted(heavy & {m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "validate" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_validate_good(inventory: Path) -> None:
    done = mailprov("validate", str(inventory))

    assert (done.returncode, done.stderr) == (0, "")
    assert "good. 1 host, 1 domain, 1 account." in done.stdout


def test_validate_tells_all_problems_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(GOOD.replace("fqdn:", "fqnd:").replace("[mx1]", "[mx2]"))
    done = mailprov("validate", str(path))

    assert done.returncode == 2
    assert "mail.yml:2:" in done.stderr
    assert 'did you mean "fqdn"' in done.stderr.replace("Did", "did")
    assert "Traceback" not in done.stderr
    assert "nothing was done" in done.stderr


def test_an_inventory_that_is_not_there(tmp_path: Path) -> None:
    done = mailprov("plan", str(tmp_path / "no.yml"))

    assert done.returncode == 2
    assert "no.yml" in done.stderr
    assert "Traceback" not in done.stderr


def test_apply_without_a_terminal_asks_for_yes(inventory: Path) -> None:
    done = mailprov("apply", str(inventory))

    assert done.returncode == 2
    assert (
        done.stderr
        == "mailprov: apply: there is no terminal to ask on. Give --yes to apply without a question, or use plan.\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verfy",), "No such command"),
        (("plan",), "plan: no inventory was given, and there is no mail.yml in this folder"),
        (("explain", "tls.chian"), "Did you mean tls.chain"),
        (("explain", "loop.path"), "Its name is delivery.path now"),
        (("verify", "--probe", "loop", "EXAMPLE"), "Its name is delivery now"),
        (("lab", "reset", "--name", "x", "mx1"), "a host is given with --host"),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], message: str) -> None:
    done = mailprov(*words)

    assert done.returncode == 2
    assert message in done.stderr


def test_dns_export_prints_a_zone_file_without_any_secret(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(
        GOOD.replace('{hash: "{SHA512-CRYPT}$6$saltsalt$hash"}', "{env: SURELY_NOT_SET_ANYWHERE}")
    )
    done = mailprov("dns", "export", str(path))

    assert done.returncode == 0, done.stderr
    assert "mx1.alpha.test." in done.stdout
    assert '"v=spf1' in done.stdout


def test_dns_export_into_a_file(inventory: Path, tmp_path: Path) -> None:
    printed = mailprov("dns", "export", str(inventory)).stdout
    assert mailprov("dns", "export", "-o", str(tmp_path / "zone"), str(inventory)).returncode == 0
    assert (tmp_path / "zone").read_text() == printed

    done = mailprov("dns", "export", "-o", str(tmp_path / "no" / "zone"), str(inventory))
    assert done.returncode == 2
    assert "zone: cannot be written: No such file or directory. Give a path you may write." in done.stderr


def test_schema_is_json_schema() -> None:
    schema = json.loads(mailprov("schema").stdout)

    assert schema["properties"].keys() >= {"hosts", "domains", "ssh", "dns", "tls"}


def test_init_writes_an_inventory_that_validates(tmp_path: Path) -> None:
    done = mailprov("init", "new.yml", "--domain", "example.org", "--address", "192.0.2.7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = mailprov("init", "new.yml", "--domain", "example.org", "--address", "192.0.2.7", cwd=tmp_path)
    assert again.returncode == 2
    assert "nothing was overwritten" in again.stderr

    assert mailprov("dns", "export", "new.yml", cwd=tmp_path).returncode == 0


def test_init_into_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    done = mailprov("init", "no/new.yml", "--domain", "example.org", "--address", "192.0.2.7", cwd=tmp_path)

    assert done.returncode == 2
    assert (
        done.stderr
        == "mailprov: no/new.yml: cannot be written: No such file or directory. Give a path you may write.\n"
    )


def test_init_refuses_what_would_not_validate(tmp_path: Path) -> None:
    done = mailprov("init", "new.yml", "--domain", "not a domain", "--address", "192.0.2.7", cwd=tmp_path)

    assert done.returncode == 2
    assert not (tmp_path / "new.yml").exists()


def test_trust_names_the_host_that_is_not_there(inventory: Path) -> None:
    done = mailprov("trust", str(inventory), "mx2")

    assert done.returncode == 2
    assert done.stderr == (
        f'inventory: {inventory}\nmailprov: trust: "mx2" is not in the inventory. Did you mean "mx1"?\n'
    )


def test_an_unreachable_host_is_exit_code_3(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(
        GOOD.replace("192.0.2.1", "127.0.0.1").replace(
            "fqdn: mx1.alpha.test", "fqdn: mx1.alpha.test, ssh: {port: 1}"
        )
    )
    done = mailprov("plan", str(path))

    assert done.returncode == 3
    assert "refused" in done.stdout
    assert "No changes" not in done.stdout


def test_a_server_of_others_is_asked_nothing(tmp_path: Path) -> None:
    """Nothing listens at 127.0.0.9, so a host that was asked would be an error."""
    inventory = tmp_path / "mail.yml"
    inventory.write_text(
        "managed: false\n"
        "hosts: {s1: {address: 127.0.0.9, fqdn: s1.alpha.test, ssh: {port: 9}}}\n"
        "domains: {alpha.test: {hosts: [s1]}}\n"
    )
    printed = mailprov("dns", "export", "--dkim", str(inventory))
    assert (printed.returncode, "10 s1.alpha.test." in printed.stdout) == (0, True), printed.stderr
    for command in (["plan"], ["history"], ["dkim", "show"]):
        done = mailprov(*command, str(inventory))
        assert (done.returncode, done.stdout) == (2, ""), command
        assert "managed: false" in done.stderr, (command, done.stderr)
    chosen = mailprov("history", "--host", "s1", str(inventory))
    assert chosen.returncode == 2
    assert "s1 has `managed: false`" in chosen.stderr
