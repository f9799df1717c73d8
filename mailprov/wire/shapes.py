"""What a message of the agent may look like, field by field: the fence between a host and the program. Pure.

    MESSAGES                type → fields, as the table in wire/messages.py tells them
    ORDER, ANYTIME, ONCE    mode → the messages that it has; those that may come at any time; those that come once
    ANSWERED                those that the controller's part of a mode hears (run/hosts.py, `Mode.answer`)
    check(message)          Nonsense, with the path of the field, unless it is one of them

A host may be broken or in foreign hands. Behind this fence every field is there, of its type, finite and of a sane
size; so nothing that a host says ends anything but its own conversation. What it says is then believed about itself
alone: that is run/believed.py's. It is still text of a stranger: model/cleaning.py makes it fit to be shown.

A field more than these is passed over, so that nothing breaks where one is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailprov.i18n import _
from mailprov.wire.shape import (
    LAST_SECOND,
    LONG,
    NAME,
    TEXT,
    Nonsense,
    Shape,
    by_name,
    either,
    fields,
    flag,
    many,
    nothing,
    number,
    one_of,
    sentence,
    text,
    whole,
)

__all__ = [
    "ANSWERED",
    "ANYTIME",
    "MESSAGES",
    "ONCE",
    "ORDER",
    "Nonsense",
    "by_name",
    "check",
    "either",
    "fields",
    "many",
    "sentence",
]


def _object(optional: Mapping[str, Shape] | None = None, /, **needed: Shape) -> fields:
    return fields(needed, optional or {})


KINDS = (
    "package", "user", "directory", "key", "file", "account", "password", "certificate", "service", "mailbox",
    "message",
)  # fmt: skip
_name, _text, _long = text(NAME), text(TEXT), text(LONG)
_piece = text(100_000)  # base64
_version = either((nothing, _name))

CHANGE = _object(
    {"detail": sentence, "diff": _long, "drift": flag, "edit": _long, "because": many(_name, 10_000)},
    kind=one_of(*KINDS),
    action=one_of("create", "update", "delete", "run"),
    name=_name,
)
# RFC 2181 section 8: a TTL has 31 bits.
_HALF = either((nothing, _object(ttl=whole(0, 2**31 - 1), values=many(_text, 10_000))))
IMAGE = _object(
    {"run": _name, "seal": _name},
    zone=_name,
    sets=many(_object(name=_name, type=_name, before=_HALF, after=_HALF)),
)
RUN = _object(
    {
        "images": many(IMAGE, 100_000),
        "address": _name,
        "to": _name,
        "action": _name,
        "ids": many(_name, 1_000),
    },
    run=_name,
    kind=one_of("apply", "rollback", "zones", "purge", "queue"),
    owner=_text,
    began=_name,
    ended=_name,
    status=sentence,
    committed=flag,
    changed=whole(),
    undoes=_name,
    zones=many(_name, 100_000),
    next=flag,
)
DKIM = _object(state=_long, public=by_name(_text))
TLS = _object(served=by_name(_name), next=by_name(_name))
FACTS = _object(
    {
        "dkim": DKIM,
        "tls": TLS,
        "srs": _object(length=whole(0, 99), short_until=_name),
        "peer": _name,
        "web": _object(taken=by_name(_name), boots=many(_name, 100)),
    },
    system=_object(id=_name, version=_name, name=_name, like=many(_name, 100)),
    init=_name,
    hostname=_name,
    time=number(),
    packages=by_name(_object(installed=_version, candidate=_version)),
    ipv4=many(_name, 10_000),
    ipv6=many(_name, 10_000),
)
LOGGED = _object(t=whole(), ident=_name, pid=whole(), text=_text, source=_name)
_QUEUES = ("active", "deferred", "hold", "incoming", "maildrop")
_second = whole(0, LAST_SECOND)
QUEUED = _object(
    id=_name,
    queue=one_of(*_QUEUES),
    arrived=_second,
    size=whole(),
    sender=_name,
    recipients=many(_object(address=_name, reason=_name), 1_000),
    total=whole(),
    next=_second,
    until=_second,
    instance=_name,
)
LEFT = _object(id=_name, queue=one_of(*_QUEUES), address=_name, reason=_name)
REASON = _object(text=_name, messages=whole(), recipients=whole(), oldest=_second)
MAILBOX = _object(address=_name, messages=whole(), bytes=whole(), changed=whole(0, LAST_SECOND))
HOME = _object(
    address=_name, user=_name, path=_name, files=whole(), bytes=whole(), changed=whole(0, LAST_SECOND)
)

DIALOGUE = _object(
    agent=one_of("smtp", "lmtp"),
    queue_id=_name,
    peer=_name,
    recipients=many(_name, 10_000),
    lines=many(_object(source=one_of("sent", "received", "log"), text=_text), 10_000),
)

MESSAGES: Mapping[str, fields] = {
    "hello": _object(version=either((whole(), _name)), python=_name, pid=whole(), uid=whole(), time=number()),
    "facts": _object(facts=FACTS),
    "plan": _object(
        {"keys": by_name(_text), "tls": by_name(_name), "waits": flag, "takes_over": many(sentence, 10_000)},
        changes=many(CHANGE),
        compared=sentence,
        fingerprint=_name,
    ),
    "runs": _object({"tls": TLS}, runs=many(RUN, 10_000)),
    "keys": _object({"tls": TLS}, dkim=DKIM),
    "served": _object(tls=TLS),
    "mailboxes": _object({"homes": many(HOME, 100_000)}, mailboxes=many(MAILBOX)),
    "verbose": _object(seconds=whole(), gaps=many(_object(text=sentence), 1_000)),
    "dialogues": _object(dialogues=many(DIALOGUE, 10_000)),
    "bans": _object(bans=many(_object(jail=_name, address=_name), 100_000), peer=_name),
    "maillog": _object(
        records=many(LOGGED, 20_000),
        gaps=many(_object(text=sentence), 100),
        reach=number(),
        sources=many(_name, 1_000),
        more=flag,
        now=number(),
    ),
    "traced": _object(
        files=many(
            _object(
                address=_name, path=_name, folder=_name, size=whole(), t=whole(), headers=many(_text, 1_000)
            ),
            1_000,
        ),
        answers=many(
            _object(
                name=_name,
                type=_name,
                server=_name,
                values=many(_name, 1_000),
                answer=_name,
                ttl=whole(0, 2**32 - 1),
                seconds=number(),
            ),
            1_000,
        ),
        settings=by_name(_text),
        now=number(),
    ),
    "queued": _object(messages=many(QUEUED, 1_000)),
    "queue_state": _object(
        counts=_object(**dict.fromkeys(_QUEUES, whole())),
        messages=whole(),
        recipients=whole(),
        bytes=whole(),
        oldest=_second,
        all=whole(),
        told=whole(),
        unreadable=whole(),
        reasons=many(REASON, 1_000),
        others=whole(),
        running=flag,
        now=number(),
    ),
    "asked": _object(),
    "queue_gone": _object(whole=flag, running=flag, left=many(LEFT, 100)),
    "trusts": _object(
        peer=_name,
        at=_name,
        inside=many(_object(port=whole(0, 65535), setting=_name, address=_name, network=_name), 10_000),
        answers=many(_name, 1_000),
    ),
    "relaying": _object(resolvers=many(_name, 10)),
    "opened": _object(id=whole(), address=_name),
    "refused": _object(
        id=whole(), how=one_of("refused", "silent", "unreachable", "undeclared", "busy"), why=_name
    ),
    "data": _object(id=whole(), data=_piece),
    "ended": _object(id=whole(), how=one_of("end", "reset")),
    "taken": _object(id=whole(), octets=whole(0, 2**20)),
    "answered": _object(id=whole(), data=_piece, why=_name),
    "source": _object(id=whole(), address=_name),
    "notice": _object(text=sentence),
    "progress": _object(text=sentence),
    "beat": _object(),
    "applied": _object(change=CHANGE, seconds=number()),
    "ready": _object(),
    "end": _object(
        status=one_of("ok", "failed", "cancelled"),
        changed=whole(),
        seconds=number(),
        what=sentence,
        advice=sentence,
        output=many(_text, 10_000),
    ),
}

ANYTIME = frozenset({"hello", "notice", "progress", "beat", "end"})
ORDER: Mapping[str, frozenset[str]] = {
    "plan": ANYTIME | {"facts", "plan"},
    "apply": ANYTIME | {"facts", "plan", "applied", "ready", "served"},
    "rollback": ANYTIME | {"runs", "plan", "applied"},
    "purge": ANYTIME | {"plan", "applied"},
    "history": ANYTIME | {"runs"},
    "mailboxes": ANYTIME | {"mailboxes"},
    "keys": ANYTIME | {"keys"},
    "bans": ANYTIME | {"bans"},
    "maillog": ANYTIME | {"maillog"},
    "wire": ANYTIME | {"verbose", "dialogues"},
    "trace": ANYTIME | {"traced"},
    "queue": ANYTIME | {"queued", "queue_state"},
    "queue_gone": ANYTIME | {"asked", "queue_gone"},
    "trusts": ANYTIME | {"trusts"},
    "relay": ANYTIME | {"relaying", "opened", "refused", "data", "ended", "taken", "answered", "source"},
    "queue_act": ANYTIME | {"queued", "plan", "applied"},
    "zones": ANYTIME,
}
ANSWERED = frozenset(
    {
        "facts", "runs", "mailboxes", "keys", "bans", "maillog", "traced", "verbose", "dialogues", "queued",
        "queue_state", "asked", "queue_gone", "trusts",
    }
)  # fmt: skip
ONCE = frozenset(
    {
        "hello", "facts", "plan", "runs", "keys", "mailboxes", "bans", "maillog", "traced", "ready", "served",
        "verbose", "dialogues", "queue_state", "trusts", "relaying", "end",
    }
)  # fmt: skip


def check(message: Mapping[str, Any]) -> str:
    """The type of a message that is well-formed. Raises Nonsense."""
    kind = message.get("t")
    if not isinstance(kind, str) or kind not in MESSAGES:
        raise Nonsense(_("a message of the unknown type {kind!r}").format(kind=str(kind)[:60]))
    try:
        MESSAGES[kind](message, "")
    except Nonsense as error:
        raise Nonsense(f"{kind}: {error}") from None
    return kind
