"""Inventory and facts → the host's complete desired state: each component of the host is asked for its parts.

    build(inventory, host, facts, rotation, precomputed) -> HostState
    wanted_packages(inventory, host) -> list[str]

Raises HostFailed (no supported version of Postfix or Dovecot) and InputError (certificate files, addresses).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailprov.components import registry, versions
from mailprov.components.base import Build, Component, Parts
from mailprov.components.dkim import RotationStep
from mailprov.components.precompute import Precomputed
from mailprov.model.host_state import File, HostState, Service
from mailprov.model.inventory import Host, Inventory


def wanted_packages(inventory: Inventory, host: Host) -> list[str]:
    """The packages that the facts must report on, known before the facts: `?` for what is used where it is."""
    consulted = [f"?{name}" for each in registry.on(host) for name in each.consulted(host)]
    return [*needed_packages(inventory, host), *consulted]


def needed_packages(inventory: Inventory, host: Host) -> list[str]:
    """Those of `wanted_packages` that an apply installs where they are not."""
    return _packages((each, each.packages(inventory, host)) for each in registry.on(host))


def _packages(named: Iterable[tuple[Component, tuple[str, ...]]]) -> list[str]:
    """Those of every host by name, then the others in the order of their components."""
    everywhere: list[str] = []
    others: list[str] = []
    for component, packages in named:
        (everywhere if component.everywhere else others).extend(packages)
    return [*sorted(everywhere), *others]


def build(
    inventory: Inventory,
    host: Host,
    facts: dict[str, Any],
    rotation: RotationStep | None = None,
    precomputed: Precomputed | None = None,
) -> HostState:
    """What `host` must be. `facts` as in wire.messages; equal input gives equal output, to the byte.

    `rotation`: a step of a rotation of DKIM keys, which nothing else asks for. `precomputed`: made before, of this very
    host.
    """
    asked = Build(
        inventory,
        host,
        registry.on(host),
        facts,
        versions.choose(facts, host.name),
        precomputed or Precomputed(inventory, host),
        rotation,
    )
    parts = {each: each.parts(asked) for each in asked.components}
    services = tuple(
        service for each in _in_start_order() if each in parts for service in parts[each].services
    )
    running = {service.unit for service in services}
    every = list(parts.values())
    return HostState(
        host=host.name,
        hostname=host.fqdn,
        packages=tuple(_packages((each, made.packages) for each, made in parts.items())),
        debconf=tuple(answer for made in every for answer in made.debconf),
        unwanted=tuple(unit for made in every for unit in made.unwanted),
        users=tuple(user for made in every for user in made.users),
        directories=tuple(directory for made in every for directory in made.directories),
        certificates=tuple(certificate for made in every for certificate in made.certificates),
        issued=tuple(issued for made in every for issued in made.issued),
        keys=tuple(key for made in every for key in made.keys),
        files=tuple(sorted(_files(every), key=lambda file: file.path)),
        account_files=tuple(file for made in every for file in made.account_files),
        own_passwords=tuple(own for made in every for own in made.own_passwords),
        services=services,
        filters=tuple(filters for made in every for filters in made.filters),
        retired=tuple(service for service in _retired() if service.unit not in running),
        rendered_for=asked.releases.rendered_for(),
        logins=tuple(login for made in every for login in made.logins),
        notices=tuple(notice for made in every for notice in made.notices),
    )


def _files(every: Iterable[Parts]) -> Iterable[File]:
    return (file for made in every for file in made.files)


def _in_start_order() -> list[Component]:
    """The registry's order, but for those that must not be missed when another one starts."""
    order: list[Component] = []
    for component in registry.components():
        names = [each.name for each in order]
        order.insert(names.index(component.before) if component.before else len(order), component)
    return order


def _retired() -> Iterable[Service]:
    """What another inventory may have brought."""
    return (service for each in _in_start_order() for service in each.retired())
