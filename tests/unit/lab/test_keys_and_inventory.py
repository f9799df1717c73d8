"""The keys of a lab and the inventory made for it, judged by those who will read them."""

from __future__ import annotations

import dataclasses
import ssl
import stat
from pathlib import Path

import paramiko
import pytest

from mailprov.components import fail2ban
from mailprov.components.dovecot import settings as dovecot
from mailprov.components.postfix import settings as postfix
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.inventory import SecretMode, load
from mailprov.lab.keys import make_keys, ssh_host_key
from mailprov.lab.lab_inventory import rehearse
from mailprov.lab.passwords import MADE_UP
from mailprov.lab.paths import LabPaths, paths
from mailprov.lab.state import LabHost, LabState
from mailprov.model.inventory import Acme, Inventory, KeyType, TlsMode

TEXT = """
ssh: {user: ops, password: {env: NOT_SET_ANYWHERE}}
dns:
  ttl: 123
  zones:
    beta.test: {provider: rfc2136, server: 192.0.2.53, ttl: 77}
    2.0.192.in-addr.arpa: {provider: cloudflare, token: {env: NOT_SET_ANYWHERE}}
hosts:
  mx1:
    address: 192.0.2.1
    fqdn: mx1.alpha.test
    postfix: {main_cf: {relayhost: "", biff: yes}, master_cf: {p/unix: "- n n - 0 spawn user=nobody argv=/p"}}
    dovecot: {settings: {protocol imap: {imap_idle_notify_interval: 29 mins}}}
    recipient_delimiter: "-"
    message_size_limit: 10M
  mx2: {address: "2001:db8::1", fqdn: mx2.beta.test, recipient_delimiter: "-", lab: {release: debian-13}}
  mx3:
    address: 192.0.2.3
    fqdn: mx3.beta.test
    tls: {mode: acme, email: ana@alpha.test, key_type: both, challenge: http-01, ca_file: /nowhere}
  s1: {address: 192.0.2.4, fqdn: s1.gamma.test, managed: false, fail2ban: {ignore: [192.0.2.9]}}
domains:
  gamma.test: {hosts: [s1], accounts: {zoe: {password: {env: NOT_SET_ANYWHERE}, login: zoe}}}
  alpha.test:
    hosts: [mx1, mx2]
    quota: 1G
    catch_all: luis
    accounts:
      ana: {password: {env: NOT_SET_ANYWHERE}, quota: 200M}
      'yes': {password: {env: NOT_SET_ANYWHERE}, quota: none}
      '007': {password: {file: nowhere}}
      a=b'c: {password: {hash: "{SHA512-CRYPT}$6$abcdefgh$x"}}
      luis: {password: {command: "false"}, forward: {to: [eva@beta.test, x@example.org], keep: false}}
    aliases: {postmaster: ana, 'no': luis}
    lists: {profes: [ana, luis, eva@beta.test]}
    domain_aliases: [alfa.test]
    mail_name: mail.alpha.test
    dmarc: {policy: quarantine, rua: postmaster}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: NOT_SET_ANYWHERE}}}, dmarc: {policy: none}}
"""


@pytest.fixture
def asked(tmp_path: Path) -> Inventory:
    path = tmp_path / "inventory.yml"
    path.write_text(TEXT)
    return load(path, SecretMode.IGNORE)


@pytest.fixture
def made(tmp_path: Path, asked: Inventory, monkeypatch: pytest.MonkeyPatch) -> tuple[LabPaths, LabState]:
    monkeypatch.setenv("MAILPROV_LAB_STATE", str(tmp_path))
    monkeypatch.delenv("SUDO_UID", raising=False)
    where = paths("demo")
    where.directory.mkdir()
    hosts = tuple(
        LabHost(h.name, i, h.lab_release or "debian-12", h.fqdn, f"10.78.0.{i}", f"fd00::{i}", "0" * 32, "/")
        for i, h in enumerate(asked.hosts, 11)
    )
    dns = LabHost("ns1", 2, "dns", "ns1.alpha.test", "10.78.0.2", "fd00::2", "1" * 32, "/")
    state = LabState("demo", "up", "now", "10.78.0.0/24", "fd00::/64", "ns1", ("alpha.test",), dns, hosts)
    make_keys(
        where,
        state.all_hosts,
        {account.address: MADE_UP.of(account.address) for d in asked.domains for account in d.accounts},
        {host.name: asked.mail_names(host.name) for host in asked.hosts},
    )
    where.inventory.write_text(rehearse(asked, where, state))
    return where, state


def test_the_inventory_of_the_lab_is_the_users_on_other_hosts(
    asked: Inventory, made: tuple[LabPaths, LabState]
) -> None:
    where, state = made
    got = load(where.inventory)  # secrets resolved: they are all there

    def without_passwords(inventory: Inventory) -> list[object]:
        return [
            dataclasses.replace(
                domain,
                accounts=tuple(
                    dataclasses.replace(a, password=None, password_hash=None) for a in domain.accounts
                ),
            )
            for domain in inventory.domains
        ]

    assert without_passwords(got) == without_passwords(asked)
    passwords = [a.password.reveal() for d in got.domains for a in d.accounts if a.password]
    assert len(set(passwords)) == 7
    assert min(map(len, passwords)) >= 16
    assert [(h.name, h.fqdn) for h in got.hosts] == [(h.name, h.fqdn) for h in asked.hosts]
    for host, lab_host in zip(got.hosts, state.hosts, strict=True):
        assert (host.address, host.ipv4, host.ipv6) == (
            lab_host.address,
            (lab_host.address,),
            (lab_host.address6,),
        )
        assert host.lab_release == lab_host.release
        meant = asked.host(host.name)
        assert postfix.SETTING.of(host) == postfix.SETTING.of(meant)
        assert dovecot.SETTING.of(host) == dovecot.SETTING.of(meant)
        assert host.recipient_delimiter == meant.recipient_delimiter
        assert host.message_size_limit == meant.message_size_limit
        assert (host.ssh.user, host.ssh.password, host.ssh.port) == ("root", None, None)
        assert host.ssh.identity_file == where.identity
        assert host.ssh.known_hosts == where.known_hosts
        if host.name == "mx3":
            assert (host.tls.mode, host.tls.key_type) == (TlsMode.ACME, KeyType.BOTH)
            assert host.tls.acme == Acme("ana@alpha.test", "https://ns1.alpha.test:14000/dir")
            assert host.tls.ca_file == where.acme_ca
            continue
        assert (host.managed, host.filter) == (meant.managed, meant.filter)
        if not host.managed:  # hands give it a certificate; the lab's lies there for nobody
            assert host.tls.mode is TlsMode.SELF_SIGNED
            assert fail2ban.SETTING.of(host) == fail2ban.SETTING.of(meant)
            continue
        assert host.tls.mode is TlsMode.FILES
        assert host.tls.ca_file == where.ca
    own = got.dns.provider
    assert isinstance(own, Rfc2136Settings)
    assert own.server == "10.78.0.2"
    assert got.dns.ttl == 123
    assert [(zone, each.ttl) for zone, each in got.dns.zones] == [("beta.test", 77)]
    assert got.dns.providers == (own,)  # all zones are on the lab's name server
    assert got.dns.reverse  # as one of the zones that are named is of an address
    assert own.tsig is not None
    assert own.tsig.secret.reveal() == where.secret("tsig").read_text().strip()


def test_strict_tls_accepts_the_certificate_for_its_host_only(made: tuple[LabPaths, LabState]) -> None:
    where, _ = made

    def shake(name: str, authority: Path) -> None:
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(where.certificate("mx1"), where.key("mx1"))
        client_side = ssl.create_default_context(cafile=str(authority))
        client_side.verify_flags |= ssl.VERIFY_X509_STRICT
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_side.wrap_bio(to_client, to_server, server_hostname=name)
        server = server_side.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        assert client.version() == "TLSv1.3"

    shake("mx1.alpha.test", where.ca)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake("mx2.beta.test", where.ca)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake("mx1.alpha.test", where.certificate("mx2"))


def test_known_hosts_pin_the_keys_of_all_addresses(made: tuple[LabPaths, LabState]) -> None:
    where, state = made
    known = paramiko.HostKeys(str(where.known_hosts))
    for host in state.all_hosts:
        key = paramiko.Ed25519Key.from_private_key_file(str(ssh_host_key(where, host)))
        assert known.check(host.address, key)
        assert known.check(host.address6, key)
        assert not known.check("10.78.0.99", key)
    user = paramiko.Ed25519Key.from_private_key_file(str(where.identity))
    assert user.get_base64() in where.identity.with_suffix(".pub").read_text()


def test_only_the_owner_reads_secrets(made: tuple[LabPaths, LabState]) -> None:
    where, _ = made
    private = [
        where.identity,
        where.key("mx1"),
        where.directory / "ca.key",
        *(where.directory / "secrets").iterdir(),
    ]
    assert len(private) == 11
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
