"""Local settings in the desired state: services of ours are not replaced, and what is guarded is what we set."""

from __future__ import annotations

import re

from desired_cases import BOOKWORM, TRIXIE, facts, host, inventory

from mailprov import desired
from mailprov.components.dovecot import settings as dovecot_settings
from mailprov.components.postfix import settings as postfix_settings
from mailprov.model.master_cf import OWN_SERVICES


def test_the_services_that_no_inventory_may_add_are_those_of_every_hosts_master_cf() -> None:
    oldest = facts({"postfix": "3.5.6-1+b1", "dovecot-core": "1:2.3.13+dfsg1-2"})
    for each in (oldest, facts(BOOKWORM), facts(TRIXIE)):
        files = {file.path: file.content for file in desired.build(inventory(), host(), each).files}
        lines = [line for line in files["/etc/postfix/master.cf"].splitlines() if line[:1].isalnum()]
        assert {"/".join(line.split()[:2]) for line in lines} == OWN_SERVICES


def test_every_guarded_setting_is_one_that_some_release_gets_from_us() -> None:
    """Else its notice could never come: a slip in a name would go unnoticed."""
    oldest = facts({"postfix": "3.5.6-1+b1", "dovecot-core": "1:2.3.13+dfsg1-2"})
    states = [desired.build(inventory(), host(), each) for each in (oldest, facts(BOOKWORM), facts(TRIXIE))]
    for guarded, path in (
        (postfix_settings.GUARDED, "main.cf"),
        (dovecot_settings.GUARDED, "dovecot.conf"),
    ):
        texts = [file.content for state in states for file in state.files if file.path.endswith(path)]
        ours = {name for text in texts for name in re.findall(r"(?m)^(\w+) =", text)}
        assert set(guarded) - ours == set()


def test_an_edit_of_the_hosts_own_dovecot_file_reloads_dovecot() -> None:
    state = desired.build(inventory(), host(), facts(TRIXIE))
    (dovecot,) = (service for service in state.services if service.unit == "dovecot.service")
    assert dovecot_settings.FILE in dovecot.files
