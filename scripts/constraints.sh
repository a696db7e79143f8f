#!/bin/sh
# Writes constraints.txt: what pip installs into a fresh environment for the ranges in pyproject.toml, with all that
# comes along, at exact versions. Local tags (torch's +cpu) are dropped: which build of torch is the user's affair.
#
# PYTHON: the Python to use; the oldest one supported suits all. PIP_ARGS: further options or requirements for pip, such
# as "torch==2.13.0 torchvision==0.28.0".
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
python=$folder/venv/bin/python

"$python" - >"$folder/requirements.txt" <<'PY'
import tomllib

project = tomllib.load(open("pyproject.toml", "rb"))["project"]
for group in (project["dependencies"], *project["optional-dependencies"].values()):
    print(*(requirement for requirement in group if not requirement.startswith("mytensor[")), sep="\n")
PY

echo "Installing the newest versions that the ranges allow into a fresh environment"
# shellcheck disable=SC2086 # PIP_ARGS is a list of words
"$python" -m pip install --quiet --disable-pip-version-check ${PIP_ARGS:-} -r "$folder/requirements.txt"
"$python" - <<'PY'
import importlib.metadata
import sys

from packaging.specifiers import SpecifierSet

too_new = [
    f"{found.name} {found.version} (Python {found.metadata['Requires-Python']})"
    for found in importlib.metadata.distributions()
    if not SpecifierSet(found.metadata["Requires-Python"] or "").contains("3.11.0")
]
if too_new:
    sys.exit(
        "constraints.txt was not written: these do not install with Python 3.11.0, the oldest that is supported; name "
        f"older versions of them in PIP_ARGS: {', '.join(too_new)}"
    )
PY
{
    echo "# The exact versions that \`make setup\` installs, written by \`make constraints\` with $("$python" --version)."
    echo "# PyTorch's own packages for CUDA are not named: each torch asks for its own at exact versions."
    "$python" -m pip freeze --all | grep -v -i -E '^(pip|nvidia-.*|triton|cuda-.*)==' | sed 's/+[A-Za-z0-9.]*$//'
} >"$folder/constraints.txt"
mv "$folder/constraints.txt" constraints.txt
echo "Wrote constraints.txt"
