"""mailprov account: add, set, suspend and remove accounts in the inventory, and apply that to their hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailprov.cli import complete
from mailprov.cli.commands import Commands
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import AcceptDrift, Diff, Json, LockTimeout, Quiet, Verbose, Yes
from mailprov.i18n import N_, _, all_of

if TYPE_CHECKING:
    from mailprov.inventory.edit.accounts import Edited
    from mailprov.inventory.edit.accounts import Inventory as Text
    from mailprov.model.inventory import Inventory

app = Commands(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=N_("Accounts: add, change, remove them in the inventory, and apply."),
)

File = Annotated[
    Path,
    typer.Argument(
        metavar="INVENTORY",
        help=N_("The inventory file (YAML); ./mail.yml if left out."),
        show_default=False,
        autocompletion=complete.inventory_or(complete.accounts),
    ),
]
Address = Annotated[
    str | None,
    typer.Argument(
        metavar="ADDRESS",
        help=N_("Whose account: name@domain."),
        show_default=False,
        autocompletion=complete.accounts,
    ),
]
NewAddress = Annotated[
    str | None,
    typer.Argument(metavar="ADDRESS", help=N_("Of the new account: name@domain."), show_default=False),
]
Env = Annotated[
    str | None,
    typer.Option(
        "--password-env",
        metavar="NAME",
        help=N_("The password is in this environment variable at every apply."),
        show_default=False,
    ),
]
PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file",
        metavar="PATH",
        help=N_("It is the first line of this file, whose path begins at the inventory's folder."),
        show_default=False,
    ),
]
PasswordCommand = Annotated[
    str | None,
    typer.Option(
        "--password-command",
        metavar="COMMAND",
        help=N_("This command line prints it, such as `pass show mail/ana`."),
        show_default=False,
    ),
]
Hash = Annotated[
    str | None,
    typer.Option(
        "--hash", metavar="HASH", help=N_("Its hash, as `doveadm pw` prints it."), show_default=False
    ),
]
Generate = Annotated[
    bool, typer.Option("--generate", help=N_("Make one up, and show it once; the inventory gets its hash."))
]
Quota = Annotated[
    str | None,
    typer.Option(
        "--quota",
        metavar="SIZE",
        help=N_("The mailbox's size: 200M, 1G, none (default: the domain's)."),
        show_default=False,
    ),
]
ForwardTo = Annotated[
    list[str] | None,
    typer.Option(
        "--forward",
        metavar="ADDRESS",
        help=N_("Send its mail on to this address (may be repeated)."),
        show_default=False,
    ),
]
Keep = Annotated[
    bool | None,
    typer.Option(
        "--keep/--no-keep",
        help=N_("Whether a copy of what is sent on stays in the mailbox (default: yes)."),
        show_default=False,
    ),
]
NoApply = Annotated[
    bool, typer.Option("--no-apply", help=N_("Edit the inventory alone, without asking; no host is asked."))
]
Verify = Annotated[
    bool | None,
    typer.Option(
        "--verify/--no-verify",
        help=N_("Verify at the end (default: when something was changed)."),
        show_default=False,
    ),
]


@app.callback()
def group() -> None:
    """Accounts: add, change, remove them in the inventory, and apply."""


@app.command()
def add(
    inventory: File = USUAL,
    address: NewAddress = None,
    generate: Generate = False,
    password_env: Env = None,
    password_file: PasswordFile = None,
    password_command: PasswordCommand = None,
    hash_: Hash = None,
    quota: Quota = None,
    forward: ForwardTo = None,
    keep: Keep = None,
    yes: Yes = False,
    no_apply: NoApply = False,
    verify: Verify = None,
    accept_drift: AcceptDrift = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Add an account to the inventory, show what that changes, ask, and apply it to the domain's hosts. The password is
    asked for if no option says where it is.
    """
    from mailprov.cli.account_edit import Account, Flags, checked
    from mailprov.cli.new_password import NewPassword, Wanted

    command = "account add"
    address = checked(command, address)
    wanted = Wanted(password_env, password_file, password_command, hash_, generate, prompt=True)
    flags = Flags(yes, no_apply, verify, accept_drift, lock_timeout, json, quiet, diff, verbose)
    account = Account(command, inventory, address, flags)
    password: NewPassword | None = None

    def edit(text: Text) -> Edited:
        nonlocal password
        text.addresses.free(address)
        _own(command, address)
        password = wanted.value(command, address, json=json)
        keys: dict[str, Any] = {"password": password.reference if password else {}}
        keys.update({"quota": quota} if quota is not None else {})
        keys.update(_forward(forward, keep, []))
        return text.added(address, keys)

    code = account.run(edit)
    if password is not None and account.kept:
        password.show(address)
    raise typer.Exit(code)


@app.command("set")
def set_(
    inventory: File = USUAL,
    address: Address = None,
    password: Annotated[bool, typer.Option("--password", help=N_("Ask for a new password."))] = False,
    generate: Generate = False,
    password_env: Env = None,
    password_file: PasswordFile = None,
    password_command: PasswordCommand = None,
    hash_: Hash = None,
    quota: Quota = None,
    forward: ForwardTo = None,
    no_forward: Annotated[bool, typer.Option("--no-forward", help=N_("Send its mail on no more."))] = False,
    keep: Keep = None,
    yes: Yes = False,
    no_apply: NoApply = False,
    verify: Verify = None,
    accept_drift: AcceptDrift = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Change an account in the inventory, show what that changes, ask, and apply it to the domain's hosts."""
    from mailprov.cli.account_edit import Account, Flags, checked
    from mailprov.cli.new_password import NewPassword, Wanted
    from mailprov.errors import InputError

    command = "account set"
    address = checked(command, address)
    wanted = Wanted(password_env, password_file, password_command, hash_, generate, prompt=password)
    given = (password_env, password_file, password_command, hash_, quota, keep)
    if not (generate or password or forward or no_forward or any(each is not None for each in given)):
        raise InputError(
            f"{command} {address}",
            _("nothing that should change is given"),
            _("Give --password, --generate, --quota, --forward or another option; --help has them"),
        )
    if no_forward and (forward or keep is not None):
        raise InputError("--no-forward", _("contradicts --forward and --keep"), _("Leave one of them out"))
    flags = Flags(yes, no_apply, verify, accept_drift, lock_timeout, json, quiet, diff, verbose)
    account = Account(command, inventory, address, flags)
    made: NewPassword | None = None

    def edit(text: Text) -> Edited:
        nonlocal made
        old = text.addresses.value(address, "forward")
        text.addresses.account(address)
        made = wanted.value(command, address, json=json)
        keys: dict[str, Any] = {"password": made.reference} if made else {}
        keys.update({"quota": quota} if quota is not None else {})
        if no_forward:
            keys["forward"] = None
        elif forward or keep is not None:
            before = list(old.get("to") or []) if isinstance(old, dict) else []
            if not forward and not before:
                what = _("{address} sends nothing on").format(address=address)
                raise InputError("--keep", what, _("Give --forward with it"))
            was = isinstance(old, dict) and old.get("keep") == "false"
            keys.update(_forward(forward, keep if keep is not None or not was else False, before))
        return text.changed(address, keys)

    code = account.run(edit)
    if made is not None and account.kept:
        made.show(address)
    raise typer.Exit(code)


@app.command()
def remove(
    inventory: File = USUAL,
    address: Address = None,
    yes: Yes = False,
    no_apply: NoApply = False,
    verify: Verify = None,
    accept_drift: AcceptDrift = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Take an account out of the inventory, show what that changes, ask, and apply it. Its mailbox stays on the host.

    Refused while an alias, a list, a forward or the catch-all leads to it: each is named with its line.
    """
    from mailprov.cli.account_edit import Account, Flags, checked
    from mailprov.errors import InputError

    command = "account remove"
    address = checked(command, address)
    flags = Flags(yes, no_apply, verify, accept_drift, lock_timeout, json, quiet, diff, verbose)
    account = Account(command, inventory, address, flags)

    def edit(text: Text) -> Edited:
        text.addresses.account(address)
        if leading := text.addresses.references(address):
            shown = [f"{each.what} ({each.place})" for each in leading[:10]]
            if len(leading) > len(shown):
                shown.append(_("{count} more").format(count=len(leading) - len(shown)))
            raise InputError(
                f"{command} {address}",
                _("mail still goes there by {references}").format(references=all_of(shown)),
                _("Let these lead elsewhere first; nothing was changed"),
            )
        return text.removed(address)

    def told(read: Inventory) -> str:
        if no_apply:
            return ""
        domain = address.rpartition("@")[2]
        hosts = next((all_of(each.hosts) for each in read.domains if each.name == domain), "")
        return _("the mailbox stays on {hosts}; `mailprov purge {address}` deletes it").format(
            hosts=hosts, address=address
        )

    raise typer.Exit(account.run(edit, told))


def _own(command: str, address: str) -> None:
    """Whether we would make an account of this name (schema/names.py is stricter for our own)."""
    from mailprov.errors import InputError
    from mailprov.schema.names import BadName, local_part

    try:
        local_part(address.rpartition("@")[0])
    except BadName as error:
        raise InputError(f'{command} "{address}"', str(error), _("Give another address")) from None


def _forward(to: list[str] | None, keep: bool | None, before: list[Any]) -> dict[str, Any]:
    """The key `forward`, if anything is said of it. A copy stays unless that is said."""
    from mailprov.errors import InputError

    if not to and keep is None:
        return {}
    if not to and not before:
        raise InputError("--keep", _("says nothing without --forward"), _("Give --forward with it"))
    value: dict[str, Any] = {"to": list(to) if to else [str(each) for each in before]}
    if keep is False:
        value["keep"] = False
    return {"forward": value}
