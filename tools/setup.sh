#!/bin/sh
# Makes .venv and installs the project into it: `tools/setup.sh run|test|dev|fuzz`.
# Says one clear line and exits 2 when the machine lacks something. Does nothing when nothing changed.
set -eu
cd "$(dirname "$0")/.."
want=$1
python=${PYTHON:-python3}

fail() {
    echo "doorward: $1" >&2
    exit 2
}

# Each set holds the ones before it; fuzz stands beside dev.
case $want in
run) extras="[archive,images]" holds="run" ;;
test) extras="[test]" holds="run test" ;;
dev) extras="[dev]" holds="run test dev" ;;
fuzz) extras="[fuzz]" holds="run test fuzz" ;;
*) fail "tools/setup.sh: unknown set '$want'" ;;
esac

# A stamp holds what was installed from where: a copied or edited tree is installed again.
state="$(pwd) $(cksum <pyproject.toml)"
if [ -x .venv/bin/python ] && [ "$(cat ".venv/.doorward-$want" 2>/dev/null)" = "$state" ]; then
    exit 0
fi

[ -w . ] || fail "this folder cannot be written to; clone the project to a place of your own"
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    command -v "$python" >/dev/null || fail "Python 3.11 or later is missing: apt-get install python3 python3-venv"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or later is needed, $python is $("$python" -c 'import platform; print(platform.python_version())') (make PYTHON=... $want)"
    "$python" -c 'import venv, ensurepip' 2>/dev/null || fail "the venv module or pip is missing: apt-get install python3-venv"
    rm -rf .venv
    echo "doorward: making .venv with $("$python" --version)" >&2
    "$python" -m venv .venv || fail "the virtual environment could not be made (see above)"
fi

echo "doorward: installing packages into .venv (once; about a minute)" >&2
.venv/bin/python -m pip install -qq --editable ".$extras" </dev/null ||
    fail "packages could not be installed (see above); the first run needs a package index"
for set in $holds; do
    echo "$state" >".venv/.doorward-$set"
done
