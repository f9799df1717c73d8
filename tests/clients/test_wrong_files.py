"""Each file of the web corner, spoilt on the host in every way: `verify` sees each of them, and `apply` mends them."""

from __future__ import annotations

from mailprov import lab
from tests.clients.places import LONG, Place
from tests.lab.program import run

# Probe and file.
FILES = {
    "web.autoconfig": "config-v1.1.xml",
    "web.autodiscover": "autodiscover.xml",
    "web.mobileconfig": "mail.mobileconfig",
    "web.pacc": "user-agent-configuration.json",
}
# What happens to each of them ($1), so that a program would come to another server, or to none. PACC's file has no
# ports: what leaves a file as it is must not be judged.
SPOILT = {
    "another server": "sed -i 's/{name}/evil.example.net/g' $1",
    "another port": "sed -i 's/993/994/' $1",
    "another security": "sed -i 's/SSL/TLS/' $1",
    "gone": "rm $1",
    "one character": "echo >>$1",
    "half of it": "truncate -s -300 $1",
    "not to be read": "chmod 600 $1",
    "empty": ": >$1",
}
SAME = {"another port": {"web.pacc"}, "another security": {"web.pacc"}}


def verdicts(hosts: lab.Lab, domain: str) -> dict[str, str]:
    probes = [word for name in FILES for word in ("--probe", name)]
    judged = run("verify", *probes, "--domain", domain, str(hosts.inventory_path))
    return {found["id"]: found["verdict"] for found in judged.of("found")}


def test_each_wrong_file_is_seen_and_mended(place: Place) -> None:
    folder, keep = f"/etc/mailprov/web/sites/{place.domain}", "/root/sites-before"
    assert verdicts(place.lab, place.domain) == dict.fromkeys(FILES, "pass")
    place.run(f"rm -rf {keep}; cp -a {folder} {keep}")
    for how, command in list(SPOILT.items())[:: 1 if LONG else 3]:
        for file in FILES.values():
            place.run(f"set -- {folder}/{file}; cp -a {keep}/{file} $1; {command.format(name=place.name)}")
        wanted = {probe: "pass" if probe in SAME.get(how, ()) else "fail" for probe in FILES}
        assert verdicts(place.lab, place.domain) == wanted, how
    for file in FILES.values():
        place.run(
            f"set -- {folder}/{file}; cp -a {keep}/{file} $1; sed -i s/{place.name}/evil.example.net/g $1"
        )
    narrow = (
        "apply",
        "--yes",
        "--no-verify",
        "--host",
        place.host,
        "--only",
        "hosts",
        str(place.lab.inventory_path),
    )
    assert run(*narrow).code == 1, "what was edited by hand is not overwritten unasked"
    mended = run(*narrow, "--accept-drift")
    assert mended.code == 0, mended.events[-3:]
    assert {name for _, kind, name in mended.changes(place.host) if kind == "file"} == {
        f"{folder}/{file}" for file in FILES.values()
    }
    assert place.run(f"diff -r {keep} {folder} && rm -r {keep}") == ""
    assert verdicts(place.lab, place.domain) == dict.fromkeys(FILES, "pass")
