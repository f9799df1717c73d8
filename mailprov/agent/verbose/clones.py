"""Which of Postfix's clients are made verbose for one message: two tables, and copies of main.cf and master.cf.

    make(tree, directory, senders, recipients) -> Clones      writes into `directory`; all else it only reads

A client of SMTP is cloned in master.cf with `-v`, and gets the mail of these senders alone (where it leaves the host)
and for these recipients alone (where it goes to Dovecot): other people's mail goes by the clients that it always went
by, and nobody's takes another way than before, as only the name of the client changes in what Postfix looked up.

Why so, of what Postfix and Dovecot have (tried with Postfix 3.7 and 3.10, Dovecot 2.3 and 2.4):

- `-v` on a client (smtp(8), lmtp) logs each command and each line of the answers, inside TLS as well, cut at 100
  characters; no line of the message; and the queue id in front of each delivery, so nothing is joined by time.
- `-v` on smtpd(8) would log what comes after AUTH, which is passwords. So no server is made verbose, and no client
  either that logs in (`smtp_sasl_auth_enable`).
- `debug_peer_list` (postconf(5)) is for a peer, not for a message, and both for clients and for servers.
- A map by recipient alone (transport(5)) would let mail that is sent on pass by the transport that rewrites its sender
  (components/srs.py). So what leaves is told by its sender, which is what chooses the transport here.
- Dovecot's rawlog_dir writes a user's sessions whole, other messages that he reads at that moment among them, and what
  is said before the login is not in it. Of trace's own sessions it knows nothing that trace, being their client, does
  not: so it is not used.

Raises AgentError.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Sequence, Tuple

from mailprov.agent import commands, files
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

PREFIX = "mailprov-wire-"  # of the clones' names
LOGS_AS = "postfix/wire"  # of what they log: postfix/wire/smtp, postfix/wire/lmtp
CONFIGURATION = "/etc/postfix"
_PLAIN = re.compile(
    r"[A-Za-z0-9.!#$%&'*+=?^_`{|}~-]+@[A-Za-z0-9.-]+\Z"
)  # without what regexp tables make difficult
_CLIENTS = ("smtp", "lmtp")
_VALUES = (
    "queue_directory", "maillog_file", "sender_dependent_default_transport_maps", "default_transport",
    "virtual_mailbox_domains", "virtual_transport", "transport_maps", "recipient_delimiter",
)  # fmt: skip


class Clones(NamedTuple):
    """`services`: their names, none where nothing is to be made verbose. `gaps`: what is not heard, in sentences."""

    services: Tuple[str, ...]
    queue: str  # Postfix's queue directory
    gaps: Tuple[str, ...]


def make(tree: files.Tree, directory: str, senders: Sequence[str], recipients: Sequence[str]) -> Clones:
    configured = _values(_VALUES)
    queue = configured["queue_directory"]
    if configured["maillog_file"]:
        told = _("Postfix logs to {path} and not to the journal, so what it says to others is not heard")
        return Clones((), queue, (told.format(path=configured["maillog_file"]),))
    for name in ("main.cf", "master.cf"):
        data = files.read(tree.at(f"{CONFIGURATION}/{name}"), follow=True)
        if data is None:
            return Clones((), queue, (_("Postfix is not configured on this host"),))
        files.write(os.path.join(directory, name), data, 0o644, sync=False)
    made = _Made(directory)
    _leaving(made, configured, [one for one in senders if _PLAIN.match(one)])
    _arriving(made, configured, [one for one in recipients if _PLAIN.match(one)])
    made.finish(configured)
    return Clones(tuple(made.services), queue, tuple(made.gaps))


def _leaving(made: "_Made", configured: Dict[str, str], senders: Sequence[str]) -> None:
    """Mail of these senders that goes to other hosts, also once SRS has rewritten the sender."""
    maps = configured["sender_dependent_default_transport_maps"]
    rewriting = _parameter("srs-cleanup/unix/sender_canonical_maps")
    for sender in senders:
        domain = sender.rpartition("@")[2]
        found = _look_up(maps, (sender, "@" + domain)) or configured["default_transport"]
        made.route("senders", f"^{_quoted(sender)}$", found)
        rewritten = _look_up(rewriting, (sender,)) if rewriting else ""
        if rewritten and rewritten != sender:
            ours = rewritten.rpartition("@")[2]
            local = sender.rpartition("@")[0]
            found = _look_up(maps, (rewritten, "@" + ours)) or configured["default_transport"]
            made.route("senders", f"^srs[01].*={_quoted(domain)}={_quoted(local)}@{_quoted(ours)}$", found)


def _arriving(made: "_Made", configured: Dict[str, str], recipients: Sequence[str]) -> None:
    """Mail for these recipients, where they have a mailbox here."""
    signs = "|".join(_quoted(one) for one in configured["recipient_delimiter"])
    detail = f"(({signs})[^@]*)?" if signs else ""  # RFC 5233
    for recipient in recipients:
        local, _at, domain = recipient.rpartition("@")
        if _has(configured["virtual_mailbox_domains"], domain):
            pattern = f"^{_quoted(local)}{detail}@{_quoted(domain)}$"
            made.route("recipients", pattern, configured["virtual_transport"])


class _Made:
    """What is being written into the directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.services: Dict[str, str] = {}  # clone → whose it is
        self.gaps: List[str] = []
        self._tables: Dict[str, Dict[str, str]] = {"senders": {}, "recipients": {}}
        self._refused: List[str] = []

    def route(self, table: str, pattern: str, transport: str) -> None:
        """What matches goes by the clone of the client that it would go by, to the same next host."""
        service, _colon, following = transport.partition(":")
        if self._cloned(service):
            self._tables[table].setdefault(pattern, f"{PREFIX}{service}:{following}")

    def _cloned(self, service: str) -> bool:
        if PREFIX + service in self.services:
            return True
        if service in self._refused:
            return False
        line = commands.run(["postconf", "-M", f"{service}/unix"]).out.strip()
        parts = line.split(None, 7)
        program = os.path.basename(parts[7].split()[0]) if len(parts) == 8 else ""
        gap = ""
        if program not in _CLIENTS:
            gap = _("mail goes by the transport {name}, which does not speak SMTP: what it does is not heard")
        elif _logs_in(service, program):
            gap = _(
                "the transport {name} logs in at its next host, so what it says there holds a password and is not heard"
            )
        if gap:
            self._refused.append(service)
            self.gaps.append(gap.format(name=service))
            return False
        name = PREFIX + service
        # A cached connection would have no greeting. Both names come last, so they count.
        cache = f"{program}_connection_cache"
        more = f"-v -o syslog_name={LOGS_AS} -o {cache}_on_demand=no -o {cache}_destinations="
        self._edit("-Me", f"{name}/unix = {' '.join((name, *parts[1:7]))} {parts[7]} {more}")
        self.services[name] = service
        return True

    def finish(self, configured: Dict[str, str]) -> None:
        """The tables, and main.cf's words for them."""
        settings = []
        for table, parameter in (
            ("senders", "sender_dependent_default_transport_maps"),
            ("recipients", "transport_maps"),
        ):
            rows = self._tables[table]
            if rows:
                text = "".join(f"/{pattern}/ {result}\n" for pattern, result in rows.items())
                path = os.path.join(self.directory, table)
                files.write(path, text.encode("ascii"), 0o600, sync=False)
                settings.append(f"{parameter} = regexp:{path}, {configured[parameter]}".rstrip(", "))
        for name, service in self.services.items():
            for limit in ("recipient_limit", "concurrency_limit"):
                settings.append(f"{name}_destination_{limit} = {_limit(service, limit)}")
        if settings:
            self._edit("-e", *settings)

    def _edit(self, *words: str) -> None:
        done = commands.run(["postconf", "-c", self.directory, *words])
        if done.code:
            raise AgentError(
                _("Postfix cannot be made to tell more for this message"),
                _("look at the output"),
                done.lines(),
            )


def _logs_in(service: str, program: str) -> bool:
    name = f"{program}_sasl_auth_enable"
    return (_parameter(f"{service}/unix/{name}") or _values([name])[name]) != "no"


def _limit(service: str, limit: str) -> str:
    name = f"{service}_destination_{limit}"
    return _values([name])[name] or _values([f"default_destination_{limit}"])[f"default_destination_{limit}"]


def _values(names: Sequence[str]) -> Dict[str, str]:
    """postconf(1): one line for each name, in order; a name that Postfix does not know has none."""
    found = dict.fromkeys(names, "")
    for line in commands.run(["postconf", "-x", *names]).out.splitlines():
        name, _equals, value = line.partition(" =")
        if name in found:
            found[name] = value.strip()
    return found


def _parameter(name: str) -> str:
    """Of a service in master.cf; empty where it has none."""
    return commands.run(["postconf", "-P", "-x", name]).out.partition("=")[2].strip()


def _look_up(maps: str, keys: Sequence[str]) -> str:
    """As Postfix does: the first key that one of the maps has."""
    for key in keys:
        for table in tables(maps):
            answer = commands.run(["postmap", "-q", key, table])
            if answer.code == 0 and answer.out.strip():
                return answer.out.strip()
    return ""


def _has(names: str, domain: str) -> bool:
    """Whether a list of Postfix's (names and tables, DATABASE_README) has this domain."""
    plain = [one for one in tables(names) if ":" not in one]
    return domain in plain or bool(_look_up(", ".join(one for one in tables(names) if ":" in one), (domain,)))


def tables(value: str) -> List[str]:
    """A list of main.cf in its parts: by commas and spaces, but for those within braces."""
    found, depth, word = [], 0, ""
    for one in value + ",":
        depth += (one == "{") - (one == "}")
        if depth or not (one == "," or one.isspace()):
            word += one
        elif word:
            found.append(word)
            word = ""
    return found


def _quoted(text: str) -> str:
    """For a regular expression of POSIX, where a backslash before a letter may mean something."""
    return re.sub(r"[^A-Za-z0-9@=_-]", lambda one: r"\^" if one[0] == "^" else f"[{one[0]}]", text)
