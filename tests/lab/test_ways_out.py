"""Every way out of a mailbox, and in whose name it speaks: users' filters, forwards, the names that lead off a host.

Debian 12 and 13, so both lines of Dovecot; every test looks at both. The mail is looked at where it arrives: who is
named in its header, from whom the envelope is, and whether it is signed.
"""

from __future__ import annotations

import re
import shlex
import smtplib
from collections.abc import Callable
from datetime import date, timedelta
from email import message_from_string
from email.message import Message

import pytest

from mailprov import lab
from mailprov.inventory import SecretMode, load
from mailprov.probe.clients.resolver import Resolver
from mailprov.probe.mailauth import spf
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.matrix import address
from tests.lab.program import run

PLACES = (("mx1", "alpha.test"), ("mx2", "beta.test"))
PAIRS = tuple(zip(PLACES, PLACES[::-1], strict=True))


def _domain(host: str, domain: str, elsewhere: str) -> str:
    """`postmaster` leads to another host, and with it root and the other names of the system; `abuse` stays."""
    accounts = "".join(f"\n      {name}: {{password: {{env: P}}}}" for name in ("luis", "ana", "eva", "far"))
    return f"""\
  {domain}:
    hosts: [{host}]
    accounts:{accounts}
      away: {{password: {{env: P}}, forward: {{to: [far@{elsewhere}], keep: false}}}}
    aliases: {{sales: luis, postmaster: away, abuse: ana}}
    lists: {{team: [ana, luis]}}
    domain_aliases: [also.{domain}]
"""


INVENTORY = f"""\
filter: none
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {{release: debian-12}}}}
  mx2: {{address: 192.0.2.2, fqdn: mx2.beta.test, lab: {{release: debian-13}}}}
domains:
{"".join(_domain(host, domain, elsewhere) for (host, domain), (_, elsewhere) in PAIRS)}"""


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(INVENTORY)
    result = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert result.code == 0, result.events[-3:]
    return made


def arrived(hosts: lab.Lab, host: str, box: str, word: str) -> list[Message]:
    """The headers of the messages in this mailbox whose headers have the word."""
    stored = post.stored(hosts, host)
    return [message_from_string(head) for name, _, head in stored if name == box and word in head]


def deliver(hosts: lab.Lab, host: str, sender: str, to: list[str], text: str) -> None:
    """From outside, without a login."""
    with post.outside(address(hosts, host)) as client:
        post.transaction(client, sender, to, text)


def filtered(hosts: lab.Lab, host: str, user: str, script: str) -> None:
    session = post.Sieve(hosts, address(hosts, host), user)
    session.activate(script)
    session.close()


# What may be had with `require`, and was looked at: a new release that offers more must be looked at first.
EXTENSIONS = {
    "body",
    "comparator-i;ascii-numeric",
    "copy",
    "date",
    "duplicate",
    "encoded-character",
    "envelope",
    "environment",
    "extracttext",
    "fileinto",
    "foreverypart",
    "ihave",
    "imap4flags",
    "include",
    "index",
    "mailbox",
    "mime",
    "regex",
    "reject",
    "relational",
    "subaddress",
    "vacation",
    "variables",
}
# They send, run programs, or write headers.
NOT_OFFERED = (
    "enotify",
    "notify",
    "ereject",
    "editheader",
    "vacation-seconds",
    "vnd.dovecot.report",
    "vnd.dovecot.pipe",
    "vnd.dovecot.filter",
    "vnd.dovecot.execute",
)


def test_filters_have_the_extensions_that_were_looked_at_and_no_others(hosts: lab.Lab) -> None:
    for host, domain in PLACES:
        session = post.Sieve(hosts, address(hosts, host), f"luis@{domain}")
        offered = re.search(r'(?m)^"SIEVE" "(.*)"', session.answer("CAPABILITY"))
        assert offered
        taken = {
            name
            for name in NOT_OFFERED
            if session.command(f'PUTSCRIPT "try" {{{len(name) + 11}+}}\r\nrequire "{name}";').startswith("OK")
        }
        session.close()
        assert (set(offered[1].split()), taken) == (EXTENSIONS, set()), host


# Subject of the message that starts it → what luis's filter does then. %(own)s is his domain.
WAYS = {
    "from": 'vacation :days 1 :handle "1" :from "The Boss <ana@%(own)s>" "pay";',
    "elsewhere": 'vacation :days 1 :handle "2" :from "boss@bank.test" "pay";',
    "list": 'vacation :days 1 :handle "3" :from "team@%(own)s" "pay";',
    "postmaster": 'vacation :days 1 :handle "4" :from "Postmaster <postmaster@%(own)s>" "pay";',
    "addressed": 'vacation :days 1 :handle "5" :addresses ["ana@%(own)s"] "pay";',
    "mime": """vacation :days 1 :handle "6" :mime text:
From: The Boss
 <ana@%(own)s>
Sender: ana@%(own)s
Resent-From: ana@%(own)s
Resent-Sender : ana@%(own)s
Content-Type: text/plain

pay
.
;""",
    # As if it were a message that is sent on, which nobody answers for.
    "marked": """vacation :days 1 :handle "7" :from "ana@%(own)s" :mime text:
X-Sieve-Redirected-From: luis@%(own)s
Content-Type: text/plain

pay
.
;""",
    "reject": 'reject "pay";',
    "variable": 'vacation :days 1 :handle "9" :subject "x" :from "${name}@%(own)s" "pay";',
    "sales": 'vacation :days 1 :handle "10" :from "Sales <sales@%(own)s>" "ours";',
    "detail": 'vacation :days 1 :handle "11" :from "luis+x@also.%(own)s" "ours";',
}
OWN = {"sales": "Sales <sales@%(own)s>", "detail": "luis+x@also.%(own)s"}


def _script(domain: str, elsewhere: str) -> str:
    branches = [
        f'if header :is "subject" "{subject}" {{ {action % {"own": domain}} stop; }}'
        for subject, action in WAYS.items()
    ]
    redirect = f'if header :is "subject" "redirect" {{ redirect "far@{elsewhere}"; stop; }}'
    required = 'require ["vacation", "reject", "variables", "copy"];\nset "name" "ana";'
    return "\n".join([required, *branches, redirect])


def test_a_users_filter_speaks_as_nobody_but_the_user(hosts: lab.Lab) -> None:
    """All that a filter writes itself; what it sends on is somebody else's: not signed, and with a rewritten sender."""
    for (host, domain), (other, elsewhere) in PAIRS:
        far, luis, ana = f"far@{elsewhere}", f"luis@{domain}", f"ana@{domain}"
        filtered(hosts, host, luis, _script(domain, elsewhere))
        subjects = list(WAYS)
        for subject in subjects:
            to = ana if subject == "addressed" else f"luis+z@{domain}"
            deliver(hosts, host, far, [f"luis+z@{domain}"], f"From: {far}\nTo: {to}\nSubject: {subject}\n\n")
        text = f"From: {ana}\nTo: {luis}\nSubject: redirect\n\n"
        deliver(hosts, host, "stranger@else.test", [luis], text)

        written = "Auto-Submitted: auto-replied"
        wait_until(lambda: len(arrived(hosts, other, far, written)) >= len(subjects), "all answers")  # noqa: B023
        for head in arrived(hosts, other, far, written):
            subject = re.sub(r"^(Auto|Rejected): ", "", str(head["Subject"]))
            wanted = OWN.get(subject, f"<{luis}>") % {"own": domain}
            assert head.get_all("From") == [wanted], (host, subject)
            assert head["Return-Path"] == "<>", (host, subject)
            for name in ("Sender", "Resent-From", "Resent-Sender", "Resent-Sender "):
                assert name not in head, (host, subject, name)
            (signature,) = head.get_all("DKIM-Signature", [""])
            assert f" d={wanted.rpartition('@')[2].strip('>')};" in signature, (host, subject)
        assert len(arrived(hosts, other, far, written)) == len(subjects)
        wait_until(lambda: arrived(hosts, other, far, "Subject: redirect"), "what was sent on")  # noqa: B023
        (head,) = arrived(hosts, other, far, "Subject: redirect")
        assert (head["From"], head["DKIM-Signature"]) == (ana, None)
        assert str(head["Return-Path"]).startswith("<SRS0=")
        assert str(head["Return-Path"]).endswith(f"=else.test=stranger@{host}.{domain}>")


def placed(hosts: lab.Lab, host: str, user: str, script: str) -> None:
    """An active script that ManageSieve would not take any more, as one of old times."""
    name, _, domain = user.partition("@")
    home = f"/var/vmail/{domain}/{name}"
    write = f"install -d -o vmail -g vmail {home} {home}/sieve && cat > {home}/sieve/old.sieve <<'END'\n{script}\nEND\n"
    own = f"ln -sf sieve/old.sieve {home}/.dovecot.sieve && chown -h vmail:vmail {home}/sieve/* {home}/.dovecot.sieve"
    run_on(hosts, host, write + own)


def test_filters_that_need_what_is_refused_are_named_and_lose_no_mail(hosts: lab.Lab) -> None:
    """As on a host whose configuration does not refuse it yet."""
    conf = "/etc/dovecot/dovecot.conf"
    for host, domain in PLACES:
        notify = f'notify :message "x" :from "ana@{domain}" "mailto:far@{domain}";'
        script = f'require ["enotify", "fileinto"];\n{notify}\nfileinto "Elsewhere";'
        placed(hosts, host, f"eva@{domain}", script)
        deliver(hosts, host, "stranger@else.test", [f"eva@{domain}"], "Subject: noted\n\n")
        run_on(hosts, host, f"cp -a {conf} /root/ && sed -i '/enotify/d' {conf}")
    planned = run("plan", str(hosts.inventory_path))
    for host, domain in PLACES:
        run_on(hosts, host, f"cp -a /root/dovecot.conf {conf}")
        said = [one["text"] for one in planned.of("notice", subject=host) if "(Sieve)" in one["text"]]
        assert [text.rpartition(" Accounts: ")[2] for text in said] == [f"eva@{domain}"], planned.of("notice")
        assert "refuses enotify" in said[0]
        wait_until(lambda: arrived(hosts, host, f"eva@{domain}", "Subject: noted"), "the message, kept")  # noqa: B023
        folders = {
            box for name, box, head in post.stored(hosts, host) if name == f"eva@{domain}" and "noted" in head
        }
        assert folders == {"INBOX"}
        assert not arrived(hosts, host, f"far@{domain}", "Auto-Submitted: auto-notified")
    assert run("plan", "--exit-code", str(hosts.inventory_path)).code == 0


def test_what_filters_take_is_limited_and_what_is_there_already_goes_on(hosts: lab.Lab) -> None:
    for host, domain in PLACES:
        user = f"eva@{domain}"
        placed(hosts, host, user, 'require "fileinto";\nfileinto "Sorted";')
        place = f"/var/vmail/{domain}/eva/sieve"
        large = f"yes '# nothing' | head -n 40000 >> {place}/old.sieve"
        many = f"{large}; for n in 1 2 3; do install -o vmail -g vmail {place}/old.sieve {place}/old$n.sieve; done"
        run_on(hosts, host, many)  # 1.6 MB
        session = post.Sieve(hosts, address(hosts, host), user)
        assert session.command('PUTSCRIPT "more" {5+}\r\nkeep;').startswith("NO (QUOTA/MAXSTORAGE)"), host
        assert session.command('HAVESPACE "more" 100').startswith("NO (QUOTA/MAXSTORAGE)"), host
        for number in ("1", "2", "3"):
            assert session.command(f'DELETESCRIPT "old{number}"').startswith("OK")
        taken = 0
        while session.command(f'PUTSCRIPT "small{taken}" {{5+}}\r\nkeep;').startswith("OK"):
            taken += 1
            assert taken < 50, host
        assert session.command('PUTSCRIPT "last" {5+}\r\nkeep;').startswith("NO (QUOTA/MAXSCRIPTS)"), host
        assert taken == 31, host  # and the active one
        session.close()
        deliver(hosts, host, "stranger@else.test", [user], "Subject: sorted\n\n")
        wait_until(lambda: arrived(hosts, host, user, "Subject: sorted"), "the message")  # noqa: B023
        folders = {box for name, box, head in post.stored(hosts, host) if name == user and "sorted" in head}
        assert folders == {"Sorted"}, host


def test_a_filter_that_brings_dovecot_down_costs_nobody_else_a_copy(hosts: lab.Lab) -> None:
    """Dovecot 2.3.19 and 2.4.1 panic on this pattern where the variable is shorter. What is for luis waits in the queue
    and comes once when his filter is another.
    """
    script = 'require "variables";\nset :length "d" "four";\nif string :matches "${d}" "????*" { keep; }'
    others = ("ana", "eva", "far")
    for host, domain in PLACES:
        luis = f"luis@{domain}"
        run_on(hosts, host, f"rm -f /var/vmail/{domain}/eva/.dovecot.sieve")
        filtered(hosts, host, luis, script)
        text = "Subject: once\n\n"
        deliver(hosts, host, "stranger@else.test", [luis, *(f"{name}@{domain}" for name in others)], text)
        for name in others:
            wait_until(lambda: arrived(hosts, host, f"{name}@{domain}", "Subject: once"), f"{name}'s copy")  # noqa: B023
        for _ in range(2):
            run_on(hosts, host, "postqueue -f")
            wait_until(lambda: "*" not in run_on(hosts, host, "postqueue -p"), "the end of a try")  # noqa: B023
        waiting = run_on(hosts, host, "postqueue -j").count(f'"{luis}"')
        assert (waiting, len(arrived(hosts, host, luis, "Subject: once"))) == (1, 0), host
        filtered(hosts, host, luis, "keep;")
        run_on(hosts, host, "postqueue -f")
        wait_until(lambda: arrived(hosts, host, luis, "Subject: once"), "luis's copy")  # noqa: B023
        wait_until(lambda: "is empty" in run_on(hosts, host, "postqueue -p"), "an empty queue")  # noqa: B023
        copies = {
            name: len(arrived(hosts, host, f"{name}@{domain}", "Subject: once")) for name in ("luis", *others)
        }
        assert copies == dict.fromkeys(copies, 1), (host, copies)


class Stranger:
    """Asks without a login what would be taken; a session ends before Postfix slows down who makes mistakes."""

    def __init__(self, place: str) -> None:
        self._place, self._client, self._refused = place, smtplib.SMTP(), 9

    def reply(self, sender: str, recipient: str) -> tuple[int, str]:
        if self._refused > 8:
            self.close()
            self._client = smtplib.SMTP(
                self._place, 25, local_hostname="stranger.else.test", timeout=post.TIMEOUT
            )
            self._client.ehlo()
            self._refused = 0
        code, text = self._client.docmd(f"MAIL FROM:<{sender}>")
        if code == 250:
            code, text = self._client.docmd(f"RCPT TO:<{recipient}>")
        self._client.docmd("RSET")
        self._refused += code != 250
        return code, text.decode()

    def close(self) -> None:
        self._client.close()


def leading_off(fqdn: str, domain: str, literals: list[str]) -> list[str]:
    """Every form of an address that leads to another host: by an account, an alias, and the names of the system."""
    names = [f"{name}@{fqdn}" for name in ("abuse", "mailer-daemon", "postmaster", "root", "www-data")]
    return [
        *(f"{name}@{where}" for name in ("away", "postmaster") for where in (domain, f"also.{domain}")),
        *names,
        *(f"{name}@{literal}" for name in ("root", "abuse", "postmaster", "root+x") for literal in literals),
        *(name.upper() for name in (f"away@{domain}", *names)),
        *(name.replace("@", "+x@") for name in (f"away@{domain}", *names)),
        *(f"@{fqdn}:{name}" for name in (f"away@{domain}", f"root@{fqdn}")),
        f"@a.test,@{fqdn}:root@{fqdn}",
        *(f'"{name}"@{where}' for name, where in (("away", domain), ("root", fqdn), ("root+x", fqdn))),
        *("postmaster", "PostMaster"),
        *(f"away@{domain}.", f"root@{fqdn}."),
    ]


def own_senders(fqdn: str, domain: str) -> list[str]:
    return [
        *(
            f"ana@{domain}",
            f"ANA@{domain.upper()}",
            f'"ana"@{domain}',
            f"@x.test:ana@{domain}",
            f"ana@{domain}.",
        ),
        *(
            f"ana+x@{domain}",
            f"ana@also.{domain}",
            f"nobody@{domain}",
            f"root@{fqdn}",
            "root",
            f'"ana@{domain}"',
        ),
        *(f"ana%{domain}", f"{domain}!ana", f"ana@{domain}@"),
    ]


def test_no_name_that_leads_off_a_host_takes_a_strangers_mail_in_our_name(hosts: lab.Lab) -> None:
    for host, domain in PLACES:
        member, fqdn = hosts.host(host), f"{host}.{domain}"
        literals = [f"[{member.address}]", "[127.0.0.1]"]
        literals += (
            [f"[IPv6:{member.address6}]", f"[ipv6:{member.address6.upper()}]", "[IPv6:::1]"]
            if member.address6
            else []
        )
        stranger = Stranger(member.address)
        names = leading_off(fqdn, domain, literals)
        taken = [name for name in names if stranger.reply("stranger@else.test", name)[0] == 250]
        assert taken == names, host
        # Spellings of it that Postfix would take unasked, and that nobody uses.
        odd = [
            '"postmaster"',
            '"post\\master"',
            "(x@y.z)postmaster",
            "postmaster (x)",
            f"@{fqdn}:postmaster",
            " postmaster",
        ]
        odd += [
            f"@a.test,@{literals[0]}:postmaster",
            'post"master"',
            "postmaster@",
            "postmaster@.",
            '"postmaster"@',
        ]
        assert {stranger.reply("stranger@else.test", name)[0] for name in odd} == {501}, host
        let_in = [
            (sender, name)
            for sender in own_senders(fqdn, domain)
            for name in names
            if "5.7.1" not in stranger.reply(sender, name)[1]
        ]
        assert let_in == [], (host, len(let_in), let_in[:20])
        # What stays here is the filter's to judge; also a name of the system that a domain has as its own.
        for name in (f"luis@{domain}", f"abuse@{domain}", f"abuse+x@also.{domain}", f"sales@also.{domain}"):
            assert stranger.reply(f"ana@{domain}", name)[0] == 250, (host, name)
        stranger.close()


def test_senders_that_are_ours_in_no_record_are_rewritten(hosts: lab.Lab) -> None:
    """Names of this machine that mean nothing elsewhere: mail goes on under a rewritten sender, so SPF passes for the
    host and for no domain.
    """
    for (host, domain), (other, elsewhere) in PAIRS:
        for number, where in enumerate((f"[{address(hosts, host)}]", "localhost")):
            deliver(hosts, host, f"ana@{where}", [f"away@{domain}"], f"Subject: literal {host}{number}\n\n")
        for number in range(2):
            mark = f"Subject: literal {host}{number}"
            wait_until(lambda: arrived(hosts, other, f"far@{elsewhere}", mark), mark)  # noqa: B023
            (head,) = arrived(hosts, other, f"far@{elsewhere}", mark)
            assert re.fullmatch(rf"<SRS0=.*@{host}\.{re.escape(domain)}>", str(head["Return-Path"])), head[
                "Return-Path"
            ]


def test_nobody_writes_in_the_name_of_the_host_itself(hosts: lab.Lab) -> None:
    """Mail that goes on passes SPF, and so DMARC, for the host's name: From: must not have it (README, Addresses)."""
    for host, domain in PLACES:
        one, two = host, domain.removesuffix(".test")
        forged = [
            f"x@{one}.{two}.test",
            f"Boss <X@{one.upper()}.{two}.TEST>",
            f"<x@{one} .{two}. test >",
            f"x@(a){one}(b@c).(d(e)){two}.test(f)",
            f"x@{one}(((deep))).{two}.test",
            f"a@else.test, x@{one}.{two}.test.",
            f"group: x@{one}.{two}.test;",
            f"Boss\n <x@{one}.{two}.test>",
        ]
        honest = [
            f"x@not{one}.{two}.test",
            f"x@{one}.{two}.test.else.test",
            f'"x@{one}.{two}.test by list" <list@else.test>',
            f"x@{one}.else.test (of {two}.test)",
        ]
        with post.outside(address(hosts, host)) as client:
            for value in [*forged, *honest]:
                client.mail("x@else.test")
                client.rcpt(f"away@{domain}")
                code, text = client.data(f"From: {value}\nSubject: host itself\n\n")
                assert (code, b"host itself" in text) == ((550, True) if value in forged else (250, False)), (
                    value
                )


def sent_on(
    hosts: lab.Lab, host: str, domain: str, mark: str, sender: str = "stranger@else.test", head: str = ""
) -> Message:
    """What a stranger writes to `away`, as it arrives at the next host."""
    other = "mx2" if host == "mx1" else "mx1"
    far, subject = f"far@{dict(PLACES)[other]}", f"Subject: {mark} {host}"
    deliver(hosts, host, sender, [f"away@{domain}"], f"{head}{subject}\n\n")
    wait_until(lambda: arrived(hosts, other, far, subject), mark)
    return arrived(hosts, other, far, subject)[-1]


def sender_of(head: Message) -> str:
    return str(head["Return-Path"])[1:-1]


def bounced(hosts: lab.Lab, host: str, *addresses: str) -> list[int]:
    """What each address answers to a bounce."""
    client = Stranger(address(hosts, host))
    found = [client.reply("", name)[0] for name in addresses]
    client.close()
    return found


def test_hashes_of_rewritten_senders_become_longer_and_no_bounce_is_lost(hosts: lab.Lab) -> None:
    """From a host with short ones, as 0.1.0 left it, to the day when nobody can have a short one any more."""
    path, checks = "/etc/default/postsrsd", "/etc/postfix/mailprov/srs_checks"
    apply = ("apply", "--yes", "--no-verify", "--accept-drift", "--only", "hosts", str(hosts.inventory_path))
    today = {host: date.fromisoformat(run_on(hosts, host, "date -u +%F").strip()) for host, _ in PLACES}

    def changed(host: str, how: str) -> None:
        run_on(hosts, host, f"sed -i {shlex.quote(how)} {path} && systemctl restart postsrsd")

    def way_back(host: str, domain: str, mark: str) -> str:
        """The sender under which a message goes on now."""
        return sender_of(sent_on(hosts, host, domain, mark))

    def codes(host: str, *addresses: str) -> list[int]:
        return bounced(hosts, host, *addresses)

    for host, _ in PLACES:
        settings = run_on(hosts, host, f"grep HASH {path}").split()
        assert settings == ["SRS_HASHLENGTH=8", "SRS_HASHMIN=8"], host
        changed(host, "s/=8$/=4/")
    short = {host: way_back(host, domain, "short") for host, domain in PLACES}
    assert [len(name.split("=")[1]) for name in short.values()] == [4, 4]

    result = run(*apply)
    assert result.code == 0, result.events[-3:]
    long = {host: way_back(host, domain, "long") for host, domain in PLACES}
    for host, _ in PLACES:
        assert len(long[host].split("=")[1]) == 8
        day = today[host] + timedelta(days=21)
        assert f"shorter hashes until {day}" in run_on(hosts, host, f"cat {path}")
        wrong = re.sub("=.{4}", "=AAAA", short[host], count=1)
        assert codes(host, short[host], long[host], wrong) == [250, 250, 550], host

    # As if the change had been yesterday: what is made today is long, so a short one of today is somebody's guess.
    for host, _ in PLACES:
        changed(host, f"s/until .*, of/until {today[host] + timedelta(days=20)}, of/")
    assert run(*apply).code == 0
    for host, _ in PLACES:
        assert codes(host, short[host], long[host]) == [550, 250], host

    for host, _ in PLACES:
        changed(host, f"s/until .*, of/until {today[host] - timedelta(days=1)}, of/")
    planned = run("plan", str(hosts.inventory_path))
    for host, _ in PLACES:
        assert {("update", "file", path), ("update", "file", checks)} <= set(planned.changes(host))
    assert run(*apply).code == 0
    for host, _ in PLACES:
        assert codes(host, short[host], long[host]) == [550, 250], host
        assert run_on(hosts, host, f"grep -e HASH -e hashes {path}").split() == [
            "SRS_HASHLENGTH=8",
            "SRS_HASHMIN=8",
        ]
    assert run("plan", "--exit-code", str(hosts.inventory_path)).code == 0


def test_a_host_whose_name_is_a_mail_domain_vouches_for_nobody(hosts: lab.Lab) -> None:
    """Users have the host's own name behind the @, so From: may have it honestly. What strangers write in it goes on
    under another name, also without a sender, where SPF takes the name in EHLO. Bounces that are under way come back.
    """
    plain, named = hosts.inventory_path, hosts.inventory_path.with_name("named.yml")
    more = ""
    for (host, domain), (_, elsewhere) in PAIRS:
        more += f"  {host}.{domain}:\n    hosts: [{host}]\n    accounts:\n"
        for name in ("ana", "away"):
            (hosts.directory / "secrets" / f"{name}@{host}.{domain}").write_text(f"{name} of {host}\n")
            forward = f", forward: {{to: [far@{elsewhere}], keep: false}}" if name == "away" else ""
            more += f"      {name}: {{password: {{file: secrets/{name}@{host}.{domain}}}{forward}}}\n"
    named.write_text(plain.read_text() + more)
    state = "cd /etc && find postfix dovecot default/postsrsd mailprov mailname -type f -exec sha256sum {} + | sort"
    before = {host: run_on(hosts, host, state) for host, _ in PLACES}
    in_flight = {host: sender_of(sent_on(hosts, host, domain, "in flight")) for host, domain in PLACES}

    applied = run("apply", "--yes", "--no-verify", str(named))

    assert applied.code == 0, applied.events[-3:]
    changes = {"/etc/postfix/main.cf", "/etc/postfix/mailprov/own_senders", "/etc/default/postsrsd"}
    resolver = Resolver(load(named, SecretMode.IGNORE).dns.provider.name_server)
    for (host, domain), (other, elsewhere) in PAIRS:
        fqdn = f"{host}.{domain}"
        assert changes <= {name for _, _, name in applied.changes(host)}
        records = {name for _, kind, name in applied.changes(f"zone {domain}") if kind == "record"}
        assert {f"srs.{fqdn} MX", f"srs.{fqdn} TXT"} <= records

        def passes(head: Message, other: str = other) -> tuple[str, str]:
            """The name that SPF is asked about where a message arrived, and the answer (RFC 7208 section 2.4)."""
            hop = rf"from (\S+) \(.*\[(?:IPv6:)?([0-9a-f.:]+)\]\)\s.*by {other}\."
            found = [re.match(hop, line, re.S) for line in head.get_all("Received", [])]
            (helo, source), *_ = [match.groups() for match in found if match]
            name = sender_of(head).rpartition("@")[2] or helo
            return name, spf.check_host(source, name, resolver.ask)

        for number, sender in enumerate(("stranger@else.test", "")):
            head = sent_on(hosts, host, fqdn, f"forged {number}", sender, f"From: ana@{fqdn}\n")
            assert (head["From"], passes(head)) == (f"ana@{fqdn}", (f"srs.{fqdn}", "pass"))
        stranger = Stranger(address(hosts, host))
        for name in (f"away@{fqdn}", f"root@{fqdn}", f"root@srs.{fqdn}"):
            assert stranger.reply("stranger@else.test", name)[0] == 250, name
            for sender in (f"ana@{fqdn}", f"ana@srs.{fqdn}"):
                assert "5.7.1" in stranger.reply(sender, name)[1], (sender, name)
        assert stranger.reply("stranger@else.test", "postmaster")[0] == 250
        stranger.close()
        with post.outside(address(hosts, host)) as client:
            for value, code in ((f"ana@{fqdn}", 250), (f"x@srs.{fqdn}", 550)):
                client.mail("x@else.test")
                client.rcpt(f"ana@{fqdn}")
                assert client.data(f"From: {value}\nSubject: arrives\n\n")[0] == code, value
        with post.inside(hosts, address(hosts, host), f"ana@{fqdn}") as client:
            post.transaction(
                client, f"ana@{fqdn}", [f"far@{elsewhere}"], f"From: ana@{fqdn}\nSubject: own {host}\n\n"
            )
            post.transaction(
                client, f"ana@{fqdn}", [f"nobody@{elsewhere}"], f"From: ana@{fqdn}\nSubject: lost\n\n"
            )
        wait_until(lambda: arrived(hosts, other, f"far@{elsewhere}", f"own {host}"), "a user's message")  # noqa: B023
        (head,) = arrived(hosts, other, f"far@{elsewhere}", f"own {host}")
        assert passes(head) == (fqdn, "pass")
        assert f" d={fqdn};" in head["DKIM-Signature"]
        wait_until(lambda: arrived(hosts, host, f"ana@{fqdn}", "MAILER-DAEMON@"), "the bounce")  # noqa: B023
        (head,) = arrived(hosts, host, f"ana@{fqdn}", "MAILER-DAEMON@")
        assert f"MAILER-DAEMON@srs.{fqdn}" in head["From"]
        rewritten = sender_of(sent_on(hosts, host, fqdn, "and back"))
        assert rewritten.endswith(f"@srs.{fqdn}")
        wrong = [re.sub("=.{8}", "=AAAAAAAA", name, count=1) for name in (in_flight[host], rewritten)]
        assert bounced(hosts, host, in_flight[host], rewritten, *wrong) == [250, 250, 550, 550]
        away = f"srs.{fqdn}"
        assert bounced(hosts, host, in_flight[host].replace(fqdn, away)) == [250]

    back = run("rollback", "--yes", str(plain))

    assert back.code == 0, back.events[-3:]
    assert {host: run_on(hosts, host, state) for host, _ in PLACES} == before
    assert {code for host, _ in PLACES for code in bounced(hosts, host, in_flight[host])} == {250}
    assert run("plan", "--exit-code", str(plain)).code == 0
