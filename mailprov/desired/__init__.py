"""What each host must be: the pure middle of the product.

    build(inventory, host, facts, move, draft) -> HostState     raises HostFailed, InputError
    Move, Step                                     a step of a rotation of DKIM keys, for `build`
    Draft(inventory, host)                         for `build`: what can be made before the facts are known
    prepare(hosts)                                 loads what build needs, while there is nothing else to do
    wanted_packages(inventory, host) -> list[str]  whose versions the facts must hold
    needed_packages(host) -> list[str]             what of it an apply installs

No side effects. The only files read are the templates and, with `tls: {mode: files}`, the certificate and its
key.
"""

from collections.abc import Sequence

from mailprov.desired import templates, tls
from mailprov.desired.build import build, needed_packages, wanted_packages
from mailprov.desired.dkim import Move, Step
from mailprov.desired.draft import Draft
from mailprov.model.inventory import Host

__all__ = ["Draft", "Move", "Step", "build", "needed_packages", "prepare", "wanted_packages"]


def prepare(hosts: Sequence[Host]) -> None:
    """Later calls of `build` find done what takes its time. For any thread."""
    if hosts:
        templates.prepare()
    if any(host.tls.certificate for host in hosts):
        tls.prepare()
