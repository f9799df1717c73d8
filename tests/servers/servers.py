"""Five mail servers built by hand from the distribution, and the sheet of each: what verify must say of it, and why.

    SERVERS                     name → Server, in the order in which they are built
    inventory(names, release)   the text of an inventory of these servers, each on a host of its own
    build(lab, names)           type the scripts, all hosts at once; their records; may be called once
    judged(lab, name)           what `mailprov verify --server` finds there, with two accounts
    sheet(name, release)        probe id → verdict, and the reason
    differences(sheet, result)  lines that say where the two are not of one mind

A script is what a student of a course would type: `users.sh`, then the server's own. A sheet (`sheets/NAME.yml`, on
top of `sheets/all.yml`) has for each verdict the probes and the reason, `id@debian-12` for one release alone; `absent`:
there is nothing to look at. Of a probe with several verdicts the worst counts: fail, error, warn, pass, skip.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from mailprov import lab
from mailprov.inventory import SecretMode, load
from tests.lab.labs import run_on
from tests.lab.program import Result, run

HERE = Path(__file__).parent
USERS = ("eva", "ivo")
VERDICTS = ("skip", "pass", "warn", "error", "fail")


@dataclass(frozen=True)
class Mutation:
    """`break_it`: shell on the host; then `probe` must fail (at `port`), and `mend_it` makes it sound again."""

    what: str
    break_it: str
    probe: str
    mend_it: str
    port: int = 0


@dataclass(frozen=True)
class Server:
    host: str
    mutations: tuple[Mutation, ...]


def _edited(what: str, path: str, change: str, then: str, probe: str, port: int = 0) -> Mutation:
    """By sed in one file, and then a command that makes a service read it."""
    kept = "/root/kept"
    return Mutation(
        what,
        f"cp -p {path} {kept} && sed -i {shlex.quote(change)} {path} && {then}",
        probe,
        f"cp -p {kept} {path} && touch {path} && {then}",
        port,
    )


_EXIM = "update-exim4.conf && systemctl restart exim4"
_DRIVER = "driver = plaintext\\n  server_prompts = :\\n  server_condition = true\\n  server_set_id = $auth2"
_MYNETWORKS = "postconf -e mynetworks=0.0.0.0/0,[::]/0"
_CLEAR = (
    "dovecot --version | grep -q '^2[.]3' && key='disable_plaintext_auth = no' || key='auth_allow_cleartext = yes'; "
    'echo "$key" > /etc/dovecot/conf.d/99-mutation.conf; systemctl restart dovecot'
)

SERVERS: Mapping[str, Server] = {
    "sendmail": Server(
        "mx1",
        (
            _edited(
                "an open relay by /etc/mail/access",
                "/etc/mail/access",
                "$ a Connect:10\\tRELAY",
                "make -C /etc/mail >/dev/null 2>&1; systemctl restart sendmail",
                "relay.classic",
            ),
            _edited(
                "a login is offered without TLS",
                "/etc/mail/sendmail.mc",
                "s/`A p y/`A y/",
                "cd /etc/mail && m4 sendmail.mc > sendmail.cf && systemctl restart sendmail",
                "smtp.ehlo",
                587,
            ),
        ),
    ),
    "exim": Server(
        "mx2",
        (
            _edited(
                "whoever asks may relay",
                "/etc/exim4/update-exim4.conf.conf",
                "s/^dc_relay_nets=.*/dc_relay_nets='*'/",
                _EXIM,
                "relay.classic",
            ),
            _edited(
                "an authenticator that takes any password",
                "/etc/exim4/exim4.conf.template",
                "/^dovecot_plain:/,/^$/{/server_socket/d;/server_set_id/d;s/driver = dovecot/"
                + _DRIVER
                + "/}",
                _EXIM,
                "auth.bad-password",
                587,
            ),
        ),
    ),
    "courier": Server(
        "mx3",
        (
            _edited(
                "passwords in clear over IMAP",
                "/etc/courier/imapd-ssl",
                "s/^IMAP_TLS_REQUIRED=.*/IMAP_TLS_REQUIRED=0/",
                "systemctl restart courier-imap",
                "imap.capability",
                143,
            ),
            Mutation(
                "Debian's smtpaccess in force: private networks may relay",
                "makesmtpaccess && systemctl restart courier",
                "relay.classic",
                "sed -i '/^1[09]/d' /etc/courier/smtpaccess/default && makesmtpaccess && systemctl restart courier",
                25,
            ),
        ),
    ),
    "procmail": Server(
        "mx4",
        (
            _edited(
                "a rule of procmail that keeps a copy",
                "/etc/procmailrc",
                "$ a :0 c:\\n$DEFAULT",
                "true",
                "address.bcc",
            ),
            Mutation(
                "everybody is in mynetworks",
                f"{_MYNETWORKS} && systemctl restart postfix",
                "relay.classic",
                "postconf -X mynetworks && systemctl restart postfix",
                25,
            ),
        ),
    ),
    "stock": Server(
        "mx5",
        (
            Mutation(
                "mail for anybody is taken",
                "postconf -e local_recipient_maps= && systemctl restart postfix",
                "unknown.user",
                "postconf -X local_recipient_maps && systemctl restart postfix",
            ),
            Mutation(
                "passwords in clear over IMAP and POP",
                _CLEAR,
                "imap.capability",
                "rm /etc/dovecot/conf.d/99-mutation.conf; systemctl restart dovecot",
                143,
            ),
        ),
    ),
}


def domain(name: str) -> str:
    return f"{name}.test"


def inventory(names: Iterable[str], release: str) -> str:
    hosts, domains = [], []
    for number, name in enumerate(names, 1):
        host = SERVERS[name].host
        hosts.append(
            f"  {host}: {{address: 192.0.2.{number}, fqdn: {host}.{domain(name)}, lab: {{release: {release}}}}}"
        )
        accounts = ", ".join(f"{user}: {{password: {{env: X}}, login: {user}}}" for user in USERS)
        domains.append(f"  {domain(name)}: {{hosts: [{host}], accounts: {{{accounts}}}}}")
    lines = ["managed: false", "tls: {mode: self-signed}", "hosts:", *hosts, "domains:", *domains]
    return "\n".join([*lines, ""])


def build(made: lab.Lab, names: Iterable[str]) -> None:
    def one(name: str) -> None:
        host = SERVERS[name].host
        words = {"HOST": f"{host}.{domain(name)}", "DOMAIN": domain(name)}
        words |= {user.upper(): _secret(made, name, user).read_text().strip() for user in USERS}
        told = "".join(f"export {word}='{value}'\n" for word, value in words.items())
        scripts = [(HERE / file).read_text() for file in ("users.sh", f"{name}.sh")]
        run_on(made, host, told + "\n".join(scripts), seconds=1200)

    with ThreadPoolExecutor(len(SERVERS)) as pool:
        list(pool.map(one, names))
    assert run("dns", "apply", "--yes", str(made.inventory_path)).code == 0


def _secret(made: lab.Lab, name: str, user: str) -> Path:
    return made.directory / "secrets" / f"{user}@{domain(name)}"


def judged(made: lab.Lab, name: str, *more: str) -> Result:
    """As the person would who knows nothing but two passwords; records come from the lab's name server."""
    host = f"{SERVERS[name].host}.{domain(name)}"
    name_server = load(made.inventory_path, SecretMode.IGNORE).dns.at(host).provider.name_server
    assert name_server is not None
    words = ["--server", host, "--login-as", "name", "--self-signed", "--name-server", name_server.address]
    for user in USERS:
        words += ["--account", f"{user}@{domain(name)}=file:{_secret(made, name, user)}"]
    return run("verify", *words, *more)


def sheet(name: str, release: str) -> dict[str, tuple[str, str]]:
    """Probe id → verdict and reason; the server's own sheet before that for all."""
    found: dict[str, tuple[str, str]] = {}
    for file in ("all", name):
        read = YAML(typ="safe").load((HERE / "sheets" / f"{file}.yml").read_text())
        for verdict in (*VERDICTS, "absent"):
            given = read.get(verdict) or {}
            for key, why in (given if isinstance(given, dict) else dict.fromkeys(given, "")).items():
                probe, _, only = key.partition("@")
                if only in ("", release):
                    found[probe] = (verdict, why)
    return found


def verdicts(result: Result) -> dict[str, str]:
    """Probe id → the worst of its verdicts. What only waits for something else that is told does not count."""
    worst: dict[str, str] = {}
    for finding in result.of("found"):
        if not finding["waits_for"]:
            worst[finding["id"]] = max(
                worst.get(finding["id"], VERDICTS[0]), finding["verdict"], key=VERDICTS.index
            )
    return worst


def differences(wanted: dict[str, tuple[str, str]], result: Result, *, strict: bool = True) -> list[str]:
    """`strict`: what fails or could not be tested, and is in no sheet, is one as well."""
    seen = verdicts(result)
    lines = []
    for probe, (verdict, _) in sorted(wanted.items()):
        if seen.get(probe, "absent") != verdict:
            lines.append(
                f"{probe}: {verdict} on the sheet, {seen.get(probe)} by verify: {_said(result, probe)}"
            )
    for probe, verdict in seen.items():
        if strict and probe not in wanted and verdict in ("fail", "error"):
            lines.append(f"{probe}: on no sheet, {verdict} by verify: {_said(result, probe)}")
    return lines


def _said(result: Result, probe: str) -> str:
    said = {f"{f['verdict']} {f['target']['port']} {f['observed']}" for f in result.of("found", id=probe)}
    return " | ".join(sorted(said)[:6])
