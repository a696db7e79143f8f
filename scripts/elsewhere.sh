#!/bin/sh
# Runs the workbook as somebody has it who installed the package: from a wheel, in an environment without the clone,
# with a copy of the folder notebooks/ alone, from another folder, under a locale with decimal commas that is not UTF-8.
#
# The environment borrows the dependencies that `make setup` has installed; only mytensor is its own.
set -eu
cd "$(dirname "$0")/.."
clone=$PWD
python=$clone/.venv/bin/python
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT

localedef -i de_DE -f ISO-8859-1 "$away/de_DE" || {
    echo "scripts/elsewhere.sh: there is no German locale to be compiled; on Debian or Ubuntu: apt-get install locales" >&2
    exit 1
}

"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$away" .
"$python" -m venv --without-pip "$away/venv"
site() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
site "$python" >"$(site "$away/venv/bin/python")/borrowed.pth" # its own .pth files, such as the clone's, are not read
"$python" -m pip --python "$away/venv/bin/python" install --quiet --no-deps "$away"/mytensor-*.whl

mkdir "$away/notebooks" "$away/folder"
cp notebooks/*.ipynb notebooks/conftest.py notebooks/nbval_sanitize.cfg "$away/notebooks"
cd "$away/folder"
unset PYTHONPATH PYTHONUTF8 PYTHONIOENCODING LANG LANGUAGE
export LOCPATH="$away" LC_ALL=de_DE

"$away/venv/bin/python" - "$away" <<'PROGRAM'
import locale, sys
import mytensor, mytensor_backend

locale.setlocale(locale.LC_ALL, "")
assert locale.localeconv()["decimal_point"] == "," and locale.getpreferredencoding() == "ISO-8859-1"
for module in (mytensor, mytensor_backend):
    assert module.__file__.startswith(sys.argv[1]), f"{module.__name__} is that of {module.__file__}"
PROGRAM
"$away/venv/bin/python" -m pytest -p no:cacheprovider --nbval "$@" "$away/notebooks"
