"""The rules of the architecture that can be checked: which package imports which, what the agent may need on a host."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "mailprov"

# The packages of docs/design.md. Each may import `model` and `errors`, and the packages named here.
MAY_IMPORT = {
    "model": set(),
    "schema": set(),
    "inventory": {"schema", "components", "dns"},  # of dns, the providers' parts of the schema
    "components": {"schema", "dns", "client"},  # of client, the files that a host serves
    "desired": {"components"},
    "records": {"client"},  # the file whose digest is a record
    "client": set(),
    "plan": set(),
    "trace": set(),
    "wire": {"agent"},  # bundles its sources; never runs it
    "transport": {"wire"},
    "agent": set(),
    "dns": {"schema", "records", "plan"},
    "probe": {
        "components",
        "records",
        "dns",
        "transport",
    },  # of transport, which address of this machine a host sees
    "run": {
        "client",
        "components",
        "desired",
        "records",
        "plan",
        "trace",
        "wire",
        "transport",
        "dns",
        "probe",
    },
    "report": {"plan"},
    "selftest": {"components", "client", "dns", "probe"},
    "lab": {"components", "inventory", "dns"},  # of dns, how its own name server is written in an inventory
    "cli": {
        "schema",
        "components",
        "inventory",
        "desired",
        "plan",
        "records",
        "dns",
        "probe",
        "run",
        "report",
        "selftest",
        "lab",
        "transport",
        "client",
    },
}


def modules(package: str) -> list[Path]:
    return sorted((PACKAGE / package).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            if node.module == "mailprov":
                names.update(f"mailprov.{alias.name}" for alias in node.names)
    return names


def test_every_package_is_known() -> None:
    packages = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert packages == set(MAY_IMPORT)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_packages_import_only_what_they_may(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package, "model", "errors", "i18n", "__version__"}
    for path in modules(package):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("mailprov.")}
        if (
            package == "components" and path.name == "checks.py"
        ):  # probes, which the registry names and nobody imports
            used -= {"probe"}
        assert used <= allowed, f"{path.relative_to(PACKAGE)} imports {sorted(used - allowed)}"


def test_the_agent_needs_only_the_standard_library() -> None:
    for path in modules("agent"):
        for name in imports(path):
            top = name.split(".")[0]
            assert (
                top in sys.stdlib_module_names or name.startswith("mailprov.agent") or name == "mailprov"
            ), f"{path.name} imports {name}"


def test_dataclasses_of_the_controller_are_those_of_model_values() -> None:
    """The standard library's compile their methods while the program loads; the agent has them from nowhere else."""
    for path in PACKAGE.rglob("*.py"):
        if path == PACKAGE / "model" / "values.py" or PACKAGE / "agent" in path.parents:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module == "dataclasses":
                assert "dataclass" not in {alias.name for alias in node.names}, path.relative_to(PACKAGE)


def test_every_module_opens_with_its_contract() -> None:
    for path in PACKAGE.rglob("*.py"):
        if tree(path).body:
            assert ast.get_docstring(tree(path)), f"{path.relative_to(PACKAGE)} has no docstring"


def test_no_module_is_longer_than_400_lines() -> None:
    long = {
        str(p.relative_to(PACKAGE)): n
        for p in PACKAGE.rglob("*.py")
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}


def test_nothing_outside_dns_providers_names_a_provider() -> None:
    """Whoever is about a provider asks its settings (model/dns.py), its driver or the list of them."""
    providers = PACKAGE / "dns" / "providers"
    named = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if providers not in path.parents and "rfc2136" in path.read_text().lower().replace("rfc 2136", "")
    }
    assert named == set()


def test_only_a_providers_own_package_imports_it() -> None:
    known = {module: tuple(imports(module) | found_at_run_time(module)) for module in PACKAGE.rglob("*.py")}
    for path in (PACKAGE / "dns" / "providers").iterdir():
        if path.name.startswith("_"):
            continue
        own = f"mailprov.dns.providers.{path.stem}"
        users = {
            str(module.relative_to(PACKAGE))
            for module, names in known.items()
            if path not in (module, *module.parents) and any(name.startswith(own) for name in names)
        }
        assert users == {"dns/providers/__init__.py"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def found_at_run_time(path: Path) -> set[str]:
    """What a module may import by a name that it makes: all of the package that it looks into."""
    folders = set()
    for node in ast.walk(tree(path)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr == "iter_modules":
            folders.add(module_name(path))
        elif node.func.attr == "import_module" and isinstance(node.args[0], ast.JoinedStr):
            first = node.args[0].values[0]
            if isinstance(first, ast.Constant):
                folders.add(str(first.value).rstrip("."))
    return {name for name in MODULES if name.rpartition(".")[0] in folders}


def imported(path: Path) -> set[str]:
    """The modules of ours that this one imports, anywhere in it: on top, in a function, for types alone."""
    names = found_at_run_time(path)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names.update(name if name in MODULES else str(node.module) for name in whole)
    return names & MODULES.keys() - {module_name(path)}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Every way that leads back to where it began, once: along each way depth first, as it is first met."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> None:
        if name in way:
            found.append([*way[way.index(name) :], name])
        elif name not in done:
            for other in sorted(graph[name]):
                walk(other, [*way, name])
            done.add(name)

    for name in sorted(graph):
        walk(name, [])
    return found


def test_circles_are_seen() -> None:
    graph: dict[str, set[str]] = {"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}
    assert circles(graph) == [["b", "d", "b"]]


def test_no_import_leads_in_a_circle() -> None:
    """Imports inside functions count: they put off a circle, and the next move of a line makes it one again."""
    ways = circles({name: imported(path) for name, path in MODULES.items()})
    assert ways == [], "\n".join(" → ".join(way) for way in ways)
