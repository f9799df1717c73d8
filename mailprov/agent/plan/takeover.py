"""The first apply on a host that has mail, users or settings of its own: what it would hide or replace.

    losses(tree, plan, state, found) -> [sentence]    file by file, mailbox by mailbox; empty on an untouched host
    stop(sentences) -> AgentError                     for an apply that nobody has told to go on

What a package has put there and nobody has changed is not the host's own. The packages themselves tell it: dpkg keeps a
digest of each conffile (deb-conffiles(5)), ucf(1) one of each file that it has put in its place, and what postinst
scripts compose (main.cf, the file of postsrsd) is compared setting by setting with the files that they compose it of
and with the values that they choose.

Reads only, and only where there is no manifest of mailprov's: every later plan costs nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from mailprov.agent import commands, files
from mailprov.agent.apt import mail_servers
from mailprov.agent.errors import AgentError
from mailprov.agent.plan import found_mail
from mailprov.agent.plan.diff import Plan
from mailprov.agent.resources import local_settings
from mailprov.agent.resources.accounts import Accounts
from mailprov.agent.resources.config_files import ConfigFile, LeftFile
from mailprov.agent.sentences import _, joined, ngettext

Content = Callable[
    [str], Optional[bytes]
]  # of a path of the host, before an apply that was killed on the way

_MAIN, _MASTER = "/etc/postfix/main.cf", "/etc/postfix/master.cf"
_DOVECOT = "/etc/dovecot/dovecot.conf"
# Not the configuration of anything: the name of the host, which an installer, a package or cloud-init has written.
_NOBODYS = ("/etc/mailname",)
# What postinst scripts compose files of.
_TEMPLATES = {
    _MAIN: tuple(f"/usr/share/postfix/main.cf.{name}" for name in ("debian", "dist", "tls", "proto")),
    "/etc/default/postsrsd": ("/usr/share/postsrsd/postsrsd.template",),
    "/etc/postsrsd.conf": ("/usr/share/postsrsd/postsrsd.template",),
}
# Settings whose value a postinst script takes from the host or from the answers to its questions, and such values.
# Of Postfix: /var/lib/dpkg/info/postfix.postinst, in its versions 3.5 to 3.11.
_ANY = re.compile(".*", re.DOTALL)
_CHOSEN = {
    "SRS_DOMAIN": _ANY,
    "domains": _ANY,
    "compatibility_level": _ANY,
    "readme_directory": _ANY,
    "html_directory": _ANY,
    "alias_maps": re.compile(r"\w+:/etc/aliases|\$alias_database"),
    "alias_database": re.compile(r"\w+:/etc/aliases"),
    "cyrus_sasl_config_path": re.compile(r"/etc/postfix/sasl"),
    "default_transport": re.compile(r"error|smtp"),
    "relay_transport": re.compile(r"error|smtp|relay"),
    "inet_interfaces": re.compile(r"all|loopback-only"),
    "inet_protocols": re.compile(r"all|ipv4|ipv6|ipv4, ?ipv6|ipv6, ?ipv4"),
    "mailbox_command": re.compile(r'(procmail -a "\$EXTENSION")?'),
    "mailbox_size_limit": re.compile("0"),
    "mydestination": _ANY,  # see _destinations
    "myhostname": _ANY,  # another name than the inventory's is no loss: it is what the inventory is asked for
    "mynetworks": re.compile(r"127\.0\.0\.0/8|127\.0\.0\.0/8 \[::ffff:127\.0\.0\.0\]/104 \[::1\]/128"),
    "myorigin": re.compile(r"/etc/mailname|\$myhostname|\$mydomain"),
    "recipient_delimiter": re.compile(r"\+?"),
    "relayhost": re.compile(""),
    "smtpd_relay_restrictions": re.compile(
        r"permit_mynetworks,? permit_sasl_authenticated,? (defer|reject)_unauth_destination"
    ),
    "smtpd_use_tls": re.compile("yes"),
}
_ALIASES = "/etc/aliases"
_USUAL = {"postmaster", "root", "mailer-daemon", "nobody", "hostmaster", "usenet", "news", "webmaster", "www"}
_USUAL |= {"ftp", "abuse", "noc", "security", "clamav", "logcheck"}
_SHOWN = 20  # mailboxes that are named one by one, those with most messages first
_DEEP = 6  # folders below a mail root, in which mailboxes are looked for
_MOST_FOLDERS = 200_000


def losses(
    tree: files.Tree, plan: Plan, state: Dict[str, Any], content: Optional[Content] = None
) -> List[str]:
    """`content` reads a file of the host as it was before an apply that was killed on its way."""
    look = _Look(tree, plan, state, content or (lambda path: files.read(tree.at(path), follow=True)))
    return [*look.mail(), *look.replaced(), *look.unread(), *look.removed()]


def stop(sentences: Sequence[str]) -> AgentError:
    """The plan has all of them."""
    first = joined(sentences[:2], "; ")
    if more := len(sentences) - 2 if len(sentences) > 2 else 0:
        what = _(
            "this host has mail or settings of its own, so nothing was changed on it: {first}; and {count} more"
        ).format(first=first, count=more)
    else:
        what = _("this host has mail or settings of its own, so nothing was changed on it: {first}").format(
            first=first
        )
    return AgentError(
        what,
        _(
            "look at the plan, and give `mailprov apply --take-over-host` if that is meant: mail stays where "
            "it is, and a rollback puts every file back"
        ),
    )


class _Look:
    def __init__(self, tree: files.Tree, plan: Plan, state: Dict[str, Any], content: Content) -> None:
        self._tree, self._plan, self._state, self._content = tree, plan, state, content
        self._packaged = _packaged(tree)
        self._others = mail_servers.others(tree)
        works = (*plan.of(ConfigFile), *plan.of(Accounts), *plan.of(LeftFile))
        self._written = {path for work in works for path in work.paths()}

    # Settings

    def replaced(self) -> Iterator[str]:
        """Files of the host's own that this plan writes over."""
        for path in sorted(self._written - set(_NOBODYS)):
            data = self._content(path)
            if data is None or not data.strip() or self._is_packaged(path, data):
                continue
            if path in _TEMPLATES:
                names = _own_settings(data, self._template(path))
                if path == _MAIN:
                    names = self._destinations(data, names)
                if names:
                    yield ngettext(
                        "{path} is replaced, and with it the setting {names} of this host's own",
                        "{path} is replaced, and with it the settings {names} of this host's own",
                        len(names),
                    ).format(path=path, names=_some(names))
            elif path == _MASTER:
                names = self._services(data)
                if names:
                    yield ngettext(
                        "{path} is replaced, and with it the service {names} of this host's own",
                        "{path} is replaced, and with it the services {names} of this host's own",
                        len(names),
                    ).format(path=path, names=_some(names))
            elif path in self._packaged:
                yield _("{path} is replaced, which was edited here").format(path=path)
            else:
                yield _("{path} is replaced, which comes from no package").format(path=path)

    def unread(self) -> Iterator[str]:
        """Files that stay, and that nothing reads any more once this plan's files are in their places."""
        if _DOVECOT in self._written and self._content(_DOVECOT) is not None:
            folder = "/etc/dovecot/conf.d"
            for name in found_mail.names(self._tree.at(folder)):
                path, data = f"{folder}/{name}", None
                if name.endswith((".conf", ".conf.ext")):
                    data = self._content(path)
                if data is not None and not self._is_packaged(path, data):
                    if path in self._packaged:
                        yield _("{path}, which was edited here, is no longer read").format(path=path)
                    else:
                        yield _("{path}, which comes from no package, is no longer read").format(path=path)
        if _MAIN in self._written and (self._content(_MAIN) is not None or self._others):
            names = _aliases(self._content(_ALIASES) or b"")
            if names:
                yield ngettext(
                    "{path} is no longer read, and with it the alias {names}",
                    "{path} is no longer read, and with it the aliases {names}",
                    len(names),
                ).format(path=_ALIASES, names=_some(names))

    def removed(self) -> Iterator[str]:
        """Settings of another mail server, which apt removes when Postfix comes."""
        for server in self._others if _MAIN in self._written else ():
            if edited := mail_servers.edited(server, self._content):
                yield _("{package} is removed, and with it what this host has of its own in {paths}").format(
                    package=server.package, paths=_some(edited)
                )

    def _is_packaged(self, path: str, data: bytes) -> bool:
        return hashlib.md5(data).hexdigest() == self._packaged.get(path)  # noqa: S324 (as dpkg and ucf keep it)

    def _template(self, path: str) -> Set[Tuple[str, str]]:
        texts = [files.read(self._tree.at(one), follow=True) or b"" for one in _TEMPLATES[path]]
        return {pair for text in texts for pair in _settings(text)}

    def _destinations(self, data: bytes, names: List[str]) -> List[str]:
        """postinst puts names of the host there; a domain among them is one that receives mail here."""
        value = dict(_settings(data)).get("mydestination", "")
        mailname = (self._content("/etc/mailname") or b"").decode("ascii", "replace").strip()
        hostname = (self._content("/etc/hostname") or b"").decode("ascii", "replace").strip()
        ours = {"$myhostname", "localhost", "localdomain", "localhost.localdomain", mailname, hostname, ""}
        ours |= {self._state["hostname"], "localhost.$mydomain", "$mydomain"}
        domain = self._state["hostname"].partition(".")[2]
        ours |= {f"localhost.{domain}", f"{hostname.partition('.')[0]}.{domain}"}
        ours.add(dict(_settings(data)).get("myhostname", ""))
        others = [one for one in re.split(r"[,\s]+", value) if one not in ours]
        others = [one for one in others if not one.startswith("localhost.")]
        return [*names, "mydestination"] if others else names

    def _services(self, data: bytes) -> List[str]:
        """Of master.cf, services that Postfix does not bring along in this form. What matters is what runs, not in how
        many processes or whether in a chroot: upgrades change that."""
        dist = files.read(self._tree.at("/usr/share/postfix/master.cf.dist"), follow=True)
        dist = dist or files.read(self._tree.at("/etc/postfix/master.cf.proto"), follow=True) or b""
        known = set(_master(dist))
        return list(dict.fromkeys(name for name, does in _master(data) if (name, does) not in known))

    # Mail

    def mail(self) -> Iterator[str]:
        """Mailboxes with something in them that no account of the inventory opens any more."""
        boxes = {box.path: box for box in self._boxes() if box.messages}
        told = sorted(boxes.values(), key=lambda box: (-box.messages, box.path))
        served = bool({143, 993} & self._plan.observed.ports)
        for box in told[:_SHOWN]:
            yield found_mail.hidden(box.messages, served).format(
                count=box.messages, user=box.who, path=box.path
            )
        if rest := told[_SHOWN:]:
            count = sum(box.messages for box in rest)
            yield found_mail.more_hidden(count, served).format(count=count, mailboxes=len(rest))

    def _boxes(self) -> Iterator[found_mail.Box]:
        spool = "/var/mail"
        for name in found_mail.names(self._tree.at(spool)):
            yield from self._box(name, f"{spool}/{name}")
        homes, roots = self._places()
        for user, home in self._users():
            for name in sorted(homes):
                yield from self._box(user, f"{home}/{name}")
        for root in sorted(roots):
            yield from self._below(root)

    def _places(self) -> Tuple[Set[str], Set[str]]:
        """Where this host's own Dovecot and Postfix keep mail: below the users' homes, and in folders of the host."""
        homes, roots = {"Maildir"}, {spec["home"] for spec in self._state["users"]}
        said: List[str] = []
        if not self._tree.root and commands.have("doveconf"):
            for name in ("mail_location", "mail_path", "mail_inbox_path"):
                outcome = commands.run(["doveconf", "-h", name])
                said += outcome.out.split() if outcome.code == 0 else []
        settings = dict(_settings(self._content(_MAIN) or b""))
        said += [settings.get("virtual_mailbox_base", "")]
        if settings.get("home_mailbox", "").strip():
            said.append("~/" + settings["home_mailbox"])
        for one in said:
            # Of "mbox:~/mail:INBOX=/var/mail/%u" two places, each as far as it is the same for all.
            for place in re.findall(r"(?:^|[:=])(~/[^:%]*|/[^:%]*)", one):
                fixed = place.rstrip("/")
                if fixed.startswith("~/"):
                    homes.add(fixed[2:])
                elif fixed.count("/") > 1 and fixed not in ("/var/mail", "/var/spool/mail"):
                    roots.add(fixed)
        return {name for name in homes if name and ".." not in name.split("/")}, roots

    def _users(self) -> List[Tuple[str, str]]:
        """Who may have mail at home, of this host's /etc/passwd and not of a directory service with thousands."""
        found = []
        for line in (self._content("/etc/passwd") or b"").decode("utf-8", "replace").splitlines():
            parts = line.split(":")
            if len(parts) == 7 and parts[2].isdigit() and parts[5].startswith("/") and ".." not in parts[5]:
                number = int(parts[2])
                if number == 0 or 1000 <= number < 65534:
                    found.append((parts[0], parts[5].rstrip("/")))
        return found

    def _box(self, who: str, path: str) -> Iterator[found_mail.Box]:
        """An mbox file, a Maildir, or a folder of mbox files."""
        real = self._tree.at(path)
        seen = files.look(real)
        if seen is None or seen.kind == "link":
            return
        if seen.kind == "file":
            yield found_mail.Box(who, path, found_mail.in_mbox(real))
        elif found_mail.is_maildir(real):
            yield found_mail.Box(who, path, found_mail.in_maildir(real))
        elif seen.kind == "directory":
            for name in found_mail.names(real):
                inner = os.path.join(real, name)
                if not name.startswith(".") and os.path.isfile(inner) and not os.path.islink(inner):
                    yield found_mail.Box(who, f"{path}/{name}", found_mail.in_mbox(inner))

    def _below(self, root: str) -> Iterator[found_mail.Box]:
        """The Maildirs in a folder of the host, but for those that accounts of the inventory open."""
        entries = [entry for file in self._state["account_files"] for entry in file["entries"]]
        ours = {"/{}/{}/Maildir".format(*reversed(entry[0].rpartition("@")[::2])) for entry in entries}
        base = self._tree.at(root)
        for count, (here, folders, _inside) in enumerate(os.walk(base)):
            inside = here[len(base) :]
            if count > _MOST_FOLDERS or inside.count("/") >= _DEEP:
                folders.clear()
            if "cur" in folders and "new" in folders:
                folders.clear()
                if inside not in ours:
                    yield found_mail.Box(
                        found_mail.who(inside) or os.path.basename(root),
                        root + inside,
                        found_mail.in_maildir(here),
                    )


def _packaged(tree: files.Tree) -> Dict[str, str]:
    """Path → MD5 of it as its package brought it, by dpkg's status file and ucf's hashfile."""
    found: Dict[str, str] = {}
    for line in (files.read(tree.at("/var/lib/ucf/hashfile")) or b"").decode("utf-8", "replace").splitlines():
        digest, _space, path = line.partition("  ")
        found[path.strip()] = digest
    inside = False
    for line in (files.read(tree.at("/var/lib/dpkg/status")) or b"").decode("utf-8", "replace").splitlines():
        if not line.startswith(" "):
            inside = line == "Conffiles:"
        elif inside:
            path, _space, digest = line.strip().partition(" ")
            found[path] = digest.partition(" ")[0]
    return found


def _settings(data: bytes) -> List[Tuple[str, str]]:
    return local_settings.settings(data.decode("utf-8", "surrogateescape"))


def _own_settings(data: bytes, template: Iterable[Tuple[str, str]]) -> List[str]:
    """Names of settings that neither the package's files have in this form nor its postinst would choose."""
    known = set(template)
    return [
        name
        for name, value in dict(_settings(data)).items()
        if (name, value) not in known and not (name in _CHOSEN and _CHOSEN[name].fullmatch(value))
    ]


def _master(data: bytes) -> Iterator[Tuple[str, str]]:
    """(service/type, command with its options) of each service, master(5)."""
    last: List[str] = []
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t" and last:
            last += line.split()
            continue
        if last:
            yield _service(last)
        last = line.split()
    if last:
        yield _service(last)


def _service(words: List[str]) -> Tuple[str, str]:
    return "/".join(words[:2]), " ".join(words[7:])


def _aliases(data: bytes) -> List[str]:
    """Names of aliases(5) that somebody has added to those of the distribution."""
    found = []
    for line in data.decode("utf-8", "replace").splitlines():
        name, colon, _targets = line.partition(":")
        name = name.strip().strip('"').lower()
        if colon and name and not line[0].isspace() and not name.startswith("#") and name not in _USUAL:
            found.append(name)
    return found


def _some(names: Sequence[str], most: int = 8) -> str:
    if len(names) > most:
        return _("{names} and {count} more").format(names=", ".join(names[:most]), count=len(names) - most)
    if len(names) < 2:
        return names[0]
    return _("{names} and {last}").format(names=", ".join(names[:-1]), last=names[-1])
