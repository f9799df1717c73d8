"""Scripted IMAP and POP servers on the mailboxes of the World."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mailprov.model.ports import TlsStart
from mailprov.selftest.session import Gone, Session


class Imap(Session):
    deleted: frozenset[int] = frozenset()
    texts: Sequence[bytes] = ()  # as they were when the mailbox was opened
    shown: Mapping[int, set[str]] = MappingProxyType({})  # flags, the same

    def greet(self) -> None:
        if "preauth" in self.faults:
            self.send("* PREAUTH ready, nobody needs a password")
        elif "bye" in self.faults:
            self.send("* BYE too busy")
        else:
            self.send("* OK ready")

    def handle(self, line: str) -> None:
        tag, _, rest = line.partition(" ")
        verb, _, rest = rest.partition(" ")
        if verb == "UID":
            sub, _, rest = rest.partition(" ")
            verb += sub
        getattr(self, "_" + verb.lower(), self._unknown)(tag, rest)

    def _unknown(self, tag: str, rest: str) -> None:
        self.send(f"{tag} BAD no")

    def _capability(self, tag: str, rest: str) -> None:
        words = ["IMAP4rev1"] if "no-imap4" not in self.faults else []
        words += [] if "no-uidplus" in self.faults else ["UIDPLUS"]
        words += ["IDLE", "SPECIAL-USE", "NAMESPACE", *([] if "no-move" in self.faults else ["MOVE"])]
        if self.port.tls is TlsStart.UPGRADE and (not self.tls or "starttls-twice" in self.faults):
            words += [] if "no-starttls" in self.faults else ["STARTTLS"]
        if self.tls or "clear-auth" in self.faults:
            words += [f"AUTH={name}" for name in f"PLAIN{self.more_mechanisms}".split()]
        else:
            words.append("LOGINDISABLED")
        self.send("* CAPABILITY " + " ".join(words), f"{tag} OK done")

    def _noop(self, tag: str, rest: str) -> None:
        self.send(f"{tag} OK done")

    def _logout(self, tag: str, rest: str) -> None:
        self.send("* BYE", f"{tag} OK done")
        raise Gone

    def _starttls(self, tag: str, rest: str) -> None:
        if "starttls-refused" in self.faults:
            self.send(f"{tag} NO not now")
            return
        injected = ["* OK injected"] if "injected" in self.faults else []
        self.send(f"{tag} OK begin", *injected)
        self.start_tls()

    def _login(self, tag: str, rest: str) -> None:
        if not self.tls and not {"clear-auth", "looks-in-clear"} & self.faults:
            self.send(
                f"{tag} NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure connections."
            )
            return
        parts: list[str] = []
        while match := re.search(r"\{(\d+)\}$", rest):
            self.send("+ go on")
            parts.append(self.exactly(int(match[1])).decode())
            rest = self.line()
        if not parts:
            parts = [re.sub(r"\\(.)", r"\1", item) for item in re.findall(r'"((?:[^"\\]|\\.)*)"', rest)]
        answer = self.check(*parts)
        if answer == "later":
            self.send(f"{tag} NO [UNAVAILABLE] Temporary authentication failure.")
        elif answer == "yes":
            self.send(f"{tag} OK Logged in")
        else:
            self.send(f"{tag} NO [AUTHENTICATIONFAILED] no: {parts[1]}")

    def _select(self, tag: str, rest: str) -> None:
        self.folder = rest.strip('"')
        if "auth-does-nothing" in self.faults:
            self.send(f"{tag} NO no mailbox")
        else:
            self.texts = [*self.box()]
            self.shown = {
                uid: {*flags} for (user, uid), flags in self.world.flags.items() if user == self.user
            }
            valid = secrets.randbelow(2**30) + 2 if "uids-are-new" in self.faults else 1
            self.send(
                f"* {len(self.texts)} EXISTS",
                f"* OK [UIDVALIDITY {valid}] valid",
                f"* OK [UIDNEXT {len(self.texts) + 1}] next",
                f"{tag} OK selected",
            )

    def _getquotaroot(self, tag: str, rest: str) -> None:
        limit = self.world.limits.get(self.user)
        if limit is None or "quota-untold" in self.faults:
            self.send(f"* QUOTAROOT {rest}", f"{tag} OK done")
            return
        limit *= 2 if "quota-other" in self.faults else 1
        used = sum(map(len, self.box()))
        self.send(
            f'* QUOTAROOT {rest} "User quota"',
            f'* QUOTA "User quota" (STORAGE {used // 1024} {limit // 1024})',
            f"{tag} OK done",
        )

    def _append(self, tag: str, rest: str) -> None:
        size = int(re.search(r"\{(\d+)\}$", rest)[1])  # type: ignore[index]
        if self.world.over(self.user, size) and "quota-unheeded" not in self.faults:
            self.send(f"{tag} NO [OVERQUOTA] Quota exceeded (mailbox for user is full)")
            return
        if "append-refused" in self.faults:
            self.send(f"{tag} NO not today")
            return
        self.send("+ go on")
        text = self.exactly(size)
        self.line()
        with self.world.lock:
            self.box().append(text)
            uid = len(self.box())
            limit = self.world.limits.get(self.user, 0)
            if limit and sum(map(len, self.box())) > 0.85 * limit and "quota-unwarned" not in self.faults:
                self.box().append(b"Subject: Your mailbox is 85 % full\r\n\r\n.\r\n")
        self.send(f"{tag} OK [APPENDUID 1 {uid}] stored")

    def _idle(self, tag: str, rest: str) -> None:
        if "no-idle" in self.faults:
            self.send(f"{tag} BAD no")
            return
        self.send("+ idling")
        self.line()
        self.send(f"{tag} OK done")

    def _list(self, tag: str, rest: str) -> None:
        if rest.startswith("(SPECIAL-USE)"):
            uses = ["Drafts", "Sent", "Trash", *([] if "no-junk-folder" in self.faults else ["Junk"])]
            self.send(*(f'* LIST (\\HasNoChildren \\{use}) "/" {use}' for use in uses), f"{tag} OK done")
            return
        self.send('* LIST (\\HasNoChildren) "/" INBOX', '* LIST (\\Junk) "/" "Junk Mail"', f"{tag} OK done")

    def _uidsearch(self, tag: str, rest: str) -> None:
        found = []
        if rest == "DELETED":
            found = [99] if "others-deleted" in self.faults else []
        elif (self.folder == "Junk Mail") == ("into-junk" in self.faults):
            kind, *name, token = rest.split()
            box = self.texts if "sees-nothing-new" in self.faults else self.box()
            if "sees-what-has-gone" in self.faults:
                pairs = itertools.zip_longest(box, self.texts, fillvalue=b"")
                box = self.texts = [now or before for now, before in pairs]
            if kind == "UID":
                first = int(token.partition(":")[0])
                there = [str(uid) for uid, text in enumerate(box, 1) if text and uid >= first]
                self.send("* SEARCH " + " ".join(there), f"{tag} OK done")
                return
            # HEADER finds what contains the token, in the header alone: what a body quotes is no match.
            mark = f"\r\n{name[0]}: {token}".encode() if kind == "HEADER" else token.encode()
            texts = [text.partition(b"\r\n\r\n")[0] if kind == "HEADER" else text for text in box]
            found = [i for i, text in enumerate(texts, 1) if mark in text]
        self.send("* SEARCH " + " ".join(map(str, found)), f"{tag} OK done")

    def _uidfetch(self, tag: str, rest: str) -> None:
        uid = int(rest.split(maxsplit=1)[0])
        if "FLAGS" in rest:
            now = self.world.flags.get((self.user, uid), set())
            now = self.shown.get(uid, set()) if "sees-no-flags" in self.faults else now
            self.send(f"* {uid} FETCH (UID {uid} FLAGS ({' '.join(sorted(now))}))", f"{tag} OK done")
            return
        text = self.box()[uid - 1]
        if "peek-marks" in self.faults:
            self.world.flags.setdefault((self.user, uid), set()).add("\\Seen")
        if "fetch-removes" in self.faults:
            self.box()[uid - 1] = b""
        if "other-bytes-143" in self.faults and self.port.number == 143:
            text = text.replace(b"Subject: ", b"Subject:  ")
        self.sock.sendall(f"* {uid} FETCH (UID {uid} BODY[] {{{len(text)}}}\r\n".encode() + text + b")\r\n")
        self.send(f"{tag} OK done")

    def _uidstore(self, tag: str, rest: str) -> None:
        uids = frozenset(map(int, rest.split(maxsplit=1)[0].split(",")))
        if "\\Deleted" not in rest:
            for uid in uids:
                self.world.flags.setdefault((self.user, uid), set()).update(re.findall(r"\\\w+", rest))
            self.send(f"{tag} OK done")
            return
        self.deleted = uids
        self.send(f"{tag} NO read only" if "read-only" in self.faults else f"{tag} OK done")

    def _expunge(self, tag: str, rest: str) -> None:
        with self.world.lock:
            if self.user in self.world.limits:
                self.world.emptied.add(self.user)
            self.world.boxes[self.user] = [
                b"" if i in self.deleted else text for i, text in enumerate(self.box(), 1)
            ]
        self.send(f"{tag} OK done")

    _uidexpunge = _expunge


class Pop(Session):
    name = ""
    doomed: frozenset[int] = frozenset()

    def greet(self) -> None:
        self.send("-ERR [SYS/TEMP] too busy" if "bye" in self.faults else "+OK ready")

    def handle(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        getattr(self, "_" + verb.lower(), self._unknown)(rest)

    def _unknown(self, rest: str) -> None:
        self.send("-ERR no")

    def _capa(self, rest: str) -> None:
        if "no-capa" in self.faults:
            self.send("-ERR no")
            return
        words = ["TOP"] if "no-uidl" in self.faults else ["TOP", "UIDL"]
        if self.port.tls is TlsStart.UPGRADE and (not self.tls or "starttls-twice" in self.faults):
            words += [] if "no-starttls" in self.faults else ["STLS"]
        if self.tls or "clear-auth" in self.faults:
            words += ["USER", f"SASL PLAIN{self.more_mechanisms}"]
        else:
            words += ["USER"] if "lists-user" in self.faults else []
            words.append("SASL")
        self.send("+OK", *words, ".")

    def _quit(self, rest: str) -> None:
        self._delete()
        self.send("+OK bye")
        raise Gone

    def _stls(self, rest: str) -> None:
        if "starttls-refused" in self.faults:
            self.send("-ERR not now")
            return
        injected = ["+OK injected"] if "injected" in self.faults else []
        self.send("+OK begin", *injected)
        self.start_tls()

    def _user(self, rest: str) -> None:
        if not self.tls and not {"clear-auth", "looks-in-clear"} & self.faults:
            self.send("-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
        else:
            self.name = rest
            self.send("+OK")

    def _pass(self, rest: str) -> None:
        answer = self.check(self.name, rest)
        said = {
            "later": "-ERR [SYS/TEMP] Temporary",
            "yes": "+OK Logged in.",
            "no": f"-ERR [AUTH] no: {rest}",
        }
        self.send(said[answer])

    def _stat(self, rest: str) -> None:
        self.send("-ERR no" if "auth-does-nothing" in self.faults else f"+OK {len(self.box())} 1")

    def _uidl(self, rest: str) -> None:
        texts = [] if "pop-empty" in self.faults else self.box()
        texts = [*texts, b""] if "pop-removed-meanwhile" in self.faults else texts
        salt = secrets.token_hex(2) if "pop-uids-are-new" in self.faults else ""
        self.send("+OK", *(f"{i} uid-{i}{salt}" for i, _ in enumerate(texts, 1)), ".")

    def _dele(self, rest: str) -> None:
        if "pop-keeps" not in self.faults:
            self.doomed |= {int(rest)}
        if "pop-deletes-another" in self.faults:
            self.doomed = frozenset({int(rest) + 1})
        self.send("+OK marked")
        if "pop-deletes-at-once" in self.faults:
            self._delete()

    def _delete(self) -> None:
        if not self.doomed:
            return
        with self.world.lock:
            self.world.boxes[self.user] = [
                b"" if i in self.doomed else text for i, text in enumerate(self.box(), 1)
            ]

    def _body(self, text: bytes) -> None:
        stuffed = text if "pop-unstuffed" in self.faults else re.sub(rb"(?m)^\.", b"..", text)
        self.sock.sendall(b"+OK\r\n" + stuffed + b".\r\n")

    def _top(self, rest: str) -> None:
        if "pop-empty" in self.faults or int(rest.split(maxsplit=1)[0]) > len(self.box()):
            self.send("-ERR Message expunged.")
            return
        self._body(self.box()[int(rest.split(maxsplit=1)[0]) - 1].partition(b"\r\n\r\n")[0] + b"\r\n\r\n")

    def _retr(self, rest: str) -> None:
        text = self.box()[int(rest) - 1]
        if "other-bytes-pop" in self.faults:
            text = text.replace(b"blanks at the end:   ", b"blanks at the end:")
        self._body(text)
