"""mailprov's `dataclass` beside the standard library's: whatever one does, the other does."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar

import pytest

from mailprov.model import dataclass as ours
from mailprov.model.inventory import Secret


def classes(dataclass: Any) -> dict[str, type[Any]]:
    """Each kind that mailprov has, made by one of the two."""

    @dataclass(frozen=True)
    class Plain:
        """With a line about it."""

        name: str
        number: int = 3

    @dataclass(frozen=True)
    class Fields:
        kind: ClassVar[str] = "no field"
        d: str = field(compare=False)  # also the name of what an __init__ may call its own
        self_: int = 0
        silent: str = field(default="quiet", repr=False)
        made: list[int] = field(default_factory=list, hash=False)
        late: tuple[str, ...] = field(default=(), kw_only=True)
        by_class: int = field(default=7, init=False)
        by_call: dict[str, int] = field(default_factory=dict, init=False, compare=False)

    @dataclass(frozen=True)
    class Heir(Plain):
        more: str = "m"

    @dataclass
    class Mutable:
        name: str
        seen: list[str] = field(default_factory=list)
        twice: str = field(init=False)

        def __post_init__(self) -> None:
            self.twice = self.name * 2

    @dataclass(frozen=True)
    class OwnWords:
        name: str

        def __repr__(self) -> str:
            return "<hidden>"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 5

    @dataclass(frozen=True)
    class Empty:
        pass

    @dataclass(frozen=True, order=True)
    class Ordered:
        number: int

    found = [Plain, Fields, Heir, Mutable, OwnWords, Empty, Ordered]
    return {one.__name__: one for one in found}


OURS, ORIGINAL = classes(ours.dataclass), classes(dataclasses.dataclass)


def outcome(work: Callable[[], Any]) -> str:
    """What comes of it, in words that are the same where the class is called the same."""
    try:
        return repr(work())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    ("name", "given", "named"),
    [
        ("Plain", ("a",), {}),
        ("Plain", ("a", 4), {}),
        ("Plain", (), {"number": 1, "name": "n"}),
        ("Plain", (), {}),
        ("Plain", (1, 2, 3), {}),
        ("Plain", ("a",), {"nothing": 1}),
        ("Fields", ("x",), {}),
        ("Fields", ("x", 1, "y", [2]), {"late": ("l",)}),
        ("Fields", ("x", 1, "y", [2], ("l",)), {}),
        ("Fields", ("x",), {"by_class": 1}),
        ("Heir", ("a", 1, "b"), {}),
        ("Mutable", ("a",), {}),
        ("Mutable", ("a", ["b"]), {}),
        ("OwnWords", ("a",), {}),
        ("Empty", (), {}),
        ("Empty", (1,), {}),
        ("Ordered", (1,), {}),
    ],
)
def test_making_one(name: str, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    assert outcome(lambda: OURS[name](*given, **named)) == outcome(lambda: ORIGINAL[name](*given, **named))


def same(work: Callable[[dict[str, type[Any]]], Any]) -> None:
    assert outcome(lambda: work(OURS)) == outcome(lambda: work(ORIGINAL))


def test_equality_and_hash() -> None:
    for work in (
        lambda of: of["Plain"]("a") == of["Plain"]("a", 3),
        lambda of: of["Plain"]("a") == of["Plain"]("b"),
        lambda of: of["Plain"]("a") == of["Heir"]("a"),
        lambda of: of["Plain"]("a") == ("a", 3),
        lambda of: len({of["Plain"]("a"), of["Plain"]("a"), of["Plain"]("b")}),
        lambda of: of["Fields"]("x") == of["Fields"]("y"),
        lambda of: hash(of["Fields"]("x")) == hash(of["Fields"]("y", made=[1])),
        lambda of: of["Fields"]("x") == of["Fields"]("x", made=[1]),
        lambda of: hash(of["Mutable"]("a")),
        lambda of: of["Mutable"]("a") == of["Mutable"]("a"),
        lambda of: (of["OwnWords"]("a") == 3, hash(of["OwnWords"]("a"))),
        lambda of: of["Empty"]() == of["Empty"](),
        lambda of: len({of["Empty"](), of["Empty"]()}),
        lambda of: of["Ordered"](1) < of["Ordered"](2),
    ):
        same(work)


def test_what_is_frozen_stays() -> None:
    def assign(name: str) -> Callable[[dict[str, type[Any]]], Any]:
        return lambda of: setattr(of["Heir"]("a"), name, "b")

    for work in (
        assign("name"),
        assign("more"),
        assign("unknown"),
        lambda of: delattr(of["Plain"]("a"), "name"),
        lambda of: delattr(of["Plain"]("a"), "unknown"),
        lambda of: [setattr(made := of["Mutable"]("a"), "name", "b"), made],
    ):
        same(work)


def test_the_standard_library_s_functions_know_them() -> None:
    for work in (
        lambda of: dataclasses.replace(of["Fields"]("x", made=[1], late=("l",)), d="z"),
        lambda of: dataclasses.replace(of["Fields"]("x"), by_class=1),
        lambda of: dataclasses.asdict(of["Fields"]("x", made=[1])),
        lambda of: [(one.name, one.init, one.compare) for one in dataclasses.fields(of["Fields"])],
        lambda of: [of[name].__match_args__ for name in of],
        lambda of: [dataclasses.is_dataclass(of[name]) for name in of],
        lambda of: vars(of["Fields"]("x")),
        lambda of: vars(copy.deepcopy(of["Mutable"]("a", ["b"]))),
    ):
        same(work)


def test_each_instance_gets_a_default_of_its_own() -> None:
    first, second = OURS["Mutable"]("a"), OURS["Mutable"]("b")
    first.seen.append("x")

    assert second.seen == []


def test_one_that_holds_itself_can_be_shown() -> None:
    def shown(of: dict[str, type[Any]]) -> Any:
        made = of["Mutable"]("a")
        made.seen.append(made)
        return made

    same(shown)


def test_a_secret_still_shows_nothing_and_can_be_handed_on() -> None:
    secret = Secret("env:A", "s3cret")

    assert "s3cret" not in repr(secret)
    assert pickle.loads(pickle.dumps(secret)) == secret
