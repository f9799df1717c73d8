"""Records for publishing by hand: a script of nsupdate, sent to real name servers, and the fields of web panels."""

from __future__ import annotations

import dns.rcode
import dns.tsig
import dns.update
import pytest

from mailprov import dns as zones
from mailprov.dns import panel
from mailprov.model.dns import DnsSettings
from mailprov.records import desired_records, types
from tests.unit.dns.servers import SECRET, NameServer, inventory
from tests.unit.dns.transfer import whole

KEY = "v=DKIM1; k=rsa; p=" + "A" * 392


def updates(script: str, zone: str) -> list[dns.update.UpdateMessage]:
    """What nsupdate makes of its lines (nsupdate(1))."""
    made: list[dns.update.UpdateMessage] = []
    key = dns.tsig.Key("mailprov", SECRET, "hmac-sha256")
    message = dns.update.UpdateMessage(zone, keyring=key)
    for line in script.splitlines():
        if line == "send":
            made.append(message)
            message = dns.update.UpdateMessage(zone, keyring=key)
        elif line and not line.startswith(";"):
            words = line.split(" ", 5)
            if words[:2] == ["prereq", "nxrrset"]:
                message.absent(words[2], words[3])
            else:
                assert words[:2] == ["update", "add"], line
                message.add(words[2], int(words[3]), words[4], words[5])
    return made


def sent(name_server: NameServer, messages: list[dns.update.UpdateMessage]) -> list[dns.rcode.Rcode]:
    return [dns.query.tcp(one, "127.0.0.1", port=name_server.port, timeout=60).rcode() for one in messages]


def test_the_script_publishes_all_and_a_second_time_nothing(name_server: NameServer) -> None:
    wanted = inventory("byhand1.test", name_server.settings())
    keys = {"mx1": {"byhand1.test.mx1-rsa-1": KEY}}
    before = whole(name_server, "byhand1.test")
    messages = updates(zones.export(wanted, keys, "nsupdate"), "byhand1.test")
    assert sent(name_server, messages) == [dns.rcode.NOERROR] * 2
    after = whole(name_server, "byhand1.test")
    for record in desired_records(wanted, keys):
        _ttl, texts = after[record.name, record.type]
        assert record.value in {types.parse(record.type, text) for text in texts}
    for (name, kind), (_ttl, texts) in before.items():
        assert texts <= after[name, kind][1]
    assert (
        sent(name_server, updates(zones.export(wanted, keys, "nsupdate"), "byhand1.test"))
        == [dns.rcode.YXRRSET] * 2
    )
    assert whole(name_server, "byhand1.test") == after


def test_the_script_changes_nothing_where_somebodys_records_stand(name_server: NameServer) -> None:
    """Their MX: the addresses of hosts come, nothing of the domain does."""
    wanted = inventory("byhand2.test", name_server.settings())
    before = whole(name_server, "byhand2.test")
    codes = sent(name_server, updates(zones.export(wanted, None, "nsupdate"), "byhand2.test"))
    assert codes == [dns.rcode.NOERROR, dns.rcode.YXRRSET]
    after = whole(name_server, "byhand2.test")
    assert after.keys() - before.keys() == {("mx1.byhand2.test", "A")}
    assert before.items() <= after.items()


def test_what_cannot_be_required_is_said() -> None:
    script = zones.export(inventory("alpha.test", DnsSettings()), None, "nsupdate")
    told = " ".join(line.lstrip("; ") for line in script.splitlines() if line.startswith(";"))
    assert "look first that there is no other SPF record (v=spf1) at: mx1.alpha.test, alpha.test" in told
    assert "where there is one, leave ours out and add its terms to that one, before `all`" in told
    assert "prereq nxrrset alpha.test. TXT" not in script
    assert "prereq nxrrset alpha.test. CNAME" in script
    assert script.startswith("; DNS records for inv.yml, made by mailprov\n")


def test_the_fields_of_a_panel() -> None:
    wanted = inventory("alpha.test", DnsSettings())
    found = panel.fields(wanted, {"mx1": {"alpha.test.mx1-rsa-1": KEY}})
    (mx,) = [one for one in found if one.type == "MX"]
    assert (mx.zone, mx.name, mx.value, mx.priority) == ("alpha.test", "@", "mx1.alpha.test", "10")
    (key,) = [one for one in found if "_domainkey" in one.name]
    assert (key.name, key.value, key.priority) == ("mx1-rsa-1._domainkey", KEY, "")
    assert "".join(key.parts) == KEY
    assert max(map(len, key.parts)) == 255
    assert {one.name for one in found if one.type == "A"} == {"mx1"}
    assert not any(one.parts for one in found if one is not key)
    assert "A name can have only one SPF record (v=spf1): where one stands already" in panel.export(wanted)


@pytest.mark.parametrize("sign", ['"', "\\"])
def test_the_split_form_is_what_a_zone_file_has(sign: str) -> None:
    wanted = inventory("alpha.test", DnsSettings())
    text = zones.export(wanted, {"mx1": {"alpha.test.mx1-rsa-1": f"{KEY}{sign}"}}, "panel")
    (line,) = [line for line in text.splitlines() if line.startswith("or split")]
    split = line.removeprefix("or split").strip()
    assert split.startswith('"v=DKIM1; k=rsa; p=AAA')
    assert types.parse("TXT", split) == f"{KEY}{sign}"
    assert f"value     {KEY}{sign}" in text
