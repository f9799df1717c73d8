"""Ubuntu's habits on Debian's packages: what a server image of Ubuntu does otherwise than a plain Debian.

    PACKAGES    what such an image has beside those of a plain host
    SETUP       a Python program that makes a root with these packages like such an image; runs once, in the root
    files       what makes it a new machine of a cloud: a seed for cloud-init; path → (content, mode)
    USER        whom the image lets in: an administrator whose sudo asks for no password

Ubuntu's own packages are not here (see `roots` for its images): this release is for a machine that cannot reach
Ubuntu's archive, and for the tests. What is alike: sudo is sudo-rs, and the commands of coreutils are those of uutils
(as from 25.10 on); netplan has networkd set up the network, and systemd-resolved's stub answers for DNS; SSH listens by
a socket; needrestart would ask after each installation; ufw is there and off. On the first boot cloud-init is at work
when SSH answers already, and unattended-upgrades installs an update, whose script takes ten seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

USER = "ubuntu"
PACKAGES = (
    "cloud-init",
    "libnss-resolve",
    "needrestart",
    "netplan.io",
    "rsyslog",
    "rust-coreutils",
    "sudo-rs",
    "systemd-resolved",
    "ufw",
    "unattended-upgrades",
)
SETUP = r'''
import hashlib, os, subprocess
from pathlib import Path

def run(*argv):
    subprocess.run(argv, check=True)

def write(path, text, mode=0o644):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    Path(path).chmod(mode)

def replace(path, aside, other):
    """As Ubuntu does it: the other one has the name, the first one is beside it under a name of its own."""
    run("dpkg-divert", "--package", "mailprov-lab", "--quiet", "--rename", "--divert", aside, "--add", path)
    os.symlink(other, path)

listed = subprocess.run(["dpkg-query", "-L", "coreutils"], capture_output=True, text=True, check=True).stdout
for line in listed.split():
    name = os.path.basename(line)
    rust = f"/usr/lib/cargo/bin/coreutils/{name}"
    if line.startswith(("/usr/bin/", "/bin/")) and os.path.lexists(rust):
        replace(f"/usr/bin/{name}", f"/usr/bin/gnu{name}", rust)
for name in ("sudo", "visudo"):
    path = f"/usr/sbin/{name}" if os.path.exists(f"/usr/sbin/{name}") else f"/usr/bin/{name}"
    replace(path, f"{path}.ws", f"/usr/lib/cargo/bin/{name}")

write("/etc/needrestart/conf.d/ubuntu.conf", """$nrconf{restart} = 'i';
$nrconf{ui} = 'NeedRestart::UI::stdio';
""")
run("systemctl", "enable", "--quiet", "systemd-networkd.service", "systemd-resolved.service")
run("systemctl", "disable", "--quiet", "ssh.service")
run("systemctl", "enable", "--quiet", "ssh.socket")
# sshd has this name for cloud-init, which must be done with users and keys before it.
os.symlink("/usr/lib/systemd/system/ssh.service", "/etc/systemd/system/sshd.service")

# An update for unattended-upgrades: version 2 of a package, in a source of its own; version 1 is installed.
made, source = Path("/root/made"), Path("/var/lib/mailprov-lab/updates")
source.mkdir(parents=True)
for version in ("1", "2"):
    control = f"""Package: lab-update
Version: {version}
Architecture: all
Maintainer: mailprov lab <root@localhost>
Description: an update whose installation takes time
"""
    write(made / "DEBIAN/control", control)
    # It is at work until cloud-init is done, and for a while after that.
    write(made / "DEBIAN/postinst", """#!/bin/sh
[ -n "$2" ] || exit 0
touch /run/lab-update
n=0
until [ -e /run/cloud-init/result.json ] || [ $n = 600 ]; do sleep 0.1; n=$((n + 1)); done
sleep 10
""", 0o755)
    run("dpkg-deb", "--root-owner-group", "--build", str(made), str(source / f"lab-update_{version}.deb"))
    if version == "1":
        run("dpkg", "--install", str(source / "lab-update_1.deb"))
    else:
        body = (source / "lab-update_2.deb").read_bytes()
        index = f"{control}Filename: ./lab-update_2.deb\nSize: {len(body)}\n"
        index += f"SHA256: {hashlib.sha256(body).hexdigest()}\n"
        write(source / "Packages", index)
        digest = hashlib.sha256(index.encode()).hexdigest()
        write(source / "Release", f"""Origin: mailprov-lab
Suite: updates
Date: Thu, 01 Jan 2026 00:00:00 UTC
SHA256:
 {digest} {len(index)} Packages
""")
subprocess.run(["rm", "-rf", str(made)], check=True)
write("/etc/apt/sources.list.d/lab-updates.sources", f"""Types: deb
URIs: file:{source}
Suites: ./
Trusted: yes
""")
run("apt-get", "-qq", "update", "-o", "Dir::Etc::sourcelist=/etc/apt/sources.list.d/lab-updates.sources",
    "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "APT::Get::List-Cleanup=false")
write("/etc/apt/apt.conf.d/52mailprov-lab", """APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Origins-Pattern { "origin=mailprov-lab"; };
""")
for unit in ("apt-daily-upgrade.timer", "apt-daily-upgrade.service", "unattended-upgrades.service"):
    Path("/etc/systemd/system", unit).unlink(missing_ok=True)
# On an image that is some days old, the timer that is to run each day is overdue at the first boot.
write("/etc/systemd/system/apt-daily-upgrade.timer.d/lab.conf", """[Timer]
OnCalendar=
OnBootSec=1s
RandomizedDelaySec=0
Persistent=false
""")
run("systemctl", "enable", "--quiet", "apt-daily-upgrade.timer")
# It tells udev to read its rules anew, and there is none in a container.
write("/etc/systemd/system/netplan-configure.service.d/lab.conf", """[Service]
SuccessExitStatus=1
""")
write("/etc/cloud/cloud.cfg.d/95_lab.cfg", """datasource_list: [NoCloud]
system_info: {network: {renderers: [netplan]}}
""")
'''


def files(
    *,
    name: str,
    fqdn: str,
    instance: str,
    addresses: Sequence[str],
    gateway: str,
    resolver: str,
    search: str,
    authorized: str,
    host_key: str,
    host_key_public: str,
) -> dict[str, tuple[str, int]]:
    """A seed as a cloud gives it (cloud-init's documentation, "NoCloud"). `addresses` have their prefix length."""
    seed = "var/lib/cloud/seed/nocloud"
    network = {
        "version": 2,
        "ethernets": {
            "host0": {
                "dhcp4": False,
                "accept-ra": False,
                "addresses": list(addresses),
                "routes": [{"to": "default", "via": gateway}],
                "nameservers": {"addresses": [resolver], "search": [search]},
            }
        },
    }
    user = {
        "hostname": name,
        "fqdn": fqdn,
        "users": [
            {
                "name": USER,
                "groups": ["adm", "sudo"],
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [authorized],
            }
        ],
        "ssh_keys": {"ed25519_private": host_key, "ed25519_public": host_key_public},
        "disable_root": False,  # `mailprov lab ssh` goes on as root
        "locale": False,  # it would be made anew, for some seconds
        "growpart": {"mode": "off"},
        "resize_rootfs": False,
        # Not before the other one has begun: who comes now is to meet both.
        "runcmd": [
            [
                "sh",
                "-c",
                "n=0; until [ -e /run/lab-update ] || [ $n = 600 ]; do sleep 0.1; n=$((n + 1)); done",
            ]
        ],
    }
    return {
        f"{seed}/meta-data": (f"instance-id: {instance}\nlocal-hostname: {name}\n", 0o644),
        f"{seed}/network-config": (json.dumps(network, indent=1) + "\n", 0o644),  # JSON is YAML
        f"{seed}/user-data": (f"#cloud-config\n{json.dumps(user, indent=1)}\n", 0o600),
    }
