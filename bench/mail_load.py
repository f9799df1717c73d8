"""How much mail a provisioned host carries, beside the same host as the distribution configures it.

    measure(hosts, provision, rounds, table)     adds rows `mail in: …` and `submitted and read: …`

`provision(host, filter, quotas)` makes mailprov provision a host. The stock host has Debian's own packages and
configuration, with the least that local delivery by LMTP into a Maildir, submission with a login and IMAP need. All
keep mail in Maildirs, ask for the same passwords and talk to the same clients, which run on the host itself (as no
network is to be measured): Postfix's own smtp-source into port 25, for ten mailboxes at once, and a mix of submission
on 587 and reading on 993 by some of their owners. Nobody's mailbox has a limit on the stock host, so none has on the
first provisioned one either; what limits cost, and the filter, is measured on two more. The hosts take turns in every
round, so that what else the machine does hits all.
Raises BenchFailed when a message is missing at the end.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from bench.hosts import DOMAIN, FRESH, NAMES, Hosts
from bench.measure import BenchFailed, Run, Table

USERS = [f"user{number}" for number in range(10)]
PASSWORD = "of all the accounts of the bench"
MESSAGES, SIZE = 500, 4096  # into port 25: as many sessions as users, each for one of them
CLIENTS, EACH = 4, 10  # people who submit a message and fetch it, so many times

STOCK = r"""
set -e
export DEBIAN_FRONTEND=noninteractive
echo 'postfix postfix/main_mailer_type select Internet Site' | debconf-set-selections
apt-get -qq update
apt-get -qq -y -o Dpkg::Use-Pty=0 install postfix dovecot-imapd dovecot-lmtpd ssl-cert >/dev/null
for user in USERS; do
  useradd -m -s /bin/bash $user
  echo "$user:PASSWORD" | chpasswd
done
cat >/etc/dovecot/conf.d/99-local.conf <<'END'
mail_location = maildir:~/Maildir
auth_username_format = %Ln
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
    user = postfix
    group = postfix
  }
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
END
postconf -e 'mailbox_transport = lmtp:unix:private/dovecot-lmtp' 'mydestination = DOMAIN, localhost'
postconf -M 'submission/inet=submission inet n - y - - smtpd'
postconf -P 'submission/inet/smtpd_tls_security_level=encrypt' 'submission/inet/smtpd_sasl_auth_enable=yes' \
  'submission/inet/smtpd_sasl_type=dovecot' 'submission/inet/smtpd_sasl_path=private/auth'
systemctl restart dovecot postfix
"""

# Runs on the host; prints seconds as JSON.
WORK = r"""
import glob, imaplib, json, smtplib, ssl, subprocess, sys, threading, time

job = json.loads(sys.argv[1])
addresses = [user + "@" + job["domain"] for user in job["users"]]
tls = ssl._create_unverified_context()


def arrived():
    return sum(len(glob.glob(job["maildirs"] + "/" + folder + "/*")) for folder in ("new", "cur"))


def mail_in():
    before, began = arrived(), time.monotonic()
    argv = ["smtp-source", "-s", "1", "-m", str(job["messages"] // len(addresses)), "-l", str(job["size"])]
    argv += ["-f", "bench@elsewhere.example"]
    sources = [subprocess.Popen([*argv, "-t", address, "127.0.0.1:25"]) for address in addresses]
    if any([source.wait() for source in sources]):
        sys.exit("a message was refused")
    while arrived() < before + job["messages"]:
        if time.monotonic() > began + 300:
            sys.exit("%d of %d messages arrived" % (arrived() - before, job["messages"]))
        time.sleep(0.02)
    return time.monotonic() - began


def person(number):
    address = addresses[number]
    login = address if job["whole_login"] else job["users"][number]
    for count in range(job["each"]):
        subject = "bench-%s-%d-%d" % (job["round"], number, count)
        with smtplib.SMTP("127.0.0.1", 587, timeout=60) as smtp:
            smtp.starttls(context=tls)
            smtp.login(login, job["password"])
            smtp.sendmail(address, [address], "From: %s\r\nSubject: %s\r\n\r\n%s" % (address, subject, "x" * 2000))
        deadline = time.monotonic() + 60
        with imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=tls, timeout=60) as imap:
            imap.login(login, job["password"])
            found = b""
            while not found:
                if time.monotonic() > deadline:
                    raise SystemExit("a submitted message did not come")
                imap.select("INBOX")
                found = imap.search(None, "SUBJECT", subject)[1][0]
            imap.fetch(found.split()[0], "(BODY[])")
            imap.store(found.split()[0], "+FLAGS", "\\Deleted")
            imap.expunge()


def mix():
    failed = []

    def guarded(number):
        try:
            person(number)
        except BaseException as error:
            failed.append(repr(error))

    began = time.monotonic()
    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(job["clients"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit("the mix failed: " + failed[0])
    return time.monotonic() - began


print(json.dumps([mail_in() if job["what"] == "in" else mix()]))
"""


def measure(hosts: Hosts, provision: Callable[[str, str, bool], None], rounds: int, table: Table) -> None:
    """Four hosts, pristine but for what earlier phases made of the last three; a first round is not counted."""
    plain, limited, filtered = NAMES[-3:]
    hosts.reset_fresh()
    stock = STOCK.replace("DOMAIN", DOMAIN).replace("PASSWORD", PASSWORD).replace("USERS", " ".join(USERS))
    hosts.on(FRESH, stock)
    provision(plain, "none", False)
    provision(limited, "none", True)
    provision(filtered, "rspamd", True)
    maildirs = hosts.maildir(DOMAIN, "*")
    places = (
        ("stock", FRESH, "/home/*/Maildir", False),
        ("mailprov, no filter", plain, maildirs, True),
        ("mailprov, no filter, quotas", limited, maildirs, True),
        ("mailprov, rspamd, quotas", filtered, maildirs, True),
    )
    for number in range(rounds + 1):
        for what, row in (("mix", "submitted and read"), ("in", "mail in")):
            for label, host, found, whole_login in places:
                job = {
                    "what": what, "round": number, "maildirs": found, "users": USERS, "domain": DOMAIN,
                    "whole_login": whole_login, "password": PASSWORD, "messages": MESSAGES, "size": SIZE,
                    "clients": CLIENTS, "each": EACH,
                }  # fmt: skip
                seconds = _on_host(hosts, host, job)
                hosts.on(host, f"find {found}/new {found}/cur -type f -delete")
                if number:
                    table.add(f"{row}: {label}", Run(seconds, 0.0, 0.0, ""))


def _on_host(hosts: Hosts, host: str, job: dict[str, object]) -> float:
    """The seconds that a job took on the host."""
    quoted = json.dumps(job).replace("'", "'\\''")
    argv = hosts.ssh_argv(hosts.near(host), f"python3 - '{quoted}'")
    done = subprocess.run(argv, input=WORK, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise BenchFailed(f"bench: load, {job['what']} on {host}: {done.stderr.strip()[-2000:]}")
    return float(json.loads(done.stdout)[0])
