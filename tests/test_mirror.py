"""tests/ mirrors src/: who knows a module knows where its test is."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "doorward"
TESTS = ROOT / "tests"
#: Tests of the whole: of the tree, of what is promised, with real peers, of speed, in a browser.
WITHOUT_MIRROR = {"interop", "perf", "browser", "fuzz", "promises", "hostile"}
OF_THE_TREE = {
    "test_demo.py",
    "test_floors.py",
    "test_mirror.py",
    "test_size.py",
    "test_docs.py",
    "test_project.py",
}


def expected_tests() -> set[str]:
    modules = (path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))
    return {
        (path.parent / f"test_{path.name}").as_posix()
        for path in modules
        if path.name not in ("__init__.py", "__main__.py")
    }


def present_tests() -> set[str]:
    found = (path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
    return {
        path.as_posix()
        for path in found
        if path.parts[0] not in WITHOUT_MIRROR and path.as_posix() not in OF_THE_TREE
    }


def test_every_module_has_its_test_file():
    missing = expected_tests() - present_tests()
    assert not missing, f"modules without a test of their own: {sorted(missing)}"


def test_every_test_file_has_its_module():
    orphans = present_tests() - expected_tests()
    assert not orphans, f"tests without a module of that name: {sorted(orphans)}"


def test_no_package_is_a_drawer():
    drawers = {"utils", "util", "helpers", "common", "misc", "manager", "base"}
    found = {
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*") if path.stem in drawers
    }
    assert not found
