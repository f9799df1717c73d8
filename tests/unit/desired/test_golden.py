"""The rendered files, whole, against tests/golden/: a change shows as a diff to review.

The case BASE has all its files; the others have those that differ from BASE's. As `state.json` names all files of a
host, a file that a case has lost shows there.

`MAILPROV_GOLDEN=write python -m pytest tests/unit/desired/test_golden.py` writes them anew.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from desired_cases import BOOKWORM, TRIXIE, alpha, delta, facts, host, inventory, owned

from mailprov import desired
from mailprov.components import fail2ban, passwords, relayhost, ufw
from mailprov.components.dovecot import settings as dovecot
from mailprov.components.postfix import settings as postfix
from mailprov.components.shell.component import TEXT_MUA
from mailprov.components.web import place as web
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings, Tsig
from mailprov.model.accounts import Account
from mailprov.model.dns import DnsSettings
from mailprov.model.host_state import HostState
from mailprov.model.inventory import Acme, Challenge, Domain, Filter, KeyType, Tls, TlsMode
from mailprov.model.secret import Secret
from mailprov.model.shell import Shell
from mailprov.model.shell_users import placed
from mailprov.model.states import AppPassword, Expiry, State
from mailprov.model.web import with_webmail

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
BASE = "dovecot-2.3"
CASES: dict[str, dict[str, Any]] = {
    BASE: facts(BOOKWORM),
    "dovecot-2.4": facts(TRIXIE, ("2001:db8::11",)),
    "oldest": facts({"postfix": "3.5.6-1+b1", "dovecot-core": "1:2.3.13+dfsg1-2"}),
    "newest": facts({"postfix": "3.11.1-1", "dovecot-core": "1:2.4.5+dfsg1-1", "postsrsd": "2.4.1-1"}),
    "local-settings": facts(BOOKWORM),
    "protected": facts(BOOKWORM),  # fail2ban, a smarthost, ufw
    "acme": facts(TRIXIE),  # keys of both kinds, dns-01, a name of its own for a domain
    "tls-only-2.3": facts(
        BOOKWORM
    ),  # no port without TLS from the first byte, no POP, no ManageSieve; fail2ban, ufw
    "no-pop-2.4": facts(TRIXIE),
    "rspamd": facts({**TRIXIE, "rspamd": "3.12.1-1"}),
    "web": facts({**TRIXIE, "nginx-light": "1.26.3-3"}, ("2001:db8::11",)),  # a name of its own for a domain
    "states-2.3": facts(BOOKWORM),  # accounts that may not log in or get mail, dates, passwords of programs
    "states-2.4": facts(TRIXIE),
    "shell": facts({**BOOKWORM, "nftables": "1.0.6-2", "alpine": "2.26", "mutt": "2.2.12"}),
    "shell-oldest": facts({"postfix": "3.5.6-1+b1", "dovecot-core": "1:2.3.13+dfsg1-2"}),
    "webmail": facts(
        {
            **TRIXIE,
            "nginx-light": "1.26.3-3",
            "php-fpm": "2:8.4+96",
            "roundcube-core": "1.6.20+dfsg-0+deb13u1",
        },
        ("2001:db8::11",),
    ),
    "own-passwords-2.3": facts(BOOKWORM),  # users own some, and change them by SSH as well
    "own-passwords-2.4": facts(TRIXIE),
}
ACME = Tls(
    TlsMode.ACME,
    key_type=KeyType.BOTH,
    acme=Acme("admin@alpha.test", "https://ca.test/directory", Challenge.DNS, propagation=30),
)
DNS = DnsSettings(
    Rfc2136Settings("10.0.0.2", tsig=Tsig("mailprov", "hmac-sha256", Secret("env:TSIG", "c2VjcmV0")))
)
LOCAL = postfix.Settings(
    main_cf=(("message_size_limit", "104857600"), ("smtpd_tls_security_level", "none"), ("relayhost", "")),
    master_cf=(("policy/unix", "- n n - 0 spawn user=nobody argv=/usr/local/bin/policy"),),
)
LOCAL_DOVECOT = (
    "mail_max_userip_connections = 50",
    "protocol imap {",
    "  imap_idle_notify_interval = 29 mins",
    "}",
)


def with_shells(accounts: tuple[Account, ...]) -> tuple[Account, ...]:
    """ana has a shell, luis a menu."""
    ana, luis, *others = accounts
    return (
        dataclasses.replace(ana, shell=Shell("ana")),
        dataclasses.replace(luis, shell=Shell("luis2", False, ("ssh-ed25519 AAAA luis",), True)),
        *others,
    )


def rendered(state: HostState) -> dict[str, str]:
    """Path under the case's folder → content; `state.json` holds the state without the files' contents."""
    wire = state.to_wire()
    for file in wire["files"]:
        del file["content"]
    for accounts in (*wire["account_files"], *wire.get("own_passwords", ())):
        accounts["entries"] = [{**entry._asdict(), "password": "…"} for entry in accounts["entries"]]
    files = {file.path.lstrip("/"): file.content for file in state.files}
    return {**files, "state.json": json.dumps(wire, indent=1, ensure_ascii=False) + "\n"}


def with_states() -> Domain:
    """ana is suspended at a date, luis does not log in, marta gets no mail, o'hara has passwords for two programs."""
    ana, luis, marta, ohara = alpha().accounts
    word = Secret("env:PHONE", "phone word")
    apps = (
        AppPassword("phone", ("imap", "submission"), password=word, expires=1893456000),
        AppPassword("tablet", ("imap",), password_hash=Secret("hash", "{SHA512-CRYPT}$6$x$y")),
    )
    return dataclasses.replace(
        alpha(),
        accounts=(
            dataclasses.replace(ana, expires=Expiry(1830297600)),
            dataclasses.replace(luis, state=State.NO_LOGIN),
            dataclasses.replace(marta, state=State.NO_RECEIVE),
            dataclasses.replace(ohara, app_passwords=apps),
        ),
        catch_all="ana@alpha.test",
    )


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    folder = GOLDEN / case
    on, meant = host(), inventory()
    if case == "local-settings":
        on = dovecot.SETTING.on(postfix.SETTING.on(on, LOCAL), LOCAL_DOVECOT)
    elif case == "protected":
        smarthost = relayhost.Relay("smtp.example.net", 465, "alpha", Secret("env:RELAY", "relay word"))
        on = fail2ban.SETTING.on(on, fail2ban.Fail2ban(("192.0.2.7",)))
        on = ufw.SETTING.on(relayhost.SETTING.on(on, smarthost), True)
    elif case == "acme":
        on = dataclasses.replace(on, tls=ACME)
        named = dataclasses.replace(alpha(), mail_name="mail.alpha.test")
        meant = dataclasses.replace(inventory(named, delta(), on=on), dns=DNS)
    elif case == "tls-only-2.3":
        on = dataclasses.replace(on, services=("submissions", "imaps"))
        on = ufw.SETTING.on(fail2ban.SETTING.on(on, fail2ban.Fail2ban()), True)
    elif case == "no-pop-2.4":
        on = dataclasses.replace(on, services=("submissions", "submission", "imap", "imaps"))
    elif case == "rspamd":
        on = dataclasses.replace(on, filter=Filter.RSPAMD)
    elif case == "web":
        on = ufw.SETTING.on(web.SETTING.on(on, True), True)
        named = dataclasses.replace(alpha(), mail_name="mail.alpha.test")
        meant = inventory(named, delta(), on=on)
    elif case.startswith("states"):
        meant = inventory(with_states(), delta())
    elif case == "webmail":
        having = dataclasses.replace(alpha(), webmail="roundcube")
        on = fail2ban.SETTING.on(web.SETTING.on(on, True), fail2ban.Fail2ban())
        (on,) = with_webmail((on,), (having, delta()))
        meant = inventory(having, delta(), on=on)
    elif case.startswith("own-passwords"):
        on = passwords.SETTING.on(on, passwords.Passwords(min_length=14, ssh=True))
        meant = inventory(owned(), delta(), on=on)
    elif case.startswith("shell"):
        having = dataclasses.replace(alpha(), accounts=with_shells(alpha().accounts))
        (on,) = placed((TEXT_MUA.on(on, ("alpine", "mutt")),), (having, delta()))
        meant = inventory(having, delta(), on=on)
    files = rendered(desired.build(meant, on, CASES[case]))
    own = files
    if case != BASE:
        base = rendered(desired.build(inventory(), host(), CASES[BASE]))
        own = {name: content for name, content in files.items() if content != base.get(name)}
    if os.environ.get("MAILPROV_GOLDEN") == "write":
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in own.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
    on_disk = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert on_disk == set(own), f"{case} has its own files where they differ from {BASE}'s"
    for name, content in own.items():
        assert content == (folder / name).read_text(encoding="utf-8"), f"{case}/{name} changed"


def test_no_machine_or_time_in_the_files() -> None:
    here = str(Path.cwd())
    for path in GOLDEN.glob("*/**/*"):
        if path.is_file():
            assert here not in path.read_text(encoding="utf-8")
