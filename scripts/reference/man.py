"""mailprov(1), the manual page, in roff's man macros: the commands' own --help, and what all of them share.

page(version) -> str    the file as it is installed; what stands in it never changes its meaning to roff
"""

from __future__ import annotations

import re

from scripts.reference.commands import CommandHelp, all_commands

EXIT_CODES = (
    ("0", "Done, or all proved."),
    ("1", "Something failed: a host, a zone, a probe; or you were asked and answered no."),
    ("2", "Wrong usage or inventory; nothing was done."),
    ("3", "Could not tell: unreachable, a probe could not test, nothing ran."),
    ("4", "Changes are pending, a new key waits, or there are warnings only."),
    ("130", "Interrupted."),
)
FILES = (
    ("./mail.yml", "The inventory, where none is named."),
    ("~/.ssh/config, /etc/ssh/ssh_config", "How to reach hosts, as far as the inventory does not say."),
    ("~/.ssh/known_hosts", "The host keys that are trusted; `mailprov trust` adds to it."),
    ("/etc/postfix/local.cf, /etc/dovecot/local.conf", "On a host: settings of your own, which win."),
    (
        "/var/lib/mailprov",
        "On a host: the journal of the last five runs and what was applied last, for root alone.",
    ),
)
ENVIRONMENT = (
    (
        "MAILPROV_HEARTBEAT",
        "Seconds between two signs of life where there is no terminal: 15, or 0 for none.",
    ),
    ("MAILPROV_DEBUG", "Set: an internal error shows its traceback."),
)


def page(version: str) -> str:
    lines = [
        '.\\" Written from the program by scripts/reference/man.py.',
        f'.TH MAILPROV 1 "" "mailprov {quoted(version)}" "User commands"',
        ".nh",  # commands and options are to be found as they are typed
        ".SH NAME",
        "mailprov \\- one inventory file in, working and proven mail service out",
        ".SH SYNOPSIS",
        ".B mailprov",
        ".I COMMAND",
        "[\\fIOPTIONS\\fP] [\\fIINVENTORY\\fP]",
        ".SH DESCRIPTION",
        "mailprov connects over SSH to Debian and Ubuntu hosts, installs and configures Postfix and Dovecot,",
        "publishes the DNS records, and then verifies from outside that mail really works.",
        "One file, the inventory, says which hosts, domains and accounts there are.",
        ".PP",
        ".I INVENTORY",
        "is the first argument of every command, and",
        ".I ./mail.yml",
        "when it is left out. Begin with",
        '.BR "mailprov init" .',
        ".SH COMMANDS",
    ]
    for command in all_commands():
        lines += _command(command)
    for title, rows in (("EXIT STATUS", EXIT_CODES), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        lines.append(f".SH {title}")
        for name, what in rows:
            lines += [".TP", f".B {quoted(name)}", escaped(what)]
    lines += [
        ".SH EXAMPLES",
        ".nf",
        *(
            escaped(line)
            for line in (
                "mailprov init",
                "mailprov trust",
                "mailprov plan",
                "mailprov apply",
                "mailprov apply --yes --json production.yml",
            )
        ),
        ".fi",
        ".SH SEE ALSO",
        ".BR postconf (5),",
        ".BR doveconf (1),",
        ".BR ssh_config (5)",
    ]
    return "\n".join(lines) + "\n"


def _command(command: CommandHelp) -> list[str]:
    lines = [f".SS mailprov {quoted(command.name)}"]
    if not command.group:
        lines += [".B " + escaped(command.usage), ".PP"]
    lines += [escaped(" ".join(command.text.split()))]
    for names, what in [*command.arguments, *command.options]:
        if "--help" not in names:
            lines += [".TP", f".B {quoted(names)}", escaped(what)]
    return lines


def escaped(words: str) -> str:
    """Text as one line of roff: backslashes, dashes of options, and a dot or quote at its beginning are themselves."""
    done = words.replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    done = "".join(sign if ord(sign) < 128 else f"\\[u{ord(sign):04X}]" for sign in done)
    return re.sub(r"^([.'])", r"\\&\1", done)


def quoted(words: str) -> str:
    """The same within a macro's line, where a quote would begin an argument."""
    return escaped(words).replace('"', "\\(dq")
