"""Does each module of floor 0 have a test file of its own that covers it wholly, branches included?

``make cover`` runs the own test of each module of wire/ and dicom/ by itself, so that no line counts as tested because
some test elsewhere happened to pass by. ``make cover ARGS=wire/decode.py`` looks at one.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "doorward"
FOLDERS = ("wire", "dicom")


def modules(wanted: list[str]) -> list[Path]:
    paths = [path for folder in FOLDERS for path in sorted((SOURCE / folder).glob("*.py"))]
    relative = [path.relative_to(SOURCE) for path in paths if path.name != "__init__.py"]
    return [path for path in relative if not wanted or str(path) in wanted]


def is_covered(module: Path) -> bool:
    """Run the module's own test under coverage; its report goes to the terminal when lines are missed."""
    name = "doorward." + ".".join(module.with_suffix("").parts)
    test = ROOT / "tests" / module.parent / f"test_{module.name}"
    data_file = ROOT / ".cache" / "cover" / name
    data_file.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "COVERAGE_FILE": str(data_file), "PYTHONPATH": str(ROOT / "src")}
    python = [sys.executable, "-m"]
    run = subprocess.run(
        [
            *python,
            "coverage",
            "run",
            "--branch",
            "-m",
            "pytest",
            "-q",
            str(test),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        print(run.stdout[-2000:])
        return False
    report = [*python, "coverage", "report", "--fail-under=100", f"--include={SOURCE / module}"]
    shown = subprocess.run(
        report, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if shown.returncode:
        print(shown.stdout)
    return shown.returncode == 0


def main() -> int:
    failed = []
    for module in modules(sys.argv[1:]):
        covered = is_covered(module)
        print(f"{'100 %' if covered else 'MISSED':>6}  {module}", flush=True)
        if not covered:
            failed.append(module)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
