"""The house: which room may use which. A room is a folder of modules, or one of the files at the top."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import common.errors
from tests.project import ROOT

# From the ground up: a module may import from its own room and from those on lower floors, wherever the import stands.
FLOORS = (
    ("common",),
    ("pictures", "smile_recognition", "jokes", "scraping.asking"),
    ("camera", "faces", "generate_joke", "scraping.sources"),
    ("live", "visitors", "scoring", "scraping"),
    ("web", "inference", "getty_scraper", "training.networks"),
    ("serving", "training.data"),
    ("app", "serving.worker", "training.fitting", "training.labels"),
    ("training.judging",),
    ("training.finding",),
    ("training",),
    ("benchmarks.reporting",),
    ("benchmarks.actors",),
    ("benchmarks.stages",),
    ("benchmarks", "docs", "tools"),
)
MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 300, 60, 8
LOWEST = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def sources() -> dict[str, Path]:
    """Every module of the project but the tests, by its dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] in ("tests", "runs", "datasets", "dlib_from_wheel") or parts[0].startswith("."):
            continue
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = sources()


def imported(path: Path) -> Iterator[str]:
    """Names of modules of the project that the file imports, inside functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names if {name, node.module} & MODULES.keys())


def room(module: str) -> str:
    is_folder = MODULES[module].name == "__init__.py"
    return module if module in LOWEST or is_folder else module.rpartition(".")[0] or module


def test_every_room_is_on_the_plan():
    assert {room(module) for module in MODULES} <= LOWEST.keys()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_imported_from_the_same_floor_or_above(module):
    for other in imported(MODULES[module]):
        here, there = room(module), room(other)
        assert here == there or LOWEST[there] < LOWEST[here], f"{module} imports {other}"


def test_no_modules_import_each_other_in_a_circle():
    left = {module: {other for other in imported(path) if other != module} for module, path in MODULES.items()}
    while free := [module for module, others in left.items() if not others]:
        for module in free:
            del left[module]
        for others in left.values():
            others.difference_update(free)
    assert not left, "circles go through these, or these use one"


def test_every_error_stands_in_the_one_tree():
    """By name: a class that derives from an error of the project, or straight from an exception."""
    signals = {"scraping.asking.pace": {"Interrupted"}}  # no error: how threads are told that the run ends
    errors = {name for name, value in vars(common.errors).items() if isinstance(value, type)} | {"Exception", "RuntimeError"}
    for module, path in MODULES.items():
        classes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef)]
        found = {node.name for node in classes if errors & {base.id for base in node.bases if isinstance(base, ast.Name)}}
        assert module == "common.errors" or found <= signals.get(module, set()), f"{module} has {found}"


def test_no_module_is_long_and_no_function_large():
    """What does not fit on some screens hides its parts. `self` and `cls` are no parameters that a caller gives."""
    scripts = (path for folder in ("static", "training", "tools") for path in (ROOT / folder).rglob("*.*js"))
    files = (*MODULES.values(), *(ROOT / "tests").glob("*.py"), *scripts)
    long = {path.name for path in files if len(path.read_text("utf-8").splitlines()) > MOST_LINES}
    assert not long
    large = []
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                given = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MOST_FUNCTION_LINES or len(given) > MOST_PARAMETERS:
                    large.append(f"{module}.{node.name}")
    assert not large
