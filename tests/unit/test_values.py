"""Dataclasses of ours beside those of the standard library: the same classes, and the same about all their values."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, field
from functools import cached_property
from typing import Any, ClassVar

import pytest

from mailprov.model import values
from mailprov.model.dns import NameServer

KINDS: dict[str, Callable[..., Any]] = {"ours": values.dataclass, "theirs": dataclasses.dataclass}


class Made:
    """The same classes, by one kind of dataclass."""

    def __init__(self, dataclass: Callable[..., Any]) -> None:
        @dataclass(frozen=True)
        class Name:
            """Some of everything."""

            kind: ClassVar[str] = "name"

            text: str
            number: int = 3
            secret: str = field(default="", repr=False)
            many: dict[str, int] = field(default_factory=dict, hash=False)
            note: str = field(default="", compare=False)
            by_name: int = field(kw_only=True, default=0)
            ours: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

            @cached_property
            def length(self) -> int:
                return len(self.text)

        @dataclass(frozen=True)
        class Longer(Name):  # type: ignore[misc, valid-type]
            """With a field of its own, and what is done to it at the end."""

            more: tuple[str, ...] = ()

            def __post_init__(self) -> None:
                object.__setattr__(self, "number", self.number + 1)

        @dataclass(frozen=True, order=True)
        class Place:
            """Ordered."""

            line: int
            column: int = 1

        @dataclass
        class Loose:
            """Can change."""

            seen: list[Any] = field(default_factory=list)

        @dataclass(frozen=True, eq=False)
        class Alone:
            """Compared by identity."""

            text: str

        @dataclass(frozen=True)
        class Own:
            """Has methods of its own that others are given."""

            text: str

            def __repr__(self) -> str:
                return "own"

            def __eq__(self, other: object) -> bool:
                return isinstance(other, Own)

            def __hash__(self) -> int:
                return 7

        self.Name: Any = Name
        self.Longer: Any = Longer
        self.Place: Any = Place
        self.Loose: Any = Loose
        self.Alone: Any = Alone
        self.Own: Any = Own


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest) -> Made:
    return Made(KINDS[request.param])


@pytest.fixture(params=["as it is made", "of which there are many"])
def ours(request: pytest.FixtureRequest) -> Made:
    made = Made(values.dataclass)
    if request.param != "as it is made":
        for _ in range(values.MANY):
            _ = made.Longer("x"), made.Place(1), made.Loose(), made.Alone("x"), made.Own("x")
        assert all(cls.__init__ is not values._init for cls in (made.Longer, made.Place, made.Loose))
        assert made.Longer.__eq__ is not made.Name.__eq__
    return made


def descriptions(made: Made) -> Iterator[object]:
    """What can be said of values, but for their addresses."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        (("a",), {}),
        (("a", 1, "s", {"x": 1}, "n"), {}),
        ((), {"text": "a", "by_name": 2, "note": "n"}),
        (("a", 1), {"many": {}}),
    ]
    for cls in (made.Name, made.Longer):
        yield cls.__match_args__
        yield [each.name for each in dataclasses.fields(cls)]
        for given, named in calls:
            one, same = cls(*given, **named), cls(*given, **named)
            yield repr(one).partition(".<locals>.")[2]
            yield dataclasses.asdict(one)
            yield list(vars(one).items())
            yield (one == same, hash(one) == hash(same), one != cls("other"), one.ours is not same.ours)
            yield (one == dataclasses.replace(one, note="else"), one == dataclasses.replace(one, by_name=9))
            yield (copy.copy(one) == one, copy.deepcopy(one) == one, one.length)
    yield made.Name("a") == made.Longer("a")
    places = [made.Place(2), made.Place(1, 5), made.Place(1)]
    yield [(each.line, each.column) for each in sorted(places)]
    yield (made.Place(1) <= made.Place(1), made.Place(1) > made.Place(1), made.Place(2) >= made.Place(1))
    loose = made.Loose()
    loose.seen = ["x"]
    yield (vars(loose), loose == made.Loose(["x"]), made.Loose.__hash__)
    yield (made.Alone("x") == made.Alone("x"), len({made.Alone("x"), made.Alone("x")}))
    yield (repr(made.Own("x")), made.Own("x") == made.Own("y"), hash(made.Own("x")))


def test_values_are_as_those_of_the_standard_library(ours: Made) -> None:
    assert list(descriptions(ours)) == list(descriptions(Made(dataclasses.dataclass)))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((), {}),
        ((), {"number": 1}),
        (("a", 1, "s", {}, "n", 5), {}),
        (("a",), {"text": "b"}),
        (("a",), {"unknown": 1}),
        (("a",), {"ours": []}),
    ],
)
def test_wrong_arguments_are_refused(made: Made, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        made.Name(*given, **named)


def test_frozen_is_frozen_also_where_there_are_many(made: Made) -> None:
    for _ in range(values.MANY + 1):
        one = made.Place(1)
        with pytest.raises(FrozenInstanceError):
            one.line = 2
        with pytest.raises(FrozenInstanceError):
            del one.line
        with pytest.raises(FrozenInstanceError):
            one.other = 1


def test_what_has_no_order_with_each_other(made: Made) -> None:
    with pytest.raises(TypeError):
        _ = made.Place(1) < 2
    with pytest.raises(TypeError):
        _ = made.Name("a") < made.Name("b")


def test_a_class_of_which_there_are_many_may_get_a_subclass() -> None:
    base = Made(values.dataclass).Place
    for _ in range(values.MANY):
        base(1)

    @values.dataclass(frozen=True, order=True)
    class Sub(base):  # type: ignore[misc, valid-type]
        """One more field."""

        more: int = 1

    assert (Sub(1, more=5).more, Sub(1).column) == (5, 1)
    assert Sub(1, more=5) == Sub(1, 1, 5) != Sub(1)
    assert base(1) < base(2)


def test_a_subclass_keeps_its_fields_when_there_are_many_of_its_base() -> None:
    made = Made(values.dataclass)
    for _ in range(values.MANY):
        made.Name("x")
    assert made.Longer("a", more=("b",)).more == ("b",)
    assert made.Longer("a", more=("b",)) != made.Longer("a")


def test_values_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(NameServer("192.0.2.1"))) == NameServer("192.0.2.1")


def test_a_value_that_holds_itself_is_shown() -> None:
    loose = Made(values.dataclass).Loose()
    loose.seen.append(loose)
    assert "..." in repr(loose)


def test_making_a_class_and_its_values_compiles_nothing() -> None:
    code = (
        "import builtins\nfrom mailprov.model.values import dataclass\nfrom dataclasses import field\n"
        "def stop(*_): raise AssertionError('compiled')\n"
        "class C:\n '''One.'''\n a: str\n b: dict = field(default_factory=dict)\n"
        "builtins.exec = stop\n"
        "print(dataclass(frozen=True, order=True)(C)('x'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "C(a='x', b={})\n"
