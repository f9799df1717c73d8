"""Local settings in the desired state: services of ours are not replaced, and what is guarded is what we set."""

from __future__ import annotations

import dataclasses
import re

import pytest
from desired_cases import BOOKWORM, TRIXIE, facts, host, inventory

from mailprov import desired
from mailprov.desired import local
from mailprov.errors import InputError
from mailprov.model.inventory import LocalSettings


@pytest.mark.parametrize("name", ["smtp/inet", "submission-cleanup/unix", "postlog/unix-dgram"])
def test_a_service_of_ours_cannot_be_added_again(name: str) -> None:
    own = LocalSettings(master_cf=((name, "- n n - 0 discard"),))
    with pytest.raises(InputError, match=f"the service {name} is one of mailprov's own"):
        desired.build(inventory(), dataclasses.replace(host(), local=own), facts(BOOKWORM))


def test_every_guarded_setting_is_one_that_some_release_gets_from_us() -> None:
    """Else its notice could never come: a slip in a name would go unnoticed."""
    oldest = facts({"postfix": "3.5.6-1+b1", "dovecot-core": "1:2.3.13+dfsg1-2"})
    states = [desired.build(inventory(), host(), each) for each in (oldest, facts(BOOKWORM), facts(TRIXIE))]
    for guarded, path in ((local.POSTFIX_GUARDED, "main.cf"), (local.DOVECOT_GUARDED, "dovecot.conf")):
        texts = [file.content for state in states for file in state.files if file.path.endswith(path)]
        ours = {name for text in texts for name in re.findall(r"(?m)^(\w+) =", text)}
        assert set(guarded) - ours == set()


def test_an_edit_of_the_hosts_own_dovecot_file_reloads_dovecot() -> None:
    state = desired.build(inventory(), host(), facts(TRIXIE))
    (dovecot,) = (service for service in state.services if service.unit == "dovecot.service")
    assert local.DOVECOT_FILE in dovecot.files
