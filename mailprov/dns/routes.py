"""Several providers in one inventory, chosen by zone (`dns.zones`). To those who plan they are one driver.

    open_driver(settings, strict) -> Driver     of one provider that provider's own, else a Routes
    Routes                  asks each provider about its own names, all of them at once
      .at(name)             the driver of the provider that has this name; what it asks of others goes to them

What one provider answers wrongly or not at all stops the zones of this provider only: its error is kept (`failure`),
it is asked no more, and its names are in no zone. `strict`: it is raised instead, for what is all or nothing.

A zone that a provider has, and that `dns.zones` gives to another one, is nobody's here: there may be two of it, an old
and a new one, and which is meant the inventory says. Names that are published by hand are in no zone either.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from mailprov.dns import providers
from mailprov.dns.driver import Answer, Driver, Outcome, Place, Proof, Reading, Say
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot
from mailprov.errors import MailprovError
from mailprov.i18n import _
from mailprov.model.dns import DnsSettings, ProviderSettings
from mailprov.model.values import dataclass, field

T = TypeVar("T")


def open_driver(settings: DnsSettings, *, strict: bool = False) -> Driver:
    """Raises InputError for settings that cannot be used; of several providers that is a `failure`, too."""
    return Routes(settings, strict=strict) if settings.zones else providers.open_driver(settings)


class Routes(Driver):
    """`abilities` are those of `at(name)`; one for all there is not."""

    where = "dns"

    def __init__(self, settings: DnsSettings, *, strict: bool = False) -> None:
        self._settings = settings
        self._strict = strict
        self._drivers: list[tuple[ProviderSettings, Driver]] = []
        self._failures: list[tuple[ProviderSettings, MailprovError]] = []

    def close(self) -> None:
        for _settings, driver in self._drivers:
            driver.close()

    def at(self, name: str) -> Driver:
        return _At(self, self._settings.at(name).provider, self.driver(self._settings.at(name)))

    def driver(self, settings: DnsSettings) -> Driver:
        """One for equal settings."""
        for known, driver in self._drivers:
            if known == settings.provider:
                return driver
        try:
            made = providers.open_driver(settings)
        except MailprovError as error:
            raise _with_key(error, settings) from None
        self._drivers.append((settings.provider, made))
        return made

    def failure(self, name: str) -> MailprovError | None:
        return self._failure_of(self._settings.at(name).provider)

    def fail(self, name: str, error: MailprovError) -> None:
        if self._strict:
            raise error
        if self.failure(name) is None:
            self._failures.append((self._settings.at(name).provider, error))

    def _failure_of(self, provider: ProviderSettings) -> MailprovError | None:
        return next((error for known, error in self._failures if known == provider), None)

    def query(
        self, keys: Collection[Key] = (), names: Collection[str] = (), proofs: Collection[Proof] = ()
    ) -> Reading:
        return self.ask(keys, names, proofs)

    def ask(
        self,
        keys: Collection[Key],
        names: Collection[str],
        proofs: Collection[Proof],
        own: ProviderSettings | None = None,
    ) -> Reading:
        """What the provider `own` fails at is raised."""
        parts = self._parts(keys, names, proofs)
        parts = [part for part in parts if part.publishes and self._works(part)]
        answers: dict[Key, Answer] = {}
        places: dict[str, Place] = {}
        stored: dict[Proof, bool] = {}
        asking = [partial(self._ask, part) for part in parts]
        for part, told in zip(parts, _side_by_side(asking), strict=True):
            if isinstance(told, MailprovError):
                if self._strict or part.provider == own:
                    raise told
                self._failures.append((part.provider, told))
                continue
            answers.update({key: self._own_answer(key, one) for key, one in told.answers.items()})
            places.update({name: self._own_place(name, one) for name, one in told.places.items()})
            stored.update(told.stored)
        return Reading(
            {key: answers.get(key) or Answer(authoritative=False) for key in keys},
            {name: places.get(name) or self._nowhere(name) for name in names},
            {proof: stored.get(proof, False) for proof in proofs},
        )

    def signed(self, zones: Collection[str]) -> dict[str, bool | None]:
        parts = [part for part in self._parts((), zones, ()) if part.publishes and self._works(part)]
        found: dict[str, bool | None] = dict.fromkeys(zones)
        for part, told in zip(
            parts, _side_by_side([partial(self._signed, part) for part in parts]), strict=True
        ):
            if isinstance(told, MailprovError):
                self.fail(part.names[0], told)
            else:
                found.update(told)
        return found

    def _signed(self, part: _Part) -> Mapping[str, bool | None]:
        driver = self.driver(part.settings)
        try:
            return driver.signed(part.names)
        except MailprovError as error:
            raise _with_key(error, part.settings) from None

    def _works(self, part: _Part) -> bool:
        return self._failure_of(part.provider) is None

    def _ask(self, part: _Part) -> Reading:
        driver = self.driver(part.settings)
        try:
            return driver.query(part.keys, part.names, part.proofs)
        except MailprovError as error:
            raise _with_key(error, part.settings) from None

    def _parts(self, keys: Collection[Key], names: Collection[str], proofs: Collection[Proof]) -> list[_Part]:
        parts: list[_Part] = []

        def part(name: str) -> _Part:
            settings = self._settings.at(name)
            found = next((each for each in parts if each.settings.provider == settings.provider), None)
            if found is None:
                found = _Part(settings)
                parts.append(found)
            return found

        for key in keys:
            part(key[0]).keys.append(key)
        for name in names:
            part(name).names.append(name)
        for proof in proofs:
            part(proof[0]).proofs.append(proof)
        return parts

    def _nowhere(self, name: str) -> Place:
        if error := self.failure(name):
            return Place(None, error.what)
        return Place(None, _("published by hand"))

    def has(self, name: str, provider: ProviderSettings) -> bool:
        return self._settings.at(name).provider == provider

    def belongs(self, name: str, zone: str) -> bool:
        return self.has(zone, self._settings.at(name).provider)

    def _own_place(self, name: str, place: Place) -> Place:
        if place.zone is None or self.belongs(name, place.zone):
            return place
        seen = _("{name} is in zone {zone} there, which `dns.zones` does not give to this provider")
        return replace(place, zone=None, seen=seen.format(name=name, zone=place.zone))

    def _own_answer(self, key: Key, answer: Answer) -> Answer:
        if answer.zone is None or self.belongs(key[0], answer.zone):
            return answer
        return Answer(exists=answer.exists, authoritative=False)

    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        settings = self._settings.at(zone)
        outcome = self.driver(settings).write(zone, snapshot, edits, version, say)
        error = outcome.error and _with_key(outcome.error, settings)
        return replace(outcome, error=error)


@dataclass
class _Part:
    """What is asked of one provider."""

    settings: DnsSettings
    keys: list[Key] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)

    @property
    def provider(self) -> ProviderSettings:
        return self.settings.provider

    @property
    def publishes(self) -> bool:
        return self.provider.publishes


class _At(Driver):
    """The driver of one provider; about names of others it asks these."""

    def __init__(self, routes: Routes, provider: ProviderSettings, driver: Driver) -> None:
        self._routes, self._provider, self._driver = routes, provider, driver
        self.where, self.abilities, self.reads_stored = driver.where, driver.abilities, driver.reads_stored
        self.weaker = driver.weaker

    def query(
        self, keys: Collection[Key] = (), names: Collection[str] = (), proofs: Collection[Proof] = ()
    ) -> Reading:
        return self._routes.ask(keys, names, proofs, self._provider)

    def signed(self, zones: Collection[str]) -> Mapping[str, bool | None]:
        return self._routes.signed(zones)

    def at(self, name: str) -> Driver:
        return self._routes.at(name)

    def belongs(self, name: str, zone: str) -> bool:
        return self._routes.belongs(name, zone)

    def failure(self, name: str) -> MailprovError | None:
        return self._routes.failure(name)

    def fail(self, name: str, error: MailprovError) -> None:
        if self._routes.has(name, self._provider):
            raise error
        self._routes.fail(name, error)

    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        return self._routes.write(zone, snapshot, edits, version, say)

    def weigh(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit]) -> int:
        return self._driver.weigh(zone, snapshot, edits)


E = TypeVar("E", bound=MailprovError)


def _with_key(error: E, settings: DnsSettings) -> E:
    """Drivers call a key as it is called with one provider, `dns.token`: of others that is `dns.zones.ZONE.token`."""
    own = providers.of(settings).entry().model_fields
    if settings.provider.key == "dns" or not own:
        return error
    usual = re.compile(rf"(?<![\w.-])dns\.(?=({'|'.join(map(re.escape, own))})\b)")
    here = f"{settings.provider.key}."
    parts = (usual.sub(lambda _found: here, text) for text in (error.where, error.what, error.advice))
    return type(error)(*parts)


def _side_by_side(calls: Sequence[Callable[[], T]]) -> list[T | MailprovError]:
    """The results in the order of the calls. No pool: the end of the program would wait for its threads."""
    found: list[T | BaseException | None] = [None] * len(calls)

    def work(number: int) -> None:
        try:
            found[number] = calls[number]()
        except BaseException as error:
            found[number] = error

    threads = [
        threading.Thread(target=work, args=(number,), name="dns", daemon=True)
        for number in range(1, len(calls))
    ]
    for thread in threads:
        thread.start()
    if calls:
        work(0)
    for thread in threads:
        thread.join()
    done: list[T | MailprovError] = []
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, MailprovError):
            raise one
        done.append(one)  # type: ignore[arg-type]
    return done
