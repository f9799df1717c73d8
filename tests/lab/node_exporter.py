"""A component as somebody would add one: prometheus-node-exporter, all of it in this file.

tests/lab/test_components.py registers it and applies it to hosts; tests/unit/test_components.py looks at the rest.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mailprov.components.base import Build, Component, Parts, Setting
from mailprov.components.templates import MANAGED
from mailprov.model.host_state import File, Service
from mailprov.model.inventory import Host, Inventory
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import whole

_PACKAGE = "prometheus-node-exporter"
_DEFAULTS = "/etc/default/prometheus-node-exporter"
_UNIT = "prometheus-node-exporter.service"


class NodeExporterEntry(Entry):
    """The host's own figures for Prometheus, on the loopback address. `{}` is enough to have it."""

    port: Annotated[int, whole(1024, 65535)] = Field(9100, description="TCP port; 9100 if not given")


def _resolve(entry: NodeExporterEntry, path: KeyPath, base: int | None, context: Context) -> int:
    if entry.port == 9154:
        context.problem((*path, "port"), "9154 is prometheus-postfix-exporter's; use another")
    return entry.port


SETTING: Setting[int | None] = Setting(
    "node_exporter",
    NodeExporterEntry,
    "the host's own figures for Prometheus, on the loopback address",
    _resolve,
    default=None,
    if_missing="none if not given",
    wins="wins as a whole",
    sets_up=True,
    rehearse=lambda value, lab: None if value is None else {"port": value},
)


class _NodeExporter(Component):
    name = "node-exporter"
    about = "the host's own figures for Prometheus"
    settings = (SETTING,)

    def wanted(self, host: Host) -> bool:
        return SETTING.of(host) is not None

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return (_PACKAGE,)

    def parts(self, build: Build) -> Parts:
        port = SETTING.of(build.host)
        assert port is not None
        text = f'# {MANAGED}\nARGS="--web.listen-address=127.0.0.1:{port}"\n'
        service = Service(unit=_UNIT, files=(_DEFAULTS,), restart_on=(_DEFAULTS,), ports=(port,))
        packages = self.packages(build.inventory, build.host)
        return Parts(packages=packages, files=(File(_DEFAULTS, text),), services=(service,))

    def retired(self) -> tuple[Service, ...]:
        return (Service(unit=_UNIT),)


COMPONENT = _NodeExporter()
