"""Libraries that only one provider needs, and that are installed only where it is used.

    library(provider, module) -> the module       InputError with what to install, where it is not there

Each is an extra of the package (pyproject.toml), called as the provider is.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mailprov.errors import InputError
from mailprov.i18n import _


def library(provider: str, module: str) -> ModuleType:
    own = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != own:
            raise
        command = f"`pip install 'mailprov[{provider}]'`"
        raise InputError(
            "dns.provider",
            _("{provider} needs the Python library {library}, which is not installed").format(
                provider=provider, library=own
            ),
            _("Run {command} in mailprov's environment").format(command=command),
        ) from None
