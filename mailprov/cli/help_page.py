"""The first page: which commands there are, and the text of `mailprov --help`. Imports nothing, so that it is quick.

    COMMANDS    name → (module under mailprov.cli, attribute, what it does in one line), in the order of use
    page()      the text of `mailprov --help`

tests/unit/cli/test_help_page.py holds each line against the command's own help.
"""

from __future__ import annotations

from mailprov.i18n import N_, _

COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("init", "init", N_("Write a first inventory.")),
    "validate": ("validate", "validate", N_("Read the inventory and report everything wrong with it.")),
    "plan": ("plan", "plan", N_("Show every change on every host and in every zone.")),
    "apply": ("apply", "apply", N_("Plan, ask, apply to all hosts and to DNS, and verify.")),
    "verify": ("verify", "verify", N_("Probe ports, logins, mail in both directions, relaying and DNS.")),
    "selftest": ("selftest", "selftest", N_("Try every probe on servers broken in its way.")),
    "trace": ("trace", "trace", N_("Send one message, and show its way through the servers.")),
    "rollback": ("rollback", "rollback", N_("Return hosts and zones to the state before the last apply.")),
    "history": ("history", "history", N_("Show what was applied, when, by whom, and how it ended.")),
    "purge": ("purge", "purge", N_("List mailboxes whose accounts are gone, or delete one.")),
    "queue": ("queue", "queue", N_("Show what waits for delivery, and why; hold, release, delete.")),
    "account": ("account", "app", N_("Accounts: add, set, suspend, remove; edits and applies.")),
    "client": ("client", "client", N_("Show how a mail program is set up for an account.")),
    "dkim": ("dkim", "app", N_("The keys that sign mail: show, rotate.")),
    "tls": ("tls", "app", N_("The keys of certificates: rotate.")),
    "dns": ("dns", "app", N_("The DNS records alone: plan, apply, export, check.")),
    "lab": ("lab", "app", N_("Throw-away hosts on this machine, to rehearse an inventory.")),
    "trust": ("trust", "trust", N_("Show the SSH host keys of hosts, and add them to known_hosts.")),
    "schema": ("schema", "schema", N_("Print the JSON Schema of the inventory, for an editor.")),
    "explain": ("explain", "explain", N_("Explain a probe: what it proves and what its verdicts mean.")),
}

_HEAD = N_("""\
Usage: mailprov [OPTIONS] COMMAND [ARGS]...

  One inventory file in; working and proven mail service out.

  inventory -> plan -> apply -> verify -> report. INVENTORY is ./mail.yml if
  left out. Exit codes: 0 done or all proved, 1 something failed or was
  declined, 2 wrong usage or inventory, 3 could not tell, 4 changes pending or
  warnings only, 130 interrupted.

Options:
  --version             Show the version.
  --install-completion  Install completion for the current shell.
  --show-completion     Show completion for the current shell, to copy it or
                        customize the installation.
  -h, --help            Show this message and exit.

Commands:""")


def page() -> str:
    """With `mailprov COMMAND --help` for the rest."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {_(entry[2])}\n" for name, entry in COMMANDS.items()]
    last = _("Begin with mailprov init. mailprov COMMAND --help says more.")
    return f"{_(_HEAD)}\n{''.join(lines)}\n{last}\n"
