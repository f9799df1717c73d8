"""mailprov trust: show the keys that hosts offer, and pin those that the user has checked.

What contradicts a key that is known or pinned, or is revoked, is refused, also with --yes (exit code 1): see
`hostkeys.trustworthy`. Of several hosts each is looked at, and one that cannot be reached or is refused takes none of
the others with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.hints import next_is
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import InventoryOrHost, Json, Yes
from mailprov.cli.streams import print_text
from mailprov.i18n import N_, _, ngettext

if TYPE_CHECKING:
    from mailprov.cli.reports import Reports
    from mailprov.errors import MailprovError
    from mailprov.model.inventory import Host
    from mailprov.transport.connections import Connections
    from mailprov.transport.endpoint import Endpoint
    from mailprov.transport.ssh.hostkeys import Offered

_AT_ONCE = 20  # hosts that are asked for their keys at a time


def trust(
    inventory: InventoryOrHost = USUAL,
    host: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HOST",
            help=N_("Names of hosts in the inventory (default: all)."),
            show_default=False,
            autocompletion=complete.hosts,
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Show the SSH host keys of HOST, or of all hosts, and of unknown jump hosts before them; add them to known_hosts
    when you say yes.

    A key that has changed, is revoked or is not the pinned one is refused in any case.
    """
    from mailprov.cli.reports import Reports
    from mailprov.errors import InputError
    from mailprov.inventory import SecretMode, load
    from mailprov.model.inventory import Transport
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, text=False)
    reports.begin("trust", inventory)
    read = load(inventory, SecretMode.IGNORE)
    try:
        chosen = select(read, host or None, verifies=True)
    except InputError as error:
        raise InputError("trust", error.what, error.advice) from None
    # Of all: those that need it. A host that is named may be anyone's.
    needed = tuple(one for one in chosen.hosts if one.ssh.transport is not Transport.LOCAL)
    targets = chosen.looked_at if host else needed
    with Connections(targets, others=read.hosts) as connections:
        trusting = Trusting(connections, reports, yes, json)
        trusting.trust(targets)
    if len(targets) == 1 and trusting.errors:
        raise trusting.errors[0]
    for failed in trusting.errors:
        print_text(f"mailprov: {failed}", sys.stderr)
    code = reports.end(trusting.code, trusting.summary())
    if code == 0 and not json and not host:
        next_is("plan", inventory)
    raise typer.Exit(code)


class Trusting:
    """Servers are asked in rounds: first those that need no jump host that is unknown, then those behind them."""

    def __init__(self, connections: Connections, reports: Reports, yes: bool, json: bool) -> None:
        self._connections, self._reports, self._yes, self._json = connections, reports, yes, json
        self.errors: list[MailprovError] = []
        self.declined = False
        self._added = self._known = 0

    @property
    def code(self) -> int:
        from mailprov.run.exit_code import worst

        return worst(*(error.exit_code for error in self.errors), 1 if self.declined else 0)

    def summary(self) -> str:
        if self.declined:
            return _("nothing was added")
        return ngettext(
            "{count} key added, {known} known already",
            "{count} keys added, {known} known already",
            self._added,
        ).format(count=self._added, known=self._known)

    def trust(self, targets: Sequence[Host]) -> None:
        routes = [self._hops(one) for one in targets]
        seen: set[Endpoint] = set()
        while (routes := [hops for hops in routes if hops]) and not self.declined:
            here: dict[Endpoint, bool] = {}  # → whether it is wanted for itself, not only as a jump host
            for hops in routes:
                here[hops[0]] = here.get(hops[0], False) or len(hops) == 1
            lost = self._round([(one, itself) for one, itself in here.items() if one not in seen])
            seen |= here.keys()
            routes = [hops[1:] for hops in routes if hops[0] not in lost]

    def _hops(self, host: Host) -> tuple[Endpoint, ...]:
        from mailprov.errors import HostUnreachable

        try:
            return self._connections.hops(host)
        except HostUnreachable as error:
            self.errors.append(error)
            return ()

    def _round(self, servers: Sequence[tuple[Endpoint, bool]]) -> set[Endpoint]:
        """Shows the new keys of these, asks once, adds them. Gives those where nobody can go on."""
        from concurrent.futures import ThreadPoolExecutor

        from mailprov.errors import MailprovError

        def look(server: tuple[Endpoint, bool]) -> tuple[list[Offered], list[Offered]] | MailprovError:
            try:
                return self._keys(*server)
            except MailprovError as error:
                return error

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            looks = list(pool.map(look, servers))
        lost: set[Endpoint] = set()
        new: dict[Endpoint, list[Offered]] = {}
        for (endpoint, _itself), found in zip(servers, looks, strict=True):
            if isinstance(found, MailprovError):
                self.errors.append(found)
                lost.add(endpoint)
                continue
            known, unknown = found
            self._known += len(known)
            if known and not unknown and not self._json:
                print_text(
                    _("{host} ({address}): its keys are known already.").format(
                        host=endpoint.name, address=endpoint.at
                    )
                )
            if unknown:
                new[endpoint] = unknown
            self._emit(endpoint, known, "known")
            self._emit(endpoint, unknown, "new")
        if new:
            self._show(new)
            if self._agreed(new):
                self._add(new)
            else:
                self.declined = True
        return lost

    def _keys(self, endpoint: Endpoint, itself: bool) -> tuple[list[Offered], list[Offered]]:
        """The keys that are in known_hosts, and the others. Of a jump host one that is known is enough."""
        from mailprov.transport.ssh import hostkeys

        offered = hostkeys.trustworthy(endpoint, self._connections.scan(endpoint))
        if not itself and any(hostkeys.is_known(endpoint, key.blob) for key in offered):
            return list(offered), []
        known = [key for key in offered if hostkeys.is_listed(endpoint, key.blob)]
        return known, [key for key in offered if key not in known]

    def _show(self, new: Mapping[Endpoint, Sequence[Offered]]) -> None:
        if self._json:
            return
        for endpoint, keys in new.items():
            print_text(_("{host} ({address}) offers:").format(host=endpoint.name, address=endpoint.at))
            for key in keys:
                typer.echo(f"  {key.type:<22} {key.fingerprint}")
        print_text(_("Compare with what the host itself says:"))
        typer.echo(_("  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))

    def _agreed(self, new: Mapping[Endpoint, Sequence[Offered]]) -> bool:
        from mailprov.cli.reports import answered_yes
        from mailprov.errors import InputError

        if self._yes:
            return True
        if self._json or not sys.stdin.isatty():
            raise InputError(
                "trust", _("there is no terminal to ask on"), _("Compare the fingerprint, then give --yes")
            )
        count = sum(len(keys) for keys in new.values())
        question = (
            _("Add these {count} keys of {hosts} hosts to {files}?")
            if len(new) > 1
            else _("Add them to {files}?")
        )
        files = ", ".join(map(str, self._files(new)))
        return answered_yes(question.format(count=count, hosts=len(new), files=files))

    def _files(self, new: Iterable[Endpoint]) -> list[Path]:
        from mailprov.transport.ssh import hostkeys

        return list(dict.fromkeys(hostkeys.known_hosts_path(endpoint) for endpoint in new))

    def _add(self, new: Mapping[Endpoint, Sequence[Offered]]) -> None:
        from mailprov.errors import InputError
        from mailprov.transport.ssh import hostkeys

        for endpoint, keys in new.items():
            path = hostkeys.known_hosts_path(endpoint)
            try:
                for key in keys:
                    self._added += hostkeys.append(path, key.line)
            except OSError as error:
                raise InputError(
                    str(path),
                    _("cannot be written: {error}").format(error=error.strerror),
                    _("Give ssh.known_hosts a path you may write"),
                ) from error
            self._emit(endpoint, keys, "added")
        if not self._json:
            print_text(_("Added to {files}.").format(files=", ".join(map(str, self._files(new)))))

    def _emit(self, endpoint: Endpoint, keys: Sequence[Offered], status: str) -> None:
        from mailprov.model.answers import HostKey
        from mailprov.transport.ssh import hostkeys

        path = str(hostkeys.known_hosts_path(endpoint))
        for key in keys:
            self._reports.emit(HostKey(endpoint.name, endpoint.at, key.type, key.fingerprint, status, path))
