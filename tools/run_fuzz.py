"""Runs every fuzz harness of tests/fuzz for a while: ``make fuzz FUZZ_SECONDS=60``.

Kept inputs (tests/fuzz/corpus/<name>) are the seeds; what a run learns goes to .fuzz/<name>, and an input that breaks
the harness's invariant to .fuzz/<name>-crash-*. Move such a file into the corpus together with the fix.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HARNESSES = ROOT / "tests" / "fuzz"


def run(harness: Path, seconds: int) -> int:
    """Fuzz with one harness; return its exit code."""
    name = harness.stem.removeprefix("fuzz_")
    learned = ROOT / ".fuzz" / name
    learned.mkdir(parents=True, exist_ok=True)
    seeds = HARNESSES / "corpus" / name
    command = [sys.executable, str(harness), str(learned)]
    command += [str(seeds)] if seeds.is_dir() else []
    command += [f"-max_total_time={seconds}", f"-artifact_prefix={learned}-", "-verbosity=0"]
    print(f"{name}: {seconds} s", flush=True)
    environment = {**os.environ, "PYTHONPATH": "src:tests"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=1800, help="for each harness")
    parser.add_argument("names", nargs="*", help="only these, for example: decode walk")
    arguments = parser.parse_args()
    harnesses = sorted(HARNESSES.glob("fuzz_*.py"))
    if arguments.names:
        harnesses = [h for h in harnesses if h.stem.removeprefix("fuzz_") in arguments.names]
    if not harnesses:
        print("no such harness in tests/fuzz")
        return 2
    failed = [harness.name for harness in harnesses if run(harness, arguments.seconds)]
    print(f"failed: {', '.join(failed)}" if failed else "every harness held its invariant")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
