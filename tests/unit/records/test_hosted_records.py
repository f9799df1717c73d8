"""Records of domains whose mail is at a provider, where they meet hosts and other domains of the inventory."""

from __future__ import annotations

from pathlib import Path

from mailprov.dns import nsupdate
from mailprov.inventory import SecretMode, load
from mailprov.records import desired_records

TEXT = """\
hosts: {mx1: {address: 192.0.2.1, fqdn: a.test}}
domains:
  c.test: {hosts: [mx1], accounts: {ana: {password: {env: P}}}, dmarc: {rua: reports@a.test}}
  a.test:
    hosted:
      provider: google-workspace
      dkim: {Key1: "v=DKIM1; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
    dmarc: {policy: reject, rua: dmarc@b.test}
  b.test: {hosted: {provider: other, mx: mx.mail.example}}
"""


def test_what_is_wanted_of_them(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(TEXT)
    found = {
        (record.name, record.type, record.value) for record in desired_records(load(path, SecretMode.IGNORE))
    }
    # One SPF record covers the domain and the host that has its name; what the host sends on has another name.
    assert ("a.test", "TXT", "v=spf1 a include:_spf.google.com ~all") in found
    assert ("srs.a.test", "TXT", "v=spf1 mx -all") in found
    assert [value for name, kind, value in found if name == "a.test" and kind == "MX"] == [
        "1 smtp.google.com"
    ]
    assert ("_dmarc.a.test", "TXT", "v=DMARC1; p=reject; rua=mailto:dmarc@b.test") in found
    assert ("key1._domainkey.a.test", "TXT", f"v=DKIM1; k=ed25519; p={'A' * 43}=") in found
    # Domains at providers consent to reports as well (RFC 9990).
    assert ("c.test._report._dmarc.a.test", "TXT", "v=DMARC1") in found
    assert ("a.test._report._dmarc.b.test", "TXT", "v=DMARC1") in found
    # Of b.test nobody said who sends, so nothing is said of it in SPF.
    assert {(kind, value) for name, kind, value in found if name == "b.test"} == {
        ("MX", "10 mx.mail.example")
    }


def test_a_script_of_nsupdate_requires_that_nothing_is_at_an_alias(tmp_path: Path) -> None:
    """Servers pass over a CNAME that is added beside something, and say nothing (RFC 2136 section 3.4.2.2)."""
    path = tmp_path / "mail.yml"
    path.write_text(
        "domains: {a.test: {hosted: {provider: exchange-online, mx: a-test.mail.protection.outlook.com}}}\n"
    )
    script = nsupdate.export(load(path, SecretMode.IGNORE), {}).splitlines()
    assert "prereq nxdomain autodiscover.a.test." in script
    assert not [line for line in script if line.startswith("prereq nxrrset autodiscover.")]
    assert "prereq nxrrset a.test. CNAME" in script
