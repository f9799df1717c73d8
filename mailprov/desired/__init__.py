"""What each host must be: the pure middle of the product.

    build(inventory, host, facts, rotation, precomputed) -> HostState     raises HostFailed, InputError
    RotationStep, Step                                     a step of a rotation of DKIM keys, for `build`
    Precomputed(inventory, host)                         for `build`: what can be made before the facts are known
    prepare(hosts)                                 loads what build needs, while there is nothing else to do
    wanted_packages(inventory, host) -> list[str]  whose versions the facts must hold
    needed_packages(inventory, host) -> list[str]  what of it an apply installs

No side effects. The only files read are the templates and, with `tls: {mode: files}`, the certificate and its
key.
"""

from collections.abc import Sequence

from mailprov.components import templates
from mailprov.components.dkim import RotationStep, Step
from mailprov.components.precompute import Precomputed
from mailprov.components.tls import material
from mailprov.desired.build import build, needed_packages, wanted_packages
from mailprov.model.inventory import Host

__all__ = ["Precomputed", "RotationStep", "Step", "build", "needed_packages", "prepare", "wanted_packages"]


def prepare(hosts: Sequence[Host]) -> None:
    """Later calls of `build` find done what takes its time. For any thread."""
    if hosts:
        templates.prepare()
    if any(host.tls.certificate for host in hosts):
        material.prepare()
