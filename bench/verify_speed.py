"""How long `mailprov verify` takes on sound hosts, beside checkdmarc, sslyze and swaks; the CPU of the controller.

    measure(folder, cache, rounds) -> lines     of Markdown

Three hosts: Debian 12 and 13 with Rspamd, Debian 13 without. Rounds go through all inventories and tools in turn. Each
counted run must have found everything sound. What is looked at: the slowest probe but `auth.bad-password`, whose
refusals take five seconds on purpose; the whole run; and the run beside its slowest probe. The peers do what they can
of the same on the same host, and mailprov the same share alone; what cannot be had by pip or apt is left out, and told.

The controller's CPU is that of scripted hosts (mailprov/selftest), whose servers are in a process of their own: real
sockets, TLS, logins and messages, and no host. The first run of each number of hosts is not counted.

    python -m bench.verify_speed [COUNT …]     the scripted hosts alone; 2, 10 and 50
Raises BenchFailed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dns.resolver

from bench.commands import apply, mailprov
from bench.measure import BenchFailed, environment
from bench.verify_counts import COUNTED, counted
from mailprov import lab, probe
from mailprov.inventory import SecretMode, load
from mailprov.model.accounts import Account
from mailprov.model.dns import DnsSettings
from mailprov.model.findings import Verdict
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls, TlsMode
from mailprov.model.secret import Secret
from mailprov.selftest import state
from mailprov.selftest.certificates import Authority
from mailprov.selftest.scripted_lab import ScriptedZones
from mailprov.selftest.servers import World
from mailprov.selftest.signer import RECORD, SELECTOR
from tests.lab.labs import silent

NAME = "bench-verify"
_PATIENT = "auth.bad-password"
_SLOWEST, _WHOLE, _OF_SLOWEST = 3.0, 10.0, 1.3  # wanted: seconds, seconds, times
_FLAT = 1.3  # wanted: the controller's CPU per host, of the least hosts
COUNTS = (2, 10, 50)
_HOSTS = {"m1": ("debian-12", "rspamd"), "m2": ("debian-13", "rspamd"), "n1": ("debian-13", "none")}
_RUNS = {
    "one host, Debian 12, Rspamd": ("m1",),
    "one host, Debian 13, Rspamd": ("m2",),
    "one host, Debian 13, no filter": ("n1",),
    "two hosts, Rspamd": ("m1", "m2"),
}


def measure(folder: Path, cache: Path, rounds: int) -> list[str]:
    path = folder / "verify.yml"
    path.write_text(_inventory(tuple(_HOSTS)))
    made = lab.up(load(path, SecretMode.IGNORE), name=NAME, emit=silent)
    try:
        whole = made.directory / "inventory.yml"
        apply(whole, "Done")
        tools, absent = _tools(cache, made, whole)
        seen: dict[str, list[tuple[float, float, str, float]]] = {name: [] for name in _RUNS}
        shares: dict[str, list[float]] = {name: [] for name in tools}
        for turn in range(rounds + 1):
            for name, hosts in _RUNS.items():
                figures = _verified(whole, hosts)
                if turn:  # the first one fills caches
                    seen[name].append(figures)
            for name, argv in tools.items():
                began = time.monotonic()
                done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment())
                if done.returncode:
                    raise BenchFailed(f"bench: {name}:\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
                if turn:
                    shares[name].append(time.monotonic() - began)
        counts = {name: counted(whole, _of(hosts)) for name, hosts in _RUNS.items()}
    finally:
        lab.down(NAME, silent)
    return [*_table(seen), *_counts(counts), *_beside(shares, absent), *scripted(folder, COUNTS, rounds)]


def _inventory(hosts: Sequence[str]) -> str:
    lines = ["hosts:"]
    for number, name in enumerate(hosts, 11):
        release, filter_ = _HOSTS[name]
        # Nobody answers for a DNS blocklist here, and to wait for that is no work of the host's.
        asked = "" if filter_ == "none" else ", blocklists: none"
        lines.append(
            f"  {name}: {{address: 192.0.2.{number}, fqdn: {name}.{name}.test, filter: {filter_}{asked}, "
            f"lab: {{release: {release}}}}}"
        )
    lines.append("domains:")
    for name in hosts:
        accounts = ", ".join(f"{user}: {{password: {{env: NONE}}}}" for user in ("ana", "ben", "eva"))
        lines.append(f"  {name}.test: {{hosts: [{name}], accounts: {{{accounts}}}, aliases: {{info: ana}}}}")
    return "\n".join(lines) + "\n"


def _of(hosts: Sequence[str]) -> list[str]:
    return [word for host in hosts for word in ("--domain", f"{host}.test")]


def _verified(path: Path, hosts: Sequence[str]) -> tuple[float, float, str, float]:
    """Seconds of the run, of the slowest probe but wrong passwords, its id, and of the slowest of all."""
    result = mailprov("verify", "--json", *_of(hosts), str(path))
    events = [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]
    found = [each.get("finding", each) for each in events if "verdict" in json.dumps(each)]
    found = [each for each in found if "id" in each and "seconds" in each]
    wrong = [
        f"{each['id']} {each['observed']}" for each in found if each["verdict"] in ("fail", "error", "warn")
    ]
    if wrong or not found:
        raise BenchFailed(
            f"bench: verify of {', '.join(hosts)} did not find it sound:\n" + "\n".join(wrong[:10])
        )
    quick = max((each for each in found if each["id"] != _PATIENT), key=lambda each: each["seconds"])
    return result.wall, quick["seconds"], quick["id"], max(each["seconds"] for each in found)


def _table(seen: dict[str, list[tuple[float, float, str, float]]]) -> list[str]:
    lines = [
        f"A whole `verify` of sound hosts, medians (least to most) of {len(next(iter(seen.values())))} rounds in turn. "
        f"Wanted: the slowest probe but `{_PATIENT}` at most {_SLOWEST:g} s, the run at most {_WHOLE:g} s, and at most "
        f"{_OF_SLOWEST:g} × its slowest probe.",
        "",
        "| | run, s | slowest probe but wrong passwords, s | which | slowest of all, s | run of slowest of all |",
        "|---|---|---|---|---|---|",
    ]
    for name, rounds in seen.items():
        walls, quick, ids, slowest = zip(*rounds, strict=True)
        ratio = statistics.median(wall / most for wall, most in zip(walls, slowest, strict=True))
        which = Counter(ids).most_common(1)[0][0]
        lines.append(
            f"| {name} | {_span(walls)} | {_span(quick)} | {which} | {_span(slowest)} | {ratio:.2f} × |"
        )
    return [*lines, ""]


def _counts(seen: dict[str, Counter[str]]) -> list[str]:
    lines = [
        "What such a run does, counted in one more of each (both address families):",
        "",
        f"| | {' | '.join(COUNTED)} |",
        f"|---|{'---|' * len(COUNTED)}",
    ]
    lines += [
        f"| {name} | {' | '.join(str(each[what]) for what in COUNTED)} |" for name, each in seen.items()
    ]
    return [*lines, ""]


def _span(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def _tools(cache: Path, made: lab.Lab, path: Path) -> tuple[dict[str, list[str]], list[str]]:
    """What is run beside: the peers on the first host, and mailprov's share of the same. What could not be had."""
    domain, fqdn = "m1.test", "m1.m1.test"
    address, server = made.host("m1").address, load(path, SecretMode.IGNORE).dns.provider.name_server
    tools: dict[str, list[str]] = {}
    absent: list[str] = []
    program = str(Path(sys.executable).parent / "mailprov")
    base = [program, "verify", "--quiet", "--domain", domain]

    checkdmarc, said = _by_pip(cache, "checkdmarc")
    if not checkdmarc:
        absent.append(f"checkdmarc ({said})")
    else:
        asked = [checkdmarc, domain, "--skip-tls", "-n", server.address if server else ""]
        tools["checkdmarc: DNS of the domain"] = asked
        tools["mailprov: dns"] = [*base, "--probe", "dns", str(path)]
    sslyze, said = _by_pip(cache, "sslyze")
    if not sslyze:
        absent.append(f"sslyze ({said})")
    else:
        for port, words in ((465, []), (587, ["--starttls", "smtp"]), (993, [])):
            argv = [sslyze, *words, "--mozilla_config=disable", f"{fqdn}{{{address}}}:{port}"]
            tools[f"sslyze: port {port}"] = argv
        tools["mailprov: tls, all ports"] = [*base, "--probe", "tls", str(path)]
    swaks, said = _swaks(cache)
    if not swaks:
        absent.append(f"swaks ({said})")
    else:
        password = (made.directory / "secrets" / f"ana@{domain}").read_text().strip()
        who = ["--to", f"ben@{domain}", "--from", f"ana@{domain}", "--server", address]
        login = ["--auth-user", f"ana@{domain}", "--auth-password", password]
        for name, words in (("465", ["--tlsc", "--port", "465"]), ("587", ["--tls", "--port", "587"])):
            tools[f"swaks: login and a message on {name}"] = [*swaks, *who, *login, *words, "--silent", "3"]
        tools["mailprov: delivery, both ports, read again"] = [*base, "--probe", "delivery", str(path)]
    return _working(tools, absent), absent


def _by_pip(cache: Path, name: str) -> tuple[str, str]:
    """Each in a place of its own: what one needs may break another."""
    place = cache / f"verify-{name}"
    if not (place / "installed").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        pip = [str(place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", name]
        done = subprocess.run(pip, capture_output=True, text=True, check=False, env=environment())
        if done.returncode:
            return "", _last(done.stderr)
        (place / "installed").touch()
    return str(place / "bin" / name), ""


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it failed"])[-1][:200]


def _working(tools: dict[str, list[str]], absent: list[str]) -> dict[str, list[str]]:
    """What does its work here; a peer that fails would be quick at it."""
    good = {}
    for name, argv in tools.items():
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment())
        if done.returncode and name.startswith("mailprov"):
            raise BenchFailed(f"bench: {name}:\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
        if done.returncode:
            absent.append(f"{name} ({_last(done.stderr or done.stdout)})")
        else:
            good[name] = argv
    return good


def _swaks(cache: Path) -> tuple[list[str], str]:
    """This machine's, or that of its distribution, unpacked without being installed."""
    if found := shutil.which("swaks"):
        return [found], ""
    place = cache / "swaks"
    if not (place / "usr/bin/swaks").exists():
        place.mkdir(parents=True, exist_ok=True)
        for package in ("swaks", "libnet-ssleay-perl"):
            done = subprocess.run(
                ["apt-get", "download", package], cwd=place, capture_output=True, text=True, check=False
            )
            if done.returncode:
                return [], _last(done.stderr)
        for archive in place.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(place)], check=True)
    libraries = sorted({str(each.parent.parent) for each in place.glob("usr/**/Net/SSLeay.pm")})
    return ["env", f"PERL5LIB={':'.join(libraries)}", "perl", str(place / "usr/bin/swaks")], ""


def _beside(shares: dict[str, list[float]], absent: list[str]) -> list[str]:
    if not shares:
        return [f"Not to be had here, so left out: {'; '.join(absent)}.", ""]
    lines = ["Shares of it, by who can do them, on the host with Debian 12:", "", "| | s |", "|---|---|"]
    lines += [f"| {name} | {_span(values)} |" for name, values in shares.items()]
    return [*lines, *([f"Not to be had here: {'; '.join(absent)}."] if absent else []), ""]


# Scripted hosts.


def scripted(folder: Path, counts: Sequence[int], rounds: int) -> list[str]:
    lines = [
        f"The controller's CPU for `verify` of scripted hosts, medians of {rounds} rounds; wanted: per host at most "
        f"{_FLAT:g} × that of {counts[0]}.",
        "",
        "| hosts | findings | CPU s | CPU s per host | of the first |",
        "|---|---|---|---|---|",
    ]
    first = 0.0
    for count in counts:
        place = folder / f"scripted-{count}"
        place.mkdir(parents=True)
        with _servers(place, count) as (inventory, port_map, resolver):
            spent = []
            for turn in range(rounds + 1):
                began = time.process_time()
                found = probe.verify(
                    inventory, emit=lambda finding: None, resolver=resolver, port_map=port_map
                )
                if turn:
                    spent.append(time.process_time() - began)
                wrong = [each for each in found if each.verdict in (Verdict.FAIL, Verdict.ERROR)]
                if wrong:
                    raise BenchFailed(f"bench: {count} scripted hosts are not sound:\n{wrong[0]}")
        each = statistics.median(spent) / count
        first = first or each
        lines.append(f"| {count} | {len(found)} | {each * count:.2f} | {each:.3f} | {each / first:.2f} × |")
    return [*lines, ""]


@contextlib.contextmanager
def _servers(
    folder: Path, count: int
) -> Iterator[tuple[Inventory, dict[tuple[str, int], int], dns.resolver.Resolver]]:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(
        target=_serve, args=(there, folder, count), daemon=True
    )
    child.start()
    there.close()  # so that a child that dies is an end of file here
    port_map, dns_port = here.recv()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], dns_port, 30
    tls = Tls(TlsMode.FILES, ca_file=folder / "ca.pem")
    hosts = tuple(
        Host(f"mx{n}", address, fqdn, SshSettings(), tls, ipv4=(address,))
        for n, (address, fqdn, __) in enumerate(_names(count), 1)
    )
    domains = tuple(
        Domain(domain, (f"mx{n}",), (Account(f"ana@{domain}", password=Secret("env:X", "right")),))
        for n, (__, ___, domain) in enumerate(_names(count), 1)
    )
    settings = DnsSettings(ScriptedZones(dns_port))
    try:
        yield dataclasses.replace(Inventory("bench.yml", hosts, domains), dns=settings), port_map, resolver
    finally:
        here.send("end")
        child.join()


def _names(count: int) -> list[tuple[str, str, str]]:
    """Address, name and domain of each host."""
    return [(f"127.0.1.{n}", f"mx{n}.d{n}.test", f"d{n}.test") for n in range(1, count + 1)]


def _serve(pipe: Any, folder: Path, count: int) -> None:
    for each in (state.FQDNS, state.MAIL_NAMES, state.DOMAINS, state.PASSWORDS):
        each.clear()
    records: dict[tuple[str, str], list[str]] = {}
    for address, fqdn, domain in _names(count):
        state.FQDNS[address], state.MAIL_NAMES[fqdn] = fqdn, f"mail.{domain}"
        state.DOMAINS[domain], state.PASSWORDS[f"ana@{domain}"] = address, "right"
        reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
        records |= {
            (fqdn, "A"): [address],
            (reverse, "PTR"): [f"{fqdn}."],
            (domain, "MX"): [f"10 {fqdn}."],
            (domain, "TXT"): [f'"v=spf1 ip4:{address} -all"'],
            (fqdn, "TXT"): ['"v=spf1 a -all"'],
            (domain, "SOA"): [f"ns.{domain}. h.{domain}. 1 1 1 1 1"],
            (domain, "NS"): [f"ns.{domain}."],
            (f"ns.{domain}", "A"): ["127.0.0.1"],
            (f"{SELECTOR}._domainkey.{domain}", "TXT"): [RECORD],
            (f"_dmarc.{domain}", "TXT"): ['"v=DMARC1; p=reject"'],
        }
    authority = Authority(folder)
    with World(authority, records=records) as world:
        pipe.send((world.port_map, world.dns_port))
        pipe.recv()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        wanted = [int(word) for word in sys.argv[1:]] or list(COUNTS)
        print("\n".join(scripted(Path(made), wanted, 1)) + f"Load average {os.getloadavg()[0]:.1f}.")
