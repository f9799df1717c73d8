"""The peers, pinned, with the same work as mailprov's by construction: it is made from mailprov's own HostState.

    install(cache) -> Path              the peers' virtual environment
    describe(hosts, inventory, …)       folder with the files as mailprov would write them, and what to do with them
    Ansible(…), Pyinfra(…)              .run(place, state) -> Run; `changed(run)` says whether it changed something

Their best settings: ansible-core with pipelining, forks, the interpreter named and no fact gathering; pyinfra with
apt's update held back by its cache time. Every connection is cold: control sockets end with the run.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.hosts import Hosts, Place
from bench.measure import Run, environment, run
from mailprov import desired
from mailprov.inventory import load

VERSIONS = ("ansible-core==2.19.14", "pyinfra==3.10.0")
_HERE = Path(__file__).resolve().parent


def install(cache: Path) -> Path:
    """With plain pip, once; later runs take what is there."""
    place = cache / ("peers-" + "-".join(re.sub(r"[^0-9.]", "", version) for version in VERSIONS))
    done = place / "installed"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        pip = [str(place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *VERSIONS]
        subprocess.run(pip, check=True, env=environment())
        done.touch()
    return place


def describe(hosts: Hosts, name: str, inventories: dict[str, Path], folder: Path) -> Path:
    """state.json: what one host must be; a folder of files for each of `inventories`' states.

    Account files are taken from the host as they are there, because the hashes are made on it; so mailprov must have
    been there first.
    """
    facts = _facts(hosts, name)
    described: dict[str, Any] = {}
    for label, path in inventories.items():
        inventory = load(path)
        state = desired.build(inventory, next(h for h in inventory.hosts if h.name == name), facts)
        wire = state.to_wire()
        files = [{key: file[key] for key in ("path", "owner", "group", "mode")} for file in wire["files"]]
        for file in wire["files"]:
            _write(folder / label, file["path"], file["content"])
        for file in wire["account_files"]:
            _write(folder / label, file["path"], hosts.on(name, f"cat {file['path']}"))
            files.append({key: file[key] for key in ("path", "owner", "group", "mode")})
        described = {
            key: wire[key] for key in ("packages", "users", "directories", "services", "debconf")
        } | {"files": files}
    (folder / "state.json").write_text(json.dumps(described, indent=1))
    return folder


def _write(root: Path, path: str, content: str) -> None:
    real = root / path.lstrip("/")
    real.parent.mkdir(parents=True, exist_ok=True)
    real.write_text(content)
    real.chmod(0o600)


def _facts(hosts: Hosts, name: str) -> dict[str, Any]:
    """As the agent says them, as far as rendering looks at them."""
    shown = hosts.on(name, "dpkg-query -W -f '${Package}\\t${Version}\\n' postfix dovecot-core postsrsd")
    installed = dict(line.split("\t") for line in shown.splitlines())
    ipv6 = hosts.on(name, "ip -6 -o addr show scope global | awk '{print $4}' | cut -d/ -f1").split()
    return {
        "packages": {key: {"installed": value, "candidate": value} for key, value in installed.items()},
        "ipv6": ipv6,
    }


def _changed_files(state: dict[str, Any], unit: dict[str, Any]) -> list[str]:
    return [file["path"] for file in state["files"] if file["path"] in unit["files"]]


class Ansible:
    """One play, written as JSON (which is YAML); one task for each thing, loops for files as the manual shows."""

    def __init__(self, venv: Path, hosts: Hosts, described: Path) -> None:
        self.venv, self.hosts, self.folder = venv, hosts, described
        state = json.loads((described / "state.json").read_text())
        (described / "site.yml").write_text(json.dumps([self._play(state)], indent=1))

    def _play(self, state: dict[str, Any]) -> dict[str, Any]:
        words = ("name", "question", "vtype", "value")
        tasks: list[dict[str, Any]] = [
            {"name": "Answers for debconf", "ansible.builtin.debconf": dict(zip(words, each, strict=True)),
             "when": "first | default(false) | bool"}
            for each in state["debconf"]
        ]  # fmt: skip
        tasks.append(
            {"name": "Packages", "ansible.builtin.apt": {
                "name": state["packages"], "state": "present", "install_recommends": False,
                "update_cache": True, "cache_valid_time": 86400}}
        )  # fmt: skip
        for user in state["users"]:
            tasks.append(
                {"name": "User", "ansible.builtin.user": {
                    "name": user["name"], "system": True, "home": user["home"], "create_home": False,
                    "shell": user["shell"], "comment": user["comment"]}}
            )  # fmt: skip
        tasks.append(
            {"name": "Directories", "ansible.builtin.file": {"path": "{{ item.path }}", "state": "directory",
             "owner": "{{ item.owner }}", "group": "{{ item.group }}", "mode": "{{ item.mode }}"},
             "loop": state["directories"]}
        )  # fmt: skip
        for unit in state["services"]:
            paths = _changed_files(state, unit)
            tasks.append(
                self._copy([f for f in state["files"] if f["path"] in paths], f"Reload {unit['unit']}")
            )
        read = {path for unit in state["services"] for path in _changed_files(state, unit)}
        tasks.append(self._copy([file for file in state["files"] if file["path"] not in read], ""))
        tasks.append(
            {"name": "Services",
             "ansible.builtin.systemd_service": {"name": "{{ item }}", "enabled": True, "state": "started"},
             "loop": [unit["unit"] for unit in state["services"]]}
        )  # fmt: skip
        handlers = [
            {
                "name": f"Reload {unit['unit']}",
                "ansible.builtin.systemd_service": {"name": unit["unit"], "state": "reloaded"},
            }
            for unit in state["services"]
        ]
        return {"hosts": "all", "gather_facts": False, "tasks": tasks, "handlers": handlers}

    def _copy(self, files: list[dict[str, Any]], notify: str) -> dict[str, Any]:
        task: dict[str, Any] = {
            "name": "Files",
            "ansible.builtin.copy": {
                "src": f"{self.folder}/{{{{ wanted }}}}{{{{ item.path }}}}", "dest": "{{ item.path }}",
                "owner": "{{ item.owner }}", "group": "{{ item.group }}", "mode": "{{ item.mode }}"},
            "loop": files,
        }  # fmt: skip
        return task | ({"notify": notify} if notify else {})

    def run(self, places: list[Place], state: str, first: bool = False) -> Run:
        sockets = Path("/tmp") / f"mailprov-bench-{Path('/proc/self').resolve().name}"
        sockets.mkdir(mode=0o700, exist_ok=True)
        lines = [
            f"{p.name} ansible_host={p.address} ansible_port={p.port} ansible_user=root "
            f"ansible_ssh_private_key_file={self.hosts.identity} ansible_python_interpreter=/usr/bin/python3"
            for p in places
        ]
        (self.folder / "hosts.ini").write_text("\n".join(lines) + "\n")
        options = f"-F none -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={places[0].known_hosts}"
        env = {
            "ANSIBLE_PIPELINING": "1", "ANSIBLE_FORKS": "16", "ANSIBLE_SSH_ARGS": options, "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets), "ANSIBLE_LOCALHOST_WARNING": "0", "LC_ALL": "C.UTF-8",
            "PATH": f"{self.venv}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }  # fmt: skip
        argv = [
            f"{self.venv}/bin/ansible-playbook",
            "-i",
            str(self.folder / "hosts.ini"),
            str(self.folder / "site.yml"),
        ]
        argv += ["-e", f"wanted={state}", *(["-e", "first=true"] if first else [])]
        try:
            return run(argv, env)
        finally:
            for path in sockets.iterdir():
                ended = ["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", "any"]
                subprocess.run(ended, check=False, capture_output=True)
            shutil.rmtree(sockets, ignore_errors=True)

    @staticmethod
    def changed(run: Run) -> bool:
        counts = re.findall(r"changed=(\d+)", run.output)
        return not counts or any(int(count) for count in counts)


class Pyinfra:
    """The deploy of `pyinfra_deploy.py`, which reads state.json."""

    def __init__(self, venv: Path, hosts: Hosts, described: Path) -> None:
        self.venv, self.hosts, self.folder = venv, hosts, described
        shutil.copy(_HERE / "pyinfra_deploy.py", described / "deploy.py")

    def run(self, places: list[Place], state: str, first: bool = False) -> Run:
        data = [
            (p.name, {"ssh_hostname": p.address, "ssh_port": p.port, "ssh_user": "root",
                      "ssh_key": str(self.hosts.identity), "ssh_known_hosts_file": str(p.known_hosts),
                      "ssh_strict_host_key_checking": "yes"})
            for p in places
        ]  # fmt: skip
        (self.folder / "inventory.py").write_text(f"hosts = {data!r}\n")
        env = {"BENCH_STATE": state, "BENCH_FOLDER": str(self.folder), "BENCH_FIRST": "1" if first else ""}
        argv = [f"{self.venv}/bin/pyinfra", "-y", "inventory.py", "deploy.py"]
        return run(argv, env, cwd=str(self.folder))

    @staticmethod
    def changed(run: Run) -> bool:
        """The last line of its table: operations, changed, no change, errors."""
        found = re.findall(r"Grand total\D+(\d+)\s+(\d+|-)\s", run.output)
        return not found or found[-1][1] not in ("0", "-")
