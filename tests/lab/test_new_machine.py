"""A machine as a cloud gives it: cloud-init still at work, needrestart eager to ask, systemd-resolved in between.

They come from Debian's archive here; Ubuntu's server images have all three from the start.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.program import act_when, run

INVENTORY = """\
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {password: {env: ANA}}
"""

# What a user of a cloud writes: it updates the lists, installs something, and takes its time. Its file /root/done
# comes last.
USER_DATA = """\
#cloud-config
preserve_hostname: true
ssh_deletekeys: false
disable_root: false
package_update: true
packages: [tree]
runcmd:
  - [sh, -c, "sleep 3; cp /etc/postfix/main.cf /root/too-early; touch /root/done"]
"""
PREPARE = """
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y --no-install-recommends install cloud-init needrestart systemd-resolved >/dev/null 2>&1
# As Ubuntu ships it: asks which services to restart after every installation.
mkdir -p /etc/needrestart/conf.d
printf '%s\n' '$nrconf{restart} = "i";' '$nrconf{ui} = "NeedRestart::UI::stdio";' >/etc/needrestart/conf.d/ask.conf
mkdir -p /etc/systemd/resolved.conf.d /var/lib/cloud/seed/nocloud
printf '[Resolve]\nDNS=DNSSERVER\n' >/etc/systemd/resolved.conf.d/lab.conf
systemctl restart systemd-resolved
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
printf 'instance-id: lab-1\n' >/var/lib/cloud/seed/nocloud/meta-data
cat >/var/lib/cloud/seed/nocloud/user-data <<'END'
USERDATAEND
"""


@pytest.fixture(scope="module")
def host(lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = lab_factory(INVENTORY)
    script = PREPARE.replace("USERDATA", USER_DATA).replace("DNSSERVER", made.dns.address)
    run_on(made, "mx1", script)
    # The generators say what a boot would: that there is work for cloud-init. Then its units, as at a boot.
    run_on(
        made,
        "mx1",
        "rm -rf /run/cloud-init; systemctl daemon-reload; systemctl start --no-block cloud-init.target",
    )
    wait_until(lambda: run_on(made, "mx1", "ls /run/cloud-init/enabled", check=False), "cloud-init has begun")
    return made


def test_an_apply_waits_for_cloud_init_and_is_asked_nothing(host: lab.Lab) -> None:
    assert not run_on(host, "mx1", "ls /root/done", check=False), "cloud-init must still be at work"
    often = {"MAILPROV_HEARTBEAT": "0.5"}
    result = run("apply", "--yes", "--no-verify", str(host.inventory_path), env=often)

    assert result.code == 0, result.ended("mx1")
    signs = [one["text"] for event in result.of("still_working") for one in event["doing"]]
    assert "waiting for cloud-init, which still sets up this machine" in signs
    assert any(sign.startswith("apt: ") for sign in signs)
    told = [event["text"] for event in result.of("progress", subject="mx1")]
    _, *after = told[told.index("waiting for cloud-init, which still sets up this machine") :]
    assert after, "there was something to do after it"
    assert run_on(host, "mx1", "ls /root") == "done\n", "all that cloud-init does came before the first file"
    assert "dovecot" in run_on(host, "mx1", "systemctl is-active postfix dovecot; ps -e -o comm")


def test_postfix_asks_systemd_resolved(host: lab.Lab) -> None:
    """A name that is not there is bounced at once; without an answer the message would stay in the queue."""
    assert run_on(host, "mx1", "readlink /etc/resolv.conf").endswith("stub-resolv.conf\n")
    letter = "printf 'Subject: nobody\\n\\nthere\\n' | sendmail -f ana@alpha.test x@not-there.alpha.test"
    run_on(host, "mx1", letter)
    wait_until(
        lambda: (
            "not found" in run_on(host, "mx1", "grep -rh 'domain name not found' /var/vmail", check=False)
        ),
        "a bounce in the sender's mailbox",
    )


def test_nothing_is_left_to_do_and_mail_arrives(host: lab.Lab) -> None:
    result = run("plan", "--exit-code", str(host.inventory_path))
    assert result.code == 0, result.changes("mx1")
    verified = run("verify", "--probe", "delivery", str(host.inventory_path))
    assert verified.code == 0, [event for event in verified.of("finding") if event["verdict"] == "fail"]


# A package whose script takes long and asks debconf, as that of postsrsd does. Only its first run is slow; two at once
# would be seen.
SLOW_PACKAGE = r"""
set -e
mkdir -p /root/slow/DEBIAN && cd /root/slow/DEBIAN
printf '%s\n' 'Package: slow' 'Version: 1' 'Architecture: all' 'Maintainer: lab <lab@alpha.test>' \
    'Description: takes long' >control
cat >postinst <<'END'
#!/bin/sh
. /usr/share/debconf/confmodule
mkdir /run/slow-at-work || touch /root/twice-at-once
[ -e /run/slow-before ] || { touch /run/slow-before; timeout 60 sh -c 'until [ -e /run/enough ]; do sleep 0.1; done'; }
rmdir /run/slow-at-work
END
chmod 755 postinst
dpkg-deb --build /root/slow /root/slow.deb >/dev/null
"""


def test_what_a_killed_dpkg_left_running_is_waited_for(host: lab.Lab) -> None:
    """An upgrade at night is killed for want of memory; the script that dpkg was running goes on without it."""
    run_on(host, "mx1", SLOW_PACKAGE)
    run_on(host, "mx1", "DEBIAN_FRONTEND=noninteractive apt-get -qq -y remove opendkim 2>&1")
    run_on(host, "mx1", "setsid dpkg -i /root/slow.deb >/dev/null 2>&1 </dev/null &")
    wait_until(lambda: run_on(host, "mx1", "ls /run/slow-before", check=False), "the script runs")
    run_on(host, "mx1", "pkill -KILL -x dpkg")

    def enough(_: object) -> None:
        run_on(host, "mx1", "touch /run/enough")

    # Which of the two is seen first is chance: debconf above the script, or the script itself.
    waits = re.compile(r"waiting for (frontend|the installation script of slow) \(pid \d+\)")
    result = act_when(
        lambda event: bool(waits.match(event.get("text", ""))),
        enough,
        "apply", "--yes", "--no-verify", str(host.inventory_path),
    )  # fmt: skip

    assert result.code == 0, result.ended("mx1")
    told = " / ".join(event["text"] for event in result.of("progress", subject="mx1"))
    assert "finishing an interrupted package installation" in told
    assert run_on(host, "mx1", "dpkg --audit; ls -d /root/twice-at-once", check=False) == ""


# As a disk that became full in the middle of an installation leaves it: unpacked without what it needs, and torn. One
# package is ours, the other somebody else's.
TORN = """
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -y purge opendkim libopendkim11 librbl1 libvbr2 2>&1
cd /root && apt-get -qq download opendkim bsd-mailx libvbr2
dpkg --unpack libvbr2_*.deb
sed -i '/^Package: libvbr2$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status
dpkg --unpack --force-depends opendkim_*.deb bsd-mailx_*.deb
"""


def test_what_a_full_disk_left_half_installed_is_mended_and_nothing_is_removed(host: lab.Lab) -> None:
    run_on(host, "mx1", TORN)
    left = run_on(host, "mx1", "dpkg --audit")
    assert "must be reinstalled" in left
    assert "bsd-mailx" in left
    result = run("apply", "--yes", "--no-verify", str(host.inventory_path))

    assert result.code == 0, result.ended("mx1")
    told = [event["text"] for event in result.of("progress", subject="mx1")]
    assert "mending broken packages (apt-get --fix-broken install)" in told
    assert run_on(host, "mx1", "dpkg --audit") == ""
    states = run_on(
        host, "mx1", "dpkg-query -W -f '${db:Status-Status} ' opendkim bsd-mailx libvbr2 liblockfile1"
    )
    assert set(states.split()) == {"installed"}
