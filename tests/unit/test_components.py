"""Components: what the registry promises, and that adding one touches its own file and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mailprov.components import registry

ROOT = Path(__file__).resolve().parents[2]
REGISTERED = "from mailprov.components import registry; registry.register('{module}'); "
INVENTORY = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.alpha.test, node_exporter: {port: 9200}, lab: {release: debian-13}}
  old: {address: 192.0.2.3, fqdn: old.alpha.test, managed: false}
node_exporter: {}
domains: {alpha.test: {hosts: [mx1, mx2, old]}}
"""
BUILT = """
import json, sys
from pathlib import Path
from mailprov import desired
from mailprov.inventory import SecretMode, load
facts = {"packages": {name: {"installed": None, "candidate": version} for name, version in
         {"postfix": "3.7.11", "dovecot-core": "1:2.3.19.1", "postsrsd": "1.10"}.items()}}
told = {}
for path in sys.argv[1:]:
    read = load(path, SecretMode.IGNORE)
    for host in read.hosts:
        state = desired.build(read, host, facts).to_wire()
        told[f"{Path(path).stem} {host.name}"] = {
            "packages": "prometheus-node-exporter" in state["packages"],
            "asked": "prometheus-node-exporter" in desired.wanted_packages(read, host),
            "files": [file["content"] for file in state["files"] if file["path"].endswith("node-exporter")],
            "services": [each["ports"] for each in state["services"] if "node-exporter" in each["unit"]],
            "retired": any("node-exporter" in each["unit"] for each in state["retired"]),
        }
print(json.dumps(told))
"""


def python(code: str, *arguments: str, module: str = "tests.lab.node_exporter", path: str = "") -> str:
    """What it prints with one more component; a process of its own, since a schema is put together once."""
    done = subprocess.run(
        [sys.executable, "-c", REGISTERED.format(module=module) + code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": path},
        check=False,
    )
    return done.stdout + done.stderr


def test_one_more_component_is_in_the_schema_twice_and_declared_once() -> None:
    made = json.loads(python("import json, mailprov.inventory as i; print(json.dumps(i.json_schema()))"))
    at_top, at_host = made["properties"], made["$defs"]["HostEntry"]["properties"]
    assert at_top["node_exporter"]["description"].endswith("; none if not given")
    said = "as the top-level `node_exporter`, for this host; wins as a whole"
    assert at_host["node_exporter"]["description"] == said


def test_one_more_component_is_merged_built_and_retired(tmp_path: Path) -> None:
    (tmp_path / "with.yml").write_text(INVENTORY)
    (tmp_path / "without.yml").write_text(
        INVENTORY.replace("node_exporter: {}\n", "").replace(" node_exporter: {port: 9200},", "")
    )
    told = json.loads(python(BUILT, str(tmp_path / "with.yml"), str(tmp_path / "without.yml")))
    for host, port in (("mx1", 9100), ("mx2", 9200)):
        on, off = told[f"with {host}"], told[f"without {host}"]
        assert (on["packages"], on["asked"], on["retired"]) == (True, True, False)
        assert on["services"] == [[port]]
        assert f"127.0.0.1:{port}" in on["files"][0]
        assert off == {"packages": False, "asked": False, "files": [], "services": [], "retired": True}


def test_its_mistakes_are_told_like_all_others(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(
        INVENTORY.replace("node_exporter: {}", "node_exporter: {prot: 1}")
        .replace("9200", "9154")
        .replace("managed: false", "managed: false, node_exporter: {}")
    )
    told = python("from mailprov.__main__ import main; main()", "validate", str(path))
    assert 'node_exporter.prot: unknown key "prot"; did you mean "port"?' in told
    assert "hosts.mx2.node_exporter.port: 9154 is prometheus-postfix-exporter's; use another" in told
    assert "hosts.old.node_exporter: `node_exporter` says what mailprov sets up" in told


def test_it_comes_before_the_schema_or_not_at_all() -> None:
    late = "import mailprov.inventory.schema; registry.register('tests.lab.node_exporter')"
    assert "comes too late: the inventory's schema is made" in python(late)


def test_probes_of_a_component_are_in_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "exporter"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""It."""\n')
    (folder / "component.py").write_text("from tests.lab.node_exporter import COMPONENT\n")
    (folder / "checks.py").write_text(
        "from mailprov.probe.registry import Scope, probe\n"
        "@probe('metrics.answers', Scope.HOST, 'It answers', expected='200', steps=(), verdicts={}, refs=('it',))\n"
        "def answers(context):\n    return iter(())\n"
    )
    listed = "from mailprov.__main__ import main; main()"
    told = python(listed, "explain", module="exporter.component", path=str(tmp_path))
    assert "metrics.answers" in told
    assert "metrics.answers" not in python(listed, "explain")


def test_explain_has_the_words_of_a_component_too() -> None:
    listed = "from mailprov.__main__ import main; main()"
    told = python(listed, "explain", "node-exporter").splitlines()
    assert told[0] == "node-exporter: the host's own figures for Prometheus"
    assert "  key       node_exporter: the host's own figures for Prometheus, on the loopback address" in told
    assert "  stops     prometheus-node-exporter.service, when it leaves" in told
    event = json.loads(python(listed, "explain", "relayhost", "--json").splitlines()[0])
    assert (event["event"], event["id"]) == ("explained", "relayhost")
    assert "gets: relayhost.password" in event["steps"]


@pytest.mark.parametrize("component", registry.components(), ids=lambda each: each.name)
def test_each_component_says_what_the_interface_asks(component: object) -> None:
    every = registry.components()
    names = [each.name for each in every]
    each = every[every.index(component)]  # type: ignore[arg-type]
    assert names.count(each.name) == 1
    assert each.about
    assert not each.about.endswith(".")
    assert not each.before or names.index(each.before) < names.index(each.name), (
        "it starts before what comes first"
    )
    keys = [setting.key for setting in registry.settings()]
    assert all(keys.count(setting.key) == 1 for setting in each.settings)
    assert not (each.everywhere and each.retired()), "what every host has never leaves one"


def test_each_folder_of_templates_is_a_components() -> None:
    """`dovecot-2.4`: of one release line. A component without a folder has nothing to render."""
    folders = {path.name.partition("-")[0] for path in (ROOT / "templates").iterdir()}
    pages = {"client", "report", "trace"}  # that people get, and no host
    assert folders - pages <= {each.name for each in registry.components()}


def test_credentials_are_told_by_whoever_puts_a_secret_on_a_host() -> None:
    golden = ROOT / "tests" / "golden"
    states = [json.loads(path.read_text()) for path in golden.glob("*/state.json")]
    secret = {file["path"] for state in states for file in state["files"] if file["secret"]}
    assert {Path(path).name for path in secret} == {"relay_password", "dns-01.ini"}
    assert {each.name for each in registry.components() if each.credentials} == {"relayhost", "acme"}
