"""Certificates by ACME: the deploy hook, the key for dns-01 that lies on a host, what other users of the host see and do, and a
certificate authority in hostile hands. Debian 12 shows its names over HTTP, Debian 13 by DNS; pebble is the authority.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from mailprov import lab
from mailprov.inventory import SecretMode, load
from mailprov.lab.acme_server import PORT, UNIT
from tests.attacks.tries import Tries, some
from tests.lab.labs import run_on
from tests.lab.program import COMMAND, run
from tests.lab.test_acme import INVENTORY, NAMES

HOOK = "/etc/letsencrypt/renewal-hooks/deploy/mailprov"
NOBODY = "setpriv --reuid=nobody --regid=nogroup --clear-groups -- sh -c"

# Lineages that are not whole: $N is the certificate's name.
PREPARE = """
rm -rf /root/a; cd /root
for kind in empty mixed link swapped text; do mkdir -p a/$kind/$N; done
cd a
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout other.key -out other.pem >/dev/null 2>&1
cp other.key mixed/$N/privkey.pem; cat /etc/letsencrypt/live/$N*/fullchain.pem >mixed/$N/fullchain.pem
ln -s /etc/shadow link/$N/privkey.pem; ln -s /etc/passwd link/$N/fullchain.pem
cp other.pem swapped/$N/privkey.pem; cp other.key swapped/$N/fullchain.pem
echo '$(touch /tmp/owned)' >text/$N/privkey.pem; cp text/$N/privkey.pem text/$N/fullchain.pem
"""


@pytest.fixture(scope="module")
def where(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    if name := os.environ.get("MAILPROV_ATTACK_LAB"):
        return lab.load(name)
    made = ready_lab_factory(INVENTORY)
    applied = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert applied.code == 0, applied.of("ended")
    return made


def state(where: lab.Lab, host: str) -> str:
    """What the daemons serve, and what an attack would leave."""
    return run_on(
        where,
        host,
        "sha256sum /etc/mailprov/tls/*; ls /tmp/owned /owned 2>/dev/null; ls -la /etc/mailprov/tls /etc/cron.d | awk '{print $1, $3, $NF}'",
    )


def test_the_deploy_hook(where: lab.Lab, tries: Tries) -> None:
    """Whatever lineage it is told: the file in service changes for a whole pair of our own names alone."""
    for host, names in NAMES.items():
        name = names[0]
        run_on(where, host, f"N={name}\n" + PREPARE)
        lineages = [
            *(f"/root/a/{kind}/{name}" for kind in ("empty", "mixed", "link", "swapped", "text", "missing")),
            "", "/", ".", "..", name, f"/etc/letsencrypt/live/evil-{name}", f"/etc/letsencrypt/live/{name}.evil", f"/etc/letsencrypt/live/{name}/",
            f"/etc/letsencrypt/live/{name}/x", "$(touch /tmp/owned)", "`touch /tmp/owned`", f"/x;touch /tmp/owned/{name}", f"/root/a/text/{name}\n",
            f"/x\n/{name}", f"/x y/{name}", f"/dev/{name}", f"/proc/self/{name}", f"/etc/letsencrypt/live/../../../root/a/mixed/{name}", "*", f"*/{name}",
            f"/root/a/*/{name}", "-c", f"--/{name}", f"/{'x' * 5000}/{name}", f"/root/a/text/./{name}", f"\x1b]0;x\x07/{name}", "/etc/letsencrypt/live",
        ]  # fmt: skip
        before = state(where, host)
        for lineage in some(lineages, 6):
            said = run_on(
                where,
                host,
                f"RENEWED_LINEAGE={shlex.quote(lineage)} RENEWED_DOMAINS='$(touch /tmp/owned)' {HOOK} 2>&1",
                check=False,
            )
            after = state(where, host)
            tries.held((host, lineage[:60]), after == before, (said, after))
            run_on(where, host, "rm -f /tmp/owned /etc/mailprov/tls/*.new")
        said = run_on(
            where, host, f"{NOBODY} 'RENEWED_LINEAGE=/etc/letsencrypt/live/{name} {HOOK}' 2>&1", check=False
        )
        tries.held((host, "by another user"), state(where, host) == before, said)


def test_other_users_of_the_host(where: lab.Lab, tries: Tries) -> None:
    """What they read, and where they write."""
    for host, names in NAMES.items():
        secret = (where.directory / "secrets" / "tsig").read_text().strip()
        paths = run_on(
            where,
            host,
            "find /etc/letsencrypt /var/lib/letsencrypt /var/log/letsencrypt /etc/mailprov /var/lib/mailprov -type f 2>/dev/null",
        ).split()
        private = [
            path
            for path in paths
            if path.endswith((".key", ".ini", "privkey1.pem", "private_key.json", ".log"))
            or (f"{names[0]}" in path and path.endswith(".pem"))
        ]
        assert private
        for path in some(sorted(private), 6):
            read = run_on(where, host, f"{NOBODY} 'cat {path}' 2>/dev/null", check=False)
            tries.held(
                (host, "read", path),
                "PRIVATE KEY" not in read
                and secret not in read
                and not (path.endswith((".json", ".log")) and read),
                read[:80],
            )
        folders = ["/etc/letsencrypt", "/etc/letsencrypt/renewal", "/etc/letsencrypt/renewal-hooks/deploy", "/etc/letsencrypt/renewal-hooks/pre", "/etc/letsencrypt/live",
                   "/etc/letsencrypt/accounts", "/var/lib/letsencrypt", "/var/log/letsencrypt", "/etc/mailprov/tls", "/etc/systemd/system/certbot.service.d", "/run", "/etc/letsencrypt/renewal-hooks/post"]  # fmt: skip
        for folder in some(folders, 4):
            said = run_on(where, host, f"{NOBODY} 'touch {folder}/mine && echo done' 2>&1", check=False)
            tries.held((host, "write", folder), "done" not in said, said)
        for path in (
            HOOK,
            "/run/mailprov-acme-roots.pem",
            "/etc/systemd/system/certbot.service.d/mailprov.conf",
            f"/etc/letsencrypt/renewal/{names[0]}.conf",
            "/etc/mailprov/tls/acme-roots.pem",
        ):
            said = run_on(where, host, f"{NOBODY} 'echo x >>{path} && echo done' 2>&1", check=False)
            tries.held((host, "change", path), "done" not in said, said)
        everywhere = run_on(
            where,
            host,
            f"grep -rlF -e {shlex.quote(secret)} /etc /var/lib /var/log /run /tmp /root 2>/dev/null || true",
        ).split()
        wanted = {"/etc/mailprov/tls/dns-01.ini"} if host == "mx2" else set()
        tries.held((host, "the key for dns-01 in one file"), set(everywhere) <= wanted, everywhere)


def test_a_renewal_with_users_looking_on(where: lab.Lab, tries: Tries) -> None:
    """The TSIG key is in no process; what a challenge puts into the zone is gone after it; port 80 is closed again."""
    secret = (where.directory / "secrets" / "tsig").read_text().strip()
    for host, (name, *_) in NAMES.items():
        spy = "until test -e /tmp/enough; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; sleep 0.02; done | tr '\\0' '\\n' | grep -cF -f /tmp/wanted >/tmp/spied"
        run_on(
            where,
            host,
            f"rm -f /tmp/enough /tmp/spied; echo {secret[:20]} >/tmp/wanted; chmod 644 /tmp/wanted",
        )
        run_on(where, host, f'setsid {NOBODY} "{spy}" </dev/null >/dev/null 2>&1 &')
        run_on(
            where,
            host,
            "sed -i '1i renew_before_expiry = 3650 days' /etc/letsencrypt/renewal/*.conf && systemctl start certbot.service; sed -i 1d /etc/letsencrypt/renewal/*.conf; touch /tmp/enough",
        )
        for _ in range(60):
            if seen := run_on(where, host, "cat /tmp/spied 2>/dev/null", check=False).strip():
                break
            time.sleep(0.3)
        tries.held((host, "the key in a process"), seen == "0", seen)
        answer = dns.query.udp(
            dns.message.make_query(f"_acme-challenge.{name}", "TXT"), where.dns.address, timeout=5
        )
        tries.held((host, "challenges left in the zone"), not answer.answer, answer.answer)
        listening = run_on(where, host, "ss -Hltn sport = :80")
        tries.held((host, "port 80 after it"), not listening.strip(), listening)


HOSTILE = r"""
import http.server, json, ssl, sys
kind, host = sys.argv[1], sys.argv[2]
ODD = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202eevil\r\nContent: x"
base = "https://%s:14000" % host
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, code, body, kind="application/json", **more):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "Replay-Nonce": "bm9uY2U", **more}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    def do_GET(self):
        if kind == "html": return self.answer(200, b"<html>" + ODD.encode() + b"</html>", "text/html")
        if kind == "error": return self.answer(500, ODD.encode(), "text/plain")
        if kind == "problem": return self.answer(403, {"type": "urn:ietf:params:acme:error:" + ODD, "detail": ODD * 50}, "application/problem+json")
        if kind == "huge": return self.answer(200, b"{\"x\": \"" + b"a" * 30000000 + b"\"}")
        if kind == "list": return self.answer(200, [ODD] * 3)
        if kind == "nothing": return self.answer(200, b"")
        if kind == "deep": return self.answer(200, b"[" * 100000)
        if kind == "redirect": return self.answer(302, b"", Location="file:///etc/shadow")
        if kind == "loop": return self.answer(302, b"", Location=base + "/dir")
        if kind == "close": self.connection.close(); return
        urls = {name: base + "/" + name for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")}
        if kind == "file": urls = {name: "file:///etc/shadow" for name in urls}
        if kind == "inside": urls = {name: "http://127.0.0.1:25/" for name in urls}
        if kind == "strange": urls = {name: "\x1b[2J" for name in urls}
        self.answer(200, {**urls, "meta": {"termsOfService": ODD}})
    do_HEAD = do_GET
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(400, {"type": "urn:ietf:params:acme:error:malformed", "detail": ODD + "\nDetail: " + ODD, "status": 400, "subproblems": [{"type": ODD, "detail": ODD, "identifier": {"type": "dns", "value": ODD}}]}, "application/problem+json")
server = http.server.ThreadingHTTPServer(("", 14000), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/pebble/server.pem", "/etc/pebble/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
KINDS = [
    "problem",
    "account",
    "html",
    "error",
    "huge",
    "list",
    "nothing",
    "deep",
    "redirect",
    "loop",
    "close",
    "file",
    "inside",
    "strange",
]


@pytest.fixture
def authority(where: lab.Lab) -> Iterator[Callable[[str], None]]:
    """Puts another server in the place of pebble; the certificates are to be issued anew meanwhile."""
    run_on(where, where.dns.name, f"cat >/root/hostile.py <<'END'\n{HOSTILE}\nEND\nsystemctl stop {UNIT}")
    for host in NAMES:
        run_on(
            where,
            host,
            "cp -a /etc/letsencrypt/renewal /root/renewal; sed -i 's,^server = .*,server = https://else.test/dir,' /etc/letsencrypt/renewal/*.conf",
        )

    def begin(kind: str) -> None:
        name = run_on(where, where.dns.name, "hostname -f").strip()
        run_on(
            where,
            where.dns.name,
            f"systemctl stop hostile-acme 2>/dev/null; systemctl reset-failed hostile-acme 2>/dev/null; systemd-run -q --unit=hostile-acme python3 /root/hostile.py {kind} {name}",
        )
        for _ in range(100):
            if run_on(where, where.dns.name, f"ss -Hltn sport = :{PORT}").strip():
                return
            time.sleep(0.1)
        pytest.fail("the hostile authority does not listen")

    yield begin
    run_on(
        where, where.dns.name, f"systemctl stop hostile-acme 2>/dev/null; systemctl start {UNIT}", check=False
    )
    for host in NAMES:
        run_on(
            where,
            host,
            "rm -rf /etc/letsencrypt/renewal; mv /root/renewal /etc/letsencrypt/renewal; chmod 755 /etc/letsencrypt/renewal",
        )


def test_a_hostile_authority(where: lab.Lab, authority: Callable[[str], None], tries: Tries) -> None:
    """One sentence that no terminal obeys, exit code 1, and the old certificate in service."""
    served = {
        host: run_on(
            where, host, "sha256sum /etc/mailprov/tls/*.key /etc/mailprov/tls/*.pem 2>/dev/null", check=False
        )
        for host in NAMES
    }
    for kind in some(KINDS, 2):
        authority(kind)
        done = subprocess.run([*COMMAND, "apply", "--yes", "--no-verify", "--only", "hosts", str(where.inventory_path)],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600, check=False)  # fmt: skip
        seen = done.stdout + done.stderr
        odd = sorted({char for char in seen if not char.isprintable() and char != "\n"})
        tries.held(
            (kind, "what is shown"),
            not odd and "Traceback" not in seen and len(seen) < 200_000,
            (odd, seen[-600:]),
        )
        tries.held((kind, "the exit code"), done.returncode == 1, (done.returncode, seen[-600:]))
        for host in NAMES:
            now = run_on(
                where,
                host,
                "sha256sum /etc/mailprov/tls/*.key /etc/mailprov/tls/*.pem 2>/dev/null",
                check=False,
            )
            tries.held((kind, host, "what is served"), now == served[host], now)
            tries.held(
                (kind, host, "the service"),
                run_on(where, host, "systemctl is-active postfix dovecot").split() == ["active"] * 2,
            )


WORDS = [
    "a@b.test --config x",
    "a@b.test;id",
    "$(id)@b.test",
    "a@b.test\\nserver = x",
    "-x@b.test",
    "`id`@b.test",
    "a@b.test\\x00",
    "a@b.test,c@d.test",
    "\\e[2J@b.test",
]
PLACES = ["http://b.test/dir", "file:///etc/passwd", "https://b.test/$(id)", "https://b.test/`id`", "https://b.test/ --config x", "https://b.test/'x", "https://b.test/\\n[x]",
          "https://u:p@b.test/dir", "https://b.test", "ftp://b.test/", "https://b.test/\\e[2J", "https://-x/dir", "https:///dir", "https://b.test:99999/dir"]  # fmt: skip


def test_words_of_an_inventory(tmp_path: Path, tries: Tries) -> None:
    """Refused, or one word of certbot's and one line of its settings."""
    for key, text in some(
        [*(("email", word) for word in WORDS), *(("directory", word) for word in PLACES)], 8
    ):
        path = tmp_path / "mail.yml"
        path.write_text(
            f'tls: {{mode: acme, {"email: a@b.test, " if key != "email" else ""}{key}: "{text}"}}\n'
            "hosts: {mx1: {address: 192.0.2.1, fqdn: mx1.b.test}}\n"
            "domains: {b.test: {hosts: [mx1], accounts: {ana: {password: {env: A}}}}}\n"
        )
        try:
            acme: Any = load(path, SecretMode.IGNORE).hosts[0].tls.acme
            value = str(getattr(acme, key))
            ok = value.isprintable() and not value.startswith("-") and " " not in value
        except Exception as error:
            ok, value = type(error).__name__ == "InventoryError", str(error)
        tries.held((key, text), ok, value)
