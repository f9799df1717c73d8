"""Dovecot passwd-files: one line `user:{SCHEME}hash::::::fields` per account (doc.dovecot.org, passwd-file).

    Passwords(tree)                       knows which hash belongs to which password, and neither of them
    compare(spec, data, passwords)        → Comparison: account changes, each line's hash where it is kept
    render(spec, lines, passwords)        → the file's new content
    hash_passwords(list) -> list          {SHA512-CRYPT} hashes, 100 in one openssl call
    handed_on(fields) -> bool             whether its user owns the password, which is then in another file

A fingerprint is HMAC-SHA256, under a random key that never leaves the host, over user, password and hash;
so a hash edited by hand no longer counts as the password's. One more, over all wanted entries and the file's content,
says that these two were compared before and nothing differed: then 10,000 accounts are one comparison.

Raises AgentError.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from mailprov.agent import commands, files, parallel
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _, joined

PEPPER = files.STATE + "/pepper"
FINGERPRINTS = files.STATE + "/passwords.json"
_SCHEMES = ("{SHA512-CRYPT}", "{SHA256-CRYPT}", "{BLF-CRYPT}", "{CRYPT}", "{MD5-CRYPT}")
OPENSSL_MAX = 255  # bytes; openssl passwd cuts longer ones silently
_ODD = re.compile("[\n\r\0]")
HANDED_ON = "noauthenticate"  # the first of the fields then: Dovecot goes on to the next passdb
_INITIAL = "initial"  # as _WHOLE: what users' own passwords begin with
_WHOLE = "whole"  # among the fingerprints, by path: those of whole files. No path is written like this
# A second of work for one processor; what `commands.run` keeps of an output (64 KB) has room for 600.
_BATCH = 100
_TO_USER = _("its user owns the password from now on")
_FROM_USER = _("the inventory owns the password from now on; what its user had chosen is no longer valid")
_CHANGED, _KEPT = _("password changed"), _("its mail is kept")  # once: there may be 100,000 accounts


class Passwords:
    """The host's pepper and fingerprints. Nothing is written before `save`."""

    def __init__(self, tree: files.Tree) -> None:
        self._tree = tree
        self._saved = files.read(tree.at(FINGERPRINTS)) or b""
        self._pepper = files.read(tree.at(PEPPER)) or b""
        try:
            self._known: Dict[str, Dict[str, str]] = json.loads(self._saved) if self._pepper else {}
        except ValueError:
            self._known = {}
        self._new_pepper = not self._pepper
        self._pepper = self._pepper or os.urandom(32)
        self._fresh: Dict[str, Dict[str, str]] = {}

    def belongs(self, path: str, user: str, password: str, hashed: str) -> bool:
        """Whether this line's hash is of this password: by fingerprint, else by hashing."""
        mark = self._mark(user, password, hashed)
        if self._known.get(path, {}).get(user) != mark and not _verify(password, hashed):
            return False
        self._fresh.setdefault(path, {})[user] = mark
        return True

    def remember(self, path: str, user: str, password: str, hashed: str) -> None:
        """This hash was just made of this password."""
        self._fresh.setdefault(path, {})[user] = self._mark(user, password, hashed)

    def unchanged(self, path: str, entries: List[List[str]], data: bytes) -> bool:
        """Whether exactly these entries and this content were found to be the same before."""
        mark = self._mark_of_all(entries, data)
        if not mark or self._known.get(_WHOLE, {}).get(path) != mark:
            return False
        self._fresh[path] = dict(self._known.get(path, {}))
        self._fresh.setdefault(_WHOLE, {})[path] = mark
        return True

    def remember_unchanged(self, path: str, entries: List[List[str]], data: bytes) -> None:
        """They are the same, each hash being one of its password."""
        self._fresh.setdefault(_WHOLE, {})[path] = self._mark_of_all(entries, data)

    def initial_changed(self, user: str, password: str) -> bool:
        """Whether the password that this account begins with was another one in the last apply."""
        mark = self._mark(user, password, _INITIAL)
        self._fresh.setdefault(_INITIAL, {})[user] = mark
        return self._known.get(_INITIAL, {}).get(user, mark) != mark

    def save(self) -> None:
        """Write the fingerprints of this run's accounts if they differ from those on the disk."""
        if (not self._fresh and not self._saved) or (self._fresh == self._known and not self._new_pepper):
            return
        body = json.dumps(self._fresh, sort_keys=True).encode("ascii")
        if self._new_pepper and self._fresh:
            files.write(self._tree.at(PEPPER), self._pepper, 0o600)
            self._new_pepper = False
        if body != self._saved:
            files.write(self._tree.at(FINGERPRINTS), body, 0o600)
            self._saved = body
            self._known = {path: dict(marks) for path, marks in self._fresh.items()}

    def _mark(self, user: str, password: str, hashed: str) -> str:
        text = "\0".join((user, password, hashed)).encode("utf-8", "surrogateescape")
        return hmac.digest(self._pepper, text, "sha256").hex()

    def _mark_of_all(self, entries: List[List[str]], data: bytes) -> str:
        """Empty where a NUL within a field would let two lists of entries look alike."""
        text = "\0".join([field for entry in entries for field in entry])
        if text.count("\0") != 4 * len(entries) - 1:
            return ""
        both = text.encode("utf-8", "surrogateescape") + b"\0\0" + data
        return hmac.digest(self._pepper, both, "sha256").hex()


class Line(NamedTuple):
    """An account's line to be. `hash` is "" when the password must be hashed."""

    user: str
    password: str
    hash: str
    fields: str


class Comparison(NamedTuple):
    """(action, user, detail) for each account that differs, and the file's lines in order.

    `content` is what the file must hold where every hash is kept, else None; where it is what the file holds already,
    `lines` may be empty.
    """

    changes: List[Tuple[str, str, str]]
    lines: List[Line]
    content: Optional[bytes]


def in_words(fields: str) -> str:
    """The extra fields as a person would say them: `quota 200M` for the limit, in either of Dovecot's spellings."""
    found = re.match(r"userdb_quota(?:_rule=\*:bytes|/user/storage_size)=([0-9]+)B?$", fields)
    if not found:
        from mailprov.agent.resources import account_lines  # few hosts have such lines

        return account_lines.in_words(fields)
    size, unit = int(found.group(1)), ""
    for unit_next in "KMGT":
        if size % 1024 or size == 0:
            break
        size, unit = size // 1024, unit_next
    return _("quota {size}").format(size=f"{size}{unit}")


def handed_on(fields: str) -> bool:
    return fields.split(" ", 1)[0] == HANDED_ON


def settings(fields: str) -> str:
    """The fields without the word that hands on."""
    return fields[len(HANDED_ON) :].lstrip() if handed_on(fields) else fields


def compare(spec: Dict[str, Any], data: Optional[bytes], passwords: Passwords) -> Comparison:
    """What differs between the wanted entries and a file's content (None: no file)."""
    path = spec["path"]
    if data is not None and passwords.unchanged(path, spec["entries"], data):
        return Comparison([], [], data)
    present = logins(data)
    changes: List[Tuple[str, str, str]] = []
    lines: List[Line] = []
    for user, password, ready, fields in sorted(spec["entries"]):
        if _ODD.search(user + fields + ready) or ":" in user + ready:
            raise AgentError(
                _("the account {name} cannot be a line of {path}").format(name=repr(user), path=path),
                _("remove line ends and colons from it"),
            )
        old, old_fields = present.pop(user, ("", ""))
        keeps = not ready and old and passwords.belongs(path, user, password, old)
        wanted = old if keeps else ready
        lines.append(Line(user, password, wanted, fields))
        if not old:
            changes.append(("create", user, in_words(settings(fields))))
            continue
        details: List[str] = [] if wanted == old else [_CHANGED]
        if handed_on(fields) != handed_on(old_fields):
            details = [_TO_USER if handed_on(fields) else _FROM_USER]
        if settings(fields) != settings(old_fields):
            old_words = in_words(settings(old_fields)) or _("no quota")
            new_words = in_words(settings(fields)) or _("no quota")
            same = old_words == new_words
            details.append(
                _("{settings}, in another spelling").format(settings=new_words)
                if same
                else joined((old_words, new_words), " → ")
            )
        if details:
            changes.append(("update", user, joined(details)))
    changes += [("delete", user, _KEPT) for user in sorted(present)]
    content = _kept(lines)
    if content is not None and content == data:
        passwords.remember_unchanged(path, spec["entries"], data)
    # The file's spelling of a quote is Dovecot's business; people know the account by its name.
    changes = [(action, user.replace("\\'", "'"), detail) for action, user, detail in changes]
    return Comparison(changes, lines, content)


def render(
    spec: Dict[str, Any], lines: List[Line], passwords: Passwords, check: Callable[[], None] = lambda: None
) -> bytes:
    """The content of the file; hashes what needs it and remembers those hashes. `check` may stop it meanwhile."""
    path = spec["path"]
    fresh = iter(hash_passwords([line.password for line in lines if not line.hash], check))
    text = []
    for line in lines:
        hashed = line.hash or next(fresh)
        if not line.hash:
            passwords.remember(path, line.user, line.password, hashed)
        text.append(f"{line.user}:{hashed}::::::{line.fields}\n")
    content = "".join(text).encode("utf-8", "surrogateescape")
    passwords.remember_unchanged(path, spec["entries"], content)
    return content


def logins(data: Optional[bytes]) -> Dict[str, Tuple[str, str]]:
    """login → hash and extra fields, of a file's content."""
    found: Dict[str, Tuple[str, str]] = {}
    for line in (data or b"").decode("utf-8", "surrogateescape").split("\n"):
        user, colon, rest = line.partition(":")
        if colon and not line.startswith("#"):
            hashed, _colon, fields = rest.partition(":")
            found[user] = (hashed, fields[5:] if fields.startswith(":::::") else ":" + fields)
    return found


def _kept(lines: List[Line]) -> Optional[bytes]:
    """The content when every hash is kept, else None."""
    if any(not line.hash for line in lines):
        return None
    text = "".join(f"{line.user}:{line.hash}::::::{line.fields}\n" for line in lines)
    return text.encode("utf-8", "surrogateescape")


def hash_passwords(values: List[str], check: Callable[[], None] = lambda: None) -> List[str]:
    """{SHA512-CRYPT} hashes with random salts, in order, made on all processors."""
    if not values:
        return []
    if any(sign in value for value in values for sign in "\n\0"):
        raise AgentError(_("a password has a line end or a NUL in it"), _("choose one without"))
    if not commands.have("openssl") or any(len(value.encode("utf-8")) > OPENSSL_MAX for value in values):
        return ["{SHA512-CRYPT}" + _crypt(value, "$6$" + os.urandom(8).hex()) for value in values]
    parts = [values[start : start + _BATCH] for start in range(0, len(values), _BATCH)]
    return ["{SHA512-CRYPT}" + one for made in parallel.each(_hash, parts, check) for one in made]


def _hash(part: List[str]) -> List[str]:
    text = "\n".join(part) + "\n"
    outcome = commands.run(["openssl", "passwd", "-6", "-stdin"], timeout=600, stdin=text.encode("utf-8"))
    made = outcome.out.split()
    if outcome.code != 0 or len(made) != len(part):
        raise AgentError(
            _("openssl passwd did not hash the passwords"), _("look at the output"), outcome.err.splitlines()
        )
    return made


def _verify(password: str, hashed: str) -> bool:
    scheme = next((one for one in _SCHEMES if hashed.startswith(one)), "")
    plain = hashed[len(scheme) :]
    if not plain.startswith("$") or plain.startswith("$argon2"):
        return False
    try:
        return hmac.compare_digest(_crypt(password, plain).encode("utf-8"), plain.encode("utf-8"))
    except AgentError:
        parts = plain.split("$")
        if parts[1] != "6" or not commands.have("openssl"):
            return False
        argv = ["openssl", "passwd", "-6", "-salt", parts[2], "-stdin"]
        return commands.run(argv, stdin=password.encode("utf-8") + b"\n").out.strip() == plain


def _crypt(password: str, setting: str) -> str:
    """crypt(3) of the system's libcrypt."""
    try:
        import ctypes

        library = ctypes.CDLL("libcrypt.so.1")
    except (ImportError, OSError) as error:
        raise AgentError(
            _("neither openssl nor libcrypt is there to hash passwords"), _("install openssl")
        ) from error
    library.crypt.restype = ctypes.c_char_p
    library.crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    result = library.crypt(password.encode("utf-8"), setting.encode("ascii", "replace"))
    if not result or result.startswith(b"*"):
        raise AgentError(_("libcrypt cannot compute this kind of hash"))
    return bytes(result).decode("ascii")
