"""Who may import whom: no circles, and the one direction that the data take (datasets, detector, tools).

Read from the syntax trees, so that imports within functions and under TYPE_CHECKING count like all others.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
Graph = dict[str, set[str]]


def module_files(root: Path, package: str = "upright") -> dict[str, Path]:
    """The files of the modules of a package whose folder is `root`, by the name they are imported by."""
    rooms = [path.parent for path in root.glob("*/__init__.py")]
    found = {}
    for path in [*root.glob("*.py"), *(file for room in rooms for file in room.rglob("*.py"))]:
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join([package, *(parts[:-1] if parts[-1] == "__init__" else parts)])] = path
    return found


def imported_names(path: Path, module: str) -> set[tuple[str, str | None]]:
    """(module, name taken from it or None) of each import statement anywhere in a file."""
    is_package = path.name == "__init__.py"
    found: set[tuple[str, str | None]] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found.update((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: len(module.split(".")) - node.level + is_package]
                base = ".".join([*above, *([node.module] if node.module else [])])
            found.update((base, alias.name) for alias in node.names)
    return found


def import_graph(files: Mapping[str, Path]) -> Graph:
    """What each module imports: modules of the project by their whole name, all others by their first."""
    graph: Graph = {}
    for module, path in files.items():
        graph[module] = set()
        for base, name in imported_names(path, module):
            target = f"{base}.{name}" if f"{base}.{name}" in files else base
            graph[module].add(target if target in files else target.partition(".")[0])
        graph[module].discard(module)
    return graph


def circle(graph: Graph) -> list[str] | None:
    """Modules that import each other, the first one again at the end; None where there is no such circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return None


def reached(graph: Graph, room: str) -> dict[str, list[str]]:
    """All that the modules of a room import, at once or through others, each with one way that leads there."""
    ways = {module: [module] for module in graph if belongs(module, room)}
    rest = list(ways)
    while rest:
        module = rest.pop()
        for target in sorted(graph.get(module, ())):
            if target not in ways:
                ways[target] = [*ways[module], target]
                rest.append(target)
    return ways


def belongs(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


@pytest.fixture(scope="module")
def graph() -> Graph:
    found = import_graph(module_files(ROOT))
    assert {"upright", "upright.errors", "upright.datasets.coco", "upright.detector.model"} <= found.keys()
    assert "upright.datasets.sample" in found["upright.datasets.coco"]
    return found


def test_no_modules_import_each_other_in_a_circle(graph: Graph) -> None:
    found = circle(graph)
    assert found is None, "a circle of imports: " + " -> ".join(found)


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("upright.datasets", "upright.detector"),
        ("upright.datasets", "upright.tools"),
        ("upright.detector", "upright.tools"),
        # Not installed, so that what is installed cannot rely on it.
        ("upright.datasets", "upright.experiments"),
        ("upright.detector", "upright.experiments"),
        ("upright.tools", "upright.experiments"),
        # Figures of published detections need no torch.
        ("upright.detector.evaluation", "torch"),
        ("upright.detector.evaluation", "torchvision"),
    ],
)
def test_no_room_imports_against_the_way_of_the_data(graph: Graph, room: str, forbidden: str) -> None:
    ways = [way for target, way in reached(graph, room).items() if belongs(target, forbidden)]
    assert not ways, " -> ".join(ways[0])


def test_the_spatial_transformer_needs_torch_alone(graph: Graph) -> None:
    room = "upright.detector.spatial_transformer"
    targets = {target for module, imports in graph.items() if belongs(module, room) for target in imports}
    assert "torch" in targets
    assert {t for t in targets if not belongs(t, room)} - sys.stdlib_module_names == {"torch"}


@pytest.mark.parametrize("module", ["upright.errors", "upright.output"])
def test_what_everybody_imports_imports_no_room(graph: Graph, module: str) -> None:
    assert reached(graph, module).keys() - sys.stdlib_module_names <= {"upright.errors", "upright.output"}


@pytest.mark.parametrize(
    "statement",
    [
        "from p.room.b import thing",
        "from p.room import b",
        "import p.room.b",
        "from .b import thing",
        "from . import b",
        "from ..room import b",
        "def late():\n    from p.room import b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.room.b import Thing",
    ],
)
def test_a_circle_is_found_however_it_is_written(tmp_path: Path, statement: str) -> None:
    room = tmp_path / "room"
    room.mkdir()
    (tmp_path / "__init__.py").write_text("")
    (room / "__init__.py").write_text("from p.room.a import thing\n")  # what a package offers is no circle
    (room / "a.py").write_text("")
    (room / "b.py").write_text("import p.room.a\n")
    assert circle(import_graph(module_files(tmp_path, "p"))) is None
    (room / "a.py").write_text(statement + "\n")
    assert sorted(set(circle(import_graph(module_files(tmp_path, "p"))) or [])) == ["p.room.a", "p.room.b"]
