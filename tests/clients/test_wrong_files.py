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
}
# What happens to each of them ($1), so that a program would come to another server, or to none.
SPOILT = {
    "another server": "sed -i 's/{name}/evil.example.net/g' $1",
    "another port": "sed -i 's/993/994/' $1",
    "another security": "sed -i 's/SSL/TLS/' $1",
    "one character": "sed -i '$ s/>/> /' $1",
    "half of it": "sed -i '6,$ d' $1",
    "empty": ": >$1",
    "not to be read": "chmod 600 $1",
    "gone": "rm $1",
}


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
        assert verdicts(place.lab, place.domain) == dict.fromkeys(FILES, "fail"), how
    for file in FILES.values():
        place.run(f"set -- {folder}/{file}; cp -a {keep}/{file} $1; sed -i s/993/994/ $1")
    refused = run(
        "apply",
        "--yes",
        "--no-verify",
        "--host",
        place.host,
        "--only",
        "hosts",
        str(place.lab.inventory_path),
    )
    assert refused.code == 1, "what was edited by hand is not overwritten unasked"
    mended = run(
        "apply", "--yes", "--no-verify", "--accept-drift", "--host", place.host, "--only", "hosts",
        str(place.lab.inventory_path),
    )  # fmt: skip
    assert mended.code == 0, mended.events[-3:]
    assert {name for _, kind, name in mended.changes(place.host) if kind == "file"} == {
        f"{folder}/{file}" for file in FILES.values()
    }
    assert place.run(f"diff -r {keep} {folder} && rm -r {keep}") == ""
    assert verdicts(place.lab, place.domain) == dict.fromkeys(FILES, "pass")
