"""Prints what mytensor with its extra `dev` depends on, as pyproject.toml says, one requirement a word.

pip cannot install a project's dependencies without the project, and scripts/setup.sh installs them while the project
is being compiled.
"""

import pathlib
import tomllib

PYPROJECT = pathlib.Path(__file__).parent.parent / "pyproject.toml"

project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]


def requirements(names):
    """The requirements among `names`, with the extras of the project itself ("mytensor[torch]") replaced by theirs."""
    for name in names:
        if name.startswith("mytensor["):
            yield from requirements(project["optional-dependencies"][name[len("mytensor[") : -1]])
        else:
            yield name.replace(" ", "")


print(*sorted({*requirements(project["dependencies"]), *requirements(["mytensor[dev]"])}))
