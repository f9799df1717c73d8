"""sshd's drop-in: who is let in by a component, and nobody else's login changes."""

from __future__ import annotations

from dataclasses import replace

from mailprov.components import sshd
from mailprov.components.base import Build, Component, Parts, SshUsers
from mailprov.model.inventory import Host, SshSettings, Tls

HOST = Host("mx1", "192.0.2.1", "mx1.alpha.test", SshSettings(), Tls())


class _Letting(Component):
    name = "letting"
    about = "lets somebody in"

    def ssh_users(self, host: Host) -> tuple[SshUsers, ...]:
        people = host.settings.get("letting", ())
        return (SshUsers(tuple(people), ("PasswordAuthentication no", "ForceCommand /bin/true")),)


def _build(host: Host) -> Build:
    return Build(None, host, (_Letting(), sshd.COMPONENT), {}, None, None)  # type: ignore[arg-type]


def test_a_host_where_nobody_is_let_in_has_no_drop_in() -> None:
    assert sshd.COMPONENT.parts(_build(HOST)) == Parts()
    (left,) = sshd.COMPONENT.retired()
    assert left.undo == ("systemctl", "try-reload-or-restart", "ssh.service")


def test_each_has_a_block_of_its_own_and_no_forwarding() -> None:
    host = replace(HOST, settings={"letting": ("eva", "ana")})
    parts = sshd.COMPONENT.parts(_build(host))
    drop_in, unit = parts.files
    lines = [line.strip() for line in drop_in.content.splitlines() if line and not line.startswith("#")]
    assert lines[:3] == ["Match User ana,eva", "PasswordAuthentication no", "ForceCommand /bin/true"]
    assert {"DisableForwarding yes", "PermitUserRC no"} <= set(lines)
    assert lines[-1] == "Match all", "what follows in sshd_config is about everybody"
    (service,) = parts.services
    assert service.reload == ()
    assert "restart ssh" not in unit.content.replace("try-reload-or-restart", "")
    assert ("sh", "-c", "mkdir -p /run/sshd && sshd -t") in service.checks
