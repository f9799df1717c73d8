"""mailprov account: add, set, suspend and remove accounts in the inventory, and apply that to their hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailprov.cli.account_options import (
    Address,
    Env,
    Expires,
    File,
    ForwardTo,
    Generate,
    Hash,
    Keep,
    NewAddress,
    NoApply,
    Owner,
    PasswordCommand,
    PasswordFile,
    Quota,
    StateOption,
    Verify,
)
from mailprov.cli.commands import Commands
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import AcceptDrift, Diff, Json, LockTimeout, Quiet, Verbose, Yes
from mailprov.i18n import N_, _, all_of

if TYPE_CHECKING:
    from mailprov.cli.new_password import NewPassword
    from mailprov.inventory.edit.accounts import Edited
    from mailprov.inventory.edit.accounts import Inventory as Text
    from mailprov.model.inventory import Inventory

app = Commands(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=N_("Accounts: add, change, remove them in the inventory, and apply."),
)


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
    owner: Owner = None,
    quota: Quota = None,
    forward: ForwardTo = None,
    keep: Keep = None,
    expires: Expires = None,
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
    """Add an account to the inventory and to its hosts.

    Shows what changes and asks before it does it. The password is asked for if no option says where it is.
    """
    from mailprov.cli.account_edit import Account, Flags, checked
    from mailprov.cli.new_password import Wanted

    command = "account add"
    address = checked(command, address)
    wanted = Wanted(password_env, password_file, password_command, hash_, generate, prompt=True)
    flags = Flags(yes, no_apply, verify, accept_drift, lock_timeout, json, quiet, diff, verbose)
    account = Account(command, inventory, address, flags)
    password: NewPassword | None = None
    least = 0

    def edit(text: Text) -> Edited:
        nonlocal password, least
        text.addresses.free(address)
        least = text.addresses.least(address)
        _own(command, address)
        password = wanted.value(command, address, json=json, least=least)
        keys: dict[str, Any] = {"password": _owned(password.reference if password else {}, owner)}
        keys.update({"quota": quota} if quota is not None else {})
        keys.update(_forward(forward, keep, []))
        keys.update({"expires": expires} if expires not in (None, "none") else {})
        return text.added(address, keys)

    code = account.run(edit, lambda read: _weak(read, address, least))
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
    owner: Owner = None,
    quota: Quota = None,
    forward: ForwardTo = None,
    no_forward: Annotated[bool, typer.Option("--no-forward", help=N_("Send its mail on no more."))] = False,
    keep: Keep = None,
    state: StateOption = None,
    expires: Expires = None,
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
    """Change an account in the inventory and on its hosts.

    Shows what changes and asks before it does it.
    """
    from mailprov.cli.account_edit import Account, Flags, checked
    from mailprov.cli.new_password import Wanted
    from mailprov.errors import InputError

    command = "account set"
    address = checked(command, address)
    wanted = Wanted(password_env, password_file, password_command, hash_, generate, prompt=password)
    given = (password_env, password_file, password_command, hash_, owner, quota, keep, state, expires)
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
    least = 0

    def edit(text: Text) -> Edited:
        nonlocal made, least
        least = text.addresses.least(address)
        old = text.addresses.value(address, "forward")
        text.addresses.account(address)
        made = wanted.value(command, address, json=json, least=least)
        keys = _password(address, text.addresses.value(address, "password"), made, owner)
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
        keys.update({"state": state} if state is not None else {})
        if expires is not None:
            keys["expires"] = _expires(expires, text.addresses.value(address, "expires"))
        return text.changed(address, keys)

    code = account.run(edit, lambda read: _weak(read, address, least) if made is not None else "")
    if made is not None and account.kept:
        made.show(address)
    raise typer.Exit(code)


@app.command()
def suspend(
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
    """Suspend an account: nobody logs in, mail is refused.

    `state: suspended` in the inventory; what is in the mailbox stays. `account set ADDRESS --state active` ends that.
    """
    from mailprov.cli.account_edit import Account, Flags, checked

    command = "account suspend"
    address = checked(command, address)
    flags = Flags(yes, no_apply, verify, accept_drift, lock_timeout, json, quiet, diff, verbose)
    account = Account(command, inventory, address, flags)
    ends = _("`mailprov account set {address} --state active` ends that").format(address=address)
    raise typer.Exit(
        account.run(lambda text: text.changed(address, {"state": "suspended"}), lambda read: ends)
    )


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
    """Remove an account; its mailbox stays on the host.

    It leaves the inventory and loses its login. Refused while an alias, a list, a forward or the catch-all leads to it:
    each is named with its line.
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


def _weak(read: Inventory, address: str, least: int) -> str:
    """What is to be said of a password that stands somewhere else; where it is known."""
    from mailprov.cli.new_password import weak

    known = (account for domain in read.domains for account in domain.accounts if account.address == address)
    password = next((account.password.reveal() for account in known if account.password is not None), "")
    reason = weak(password, address, least) if password else ""
    if not reason:
        return ""
    return _("the password of {address} was taken as it is, but it {reason}").format(
        address=address, reason=reason
    )


def _expires(date: str, old: Any) -> Any:
    """What the account is from then on stays as it was said."""
    if date == "none":
        return None
    state = old.get("state") if isinstance(old, dict) else None
    return {"date": date, "state": str(state)} if state else date


def _owned(reference: Mapping[str, Any], owner: str | None) -> dict[str, Any]:
    """What stands under `password`."""
    from mailprov.errors import InputError

    if owner not in (None, "user", "inventory"):
        raise InputError(
            "--owner", _('"{word}" is not user or inventory').format(word=owner), _("Give one of them")
        )
    return {"initial": reference, "owner": "user"} if owner == "user" else dict(reference)


def _password(address: str, old: Any, made: NewPassword | None, owner: str | None) -> dict[str, Any]:
    """The key `password`, if it changes. What a user owns is left to the user, unless that is said."""
    from mailprov.errors import InputError

    if made is None and owner is None:
        return {}
    users = isinstance(old, dict) and "initial" in old
    if users and owner is None:
        raise InputError(
            f"account set {address}",
            _(
                "the password belongs to the user (`owner: user`), and the inventory has only what it began with"
            ),
            _("Give --owner inventory as well to set it here, and --owner user later to give it back"),
        )
    now = (old or {}).get("initial", old) if isinstance(old, dict) else {}
    reference = made.reference if made else now
    # Lists (a command with its arguments) and texts, without where they stood.
    plain = {
        key: list(each) if isinstance(each, list) else str(each) for key, each in dict(reference).items()
    }
    return {"password": _owned(plain, owner)}


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
