#!/bin/sh
# The set-up behind `make setup`: .venv, the dependencies at the versions of constraints.txt, the compiled backend.
# Safe to repeat; what is already done is not done again.
#
# PYTHON: the Python to use. PIP_ARGS: further options for pip.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "make setup: $*" >&2
    exit 1
}

is_new_enough() { # PYTHON
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() { # prints the first Python that is new enough
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if is_new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    if [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON is not Python 3.11 or later."
    fi
    fail "no Python 3.11 or later was found; install one (on Debian or Ubuntu: apt-get install python3 python3-venv" \
        "python3-dev) or name it: make setup PYTHON=/path/to/python3."
}

check_python() { # PYTHON
    "$1" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        fail "$1 cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv."
    "$1" -c 'import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' ||
        fail "the C header Python.h of $1 is missing; on Debian or Ubuntu: apt-get install python3-dev."
}

check_compiler() {
    command -v "${CXX:-}" >/dev/null 2>&1 && return # a path may have spaces
    case ${CXX:-} in *[\\\'\"]*) return ;; esac # quoted as in a shell: setup.py takes it apart
    for name in ${CXX:-g++ c++ clang++}; do
        command -v "$name" >/dev/null 2>&1 && return
        [ -z "${CXX:-}" ] || break # CXX may hold options after its first word
    done
    fail "no C++ compiler was found${CXX:+ (CXX=$CXX)}; on Debian or Ubuntu: apt-get install g++."
}

pip_install() {
    # shellcheck disable=SC2086 # PIP_ARGS is a list of words
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ${PIP_ARGS:-} "$@"
}

check_compiler
python=.venv/bin/python
if ! is_new_enough $python; then
    python=$(find_python)
    check_python "$python"
    echo "1. Making the virtual environment .venv with $("$python" --version)"
    rm -rf .venv # a leftover of a Python that is gone, or half made
    "$python" -m venv .venv
    python=.venv/bin/python
else
    echo "1. The virtual environment .venv is there ($($python --version))"
    check_python $python
fi

# What the installed packages depend on; the folder too, because an editable install remembers it.
wanted=$({ cat pyproject.toml constraints.txt; pwd; $python --version; } | cksum)
done_file=.venv/mytensor-dependencies
if [ "$(cat $done_file 2>/dev/null)" != "$wanted" ]; then
    echo "2. Installing the build tools"
    pip_install setuptools wheel pybind11
    echo "3. Installing the dependencies (PyTorch and JupyterLab are large), and at the same time building the compiled" \
        "backend from csrc/"
    # shellcheck disable=SC2046 # a list of words
    pip_install $($python scripts/dependencies.py) &
    installing=$!
    $python setup.py --quiet build_ext --inplace || {
        kill $installing 2>/dev/null || true
        exit 1
    }
    wait $installing || fail "pip could not install the dependencies; its messages stand above."
    echo "4. Installing mytensor itself, in place"
    pip_install --no-build-isolation --editable '.[dev]'
    echo "$wanted" >$done_file
else
    echo "2. The dependencies are installed"
    echo "3. Building what has changed in csrc/"
    $python setup.py --quiet build_ext --inplace
fi
echo "Ready."
