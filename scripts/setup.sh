#!/bin/sh
# Usage: setup.sh VENV [PYTHON]: make VENV hold exactly requirements.lock and this package, in place.
set -eu
venv=$1

usable() {  # a Python this package supports that can make a virtual environment
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

choose() {
  for candidate in "$@"; do
    if usable "$candidate"; then echo "$candidate"; return; fi
  done
}

if [ $# -gt 1 ]; then
  python=$(choose "$2")
  asked=" '$2' is not one of them."
else
  # A .venv that is already there keeps its Python, also when it is made again for a new lock.
  present=$("$venv/bin/python" -c 'import sys; print(sys._base_executable)' 2>/dev/null || true)
  python=$(choose "$present" python3.11 python3.12 python3.13 python3 python)
  asked=""
fi
if [ -z "$python" ]; then
  echo "mqlml needs Python 3.11, 3.12 or 3.13 with the venv module.$asked" >&2
  echo "Fix: install one (on Debian and Ubuntu: python3.11 and python3.11-venv), or name it: make PYTHON=/path/to/python3.11" >&2
  exit 2
fi

wanted=$("$python" -c 'import platform; print(platform.python_version())')
found=$("$venv/bin/python" -c 'import platform; print(platform.python_version())' 2>/dev/null || true)
if [ "$found" != "$wanted" ] || ! cmp -s requirements.lock "$venv/.lock"; then
  echo "Installing requirements.lock into $venv with Python $wanted; the first time this takes some minutes." >&2
  "$python" -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --quiet --require-hashes --requirement requirements.lock
  cp requirements.lock "$venv/.lock"
fi
"$venv/bin/python" -m pip install --quiet --quiet --no-deps --no-build-isolation --editable .
