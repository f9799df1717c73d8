"""The claims of README and docs/ are a list that is checked: each names the tests that show it, and those are there.

Under "What you can rely on" every sentence needs its tests. Of claims elsewhere, in the README or on a page of
docs/, those are listed that were once untrue.
A claim that changes its words changes them here, too, with a look at whether its tests still show it.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]

RELIED_ON = {
    "**The plan is exact.** One SSH session per host stays open between plan and apply; a fingerprint ties one to the "
    "other.": (
        "tests/lab/test_take_over.py::test_an_apply_does_what_the_plan_said_and_nothing_else",
        "tests/unit/run/test_deploy.py::test_a_plan_is_confirmed_with_its_fingerprint",
        "tests/agent/test_agent_channel.py::test_another_fingerprint_is_refused",
        "tests/lab/test_round_trips.py::test_no_change_takes_ten_round_trips_whatever_the_number_of_resources",
    ),
    "**A second apply does nothing**: it writes no file, runs no apt, restarts nothing, and says `No changes`.": (
        "tests/lab/test_service.py::test_a_second_apply_changes_nothing_on_the_host",
        "tests/lab/test_releases.py::test_a_second_apply_changes_nothing",
        "tests/lab/test_ubuntu_like.py::test_a_second_apply_changes_nothing",
    ),
    "**A configuration that its own daemon refuses never goes live**: it is put back, and the host serves as before.": (
        "tests/lab/test_service.py::test_a_configuration_that_the_daemon_refuses_is_put_back",
        "tests/lab/test_drift.py::test_a_local_setting_that_the_daemon_does_not_know_never_goes_live",
    ),
    "**An edit by hand is never overwritten unasked**: the plan shows it with its diff, and apply stops on that "
    "host.": (
        "tests/lab/test_drift.py::test_an_edit_by_hand_stops_that_host_and_no_other",
        "tests/lab/test_drift.py::test_accepted_the_edit_goes_and_is_kept_on_the_host",
    ),
    "**Nor is what a host had before mailprov came**: mail, domains, aliases and settings that a first apply would "
    "hide or replace are in the plan, file by file and mailbox by mailbox, and it stops on that host without "
    "`--take-over-host`. Packages that nobody has configured are taken without a question.": (
        "tests/lab/test_own_host.py::test_the_plan_says_what_would_be_hidden_and_replaced",
        "tests/lab/test_own_host.py::test_a_saved_plan_stops_there_and_goes_on_elsewhere",
        "tests/lab/test_own_host.py::test_told_to_take_over_it_does_and_a_rollback_gives_everything_back",
        "tests/agent/test_agent_takeover.py::test_untouched_packages_are_taken_without_a_word",
    ),
    "**Mail is never deleted** by a change of configuration, only by `mailprov purge` and `queue --delete`, and "
    "**foreign DNS records are never touched**, but for an SPF record that is there already: your hosts are "
    "added to it, and the rest stays as it is.": (
        "tests/lab/test_service.py::test_an_account_that_left_the_inventory_loses_its_login_and_keeps_its_mail",
        "tests/lab/test_drift.py::test_mail_of_an_account_that_is_gone_stays_until_it_is_purged",
        "tests/lab/test_service.py::test_foreign_records_stay_byte_for_byte",
        "tests/unit/dns/test_dns_diff.py::test_foreign_values_are_never_touched",
        "tests/unit/dns/test_at_length.py::test_foreign_records_survive_in_random_zones",
        "tests/unit/dns/test_contract_spf.py::test_our_term_comes_and_leaves",
        "tests/unit/dns/test_foreign_spf.py::test_merging_adds_only_ours_and_takes_only_ours_out",
    ),
    '**A pass is proved.** "Could not test" is its own verdict and its own exit code.': (
        "tests/unit/probe/test_kill_matrix.py::test_no_probe_is_without_a_fixture_that_kills_it",
        "tests/unit/probe/test_probe_delivery_dns.py::test_no_authoritative_answer_is_an_error",
        "tests/unit/cli/test_commands.py::test_an_unreachable_host_is_exit_code_3",
    ),
}
ELSEWHERE = {
    "(A/AAAA, MX, SPF, DKIM, DMARC and others)": (
        "tests/unit/cli/test_init.py::test_the_records_have_dmarc_as_the_readme_says",
        "tests/lab/test_newcomers_hour.py::test_plan_shows_what_would_be_done_and_how_to_do_it",
    ),
    "# a first inventory: asks one thing at a time, or takes flags": (
        "tests/unit/cli/test_init.py::test_a_wrong_answer_is_asked_again_and_what_cannot_be_reached_may_be_kept",
        "tests/unit/cli/test_init.py::test_every_choice_has_a_flag",
        "tests/lab/test_newcomers_hour.py::test_init_asks_and_tries_the_login_and_says_what_is_next",
    ),
    "# all mistakes at once, each with file:line:column": (
        "tests/unit/cli/test_commands.py::test_validate_tells_all_problems_with_their_places",
    ),
    "# probes only; also for servers that others built (`managed: false`)": (
        "tests/lab/test_foreign_server.py::test_packages_as_they_come_are_judged_fairly",
        "tests/lab/test_foreign_server.py::test_nothing_there_is_changed_asked_or_advised_by_mailprov",
    ),
    "`-q` prints errors and the last line.": (
        "tests/unit/report/test_reports.py::test_quiet_prints_errors_and_the_last_line",
    ),
    "A full mailbox is rejected during the SMTP session, under any alias": (
        "tests/lab/test_mailboxes.py::test_a_mailbox_warns_and_then_refuses_by_all_its_names",
    ),
    "`verify` logs in as three accounts of each domain on every port, other ones in each run, and says which": (
        "tests/unit/probe/test_probe_verdicts.py::test_three_accounts_of_a_domain_log_in_and_are_named",
    ),
    "Passwords that were tried before there was a fail2ban do not count.": (
        "tests/lab/test_abuse.py::test_wrong_passwords_from_before_fail2ban_do_not_count",
    ),
    "An apply lifts the bans of whom `ignore` names.": (
        "tests/lab/test_abuse.py::test_a_ban_of_the_verifier_is_one_finding_and_an_apply_lifts_it",
        "tests/lab/test_abuse.py::test_a_plan_proposes_the_address_that_the_host_sees",
    ),
    "one in which what the run wrote was changed or removed is left alone and named (exit code 1)": (
        "tests/unit/dns/test_undo.py::test_what_others_changed_since_is_left_alone_and_told",
        "tests/lab/test_rollback.py::test_edits_by_other_people_are_not_overwritten",
    ),
    "When the connection or `mailprov` itself is killed, the agent on the host undoes or finishes at once what it had "
    "begun": (
        "tests/agent/test_agent_crash.py::test_an_agent_that_is_killed_is_made_up_for_at_once",
        "tests/agent/test_agent_orphans.py::test_the_next_plan_and_the_next_apply_tell_it_and_no_later_one",
    ),
    "a line on stderr (with `--json`: an event) says every 15 seconds what each host is doing": (
        "tests/unit/run/test_event_queue.py::test_while_hosts_are_at_work_it_says_what_they_do",
    ),
    "On a host that is just starting, cloud-init is waited for, and so is whoever holds dpkg's lock": (
        "tests/lab/test_new_machine.py::test_an_apply_waits_for_cloud_init_and_is_asked_nothing",
        "tests/lab/test_jump.py::test_bootstrap_and_first_install_while_others_hold_the_lock",
        "tests/lab/test_ubuntu_like.py::test_a_new_machine_is_waited_for_and_installed_and_every_probe_passes",
    ),
    "| `lab down` | nothing of it stays behind; a cache for the next lab does |": (
        "tests/lab/test_lab.py::test_up_answers_and_down_leaves_nothing",
        "tests/unit/lab/test_cache.py::test_without_labs_nothing_stays",
    ),
    'sudo mailprov apply "$(sudo mailprov lab inventory mail.yml)"': (
        "tests/unit/cli/test_lab_commands.py::test_several_labs_are_named_with_the_way_to_choose",
    ),
    "A host that was powered off, and a lab that a restart of this machine ended, go on with `lab start`.": (
        "tests/lab/test_lab.py::test_a_host_that_was_powered_off_is_said_to_be_off_and_boots_as_it_was",
        "tests/lab/test_lab.py::test_a_lab_goes_on_after_a_restart_of_this_machine",
    ),
}


def section(title: str) -> list[str]:
    """The bullets below a heading, each on one line."""
    after = README.read_text().partition(f"\n### {title}\n")[2]
    assert after, f"README has no section {title!r}"
    body = re.split(r"\n#{2,3} ", after)[0]
    return [plain(bullet) for bullet in re.split(r"\n- ", "\n" + body.strip())[1:]]


def plain(text: str) -> str:
    return " ".join(text.split())


@cache
def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text()) if path.exists() else ast.parse("")
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_sentence_one_may_rely_on_names_its_tests() -> None:
    for bullet in section("What you can rely on"):
        rest = bullet
        for claim in RELIED_ON:
            rest = rest.replace(plain(claim), "")
        assert not rest.strip(), f"README claims, and no test is named for it: {rest.strip()}"


@pytest.mark.parametrize("claim", RELIED_ON)
def test_what_one_may_rely_on_is_said_in_the_readme(claim: str) -> None:
    assert plain(claim) in plain(README.read_text())


@pytest.mark.parametrize("claim", ELSEWHERE)
def test_what_is_listed_here_is_said_there(claim: str) -> None:
    assert any(plain(claim) in plain(page.read_text()) for page in PAGES)


def test_the_readme_names_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/[a-z]+\.md)\)", README.read_text()))
    assert {f"docs/{page.name}" for page in PAGES[1:]} - {"docs/index.md"} == linked


def test_the_readme_is_what_a_newcomer_reads_in_five_minutes() -> None:
    """At 220 words a minute."""
    assert len(README.read_text().split()) <= 1100


@pytest.mark.parametrize(
    "test", sorted({test for claims in (RELIED_ON, ELSEWHERE) for tests in claims.values() for test in tests})
)
def test_the_tests_that_are_named_are_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert name in functions(ROOT / file), f"{file} has no {name}"
