"""The conversation between controller and agent, one exec, one channel.

    exec    [sudo] python3 -I -u -c '<loader>'
    stdin   MAILPROV1 <length> <sha256 of the body>\\n <body: JSON of the job, \\n, packed>
            then control lines, one JSON object each: desired, go, cancel. End of file means: the controller is lost.
    stdout  <tag> <JSON object>\\n   for every message of the agent. Lines without the tag are noise of shells and
            banners; the controller keeps them for --verbose and for error texts.

job     {"tag": str,               random per run, 16 hex digits
         "mode": "plan" | "apply" | "rollback" | "history" | "zones" | "mailboxes" | "purge" | "keys" |
                 "bans" | "maillog" | "trace" | "wire" | "queue" | "queue_gone" | "queue_act" |
                 "trusts" | "relay",
         "owner": str,             who runs this, for the lock: "ana@laptop: apply (pid 4711)"
         "packages": [str],        whose versions the facts must hold; "?name": only whether it is installed
         "run": str,               one id for all hosts of a run; later runs have later ids
         "lock_timeout": float,    seconds to wait for another run on the host
         "accept_drift": bool,     edits made by hand do not stop the run
         "take_over_host": bool,   nor does it stop a first apply that the host has mail or settings of its own
         "to": str,                mode rollback: back to the state after this run, which several later ones changed
         "zones": [IMAGE],         mode zones: what is to be kept
         "mail_root": str, "accounts": [address]      mailboxes, purge: where they are, and whose are in use
         "logins": [name]          mailboxes, purge: users with a shell that the inventory has on this host
         "address": str, "users": str, "login": str   purge: whose goes; the passwd-file; the address as it is there
         "keys": {"message_ids": [str], "queue_ids": [str], "from": address, "to": address,
                  "since": unix seconds, "until": unix seconds},     maillog: of which messages; each may be missing
                 {"message_id": str, "accounts": [address], "questions": [[name, "MX"|"A"|"AAAA"]],
                  "settings": [name]},       trace: whose file is looked for where, what DNS is asked, what Postfix is
         "follow": float,          maillog: seconds to read on for, at most until the message has left the queues
         "senders": [address], "recipients": [address], "seconds": float     wire: whose mail Postfix tells more about
                                   (where it leaves; where it is stored), and for how long at most
         "queue": {"all": bool, "limit": int,       queue: all messages, or so many of the oldest; those that meet all
                   "ids": [str], "queues": [name],  of this, each of which may be missing or empty
                   "sender": str, "recipient": str, "reason": str},   in any place, in any case; "<>" is no sender
         "addresses": [str], "own": [str]     trusts: by which we come; which are the host's own
         "servers": [{"address", "port"}], "seconds": float    relay: name servers at other ports than 53; how long
         "action": "flush" | "hold" | "release" | "delete", "ids": [str]   queue_act; flush without ids: all
         "root": str}              "" on real hosts; tests give a directory that stands for /

modes   plan       the agent ends after `plan` and has written nothing
        apply      hello, facts, plan, (go), applied …, end
        rollback   hello, runs (the last that changed something, or none), (target), plan, (go), applied …, end
        history    hello, runs (all), end; nothing is written, no lock is taken
        mailboxes  hello, mailboxes, end; nothing is written, no lock is taken
        keys       hello, keys, end; nothing is written, no lock is taken
        bans       hello, bans, end; nothing is written, no lock is taken
        maillog    hello, maillog, end; nothing is written, no lock is taken
        wire       hello, verbose, (collect), dialogues, end: Postfix logs what it and others say for a moment
                   (agent/modes/wire.py); with the end, however it comes, that is over
        trace      hello, traced, end; nothing is written, no lock is taken
        queue      hello, queued …, queue_state, end; nothing is written, no lock is taken
        queue_gone hello, asked, (ask), queue_gone, asked …, end; nothing is written, no lock is taken
        trusts     hello, trusts, end; nothing is written, no lock is taken
        relay      hello, relaying, then answers to what the controller asks for, until it goes; nothing is written, no
                   lock is taken (agent/relay.py)
        queue_act  hello, (queued), plan, (go), applied …, end: does the job's "action" to messages of the queue
        purge      hello, plan, (go), applied, end: deletes what job's "address" has left
        zones      hello, end: what the run changes in DNS is kept for a rollback, on a host that it does not change

agent → controller, in order (t is the message type)
    hello      {"t", "version", "python": "3.11.2", "pid", "uid", "time": unix seconds (float)}
    facts      {"t", "facts": FACTS}                 then waits for `desired`
    plan       {"t", "changes": [CHANGE], "compared": SENTENCE, "fingerprint": str, then, in mode apply, waits for `go`
                "keys": {name: TXT},                 DKIM: public keys, those of this apply too; "" for one to be made
                                                     (with no changes it ends at once, without waiting);
                                                     mode rollback adds "waits": whether there is a run to undo
                "tls": {path: hex},                  certificates' keys when it is done, as "served" in FACTS; one that
                                                     is still to be made or to be issued is not in it
                "takes_over": [SENTENCE]}            before a first apply: what of the host's own mail and settings it
                                                     hides or replaces, a sentence each. An apply ends there with status
                                                     failed and has changed nothing, unless the job has take_over_host.
    runs       {"t", "runs": [RUN]}                  in mode rollback each with "images": [IMAGE], its DNS changes;
                                                     then waits for `target`; there also "tls": as in FACTS
    keys       {"t", "dkim": as in FACTS, "tls": as in FACTS}
    bans       {"t", "bans": [{"jail", "address"}], "peer": as in FACTS}     whom fail2ban holds
    traced     {"t", "files": [{"address", "path", "folder", "size": bytes, "t": microseconds since 1970,
                "headers": [str]}],                  the last where the job's keys have "headers": true
                "answers": [{"name", "type", "server", "values": [str], "answer": NOERROR, NXDOMAIN … or why there is
                none, "ttl", "seconds"}], "settings": {name: value}, "now": unix seconds}
    maillog    {"t", "records": [{"t": microseconds since 1970, "ident": "postfix/smtpd", "pid": int, "text": str,
                "source": "journal" or a path}],     in the order in which the host logged them
                "gaps": [{"text": SENTENCE}],        what the logs cannot tell, and why
                "reach": unix seconds,               since when they reach back; 0: no log
                "sources": [str], "more": bool,      what was read; whether records were left out, being too many
                "now": unix seconds}
    verbose    {"t", "seconds": int, "gaps": [{"text": SENTENCE}]}    it is so far, for so long; what is not
                                                     heard. Waits for `collect`
    dialogues  {"t", "dialogues": [{"agent": "smtp"|"lmtp", "queue_id", "peer": "mx.example.org[192.0.2.1]:25",
                "recipients": [address], "lines": [{"source": "sent"|"received"|"log", "text"}]}]}    all is taken back
    mailboxes  {"t", "mailboxes": [{"address", "messages": int, "bytes": int, "changed": unix seconds or 0}],
                "homes": [{"address", "user", "path", "files": int, "bytes": int, "changed": as above}]}   if any
    queued     {"t", "messages": [QUEUED]}           some of those that are asked for
    queue_state {"t", "counts": {queue: int}, "messages", "recipients", "bytes", "oldest": unix seconds or 0,   of these
                "all": int, "told": int, "unreadable": int,    all that are in the queue; of those asked for, the told
                "reasons": [REASON], "others": int,            ones; lines that nobody understood. The most frequent
                "running": bool, "now": unix seconds}          reasons; messages with rarer ones; whether Postfix runs
    asked      {"t"}                                 waits for `ask`
    queue_gone {"t", "whole": bool, "running": bool, whether two looks in a row have seen the same, and all of it;
                "left": [{"id", "queue", "address", "reason"}]}     whether Postfix runs; what is left, 100 at most
    trusts     {"t", "peer": as in FACTS, "at": the host's own address that SSH came to,
                "inside": [{"port", "setting": "mynetworks"|"login_trusted_networks", "address", "network"}],   which of
                the addresses, and the peer's, it trusts there; "network" is the setting's word
                "answers": [address]}                at which of "own" port 25 takes a connection from the host itself
    relaying   {"t", "resolvers": [address]}         mode relay: those of the host. After it, by number, as asked for:
    opened     {"t", "id", "address": our own}       a connection; refused {"t", "id", "how": "refused"|"silent"|
                                                     "unreachable"|"undeclared"|"busy", "why"}: none
    data       {"t", "id", "data": base64}           what came; ended {"t", "id", "how": end|reset}: nothing more comes;
                                                     taken {"t", "id", "octets"}: went on, of what was sent
    answered   {"t", "id", "data": base64, "why"}    a name server's answer; "why": there is none
    source     {"t", "id", "address"}                the host's own address there; "" without a route
    notice     {"t", "text": SENTENCE}               something to know: an interrupted run, a lock waited for
    progress   {"t", "text": SENTENCE}               any time
    beat       {"t"}                                 every 5 s of silence
    applied    {"t", "change": CHANGE, "seconds": float}
    ready      {"t"}                                 the mail service runs, and a certificate is to be issued: then
                                                     waits for `issue`, which comes when the zones are published
    served     {"t", "tls": as in FACTS}             mode apply, where something was done: as it is now
    end        {"t", "status": "ok"|"failed"|"cancelled", "changed": int, "seconds": float,
                "what": SENTENCE, "advice": SENTENCE, "output": [str]}     last message; then the agent exits 0

controller → agent
    desired    {"t", "state": HostState.to_wire()}
    target     {"t", "run": str, "mask": [str]}      the run to undo, none other; what must not be shown
                "undo": [run id]                     of a job with "to", whose id `run` then is: the newest first
    go         {"t", "fingerprint": str,             the plan's; another one is refused
                "zones": [IMAGE]}                    only where zones of this host change: kept for a rollback
    collect    {"t", "queue_ids": [str]}             after `verbose`: the message's ids on this host
    issue      {"t"}                                 after `ready`
    ask        {"t", "recipients": [address],        after `asked`: mail for whom; nobody: that was all
                "age": float, "seconds": float}      came in no longer ago than that; how long to wait at most
    targets    {"t", "targets": [{"address", "ports": [int]}]}     mode relay, once: what may be connected to
    open       {"t", "id": int, "address", "port", "seconds"}      a connection; then data, taken, and close {"t", "id"}
    query      {"t", "id", "address", "port", "seconds", "tcp": bool, "data": base64}   one question to a name server
    source     {"t", "id", "address"}
    cancel     {"t"}                                 stop at the next safe point (before the commit point: undo)

CHANGE  {"kind": package|user|directory|key|file|account|certificate|service|mailbox|message,
         "action": create|update|delete|run, "name": str, "detail": SENTENCE, "diff": str, "drift": bool, "edit": str,
         "because": [str]}                           as model.events.Change, no `subject`; secrets masked
         drift: it would undo what somebody did by hand since the last apply. An apply whose plan has such a change
         ends after `plan` with status failed and has changed nothing, unless the job has accept_drift.

RUN     {"run": str, "kind": "apply"|"rollback"|"zones"|"purge"|"queue", "owner": str, "began": str, "ended": str,
         "status": SENTENCE,
         "committed": bool, "changed": int, "undoes": run id or "", "zones": [name],
         "next": whether a rollback would undo it, "address": str, of a purge, "to": run id or "", of a rollback,
         "action": str, "ids": [str], of kind queue}

QUEUED  {"id": str, "queue": active|deferred|hold|incoming|maildrop, "arrived": unix seconds, "size": int,
         "sender": str, "recipients": [{"address", "reason"}], "total": int,    of them; not more than 1,000 are told
         "next": when the next try is at the earliest, "until": when it is given up; 0 where there is none
         "instance": directory of the configuration, where it is not the host's own Postfix}
REASON  {"text": str, "messages": int, "recipients": int, "oldest": unix seconds}

SENTENCE  what people read, in English: a str, or, where the controller may translate it, [TEXT, VALUE …] with a value
         for each placeholder of the text, in its order. TEXT is a str with plain placeholders, {name}, each of them
         once, or [for one, for several, how many]; VALUE a str (a name: nobody translates it), a whole number, or a
         SENTENCE as a list. Made by agent/sentences.py, checked by shapes.py, read by model/sentences.py.

IMAGE   {"zone": str, "sets": [{"name", "type", "before", "after"}]}, each half null or {"ttl", "values": [str]}: made
        and read by dns.undo; the agent only keeps it

FACTS   {"system": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)", "like": ["debian"]},
         "init": "systemd" | other,  "hostname": str,  "time": float,
         "packages": {name: {"installed": version or null, "candidate": version or null}},
         "ipv4": [str], "ipv6": [str]   global addresses of the host's interfaces,
         "dkim": {"state": text of model.dkim.STATE_FILE or "", "public": {name: TXT}},   keys that are there
         "tls": {"served": {path: hex}, "next": {path: hex}}   SHA-256 of certificates' keys: in service, and those to
                                                               come, as agent/resources/tls_keys.py says
         "srs": {"length": int, "short_until": "YYYY-MM-DD" or ""},   of hashes; 0 where mailprov has not set it up
         "peer": str,              address of the SSH client as the host sees it; "" without one
         "web": {"taken": {port: program}, "boots": [unit]}}   where nginx is asked for: who has its ports already, as
                                                               agent/doors.py says
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Any

MAGIC = b"MAILPROV1"


IMPORTER = "mailprov.wire.importer"


def pack(modules: dict[str, str]) -> bytes:
    """The agent, as it is the same for every host: the length of the importer, the importer, all other modules, as the
    loader takes them apart. Level 4 saves 6 % of the bytes of level 3 in the same time; the next one saves 4 % more for
    half the time again.
    """
    importer = zlib.compress(modules[IMPORTER].encode("ascii"), 4)
    others = {name: source for name, source in modules.items() if name != IMPORTER}
    return b"%d\n" % len(importer) + importer + zlib.compress(json.dumps(others).encode("ascii"), 4)


def encode_start(packed: bytes, job: dict[str, Any]) -> bytes:
    """The first bytes on the agent's stdin: header line and body. `packed` comes from `pack`."""
    body = json.dumps(job).encode("ascii") + b"\n" + packed
    return b"%s %d %s\n" % (MAGIC, len(body), hashlib.sha256(body).hexdigest().encode("ascii")) + body


def encode_control(message: dict[str, Any]) -> bytes:
    """One control line for the running agent."""
    return json.dumps(message).encode("ascii") + b"\n"


def decode_line(line: bytes, tag: str) -> dict[str, Any] | None:
    """The agent's message on this line, or None when the line is noise.

    A line may have noise in front of the tag (a shell that prints without a newline), so the tag is searched for.
    """
    start = line.find(b"%s {" % tag.encode("ascii"))
    if start < 0:
        return None
    try:
        message = json.loads(line[start + len(tag) + 1 :])
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and "t" in message else None
