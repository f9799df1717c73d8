"""Dataclasses that are made without compiling anything.

    dataclass          as `dataclasses.dataclass`, with `frozen`, `eq` and `order`
    field, replace     those of `dataclasses`

Only how a class gets its methods differs. Until Python 3.13 the standard library compiles up to six for each class,
four million instructions (a millisecond), and a plan loads sixty classes. Here they are written once, and look up the
fields of the class they are called for; a class of which there are many values gets the compiled ones then.
`fields`, `asdict` and `FrozenInstanceError` are those of `dataclasses`. Subclasses are made by the
same decorator. tests/unit/test_values.py holds both kinds side by side.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, FrozenInstanceError, field, replace
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "field", "replace"]

MANY = 1000  # values of a class; then compiling has been worth it


class _Shape:
    """What is known of a class: names of its fields, and how its values are compared."""

    __slots__ = (
        "checks",
        "compared",
        "factories",
        "hashed",
        "known",
        "left",
        "positional",
        "required",
        "shown",
        "start",
    )

    def __init__(self, cls: type) -> None:
        fields = dataclasses.fields(cls)
        known = [each for each in fields if each.init]
        self.left = MANY  # values, until it is compiled
        self.positional = [each.name for each in known if not each.kw_only]
        self.known = {each.name for each in known}
        self.start = {each.name: each.default for each in fields}  # in this order
        self.factories = {
            each.name: each.default_factory for each in fields if each.default_factory is not MISSING
        }
        self.required = {name for name in self.known - self.factories.keys() if self.start[name] is MISSING}
        self.checks = hasattr(cls, "__post_init__")
        self.shown = [each.name for each in fields if each.repr]
        self.compared = _getter([each.name for each in fields if each.compare])
        self.hashed = _getter(
            [each.name for each in fields if (each.compare if each.hash is None else each.hash)]
        )


_SHAPES: dict[type, _Shape] = {}


def _shape(cls: type) -> _Shape:
    made = _SHAPES[cls] = _Shape(cls)
    return made


def _getter(names: list[str]) -> Callable[[Any], Any]:
    return operator.attrgetter(*names) if names else lambda value: ()


def _init(self: Any, /, *given: Any, **named: Any) -> None:
    cls = self.__class__
    shape = _SHAPES.get(cls) or _shape(cls)
    taken = shape.positional[: len(given)]
    if len(given) > len(taken):
        raise TypeError(f"{cls.__qualname__}: surplus: {len(given) - len(taken)}")
    if named and (not named.keys() <= shape.known or not named.keys().isdisjoint(taken)):
        raise TypeError(f"{cls.__qualname__}: unknown/repeated: {', '.join(named)}")
    if missing := shape.required.difference(taken, named):
        raise TypeError(f"{cls.__qualname__}: missing: {', '.join(sorted(missing))}")
    values = shape.start.copy()
    values.update(zip(taken, given, strict=True))
    values.update(named)
    for name, factory in shape.factories.items():
        if values[name] is MISSING:
            values[name] = factory()
    for name, value in values.items():
        if value is not MISSING:
            object.__setattr__(
                self, name, value
            )  # not all at once: the class's values share one table of names
    if shape.checks:
        self.__post_init__()
    shape.left -= 1
    if not shape.left:
        _compile(cls)


def _compile(cls: Any) -> None:
    """Instead of the methods here, those that the standard library makes for a class with the same fields."""
    if cls.__subclasses__():
        return  # they have other fields, and would inherit these methods
    fields = [(each.name, each.type, copy(each)) for each in dataclasses.fields(cls)]
    checks = {"__post_init__": cls.__post_init__} if _SHAPES[cls].checks else {}
    frozen = cls.__setattr__ is _set
    same: Any = dataclasses.make_dataclass(cls.__name__, fields, frozen=frozen, namespace=checks)
    for name, ours in (("__init__", _init), ("__eq__", _EQUAL["__eq__"]), ("__hash__", _hash)):
        if getattr(cls, name) is ours:
            setattr(cls, name, getattr(same, name))


@recursive_repr()
def _repr(self: Any) -> str:
    cls = self.__class__
    shape = _SHAPES.get(cls) or _shape(cls)
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in shape.shown)
    return f"{cls.__qualname__}({shown})"


def _hash(self: Any) -> int:
    cls = self.__class__
    return hash((_SHAPES.get(cls) or _shape(cls)).hashed(self))


def _set(self: Any, name: str, value: Any) -> None:
    raise FrozenInstanceError(f"frozen: {name}")


def _delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"frozen: {name}")


def _comparing(name: str) -> Callable[[Any, Any], Any]:
    sign = getattr(operator, name)

    def compare(self: Any, other: Any) -> Any:
        cls = self.__class__
        if other.__class__ is not cls:
            return NotImplemented
        compared = (_SHAPES.get(cls) or _shape(cls)).compared
        return sign(compared(self), compared(other))

    return compare


_EQUAL = {"__eq__": _comparing("__eq__")}
_FROZEN = {"__setattr__": _set, "__delattr__": _delete}
_ORDERED = {name: _comparing(name) for name in ("__lt__", "__le__", "__gt__", "__ge__")}

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 (others import it from here)
else:

    def dataclass(cls=None, *, frozen=False, eq=True, order=False):
        def made(cls):
            dataclasses.dataclass(init=False, repr=False, eq=False)(cls)  # its fields; this compiles nothing
            methods = {"__init__": _init, "__repr__": _repr}
            if eq:
                methods |= _EQUAL | {"__hash__": _hash if frozen else None}
            if order:
                methods |= _ORDERED
            if frozen:
                methods |= _FROZEN
            for name, method in methods.items():
                if vars(cls).get(name) is None and getattr(cls, name) is not method:
                    setattr(cls, name, method)
            return cls

        return made if cls is None else made(cls)
