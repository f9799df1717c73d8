"""What each host must be: the pure middle of the product.

    build(inventory, host, facts) -> HostState     raises HostFailed, InputError
    prepare()                                      loads what build needs, while there is nothing else to do
    wanted_packages(inventory, host) -> list[str]  whose versions the facts must hold

No side effects. The only files read are the templates and, with `tls: {mode: files}`, the certificate and its
key.
"""

from mailprov.desired.build import build, wanted_packages
from mailprov.desired.templates import prepare

__all__ = ["build", "prepare", "wanted_packages"]
