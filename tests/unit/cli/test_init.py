"""`mailprov init`: flags and questions, each answer checked at once; what it ends with validates."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from mailprov.cli import first_inventory, interview, name_servers
from mailprov.components.web import place
from mailprov.dns import providers
from mailprov.inventory import SecretMode, load
from tests.unit.cli.program import mailprov
from tests.unit.cli.terminal import Terminal

FLAGS = ("--domain", "example.org", "--address", "192.0.2.7")


def test_flags_alone_give_an_inventory_that_validates_with_its_secrets(tmp_path: Path) -> None:
    done = mailprov("init", *FLAGS, "--account", "ana", "--account", "no", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout == "Wrote mail.yml, secrets/ana, secrets/no.\nNext: mailprov trust, then mailprov plan\n"
    )
    assert mailprov("validate", cwd=tmp_path).stdout.startswith(
        "mail.yml: good. 1 host, 1 domain, 2 accounts."
    )
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "secrets/ana").stat().st_mode) == 0o600
    assert (tmp_path / "secrets/.gitignore").read_text() == "*\n", "passwords belong into no repository"
    read = load(tmp_path / "mail.yml")
    assert place.SETTING.of(read.hosts[0]), "mail programs of whoever gets an account set themselves up"
    (ana, no) = read.domains[0].accounts
    assert ana.password
    assert no.password
    assert len(ana.password.reveal()) == 20
    assert ana.password.reveal() != no.password.reveal()
    assert ana.password.reveal() not in done.stdout


def test_the_records_have_dmarc_as_the_readme_says(tmp_path: Path) -> None:
    mailprov("init", *FLAGS, cwd=tmp_path)

    assert (
        '_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none' in mailprov("dns", "export", cwd=tmp_path).stdout
    )


def test_every_choice_has_a_flag(tmp_path: Path) -> None:
    done = mailprov(
        "init", "big.yml", *FLAGS, "--fqdn", "mail.example.net", "--user", "ops", "--certificates", "acme",
        "--email", "admin@example.net", "--filter", "none", "--account", "ana", "--passwords", "env",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = load(tmp_path / "big.yml", SecretMode.IGNORE)

    (host,) = read.hosts
    assert (host.name, host.fqdn, host.ssh.user) == ("mail", "mail.example.net", "ops")
    assert (host.tls.mode.value, host.tls.acme.email) == ("acme", "admin@example.net")
    assert host.filter.value == "none"
    assert done.stdout.splitlines() == [
        "Wrote big.yml.",
        "Set the passwords: export ANA_PASSWORD=…",
        "Next: mailprov trust big.yml, then mailprov plan big.yml",
    ]
    assert not (tmp_path / "secrets").exists()


@pytest.mark.parametrize(
    ("flag", "value", "why"),
    [
        ("--domain", "localhost", "only one label"),
        ("--domain", "a b.org", "contains a space"),
        ("--fqdn", "mx1", "only one label"),
        ("--address", "192.0.2.7:0", "has a port that is not between 1 and 65535"),
        ("--user", "ops:secret", "is not a valid user name"),
        ("--certificates", "letsencrypt", "is not one of self-signed, acme"),
        ("--email", "admin", "has no @"),
        ("--filter", "spamassassin", "is not one of rspamd, none"),
        ("--webmail", "squirrel", "is not one of roundcube, none"),
        ("--account", "ana@example.org", "contains @"),
        ("--probe-account", "postmaster", "is one of the mailboxes already"),
        ("--passwords", "hunter2", "is not one of file, env"),
    ],
)
def test_a_wrong_flag_is_told_and_nothing_is_written(flag: str, value: str, why: str, tmp_path: Path) -> None:
    more = ("--certificates", "acme") if flag == "--email" else ()
    done = mailprov("init", *FLAGS, *more, flag, value, cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith(f"mailprov: {flag}: ")
    assert why in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_account_for_tests_is_small_and_marked(tmp_path: Path) -> None:
    done = mailprov("init", *FLAGS, "--probe-account", "probe", cwd=tmp_path)

    assert done.stdout.startswith("Wrote mail.yml, secrets/postmaster, secrets/probe.")
    postmaster, tests = load(tmp_path / "mail.yml").domains[0].accounts
    assert (postmaster.probe, postmaster.quota) == (False, None)
    assert (tests.address, tests.probe, tests.quota) == ("probe@example.org", True, 2**20)


def test_what_is_missing_without_a_terminal_is_named_at_once(tmp_path: Path) -> None:
    done = mailprov("init", cwd=tmp_path)

    assert done.returncode == 2
    assert "--domain and --address are missing and there is no terminal to ask on" in done.stderr


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2001:db8::7", "mx1.example.org", "10"])
@pytest.mark.parametrize("domain", ["señal.test", "no.test", "123.test"])
def test_words_that_yaml_could_take_for_something_else(domain: str, address: str, tmp_path: Path) -> None:
    done = mailprov("init", "--domain", domain, "--address", address, "--account", "1e3", cwd=tmp_path)
    if address == "10":
        assert done.returncode == 2
        return
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "mail.yml").hosts[0].address == address


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("192.0.2.7:2222", ("192.0.2.7", 2222)),
        ("[2001:db8::7]:2222", ("2001:db8::7", 2222)),
        ("2001:db8::7", ("2001:db8::7", None)),
        ("mx1.alpha.test:22", ("mx1.alpha.test", None)),
    ],
)
def test_a_port_for_ssh_stands_behind_the_address(
    address: str, found: tuple[str, int | None], tmp_path: Path
) -> None:
    done = mailprov("init", "--domain", "alpha.test", "--address", address, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    (host,) = load(tmp_path / "mail.yml").hosts
    assert (host.address, host.ssh.port) == found


def test_passwords_that_are_there_already_stay(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/postmaster").write_text("mine-since-years")
    done = mailprov("init", *FLAGS, "--json", cwd=tmp_path)

    assert (tmp_path / "secrets/postmaster").read_text() == "mine-since-years"
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["run_started", "written", "run_ended"]


def test_a_wrong_answer_is_asked_again_and_what_cannot_be_reached_may_be_kept(tmp_path: Path) -> None:
    with Terminal("init", cwd=tmp_path) as terminal:
        terminal.answer("Mail domain", "not a domain")
        terminal.wait_for('"not a domain" contains a space.')
        terminal.answer("Mail domain", "alpha.test")
        terminal.answer("Host's full name [mx1.alpha.test]", "")
        terminal.answer("Address for SSH", "127.0.0.1:99999")
        terminal.wait_for("has a port that is not between 1 and 65535")
        terminal.answer("Address for SSH", "no-such-host.invalid")
        terminal.answer("SSH user [root]", "")
        terminal.wait_for("does not resolve")
        terminal.answer("Keep it anyway", "n")
        terminal.answer("Address for SSH", "no-such-host.invalid")
        terminal.answer("SSH user", "ops")
        terminal.answer("Keep it anyway", "y")
        terminal.answer("Certificates (self-signed, acme) [self-signed]", "selfsigned")
        terminal.wait_for("is not one of self-signed, acme")
        terminal.answer("Certificates", "acme")
        terminal.answer("Mail address for Let's Encrypt [postmaster@alpha.test]", "")
        terminal.answer("Filter (rspamd, none) [rspamd]", "none")
        terminal.answer("Webmail (roundcube, none) [none]", "roundcube")
        terminal.answer("Mailboxes, with commas between [postmaster]", "ana, luis")
        terminal.answer("Account for tests (a name, or none) [probe]", "luis")
        terminal.wait_for('"luis" is one of the mailboxes already')
        terminal.answer("Account for tests (a name, or none) [probe]", "none")
        terminal.answer("Passwords (file, env) [file]", "")
        assert terminal.end() == 0
        assert "Next: mailprov trust, then mailprov plan" in terminal.shown
    read = load(tmp_path / "mail.yml")

    assert (read.hosts[0].address, read.hosts[0].ssh.user) == ("no-such-host.invalid", "ops")
    assert read.domains[0].webmail == "roundcube"
    assert [account.address for account in read.domains[0].accounts] == ["ana@alpha.test", "luis@alpha.test"]


def test_a_terminal_of_80_columns_cuts_no_word(tmp_path: Path) -> None:
    """Ten lines are longer: each is cut by the program, at a blank."""
    with Terminal("init", cwd=tmp_path, env={"COLUMNS": "80"}) as terminal:
        terminal.answer("Mail domain", "example.org")
        terminal.answer("Host's full name", "")
        terminal.answer("Address for SSH", "no-such-host-in-the-whole-world-of-names.invalid")
        terminal.answer("SSH user", "")
        terminal.answer("Keep it anyway", "y")
        for question in ("Certificates", "Mail address for", "Filter", "Webmail", "Mailboxes"):
            terminal.answer(question, "")
        terminal.answer("Account for tests", "")
        terminal.answer("Passwords", "")
        assert terminal.end() == 0
        lines = [line.rstrip("\r") for line in terminal.shown.split("\n")]
        typed = ("Address for SSH", "  Keep it anyway")  # the answer stands behind it
        assert [line for line in lines if len(line) > 80 and not line.startswith(typed)] == []


def test_flags_are_not_asked_again(tmp_path: Path) -> None:
    with Terminal("init", *FLAGS, "--yes", cwd=tmp_path) as terminal:
        assert terminal.end() == 0
        assert terminal.shown.startswith("Wrote mail.yml")


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with Terminal("init", cwd=tmp_path) as terminal:
        terminal.answer("Mail domain", "alpha.test")
        terminal.wait_for("Host's full name")
        assert terminal.interrupt() == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("servers", "name"),
    [
        (["ns-12.awsdns-01.com", "ns-2000.awsdns-58.co.uk"], "route53"),
        (["hydrogen.ns.hetzner.com", "helium.ns.hetzner.de"], "hetzner"),
        (["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"], "cloudflare"),
        (["ns1.digitalocean.com"], "digitalocean"),
        (["ns-231-a.gandi.net", "ns-12-b.gandi.net"], "gandi"),
        (["dns19.ovh.net", "ns19.ovh.net"], "ovh"),
        (["ns-12.awsdns-01.com", "ns1.example.org"], ""),  # some of them are elsewhere
        (["ns-12.awsdns-01.com.evil.example"], ""),
        ([], ""),
    ],
)
def test_who_has_the_zone_is_told_by_its_name_servers(servers: list[str], name: str) -> None:
    found = providers.at_name_servers(servers)
    assert (found.name if found else "") == name


def test_what_the_provider_needs_is_written_down_for_each_of_them(tmp_path: Path) -> None:
    for name in ("", *(each.name for each in providers.every() if each.name_servers)):
        answers = first_inventory.Answers("example.org", "mx1.example.org", "192.0.2.7", dns=name)
        text = first_inventory.text(answers)
        example = providers.named(name or "rfc2136").example
        assert "# dns:\n" + "".join(f"#   {line}\n" for line in example) in text
        (tmp_path / "mail.yml").write_text(text.replace("# dns:", "dns:").replace("#   ", "  "))
        settings = load(tmp_path / "mail.yml", SecretMode.IGNORE).dns.provider
        assert settings.name == (name or "rfc2136")


def test_name_servers_are_looked_up_only_when_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(name_servers, "_name_servers", lambda domain: ["ns-12.awsdns-01.com"])
    for flags, wanted in (((), 0), (("--dns", "none"), 0), (("--dns", "auto"), 1)):
        path = tmp_path / f"{len(flags)}{wanted}.yml"
        done = mailprov("init", str(path), *FLAGS, *flags)
        assert done.returncode == 0, done.stderr
        assert ("# dns:\n#   provider: route53\n" in path.read_text()) == bool(wanted)
    assert interview._Asking({"dns": None}).dns("example.org") == "route53"
    assert "Its zone is at Amazon Route 53" in capsys.readouterr().out
    assert interview._Asking({"dns": "none"}).dns("example.org") == ""


def test_the_hosts_zone_may_be_at_another_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = {"example.org": ["ns-12.awsdns-01.com"], "mx1.example.net": ["ada.ns.cloudflare.com"]}
    monkeypatch.setattr(name_servers, "_name_servers", lambda name: servers.get(name, []))
    monkeypatch.setattr(name_servers, "zone_of", lambda name: "example.net")
    path = tmp_path / "mail.yml"
    flags = (
        "--domain",
        "example.org",
        "--fqdn",
        "mx1.example.net",
        "--address",
        "192.0.2.7",
        "--dns",
        "auto",
    )
    assert mailprov("init", str(path), *flags).returncode == 0
    text = path.read_text()
    assert "    example.net:\n#       provider: cloudflare\n" in text
    path.write_text(text.replace("# dns:", "dns:").replace("#   ", "  "))
    dns = load(path, SecretMode.IGNORE).dns
    assert (dns.at("example.org").provider.name, dns.at("mx1.example.net").provider.name) == (
        "route53",
        "cloudflare",
    )
    path.unlink()
    assert mailprov("init", str(path), *flags[:3], "mx1.example.org", *flags[4:]).returncode == 0
    assert "zones:" not in path.read_text()


def test_a_resolver_that_does_not_answer_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **named: object) -> object:
        raise OSError("no resolver at all")

    monkeypatch.setattr("dns.resolver.Resolver", broken)
    assert name_servers.provider_of("example.org") is None


def test_a_wrong_word_for_dns(tmp_path: Path) -> None:
    done = mailprov("init", *FLAGS, "--dns", "route53", cwd=tmp_path)
    assert (done.returncode, '--dns: "route53" is not one of auto, none' in done.stderr) == (2, True)
