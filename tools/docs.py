"""Writes the pages of docs/ that are drawn from the code, or says with --check which of them are out of date.

A page here is a function that returns markdown. What the code says once (a bound, an option, a check, a cell of the
state table) is not typed a second time.
"""

import argparse
import ast
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "doorward"
TESTS = ROOT / "tests"
sys.path[:0] = [str(SOURCE.parent), str(Path(__file__).parent)]

import house  # noqa: E402 - found beside this file

MADE = "<!-- Written by `make docs` from {source}. Do not edit. -->\n\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table; bars in cells are escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = (" ".join(str(cell).split()).replace("|", "\\|") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def limits_page() -> str:
    from doorward.limits import describe

    rows = [
        (f"`{name}`", f"{default:,}" if isinstance(default, int) else default, unit, source)
        for name, default, unit, source in describe()
    ]
    return (
        "# Limits\n\nHow many bytes, elements and seconds a stranger may cost us. No other file of the project holds a bound. "
        "A reached bound ends the work at hand with `LimitExceeded`, an A-ABORT, or *inconclusive*: never with a pass.\n\n"
        + table(("limit", "default", "unit", "why this much"), rows)
    )


def errors_page() -> str:
    from doorward import errors

    classes = [
        (name, member)
        for name, member in vars(errors).items()
        if inspect.isclass(member) and issubclass(member, errors.DoorwardError)
    ]
    tree, _, rule = inspect.cleandoc(errors.__doc__ or "").partition("\n\n")[2].partition("\n\n")
    rows = [
        (f"`{name}`", member.__bases__[0].__name__, inspect.getdoc(member))
        for name, member in classes
    ]
    fence = "```text\n" + inspect.cleandoc(tree) + "\n```\n\n"
    return (
        "# Errors\n\nOne tree. The command line prints each as one line with a hint, never as a traceback.\n\n"
        + fence
        + rule
        + "\n\n"
        + table(("error", "is a", "meaning"), rows)
    )


def states_page() -> str:
    from doorward.wire.table import TABLE, Cause, State

    def cell(cause: Cause, state: State) -> str:
        found = TABLE.get((cause, state))
        return "" if found is None else f"{found[0].value}<br>Sta{found[1].value}"

    rows = [
        (f"Evt{cause.value} {_words(cause.name)}", *(cell(cause, state) for state in State))
        for cause in Cause
    ]
    states = table(
        ("state", "name"), [(f"Sta{state.value}", _words(state.name)) for state in State]
    )
    actions = {action for action, _ in TABLE.values()}
    named = table(
        ("action", "name"),
        [(a.value, _words(a.name)) for a in type(next(iter(actions))) if a in actions],
    )
    return (
        "# States of an association\n\nPS3.8 Table 9-10 as `wire/table.py` has it: action and next state. An empty cell cannot "
        "happen, or the local user broke a rule (`LocalProtocolError`).\n\n"
        + table(("event", *(f"Sta{state.value}" for state in State)), rows)
        + f"\n{states}\n{named}"
    )


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def floors_page() -> str:
    rooms = [(path.stem if path.suffix else path.name) for path in sorted(SOURCE.iterdir())]
    by_floor = sorted(
        house.ROOMS, key=lambda room: (-house.FLOORS[room], list(house.ROOMS).index(room))
    )
    rows = [
        (house.FLOORS[room], f"`{room}`", house.ROOMS[room], ", ".join(_needs(room)) or "-")
        for room in by_floor
        if room in rooms
    ]
    packages = [
        (f"`{name}`", ", ".join(f"`{pattern}`" for pattern in patterns))
        for name, patterns in sorted(house.CONFINED_PACKAGES.items())
        if any(name in _packages(path) for path in SOURCE.rglob("*.py"))
    ]
    return (
        "# Floors\n\nImports go down, never up and never sideways. `tests/test_floors.py` reads every file against "
        "`tools/house.py`; the last column is read from the code.\n\n"
        + table(("floor", "room", "what for", "imports today"), rows)
        + "\nThird-party packages, each in its corner:\n\n"
        + table(("package", "only in"), packages)
    )


def _imports(path: Path) -> Iterator[str]:
    relative = path.relative_to(SOURCE).as_posix()
    tree = ast.parse(path.read_text())
    yield from (name for _, name in house.imports_of(relative, tree))


def _packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imports(path)}


def _needs(room: str) -> list[str]:
    """Rooms that the files of a room import now."""
    paths = [*(SOURCE / room).rglob("*.py"), *SOURCE.glob(f"{room}.py")]
    found = {
        name.split(".")[1]
        for path in paths
        for name in _imports(path)
        if name.startswith("doorward.")
    }
    return [f"`{other}`" for other in house.ROOMS if other in found - {room}]


def checks_page() -> str:
    return str(importlib.import_module("doorward.audit.checks").catalogue_markdown())


def knowledge_page() -> str:
    return str(importlib.import_module("doorward.knowledge.sources").sources_markdown())


def doors_page() -> str:
    sys.path.append(str(TESTS))  # the forms are data of the tests, and so are those who start them
    forms = importlib.import_module("door_forms")
    rows = list(forms.rows())
    parts = [f"# Doors\n\n{forms.ABOUT}\n"]
    for door in dict.fromkeys(row.door for row in rows):
        of_door = [row for row in rows if row.door == door]
        tests = ", ".join(f"`{test}`" for test in sorted({row.test for row in of_door}))
        shut = any(row.passes for row in of_door)
        head = ("real server", "form", "must fail", *(["must pass"] if shut else []))
        cells = [_door_cells(forms, row)[: len(head)] for row in of_door]
        parts.append(f"## {door[0].upper()}{door[1:]}\n\nTest: {tests}\n\n{table(head, cells)}")
    return "\n".join(parts)


def _door_cells(forms: Any, row: Any) -> tuple[str, ...]:
    package, version = forms.SERVERS[row.server]
    names = (", ".join(f"`{check}`" for check in sorted(of)) for of in (row.fails, row.passes))
    return (f"{row.server} ({package} {version})", row.form, *names)


def cli_page() -> str:
    typer_main = importlib.import_module("typer.main")
    command = typer_main.get_command(importlib.import_module("doorward.cli.app").app)
    parts = ["# Command line\n\nstdout is data, stderr is talk. `NO_COLOR` is honoured.\n"]
    parts += [_command_section(path, found) for path, found in command_tree(("doorward",), command)]
    return "\n".join(parts)


def command_tree(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command of the tree that is not hidden, parents first."""
    yield path, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if not child.hidden:
            yield from command_tree((*path, name), child)


def _command_section(path: tuple[str, ...], command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = " ".join([*path, "[OPTIONS]", *(_argument(a) for a in arguments)])
    if getattr(command, "commands", None):
        usage += " COMMAND [ARGS]..."
    words = "\n\n".join(inspect.cleandoc(text) for text in (command.help, command.epilog) if text)
    section = f"## {' '.join(path)}\n\n```text\n{usage}\n```\n\n{words}\n"
    rows = [(f"`{_argument(a)}`", getattr(a, "help", None) or "", "") for a in arguments]
    rows += [(_option(o), o.help or "", _default(o)) for o in options]
    return section + ("\n" + table(("option", "meaning", "default"), rows) if rows else "")


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name or "").upper().strip("[]").removesuffix("...")
    name += "..." if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag or not option.metavar else f"{names} {option.metavar}"


def _default(option: Any) -> str:
    """Return a default that a person can read: nothing for flags, empty lists and what is worked out at run time."""
    default = option.default
    if (
        option.is_flag
        or not isinstance(default, str | int | float | tuple | list)
        or default in ("", (), [])
    ):
        return ""
    return " ".join(map(str, default)) if isinstance(default, tuple | list) else str(default)


def schema_page() -> str:
    model = importlib.import_module("doorward.audit.report.model")
    return json.dumps(model.json_schema(), indent=2, ensure_ascii=False)


def comparison_schema_page() -> str:
    comparison = importlib.import_module("doorward.audit.report.comparison")
    return json.dumps(comparison.json_schema(), indent=2, ensure_ascii=False)


def archive_settings_page() -> str:
    from dataclasses import fields

    from doorward.archive.running.settings import ROWS, TABLES
    from doorward.archive.running.settings_file import template

    def shown(kind: type[Any]) -> str:
        rows = [(f"`{each.name}`", each.metadata["words"]) for each in fields(kind)]
        return f"{inspect.getdoc(kind)}\n\n" + table(("setting", "what it is"), rows)

    parts = [f"## [{name}]\n\n{shown(kind)}" for name, kind in TABLES.items()]
    parts += [f"## [[{name}]]\n\n{shown(kind)}" for name, kind in ROWS.items()]
    return (
        "# The settings of an archive\n\n`doorward.toml` in the archive's folder. What is not known is refused at the start, "
        "with its line. Rules (`[[rule]]`) and destinations are read again when the file changes; all else at the next "
        "start. What makes the archive weaker than it was shipped is said in red at every start.\n\n"
        + "\n".join(parts)
        + f"\n## The file that an archive begins with\n\n```toml\n{template()}```\n"
    )


def archive_interop_page() -> str:
    sys.path.append(str(TESTS))  # as for the doors
    return str(importlib.import_module("interop_matrix").page())


def conformance_page() -> str:
    return str(importlib.import_module("conformance").page())


#: file -> (what it is drawn from, the function that draws it)
PAGES: dict[str, tuple[str, Callable[[], str]]] = {
    "archive-interop.md": ("tests/interop_matrix.py", archive_interop_page),
    "archive-settings.md": ("src/doorward/archive/running/settings.py", archive_settings_page),
    "checks.md": ("src/doorward/audit/checks", checks_page),
    "cli.md": ("src/doorward/cli", cli_page),
    "comparison.schema.json": ("src/doorward/audit/report", comparison_schema_page),
    "conformance.md": ("the tables of src/doorward", conformance_page),
    "doors.md": ("tests/door_forms.py", doors_page),
    "errors.md": ("src/doorward/errors.py", errors_page),
    "floors.md": ("tools/house.py and the imports", floors_page),
    "knowledge.md": ("src/doorward/knowledge", knowledge_page),
    "limits.md": ("src/doorward/limits.py", limits_page),
    "report.schema.json": ("src/doorward/audit/report", schema_page),
    "states.md": ("src/doorward/wire/table.py", states_page),
}


def render(name: str) -> str:
    """Return the text of one page as it should stand in docs/."""
    source, draw = PAGES[name]
    head = MADE.format(source=source) if name.endswith(".md") else ""
    return head + draw().rstrip("\n") + "\n"


def stale(names: Iterable[str] = tuple(PAGES)) -> list[str]:
    """Return the names of the pages that differ from what the code says now."""
    return [
        name
        for name in names
        if not (DOCS / name).exists() or (DOCS / name).read_text() != render(name)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Write the pages of docs/ that are drawn from the code."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a page is stale"
    )
    parser.add_argument(
        "pages", nargs="*", choices=[[], *PAGES], metavar="PAGE", help=", ".join(PAGES)
    )
    arguments = parser.parse_args()
    pages = arguments.pages or list(PAGES)
    if arguments.check:
        names = stale(pages)
        print(
            f"stale, run `make docs`: {', '.join(names)}" if names else "docs/ agrees with the code"
        )
        return 1 if names else 0
    for name in pages:
        (DOCS / name).write_text(render(name))
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
