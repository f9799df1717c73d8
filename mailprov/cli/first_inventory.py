"""The file that `mailprov init` writes, and the passwords beside it.

    Answers                             what was asked, checked
    text(answers) -> str                the inventory
    write(path, answers) -> [Path]      all files that were made; nothing stays where one cannot be
    next_step(…) -> str                 what to do then

Made-up passwords go to secrets/NAME beside the inventory, for their owner alone, in a folder that git ignores. A file
that is there already is taken as it is. Raises InputError.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import textwrap
from pathlib import Path

from mailprov.cli.inventory_argument import USUAL
from mailprov.dns import providers
from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.values import dataclass

_OF_TESTS = (("probe", "true"), ("quota", "1M"))  # keys of an account for tests
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Answers:
    domain: str
    fqdn: str
    address: str
    user: str = "root"
    port: int = 22
    certificates: str = "self-signed"  # or acme
    email: str = ""  # for acme
    filter: str = "rspamd"  # or none
    webmail: str = "none"  # or roundcube
    accounts: tuple[str, ...] = ("postmaster",)
    passwords: str = "file"  # or env
    probe: str = "none"  # the name of an account for tests
    dns: str = ""  # the provider that the zone is at, if that is known
    known: bool = True  # the host's SSH key is, as far as init has looked
    host_zone: tuple[str, str] = ("", "")  # the zone of `fqdn` and its provider, if that is another one

    @property
    def every(self) -> tuple[str, ...]:
        """All accounts, with the one for tests."""
        return self.accounts if self.probe == "none" else (*self.accounts, self.probe)

    @property
    def host(self) -> str:
        return self.fqdn.partition(".")[0]


def text(answers: Answers) -> str:
    first = answers.accounts[0]
    aliases = [f"{name}: {_word(first)}" for name in ("postmaster", "abuse") if name not in answers.accounts]
    tls = (
        f"{{mode: acme, email: {_word(answers.email)}}}"
        if answers.certificates == "acme"
        else "{mode: self-signed}"
    )
    return "\n".join(
        [
            *_comment(_("Written by mailprov init. Every key is explained in the annotated example:")),
            "# mailprov init --example",
            "ssh:",
            f"  user: {_word(answers.user)}",
            *([f"  port: {answers.port}"] if answers.port != 22 else []),
            "",
            *_dns(answers),
            "",
            "hosts:",
            f"  {_word(answers.host)}:",
            f"    address: {_word(answers.address)}",
            f"    fqdn: {_word(answers.fqdn)}",
            "",
            f"tls: {tls}",
            f"filter: {answers.filter}",
            "web: true",
            "",
            "domains:",
            f"  {_word(answers.domain)}:",
            f"    hosts: [{_word(answers.host)}]",
            *([f"    webmail: {answers.webmail}"] if answers.webmail != "none" else []),
            "    accounts:",
            *(f"      {_word(name)}: {{password: {_password(answers, name)}}}" for name in answers.accounts),
            *_probe(answers),
            *([f"    aliases: {{{', '.join(aliases)}}}"] if aliases else []),
            *_comment(
                _(
                    "What others do with mail that only claims to come from here: without this key none (deliver it), "
                    "unless you have published something else; later quarantine or reject, when all that sends for it "
                    "passes."
                ),
                "    ",
            ),
            "    # dmarc: {policy: quarantine}",
            "",
        ]
    )  # fmt: skip


def _probe(answers: Answers) -> list[str]:
    if answers.probe == "none":
        return []
    words = _("For `mailprov verify` alone, which fills this mailbox and empties it; keep it small.")
    return [
        *_comment(words, "      "),
        f"      {_word(answers.probe)}:",
        f"        password: {_password(answers, answers.probe)}",
        *(f"        {key}: {value}" for key, value in _OF_TESTS),
    ]


def _dns(answers: Answers) -> list[str]:
    """Commented out, for a key is needed: of the provider that has the zone, if that is known."""
    if answers.dns:
        provider = providers.named(answers.dns)
        words = _(
            "The name servers of {domain} are those of {provider}. With a key of yours mailprov publishes the records "
            "itself, and `mailprov dns providers {name}` says what that needs. Else publish what `mailprov dns export` "
            "prints."
        ).format(domain=answers.domain, provider=_(provider.title), name=provider.name)
    else:
        provider = providers.named(providers.NAMES[0])
        words = _(
            "Where your DNS server takes updates (RFC 2136), mailprov publishes the records itself. "
            "Else publish what `mailprov dns export` prints."
        )
    lines = [*_comment(words), "# dns:", *(f"#   {line}" for line in provider.example)]
    zone, name = answers.host_zone
    if zone:
        words = _("The zone of {fqdn} is at another provider: {provider}.").format(
            fqdn=answers.fqdn, provider=_(providers.named(name).title)
        )
        lines += [f"#   {line}" for line in _comment(words)]
        lines += [
            "#   zones:",
            f"#     {zone}:",
            *(f"#       {line}" for line in providers.named(name).example),
        ]
    return lines


def _comment(sentences: str, indent: str = "") -> list[str]:
    return textwrap.wrap(sentences, 82, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def write(path: Path, answers: Answers) -> list[Path]:
    made: list[Path] = []
    try:
        with open(path, "x", encoding="utf-8") as file:
            made.append(path)
            file.write(text(answers))
        if answers.passwords == "file":
            made += _secrets(path.parent / "secrets", answers.every)
        from mailprov.inventory import SecretMode, load

        # What we wrote must be good. Variables for passwords may still have to be set.
        load(path, SecretMode.CHECK if answers.passwords == "file" else SecretMode.IGNORE)
    except BaseException as error:
        for one in made:
            one.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(
                str(error.filename or path),
                _("cannot be written: {error}").format(error=error.strerror),
                _("Give a path you may write"),
            ) from error
        raise
    return made


def next_step(path: Path, answers: Answers, written: list[Path]) -> str:
    lines = [_("Wrote {files}.").format(files=", ".join(map(str, written)))]
    if answers.passwords == "env":
        lines.append(
            _("Set the passwords: {commands}").format(
                commands=" ".join(f"export {_variable(name)}=…" for name in answers.accounts)
            )
        )
    file = "" if path == USUAL else f" {path}"
    plan, trust = f"mailprov plan{file}", f"mailprov trust{file}"
    if answers.known:
        lines.append(_("Next: {command}").format(command=plan))
    else:
        lines.append(_("Next: {first}, then {second}").format(first=trust, second=plan))
    return "\n".join(lines)


def _secrets(folder: Path, accounts: tuple[str, ...]) -> list[Path]:
    made = []
    if not folder.is_dir():
        folder.mkdir(mode=0o700)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    for name in accounts:
        path = folder / name
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        made.append(path)
        with open(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(15) + "\n")
    return made


def _password(answers: Answers, name: str) -> str:
    if answers.passwords == "env":
        return f"{{env: {_variable(name)}}}"
    return f"{{file: {_word(f'secrets/{name}')}}}"


def _variable(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name.upper()) + "_PASSWORD"


def _word(value: str) -> str:
    """As YAML has it, in quotes where it could be taken for something else."""
    parts = value.split("/")
    return value if all(map(_PLAIN.fullmatch, parts)) else json.dumps(value, ensure_ascii=False)
