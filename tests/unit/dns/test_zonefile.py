"""Texts cut, joined, quoted; and the exported zone file, read by BIND's own checker."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import dns.rdataclass
import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprov import dns as driver
from mailprov.dns import zonefile
from mailprov.dns.providers.rfc2136.rdata import from_rdata, to_rdata
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Dmarc, Domain, Host, Inventory, SshSettings, Tls
from mailprov.model.records import Record
from mailprov.records import desired_records
from mailprov.records.types.text import quoted, text_chunks

ANY_TEXT = st.binary(max_size=700).map(lambda octets: octets.decode("utf-8", "surrogateescape"))


def host(name: str, fqdn: str, *addresses: str) -> Host:
    v4, v6 = [a for a in addresses if "." in a], [a for a in addresses if ":" in a]
    return Host(name, addresses[0], fqdn, SshSettings(), Tls(), tuple(v4), tuple(v6))


INVENTORY = Inventory(
    "classroom.yml",
    (
        host("mx1", "mx1.alpha.test", "10.0.0.1", "2001:db8::1"),
        host("out", "relay.elsewhere.example", "10.0.0.2"),
    ),
    (
        Domain(
            "alpha.test",
            ("mx1", "out"),
            domain_aliases=("alfa.test",),
            dmarc=Dmarc("reject", "dmarc@alpha.test"),
        ),
        Domain("beta.test", ("mx1",)),
    ),
    DnsSettings(ttl=600),
)


@given(ANY_TEXT)
def test_any_text_survives_cutting_and_the_wire(value: str) -> None:
    assert all(len(chunk) <= 255 for chunk in text_chunks(value))
    assert from_rdata(to_rdata("TXT", value)) == value
    wire = to_rdata("TXT", value).to_wire()
    assert wire is not None
    read = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, wire, 0, len(wire))
    assert from_rdata(read) == value


@given(ANY_TEXT)
def test_any_text_survives_a_zone_file(value: str) -> None:
    line = quoted(value)
    assert line.isascii()
    assert line.isprintable()
    assert from_rdata(dns.rdata.from_text("IN", "TXT", line)) == value


def test_semicolon_quote_and_length() -> None:
    assert quoted('v=DKIM1; p="x\\') == '"v=DKIM1; p=\\"x\\\\"'
    assert quoted("k" * 300) == f'"{"k" * 255}" "{"k" * 45}"'
    assert quoted("") == '""'


def test_export_is_grouped_commented_and_complete() -> None:
    text = driver.export(INVENTORY)
    assert [
        line
        for line in text.splitlines()
        if line.startswith("; ") and line.count(".") == 1 and " " not in line[2:]
    ] == [
        "; alpha.test",
        "; alfa.test",
        "; beta.test",
        "; elsewhere.example",
    ]
    lines = text.splitlines()
    place = lines.index("alpha.test. 600 IN MX 10 mx1.alpha.test.")
    assert lines[place - 1] == "; mail for alpha.test goes to mx1 (required)"
    assert '_dmarc.alpha.test. 600 IN TXT "v=DMARC1; p=reject; aspf=s; rua=mailto:dmarc@alpha.test"' in lines
    assert "; MX: it names the hosts that take the domain's mail" in lines
    assert "; A name can have only one SPF record (v=spf1): where one stands already, leave" in lines
    records = [line for line in lines if line and not line.startswith(";")]
    assert len(records) == len(desired_records(INVENTORY))


@pytest.mark.parametrize("zone", ["alpha.test", "alfa.test", "beta.test"])
def test_export_loads_in_named_checkzone(tmp_path: Path, zone: str) -> None:
    program = shutil.which("named-checkzone") or shutil.which("/usr/bin/named-checkzone")
    if not program:
        pytest.skip("BIND's named-checkzone is not installed (Debian package bind9-utils)")
    head = (
        f"$TTL 300\n{zone}. SOA ns.{zone}. root.{zone}. 1 3600 600 86400 60\n"
        f"{zone}. NS ns.{zone}.\nns.{zone}. A 10.0.0.9\n"
    )
    path = tmp_path / "zone"
    path.write_text(head + driver.export(INVENTORY))
    out = tmp_path / "out"
    done = subprocess.run(
        [program, "-k", "fail", "-i", "local", "-o", str(out), zone, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    loaded = dns.zone.from_file(str(out), zone, relativize=False, check_origin=False)
    got = {
        (name.to_text(omit_final_dot=True), dns.rdatatype.to_text(data.rdtype), from_rdata(rdata))
        for name, node in loaded.items()
        for data in node
        for rdata in data
    }
    wanted = {
        (r.name, r.type, r.value)
        for r in desired_records(INVENTORY)
        if r.name == zone or r.name.endswith(f".{zone}")
    }
    assert wanted
    assert wanted <= got


def test_a_reason_with_a_newline_cannot_break_out_of_its_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        zonefile, "desired_records", lambda *_: [Record("a.test", "TXT", "x\ny", 60, "why\nb. A 1.2.3.4")]
    )
    assert zonefile.export(INVENTORY).splitlines()[-2:] == [
        "; why\\010b. A 1.2.3.4",
        'a.test. 60 IN TXT "x\\010y"',
    ]


def test_the_provider_zonefile_plans_nothing_and_says_what_to_do() -> None:
    (plan,) = driver.plan(INVENTORY)
    assert (plan.zone, plan.changes, plan.subject) == ("", (), "dns")
    (notice,) = plan.notices
    assert "`mailprov dns export --dkim classroom.yml` prints them for publishing by hand" in notice
