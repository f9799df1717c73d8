"""Made the files beside this one, from a checkout of 0.1.0 (commit b23127c); nothing of later versions runs here.

    cd CHECKOUT-OF-B23127C && make .venv/ready
    .venv/bin/python …/tests/lab/hosts_of_0_1_0/make.py      root on Linux, one minute; writes into its own folder

It boots the inventory's hosts with packages installed, puts two mail domains into their parents' zones and records
of somebody else beside what mailprov writes, and runs 0.1.0 twice: the whole set-up, and a change on every host and in
every zone. Between them users upload filters and get mail. Then it writes down

    mx1.tar.gz …   what differs below /etc, /var/lib/mailprov and /var/vmail from before the first run; owners by name
    zones.txt      all records of the zones but SOA, NS and the name server's own address
    facts.json     what else it takes to be such a host: packages that were there, names of users and groups by number

The addresses in the inventory are those that are published; the lab's are needed for SSH only, and are in no file here.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.zone

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(Path.cwd()))

from mailprov import lab  # noqa: E402 - of the checkout, not of where this file lies
from mailprov.desired import needed_packages  # noqa: E402
from mailprov.inventory import SecretMode, load  # noqa: E402

NAME = "hosts-of-0-1-0"
# What 0.1.0 finds elsewhere is told by its first inventory: every host and every zone changes in the second run.
BEFORE_THE_CHANGE = (
    ("policy: quarantine", "policy: none"),
    ("postmaster: luis, ventas", "postmaster: ana, ventas"),
    ("postmaster: luis, sales", "postmaster: eva, sales"),
)
CHILDREN = ("class.alpha.test", "school.beta.test")  # domains whose records are in the zone of their parent
FOREIGN = {
    "alpha.test": [
        "www 300 A 192.0.2.80",
        '@ 3600 TXT "site-verification=of-somebody-else"',
        '_dmarc.www 3600 TXT "v=DMARC1; p=reject"',
        "www.class 300 CNAME www.alpha.test.",
    ],
    "beta.test": ["www 300 A 192.0.2.80", 'other._domainkey 3600 TXT "v=DKIM1; k=rsa; p="'],
    "delta.test": ['@ 3600 CAA 0 issue "ca.example.net"', "_25._tcp.www 3600 TLSA 3 1 1 " + "ab" * 32],
}
NOTIFIES = """\
require ["enotify", "variables"];
if header :is "subject" "call me" {
  notify :from "boss@example.net" :message "a message came" "mailto:eva@beta.test";
}
"""
ANSWERS = """\
require ["vacation"];
if header :is "subject" "are you there?" {
  vacation :days 1 :from "The Boss <boss@example.net>" "I am away.";
}
"""
FILES = (
    'require ["fileinto", "mailbox"];\nif header :contains "subject" "staff" { fileinto :create "Staff"; }\n'
)
# host → (user, script's name, active, script)
FILTERS = {
    "mx1": [
        ("ana@alpha.test", "notifies", True, NOTIFIES),
        ("pepa@alpha.test", "answers", True, ANSWERS),
        ("luis@alpha.test", "not-active", False, NOTIFIES),
    ],
    "mx2": [
        ("eva@beta.test", "notifies", True, NOTIFIES),
        ("luis@beta.test", "answers", True, ANSWERS),
        ("eva@school.beta.test", "files", True, FILES),
    ],
    "mx3": [("ana@class.alpha.test", "notifies", True, NOTIFIES), ("luis@class.alpha.test", "answers", True, ANSWERS)],
    "mx4": [("eva@delta.test", "notifies", True, NOTIFIES), ("pepa@delta.test", "answers", True, ANSWERS)],
}  # fmt: skip
# Below these, what the runs changed is kept; the rest of a host is its packages' business.
KEPT = "/etc /var/lib/mailprov /var/vmail"
# Users and groups come from facts.json; an index or a compiled script is made anew from what it is made of.
LEFT_OUT = (
    r"^/etc/(passwd|group|shadow|gshadow)-?$|^/etc/(hosts|hostname|resolv\.conf|machine-id)$"
    r"|/dovecot[.-](index|list)|\.svbin$"
)
LISTING = (
    f"find {KEPT} -xdev -type d -printf '%p d %m %u %g\\n' -o -type l -printf '%p l %l\\n' "
    f"-o -type f -printf '%p f %m %u %g %T@\\n' 2>/dev/null | grep -vE '{{}}' | sort"
)


def main() -> None:
    text = (HERE / "inventory.yml").read_text()
    source = Path.cwd() / "hosts-of-0-1-0.yml"
    source.write_text(text)
    read = load(source, SecretMode.IGNORE)
    packages = {host.name: needed_packages(read, host) for host in read.hosts}
    where = lab.up(read, name=NAME, packages=packages, emit=lambda event: None)
    try:
        for account in (account for domain in read.domains for account in domain.accounts):
            (where.directory / "secrets" / account.address).write_text(f"{account.address} of 0.1.0\n")
        zones = prepare_zones(where)
        before = {host.name: listing(where, host.name) for host in where.hosts}
        apply(where, text, BEFORE_THE_CHANGE)
        use(where)
        apply(where, text, ())
        facts = {}
        for host in where.hosts:
            changed = keep(where, host.name, before[host.name])
            facts[host.name] = {"packages": sorted(packages[host.name]), **numbers(where, host.name)}
            print(f"{host.name}: {changed} files and directories")
        lines = ",\n".join(f'"{host}": {json.dumps(told)}' for host, told in facts.items())
        (HERE / "facts.json").write_text("{\n" + lines + "\n}\n")
        (HERE / "zones.txt").write_text("".join(records(where, zone) for zone in zones))
    finally:
        lab.down(NAME, lambda event: None)
        source.unlink()


def on(where: lab.Lab, host: str, command: str, data: bytes = b"") -> bytes:
    done = subprocess.run(where.ssh_argv(host, [command]), input=data, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{host}: {command}: {done.stderr.decode()}")
    return done.stdout


def prepare_zones(where: lab.Lab) -> list[str]:
    zones = [zone for zone in where.zones if zone not in CHILDREN]
    for child in CHILDREN:
        on(where, where.dns.name, f"sed -i '/^zone \"{child}\"/d' /etc/bind/named.conf")
    for zone, lines in FOREIGN.items():
        text = "".join(line + "\n" for line in lines).encode()
        on(where, where.dns.name, f"cat >>/var/lib/bind/lab/{zone}", text)
    on(where, where.dns.name, "systemctl restart named")
    return zones


def apply(where: lab.Lab, text: str, replaced: tuple[tuple[str, str], ...]) -> None:
    """One run of 0.1.0, with the lab's addresses for SSH and the inventory's to be published."""
    for old, new in replaced:
        assert old in text, old
        text = text.replace(old, new)
    text = text.replace("server: 192.0.2.53", f"server: {where.dns.address}")
    for host, number in zip(where.hosts, range(11, 99), strict=False):
        own = f"address: 192.0.2.{number}\n"
        assert own in text, own
        text = text.replace(own, f"address: {host.address}\n    ipv4: [192.0.2.{number}]\n")
    path = where.directory / "0.1.0.yml"
    path.write_text(text)
    argv = [sys.executable, "-m", "mailprov", "apply", "--yes", "--no-verify", str(path)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    print(done.stdout.splitlines()[-1])
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def use(where: lab.Lab) -> None:
    """Users upload their filters, and each gets a message."""
    for host, filters in FILTERS.items():
        for user, name, active, script in filters:
            on(where, host, f"doveadm sieve put {'-a' * active} -u {user} {name}", script.encode())
            letter = f"From: {user}\nTo: {user}\nSubject: from the time of 0.1.0\n\nkeep me\n"
            on(where, host, f"/usr/lib/dovecot/dovecot-lda -d {user}", letter.encode())


def listing(where: lab.Lab, host: str) -> set[str]:
    return set(on(where, host, LISTING.format(LEFT_OUT)).decode().splitlines())


def keep(where: lab.Lab, host: str, before: set[str]) -> int:
    now = listing(where, host)
    gone = {line.split(" ")[0] for line in before} - {line.split(" ")[0] for line in now}
    assert not gone, f"{host}: nothing here says that these were removed: {gone}"
    paths = sorted(line.split(" ")[0] for line in now - before)
    archive = on(
        where, host,
        "tar -C / -c --format=posix --pax-option=delete=atime,delete=ctime --no-recursion --sort=name -T -",
        "".join(path.lstrip("/") + "\n" for path in paths).encode(),
    )  # fmt: skip
    (HERE / f"{host}.tar.gz").write_bytes(gzip.compress(archive, 9, mtime=0))
    return len(paths)


def numbers(where: lab.Lab, host: str) -> dict[str, dict[str, str]]:
    """The journal has owners by number; on another host the same users may have others."""
    logs = on(where, host, "cat /var/lib/mailprov/runs/*/log").decode()
    found = {}
    for kind, word in (("passwd", "uid"), ("group", "gid")):
        lines = on(where, host, f"getent {kind}").decode().splitlines()
        names = {fields[2]: fields[0] for line in lines if (fields := line.split(":"))}
        found[kind] = {number: names[number] for number in sorted(set(re.findall(f'"{word}": (\\d+)', logs)))}
    return found


def records(where: lab.Lab, zone: str) -> str:
    secret = (where.directory / "secrets" / "tsig").read_text().strip()
    keyring = dns.tsigkeyring.from_text({"mailprov-lab": secret})
    transfer = dns.query.xfr(
        where.dns.address, zone, keyring=keyring, keyalgorithm="hmac-sha256", relativize=False
    )
    whole = dns.zone.from_xfr(transfer, relativize=False)
    lines = []
    for name, ttl, rdata in whole.iterate_rdatas():
        own = name.to_text().startswith("ns1.") and rdata.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
        if rdata.rdtype not in (dns.rdatatype.SOA, dns.rdatatype.NS) and not own:
            lines.append(f"{name} {ttl} {dns.rdatatype.to_text(rdata.rdtype)} {rdata.to_text()}")
    return f"; zone {zone}\n" + "".join(line + "\n" for line in sorted(lines))


if __name__ == "__main__":
    main()
