"""`dataclass`, at a fifth of what the standard library's costs while a module is being imported.

    @dataclass                   as dataclasses.dataclass
    @dataclass(frozen=True)      the same

A no-change plan defines some ninety of them, and until Python 3.13 the standard library compiles the source of up to
six methods for each: a tenth of a second of such a run, more than it takes to validate the inventory, to talk to a
host and to render its files. Here only `__init__` is compiled, because it is called for every account and has to be
quick; it writes to `__dict__`, which is quicker than the original. The other methods are ordinary functions that know
the names of the fields.

`fields`, `replace`, `asdict`, `field(…)`, `__post_init__`, inheritance and `match` work as they do with the original
(tests/unit/model/test_dataclass.py holds one against the other); so does mypy, which is told that it is the original.
Other options than `frozen` are left to the standard library, and so is the agent: it runs where mailprov is not.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - others import it from here
else:
    from operator import attrgetter
    from reprlib import recursive_repr

    _MADE = object()  # stands in a signature for a default that is made anew for each instance

    def dataclass(cls=None, /, *, frozen=False, **others):
        """See the module; `others` are the standard library's options."""
        if others:
            return dataclasses.dataclass(cls, frozen=frozen, **others)
        return _processed(cls, frozen) if cls is not None else lambda cls: _processed(cls, frozen)

    def _processed(cls, frozen):
        documented = cls.__doc__
        cls.__doc__ = documented or cls.__name__  # without one the original makes one, which takes its time
        dataclasses.dataclass(init=False, repr=False, eq=False)(cls)  # finds the fields, compiles nothing
        cls.__doc__ = documented
        fields = dataclasses.fields(cls)
        own = dict(vars(cls))
        if "__init__" not in own:
            cls.__init__ = _init(cls, fields)
        if "__repr__" not in own:
            cls.__repr__ = _repr([one.name for one in fields if one.repr])
        if "__eq__" not in own:
            cls.__eq__ = _eq(_values([one.name for one in fields if one.compare]))
        # A class that defines __eq__ has a __hash__ of None by itself, which is no wish of its author.
        if own.get("__hash__") is None:
            hashed = [one.name for one in fields if (one.compare if one.hash is None else one.hash)]
            cls.__hash__ = _hash(_values(hashed)) if frozen else None
        if frozen:
            names = frozenset(one.name for one in fields)
            cls.__setattr__ = _refusing(cls, names, "assign to", "__setattr__")
            cls.__delattr__ = _refusing(cls, names, "delete", "__delattr__")
        return cls

    def _init(cls, fields):
        known = {"__MADE": _MADE}  # no field is called so
        positional, keywords, lines = [], [], []
        for one in fields:
            name, value = one.name, one.name
            if one.default_factory is not dataclasses.MISSING:
                known[f"__make_{name}"] = one.default_factory
                value = f"__make_{name}() if {name} is __MADE else {name}" if one.init else f"__make_{name}()"
                default = "=__MADE"
            elif one.default is not dataclasses.MISSING:
                known[f"__default_{name}"] = one.default
                default = f"=__default_{name}"
            else:
                default = ""
            if one.init:
                (keywords if one.kw_only else positional).append(name + default)
            elif default != "=__MADE":
                continue  # the class has it, or __post_init__ gives it
            lines.append(f" __dict[{name!r}] = {value}")
        given = ", ".join(["self", *positional, *(["*", *keywords] if keywords else [])])
        ending = [" self.__post_init__()"] if hasattr(cls, "__post_init__") else []
        exec("\n".join([f"def __init__({given}):", " __dict = self.__dict__", *lines, *ending]), known)  # noqa: S102
        made = known["__init__"]
        made.__qualname__ = f"{cls.__qualname__}.__init__"
        made.__module__ = cls.__module__
        return made

    def _values(names):
        return attrgetter(*names) if names else lambda self: ()

    def _repr(names):
        @recursive_repr()
        def __repr__(self):
            shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
            return f"{self.__class__.__qualname__}({shown})"

        return __repr__

    def _eq(values):
        def __eq__(self, other):
            if other.__class__ is not self.__class__:
                return NotImplemented
            return values(self) == values(other)

        return __eq__

    def _hash(values):
        def __hash__(self):
            return hash(values(self))

        return __hash__

    def _refusing(cls, names, doing, method):
        def refuse(self, name, *value):
            if type(self) is cls or name in names:
                raise dataclasses.FrozenInstanceError(f"cannot {doing} field {name!r}")
            getattr(super(cls, self), method)(name, *value)

        refuse.__name__ = method
        return refuse
