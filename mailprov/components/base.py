"""What a component is: one thing that a host can have, said in one place.

    Component    its keys in the inventory, packages, files, services, what is retired when it leaves, its words
    Build        what a component may know of one host while its desired state is made
    SshUsers     users whom it lets in by SSH, and how

Beside it: `setting.Setting` is one key of the inventory, `parts.Parts` what a component adds to a host's state.

A component is a module here, or a folder with `component.py`; probes of its own are in `checks.py` beside that. Its
templates are in `templates/NAME/`, and `registry` holds it. Nothing else names it: the schema, the merging of
defaults, the build, what is retired, the lab's inventory and the documents are loops over the registry. Pure, but for
files that the inventory names, which a component may read while it is built.

Where roles go. Today a host has everything that its domains need. Once a domain has MX hosts, stores and proxies, what
a host is for is another answer of `Component.wanted(host)`, `Build.domains` says who is served there in which role, and
a store that has its accounts in a database is a component beside `dovecot` that gives other `Parts.account_files`. No
component asks which others there are: what two of them share is in `Build`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from mailprov.components import dkim
from mailprov.components.milter import Milter
from mailprov.components.parts import Parts
from mailprov.components.setting import Setting
from mailprov.model.host_state import Service
from mailprov.model.values import dataclass, field

if TYPE_CHECKING:
    from mailprov.components.precompute import Mail, Precomputed
    from mailprov.components.versions import Releases
    from mailprov.model.dkim import Key
    from mailprov.model.dns import DnsSettings
    from mailprov.model.inventory import Domain, Host, Inventory
    from mailprov.schema.context import Context

V = TypeVar("V")

__all__ = ["Build", "Component", "Parts", "Setting", "SshUsers"]


class SshUsers(NamedTuple):
    """System users that a component lets in by SSH, and lines of sshd_config(5) for them (components/sshd.py)."""

    names: tuple[str, ...]
    lines: tuple[str, ...]


class Component:
    """One thing that a host can have. What a subclass does not say, it does not have."""

    name: ClassVar[str]  # also the folder of its templates
    about: ClassVar[str]  # one line for the documents
    settings: ClassVar[tuple[Setting[Any], ...]] = ()
    everywhere: ClassVar[bool] = False  # each host has it: its packages come first, by name
    before: ClassVar[str] = ""  # a component whose services must not start earlier than this one's
    # Secrets of the inventory that the host gets, by their key. Their files are for root alone.
    credentials: ClassVar[tuple[str, ...]] = ()

    def wanted(self, host: Host) -> bool:
        """Whether this host has it, by the inventory alone."""
        return self.everywhere

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        """Debian packages, where it is wanted. The facts tell their versions."""
        return ()

    def consulted(self, host: Host) -> tuple[str, ...]:
        """Packages that are used where they are installed, and never installed for that."""
        return ()

    def parts(self, build: Build) -> Parts:
        """Where it is wanted: what it is made of. It may still have no parts, by the facts."""
        return Parts(packages=self.packages(build.inventory, build.host))

    def milter(self, build: Build) -> Milter | None:
        """Where it is one that Postfix asks about mail."""
        return None

    def ports(self, build: Build) -> tuple[int, ...]:
        """TCP ports besides those of mail that everybody must reach: what a firewall lets in."""
        return ()

    def served(self, build: Build) -> tuple[str, ...]:
        """Its files of nginx's configuration, with servers of their own for names that it answers for: paths."""
        return ()

    def counts_requests(self, build: Build) -> bool:
        """Whether its servers of nginx hold back who asks too often, which the smallest nginx cannot everywhere."""
        return False

    def ssh_users(self, host: Host) -> tuple[SshUsers, ...]:
        """Whom it lets in by SSH, by the inventory alone. The users are its own business."""
        return ()

    def retired(self) -> tuple[Service, ...]:
        """Units that a host may have had, and loses with it: the manifest knows whether. Files go by themselves."""
        return ()

    def check(self, file: Any, hosts: Sequence[Host], dns: DnsSettings, context: Context) -> None:
        """What the inventory says of it in several places, against each other. `file`: inventory.schema.File."""


@dataclass(frozen=True)
class Build:
    """One host whose state is made. What several components need is made once, by the first that asks."""

    inventory: Inventory
    host: Host
    components: tuple[Component, ...]  # those that the host has
    facts: dict[str, Any]  # as in wire.messages
    releases: Releases
    precomputed: Precomputed
    rotation: dkim.RotationStep | None = None  # of DKIM keys, or of those of certificates
    _made: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def made(self, make: Callable[[Build], V]) -> V:
        """`make(self)`, once: such as the certificates for Postfix and Dovecot."""
        if make not in self._made:
            self._made[make] = make(self)
        value: V = self._made[make]
        return value

    @cached_property
    def domains(self) -> tuple[Domain, ...]:
        """Those that this host serves."""
        return self.inventory.domains_on(self.host.name)

    @cached_property
    def sender_domain(self) -> str:
        return self.inventory.sender_domain(self.host)

    @cached_property
    def dkim_keys(self) -> tuple[Key, ...]:
        """Every DKIM key that the host must have."""
        return dkim.keys(self.domains, self.host, self.facts, self.rotation)

    @cached_property
    def milter(self) -> Milter | None:
        """The one that Postfix asks about each message, once, when it comes in."""
        return next((made for each in self.components if (made := each.milter(self))), None)

    @property
    def mail(self) -> Mail:
        return self.precomputed.mail()

    @property
    def ipv6(self) -> bool:
        return bool(self.facts.get("ipv6"))
