"""The whole desired state: what the agent is told, for both lines of Dovecot and all lines of Postfix."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from desired_cases import BOOKWORM, TRIXIE, account, alpha, delta, facts, host, inventory, owned

from mailprov import desired
from mailprov.components import fail2ban, passwords, rspamd, ufw
from mailprov.components.dovecot.passwd import passwd_file_key
from mailprov.components.web import place as web
from mailprov.errors import HostFailed
from mailprov.model.accounts import Account
from mailprov.model.host_state import HostState
from mailprov.model.inventory import Domain, Filter, Tls, TlsMode
from mailprov.model.ports import PORTS, SIEVE_PORT
from mailprov.model.secret import Secret

BOTH = pytest.mark.parametrize("packages", [BOOKWORM, TRIXIE], ids=["dovecot-2.3", "dovecot-2.4"])


def built(
    packages: dict[str, str], *domains: Domain, fqdn: str = "mx1.alpha.test", ipv6: tuple[str, ...] = ()
) -> HostState:
    where = host(fqdn=fqdn)
    return desired.build(inventory(*domains, on=where), where, facts(packages, ipv6))


def text(state: HostState, path: str) -> str:
    return next(file.content for file in state.files if file.path == path)


def setting(content: str, name: str) -> str:
    """The value of one main.cf parameter, continuation lines joined; the last one counts (postconf(5))."""
    found = re.findall(rf"^{name} =(.*(?:\n[ \t]+.*)*)", content, re.MULTILINE)
    assert len(found) == 1, f"{name} stands {len(found)} times"
    return " ".join(found[0].split())


@BOTH
def test_to_wire_is_json(packages: dict[str, str]) -> None:
    wire = built(packages).to_wire()
    assert json.loads(json.dumps(wire))["host"] == "mx1"


@BOTH
def test_facts_are_asked_for_before_they_decide(packages: dict[str, str]) -> None:
    state = built(packages)
    wanted = desired.wanted_packages(inventory(), host())
    assert set(state.packages) <= set(wanted)
    assert {package for package, _ in state.rendered_for} <= set(wanted)


def test_no_supported_version_is_host_failed() -> None:
    with pytest.raises(HostFailed, match="3\\.4\\.0"):
        built({**TRIXIE, "postfix": "3.4.0-1"})


@BOTH
def test_equal_input_gives_equal_output(packages: dict[str, str]) -> None:
    where, seen = host(), facts(packages)
    backwards = {
        **dict(reversed(seen.items())),
        "packages": dict(reversed(seen["packages"].items())),
    }
    first = desired.build(inventory(), where, seen)
    assert first == desired.build(inventory(), where, backwards)
    assert list(first.files) == sorted(first.files, key=lambda file: file.path)
    users = [entry.user for entry in first.account_files[0].entries]
    assert users == sorted(users)


@BOTH
def test_all_ports_come_from_the_table(packages: dict[str, str]) -> None:
    state = built(packages)
    table = {port.number for port in (*PORTS, SIEVE_PORT)}
    others = ("/var/spool/postfix/opendkim/milter.sock", 10001, 10002)  # OpenDKIM's and PostSRSd's
    listening = [port for service in state.services for port in service.ports]
    assert sorted(port for port in listening if port not in others) == sorted(table)
    master = text(state, "/etc/postfix/master.cf")
    assert re.findall(r"^(\S+) +inet ", master, re.MULTILINE) == [
        "smtp",
        "submissions",
        "submission",
        "127.0.0.1:10027",  # for mail that goes on, components/srs.py
        "127.0.0.1:10028",  # for what users' filters send on, components/dovecot/sieve.py
    ]
    dovecot = text(state, "/etc/dovecot/dovecot.conf")
    assert sorted(map(int, re.findall(r"^    port = (\d+)", dovecot, re.MULTILINE))) == [
        110,
        143,
        993,
        995,
        4190,
    ]
    assert re.findall(r"port = (\d+)\n    ssl = yes", dovecot) == ["993", "995"]


@BOTH
def test_what_is_off_listens_nowhere_and_nothing_else_changes(packages: dict[str, str]) -> None:
    everything = built(packages)
    on = dataclasses.replace(host(), services=("submissions", "imaps", "imap"))
    state = desired.build(inventory(on=on), on, facts(packages))
    others = ("/var/spool/postfix/opendkim/milter.sock", 10001, 10002)
    listening = [port for service in state.services for port in service.ports if port not in others]
    assert sorted(listening) == [25, 143, 465, 993]
    inet = re.findall(r"^(\S+) +inet ", text(state, "/etc/postfix/master.cf"), re.MULTILINE)
    assert "submission" not in inet
    assert {"smtp", "submissions"} <= set(inet)
    dovecot = text(state, "/etc/dovecot/dovecot.conf")
    assert re.findall(r"^    port = (\d+)", dovecot, re.MULTILINE) == ["143", "993"]
    assert re.findall(r"^service (\S+)-login", dovecot, re.MULTILINE) == ["imap"]
    assert state.packages == everything.packages  # switching on needs nothing that may not be had just then
    files = {file.path: file for file in everything.files}
    differ = {file.path for file in state.files if files.get(file.path) != file}
    assert differ == {"/etc/postfix/master.cf", "/etc/dovecot/dovecot.conf"}


def test_a_host_may_offer_nothing_to_users() -> None:
    """One that has no accounts. Its ban for guessers looks at Postfix alone then."""
    on = fail2ban.SETTING.on(dataclasses.replace(host(), services=()), fail2ban.Fail2ban())
    state = desired.build(inventory(on=on), on, facts(BOOKWORM))
    assert "protocols = lmtp\n" in text(state, "/etc/dovecot/dovecot.conf")
    assert "mailprov-dovecot" not in text(state, "/etc/fail2ban/jail.d/mailprov.local")
    (service,) = (each for each in state.services if each.unit == "fail2ban.service")
    assert service.jails == ("mailprov-postfix", "sshd")


@BOTH
def test_submission_needs_tls_login_and_the_own_name(packages: dict[str, str]) -> None:
    master = text(built(packages), "/etc/postfix/master.cf")
    for name in ("submissions", "submission"):
        options = re.search(rf"^{name} .*\n((?:  -o .*\n)+)", master, re.MULTILINE)
        assert options
        assert "smtpd_tls_security_level=encrypt" in options[1]
        assert "smtpd_sasl_auth_enable=yes" in options[1]
        assert "smtpd_sender_restrictions=$mua_sender_restrictions" in options[1]
        assert ("smtpd_tls_wrappermode=yes" in options[1]) is (name == "submissions")
    plain = re.search(r"^smtp .* smtpd\n((?:  -o .*\n)*)", master, re.MULTILINE)
    assert plain
    assert plain[1] == (
        "  -o virtual_alias_maps=$local_recipient_maps\n"
        "  -o smtpd_command_filter=regexp:/etc/postfix/mailprov/command_checks\n"
        "  -o cleanup_service_name=incoming-cleanup\n"
    )


@BOTH
def test_no_open_relay(packages: dict[str, str]) -> None:
    main = text(built(packages, ipv6=("2001:db8::1",)), "/etc/postfix/main.cf")
    assert setting(main, "mynetworks") == "127.0.0.0/8 [::1]/128"
    assert setting(main, "smtpd_relay_restrictions") == "permit_mynetworks, reject_unauth_destination"
    # Nothing takes time between the question whether an address exists and the message's place in the queue: the
    # default of smtpd_reject_unlisted_recipient asks after all others.
    assert setting(main, "smtpd_recipient_restrictions").endswith("unix:private/quota-status")
    assert "smtpd_reject_unlisted_recipient =" not in main
    assert setting(main, "smtpd_sasl_auth_enable") == "no"
    assert "reject_sender_login_mismatch" in setting(main, "mua_sender_restrictions")


@pytest.mark.parametrize(
    ("ipv6", "protocols", "networks", "listen"),
    [((), "ipv4", "127.0.0.0/8", "*"), (("2001:db8::1",), "all", "127.0.0.0/8 [::1]/128", "*, ::")],
)
@BOTH
def test_ipv6_only_where_the_host_has_it(
    packages: dict[str, str], ipv6: tuple[str, ...], protocols: str, networks: str, listen: str
) -> None:
    state = built(packages, ipv6=ipv6)
    main = text(state, "/etc/postfix/main.cf")
    assert (setting(main, "inet_protocols"), setting(main, "mynetworks")) == (protocols, networks)
    assert f"\nlisten = {listen}\n" in text(state, "/etc/dovecot/dovecot.conf")


@pytest.mark.parametrize(
    ("postfix", "newline", "level"),
    [("3.5.6-1", None, "2"), ("3.5.23-0+deb11u1", "yes", "2"), ("3.11.1-1", "normalize", "3.11")],
)
def test_each_postfix_gets_what_it_knows(postfix: str, newline: str | None, level: str) -> None:
    main = text(built({**BOOKWORM, "postfix": postfix}), "/etc/postfix/main.cf")
    assert setting(main, "compatibility_level") == level
    if newline:
        assert setting(main, "smtpd_forbid_bare_newline") == newline
    else:
        assert "\nsmtpd_forbid_bare_newline" not in main
        assert setting(main, "smtpd_data_restrictions") == "reject_unauth_pipelining"
        assert "chunking" in setting(main, "smtpd_discard_ehlo_keywords")
    # `>=TLSv1.2` is the spelling of 3.6 and later; 3.5 reads only this one.
    assert setting(main, "smtpd_tls_mandatory_protocols") == "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"


def test_a_mail_domain_is_never_a_local_destination_too() -> None:
    for fqdn, local in (
        ("alpha.test", "$myorigin, localhost"),
        ("alfa.test", "$myorigin, localhost"),
        ("mx.z.test", "$myhostname, localhost"),
    ):
        main = text(built(TRIXIE, alpha(), fqdn=fqdn), "/etc/postfix/main.cf")
        assert setting(main, "mydestination") == local
        assert setting(main, "myorigin") == ("$myhostname" if fqdn == "mx.z.test" else f"srs.{fqdn}")


@BOTH
def test_mailboxes_lie_under_domain_and_user(packages: dict[str, str]) -> None:
    """`%n` (2.3) and `%{user | username}` (2.4) are the part before the @; `%{user}` is the whole address."""
    dovecot = text(built(packages), "/etc/dovecot/dovecot.conf")
    home = "/var/vmail/%d/%n" if packages is BOOKWORM else "/var/vmail/%{user | domain}/%{user | username}"
    assert f"\nmail_home = {home}\n" in dovecot
    assert ("%{" in dovecot) is (packages is TRIXIE)


def test_the_24_file_begins_with_its_version() -> None:
    dovecot = text(built(TRIXIE), "/etc/dovecot/dovecot.conf")
    settings = [line for line in dovecot.splitlines() if line and not line.startswith("#")]
    assert settings[0].startswith("dovecot_config_version = ")
    assert "plugin {" not in dovecot
    assert 'quota_status_toolarge = "5' in dovecot  # empty would be no answer at all


@BOTH
def test_aliases_and_lists_are_no_reason_to_refuse(packages: dict[str, str]) -> None:
    assert re.search(
        r"^ *quota_status_nouser = DUNNO$", text(built(packages), "/etc/dovecot/dovecot.conf"), re.M
    )


@BOTH
def test_nobody_is_asked_for_room_where_no_mailbox_has_a_limit(packages: dict[str, str]) -> None:
    """Each question costs a fifth of a delivery. IMAP goes on to answer QUOTA commands (RFC 9208)."""
    state = built(packages, delta())
    main, dovecot = text(state, "/etc/postfix/main.cf"), text(state, "/etc/dovecot/dovecot.conf")
    assert setting(main, "smtpd_recipient_restrictions") == "reject_non_fqdn_recipient"
    assert "quota-status" not in dovecot
    outside = re.sub(r"^protocol imap \{\n(?:.*\n)*?\}\n", "", dovecot, flags=re.M)
    assert outside != dovecot
    assert not re.search(r"^ *(mail_plugins = .*quota|quota = yes)", outside, re.M)
    assert re.search(
        r"mail_plugins = \$mail_plugins quota imap_quota|quota = yes\n *imap_quota = yes", dovecot
    )


@BOTH
def test_quota_in_bytes_and_unlimited(packages: dict[str, str]) -> None:
    (accounts,) = built(packages).account_files
    fields = {entry.user: entry.fields for entry in accounts.entries}
    size = 200 * 1024**2
    limit = (
        f"userdb_quota_rule=*:bytes={size}"
        if packages is BOOKWORM
        else f"userdb_quota/user/storage_size={size}B"
    )
    assert fields["ana@alpha.test"] == limit
    assert fields["luis@alpha.test"] == ""
    assert (accounts.owner, accounts.group, accounts.mode) == ("root", "dovecot", "0640")


def test_apostrophes_stand_as_dovecot_looks_them_up() -> None:
    assert passwd_file_key("o'hara@d.test") == "o\\'hara@d.test"
    assert passwd_file_key("o.h_a-r=a@d.test") == "o.h_a-r=a@d.test"


def test_a_ready_hash_is_passed_on_and_nothing_shows_a_password() -> None:
    hashed = Account("h@d.test", password_hash=Secret("env:H", "{SHA512-CRYPT}$6$x$y"))
    domain = Domain("d.test", ("mx1",), accounts=(hashed, account("p@d.test")))
    state = built(TRIXIE, domain)
    by_user = {entry.user: entry for entry in state.account_files[0].entries}
    assert (by_user["h@d.test"].hash, by_user["h@d.test"].password) == ("{SHA512-CRYPT}$6$x$y", "")
    assert by_user["p@d.test"].password == "correct horse"
    assert "correct horse" not in repr(state)
    assert not [file.path for file in state.files if "correct horse" in file.content or "$6$" in file.content]


def test_a_host_without_domains_is_still_whole() -> None:
    where = host("mx9", "mx9.alpha.test")
    state = desired.build(inventory(on=where), where, facts(TRIXIE))
    assert state.account_files[0].entries == ()
    assert len(state.services) == 4


@BOTH
def test_every_file_has_a_reader_and_says_who_wrote_it(packages: dict[str, str]) -> None:
    state = built(packages)
    read = {path for service in state.services for path in (*service.files, *service.restart_on)}
    # Dovecot watches its users' files itself, and runs scripts anew each time: no reload for them.
    at_use = {
        "/etc/mailprov/dkim/keys",
        "/etc/mailname",
        "/etc/dovecot/mailprov-names",
        "/etc/dovecot/mailprov-quota-warning",
        "/etc/dovecot/mailprov-sendmail",
    }
    assert at_use <= {file.path for file in state.files}
    for file in state.files:
        assert (file.path in read) != (file.path in at_use)
        if file.path != "/etc/mailname":
            assert "Managed by mailprov" in "".join(file.content.splitlines()[:2])
    assert set(state.certificates[0].__dict__) >= {"certificate", "key"}
    assert {state.certificates[0].certificate, state.certificates[0].key} <= read
    # New accounts need no reload: Dovecot watches that file itself.
    assert state.account_files[0].path not in read


@BOTH
def test_what_a_reload_is_not_enough_for(packages: dict[str, str]) -> None:
    """inet_interfaces and inet_protocols are read at a start only (postconf(5)); they stand in main.cf. And a reload
    hangs where a service leaves master.cf.
    """
    units = {service.unit: service for service in built(packages).services}
    postfix, dovecot = units["postfix.service"], units["dovecot.service"]
    assert postfix.restart_on == ("/etc/postfix/main.cf", "/etc/postfix/master.cf")
    assert dovecot.restart_on == ("/etc/dovecot/mailprov-penalty.conf",)


@BOTH
def test_local_settings_win(packages: dict[str, str]) -> None:
    """The local file comes last; what stood in a `protocol` block before it could be overridden in such a block alone.
    So there are but plugins, and how far LMTP may go over a quota, which is LMTP's alone.
    """
    dovecot = text(built(packages), "/etc/dovecot/dovecot.conf")
    assert dovecot.endswith("\n!include_try /etc/dovecot/local.conf\n")
    inside = re.findall(r"^protocol \w+ \{\n((?:  .*\n)+)", dovecot, re.MULTILINE)
    inside = [re.sub(r"^ *#.*\n", "", block, flags=re.MULTILINE) for block in inside]
    assert [re.findall(r"\w+_quota|sieve", block) for block in inside] == [["imap_quota"], ["sieve"]]
    grace = r"plugin|quota_grace|quota user|quota_storage_grace|64K"
    assert all(
        re.fullmatch(rf"(mail_plugins|\$mail_plugins|imap_quota|sieve|yes|{grace}|[={{}}\s])+", block)
        for block in inside
    )


def test_certificate_paths_are_the_same_everywhere() -> None:
    state = built(TRIXIE)
    (made,) = state.certificates
    main = text(state, "/etc/postfix/main.cf")
    assert setting(main, "smtpd_tls_chain_files") == f"{made.key}, {made.certificate}"
    dovecot = text(state, "/etc/dovecot/dovecot.conf")
    assert f"ssl_server_cert_file = {made.certificate}\nssl_server_key_file = {made.key}\n" in dovecot


def test_the_clients_address_leaves_the_received_line() -> None:
    rule = text(built(TRIXIE), "/etc/postfix/mailprov/submission_header_checks")
    pattern = re.search(r"^/(.+)/$", rule, re.MULTILINE)
    assert pattern
    header = (
        "Received: from [192.168.1.7] (laptop.home.example [203.0.113.9])\n"
        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\n"
        "\t(No client certificate requested)\n"
        "\tby mx1.alpha.test (Postfix) with ESMTPSA id 4F\n"
        "\tfor <x@beta.test>; Thu, 1 Jan 2026 00:00:00 +0000"
    )
    found = re.match(pattern[1], header, re.DOTALL | re.IGNORECASE)
    assert found
    assert "203.0.113.9" not in found[1]
    assert "192.168.1.7" not in found[1]
    assert "ESMTPSA" in found[1]
    assert not re.match(pattern[1], header.replace("ESMTPSA", "ESMTPS"), re.DOTALL)
    assert not re.match(pattern[1], header.replace("mx1.alpha", "mx1xalpha"), re.DOTALL)


def test_domains_of_other_hosts_stay_there() -> None:
    elsewhere = dataclasses.replace(alpha(), name="beta.test", hosts=("mx2",))
    state = built(TRIXIE, alpha(), elsewhere)
    assert "beta.test mail" not in text(state, "/etc/postfix/mailprov/domains")
    assert "alpha.test mail" in text(state, "/etc/postfix/mailprov/domains")


@pytest.mark.parametrize(("tls", "more"), [(Tls(), set()), (Tls(TlsMode.ACME), {80})])
def test_the_firewall_opens_what_everybody_uses_and_nothing_else(tls: Tls, more: set[int]) -> None:
    """Services that only the host itself speaks to (signing, sender rewriting) listen on loopback and stay closed."""
    on = ufw.SETTING.on(host(tls=tls), True)
    state = desired.build(inventory(on=on), on, facts(BOOKWORM))
    inside = {port for service in state.services for port in service.ports}
    public = {port.number for port in PORTS} | {SIEVE_PORT.number} | more
    assert inside - public
    (line,) = re.findall('^wanted="(.*)"$', text(state, "/etc/mailprov/firewall"), re.MULTILINE)
    assert {int(port) for port in line.split()} == public
    assert state.services[-1].unit == "mailprov-firewall.service"


def test_units_that_another_inventory_brings_are_named_and_none_that_this_one_wants() -> None:
    optional = {"rspamd.service", "opendkim.service", "fail2ban.service"}
    optional |= {"mailprov-firewall.service", "nginx.service", "mailprov-sshd.service"}
    optional |= {"mailprov-passwd.socket", "mailprov-sshd.service"}
    webmail = {"mailprov-webmail.service", "mailprov-webmail-clean.timer"}
    states = {"mailprov-states.service", "mailprov-expiry.timer"}
    shells = {"mailprov-shell.service", "mailprov-shell-passwords.path", "mailprov-shell-watch.service"}
    shells |= {"mailprov-passwd-shell.socket"}
    plain = desired.build(inventory(), host(), facts(BOOKWORM))
    filtered = dataclasses.replace(host(), filter=Filter.RSPAMD)
    everything = web.SETTING.on(filtered, True)
    everything = ufw.SETTING.on(fail2ban.SETTING.on(everything, fail2ban.Fail2ban()), True)
    everything = passwords.SETTING.on(everything, passwords.Passwords(ssh=True))
    full = desired.build(inventory(owned(), delta()), everything, facts(BOOKWORM))
    assert {each.unit for each in plain.retired} == (optional | webmail | states | shells) - {
        each.unit for each in plain.services
    }
    assert {each.unit for each in full.retired} == {"opendkim.service"} | webmail | states | shells


def test_blocklists_are_rspamds_own_or_those_of_the_inventory_or_none() -> None:
    def built(blocklists: tuple[str, ...] | None) -> HostState:
        on = rspamd.BLOCKLISTS.on(dataclasses.replace(host(), filter=Filter.RSPAMD), blocklists)
        return desired.build(inventory(), on, facts(BOOKWORM))

    replaced = "/etc/rspamd/override.d/rbl.conf"
    rows = {zones: built(zones) for zones in (None, (), ("bl.one.test", "two.test"))}
    settings = {
        zones: [
            line
            for line in text(state, "/etc/rspamd/local.d/rbl.conf").splitlines()
            if line and not line.startswith("#")
        ]
        for zones, state in rows.items()
    }
    assert settings == {None: [], (): ["enabled = false;"], ("bl.one.test", "two.test"): []}
    assert [zones for zones, state in rows.items() if any(file.path == replaced for file in state.files)] == [
        ("bl.one.test", "two.test")
    ]
    chosen = rows["bl.one.test", "two.test"]
    assert re.findall('rbl = "(.*)";', text(chosen, replaced)) == ["bl.one.test", "two.test"]
    symbols = re.findall('symbol = "(.*)";', text(chosen, replaced))
    assert (
        re.findall('^  "(.*)" {', text(chosen, "/etc/rspamd/local.d/rbl_group.conf"), re.MULTILINE) == symbols
    )
    reads = next(service for service in chosen.services if service.unit == "rspamd.service").files
    assert {replaced, "/etc/rspamd/local.d/rbl_group.conf"} <= set(reads)
