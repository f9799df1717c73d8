"""A class of octoDNS, and instances of it.

    Maker(settings)          loads the class
      .make(watch) -> one    a new instance, which knows nothing yet: some keep what they have read
      .secrets               that are never shown

What octoDNS, a provider and their libraries log goes nowhere: mailprov says itself what matters, and what is in their
logs nobody knows. Raises InputError (not installed, no such class, not called right), DnsFailed, DnsUnreachable.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from mailprov.dns.extras import library
from mailprov.dns.providers.octodns import sessions
from mailprov.dns.providers.octodns.failures import failure, redacted
from mailprov.dns.providers.octodns.settings import NAME, OctodnsSettings
from mailprov.errors import InputError
from mailprov.i18n import _

_ID = "mailprov"
_CLASS, _SETTINGS = "dns.class", "dns.settings"


class Maker:
    """`where`: as errors begin. `module`: of the class."""

    def __init__(self, settings: OctodnsSettings) -> None:
        self.module, __, name = settings.path.rpartition(".")
        self.where = _("{provider} of octoDNS").format(provider=name)
        self.secrets = tuple(secret.reveal() for __, secret in settings.secrets)
        self._given = dict(settings.options) | {key: one.reveal() for key, one in settings.secrets}
        if not name:
            raise InputError(_CLASS, _("is not set"), _("Name the class of the provider"))
        if settings.secrets and not all(self.secrets):
            raise InputError(_SETTINGS, _("has a secret without a value"), _("Set it"))
        _hush()
        self._class = _loaded(self.module, name)

    def make(self, watch: sessions.Watch = lambda answer: None) -> Any:
        try:
            made = self._class(_ID, **self._given)
            sessions.guard(made, self.where, watch, secret=bool(self.secrets))
        except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
            said = redacted(str(error), self.secrets)
            raise InputError(
                _SETTINGS,
                _("{provider} cannot be made with these settings ({error})").format(
                    provider=self._class.__name__, error=f"{type(error).__name__}: {said}"
                ),
                _("The documentation of {module} lists what it takes").format(module=_package(self.module)),
            ) from None
        except Exception as error:
            raise failure(error, self.where, _("begin"), self.secrets) from None
        return made


def _hush() -> None:
    """Without any handler Python writes warnings to stderr (logging, "Last resort")."""
    root = logging.getLogger()
    if not any(isinstance(handler, logging.NullHandler) for handler in root.handlers):
        root.addHandler(logging.NullHandler())


def _package(module: str) -> str:
    return module.partition(".")[0].replace("_", "-")


def _missing(module: str, name: str, lacking: str) -> InputError:
    if lacking == module.partition(".")[0]:
        command = f"`pip install {_package(module)}`"
        return InputError(
            _CLASS,
            _("{class_name} is in the Python package {package}, which is not installed").format(
                class_name=f"{module}.{name}", package=_package(module)
            ),
            _("Run {command} in mailprov's environment").format(command=command),
        )
    if f"{module}.".startswith(f"{lacking}."):
        return InputError(
            _CLASS,
            _("there is no module {module}").format(module=lacking),
            _("Name the module and the class of a provider, as in a configuration of octoDNS"),
        )
    return InputError(
        _CLASS,
        _("{module} cannot be loaded: it needs the Python library {library}").format(
            module=module, library=lacking
        ),
        _("Install that in mailprov's environment"),
    )


def _loaded(module: str, name: str) -> Any:
    base = library(NAME, "octodns.provider.base").BaseProvider
    own = module.partition(".")[0]
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        raise _missing(module, name, error.name or own) from None
    except Exception as error:
        said = redacted(str(error), ())
        raise InputError(
            _CLASS,
            _("{module} cannot be loaded ({error})").format(
                module=module, error=f"{type(error).__name__}: {said}"
            ),
            _("Install a version of it that fits octoDNS {version}").format(
                version=getattr(library(NAME, "octodns"), "__version__", "?")
            ),
        ) from None
    made = getattr(found, name, None)
    others = sorted(
        key
        for key, one in vars(found).items()
        if isinstance(one, type) and issubclass(one, base) and one is not base
    )
    advice = (
        _("It has {classes}").format(classes=", ".join(others))
        if others
        else _("Name the module and the class of a provider, as in a configuration of octoDNS")
    )
    if made is None:
        raise InputError(_CLASS, _("{module} has no {name}").format(module=module, name=name), advice)
    if not (isinstance(made, type) and issubclass(made, base)):
        raise InputError(
            _CLASS,
            _("{name} is no provider of octoDNS that can write").format(name=f"{module}.{name}"),
            advice,
        )
    return made
