"""environment.yml can be read by conda, and agrees with the versions that pip installs.

No conda channel is asked: that a solver finds these packages is not tested here.
"""

import importlib.metadata
import pathlib
import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONDA_NAMES = {"matplotlib-base": "matplotlib", "pytorch": "torch"}
NOT_FROM_PIP = {"cxx-compiler", "make", "pip", "python"}

ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONDA = [entry for entry in ENVIRONMENT["dependencies"] if isinstance(entry, str)]


def split(entry: str) -> tuple[str, SpecifierSet]:
    """ "numpy>=1.26,<3" -> ("numpy", >=1.26,<3); conda reads these forms as pip does."""
    match = re.fullmatch(r"([a-z0-9-]+)((?:[<>]=?|==)[0-9.]+(?:,(?:[<>]=?|==)[0-9.]+)*)?", entry)
    assert match, f"{entry!r} is not a name and a plain range: conda would read it otherwise than pip"
    return match[1], SpecifierSet(match[2] or "")


def constrained_versions() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def project_requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = (project["dependencies"], *project["optional-dependencies"].values())
    found = [Requirement(entry) for group in groups for entry in group]
    return [requirement for requirement in found if requirement.name != "mytensor"]


def test_environment_has_the_keys_conda_knows_and_installs_the_project_last():
    assert set(ENVIRONMENT) == {"name", "channels", "dependencies"}
    assert ENVIRONMENT["channels"] == ["conda-forge", "nodefaults"]
    assert ENVIRONMENT["dependencies"][-1] == {"pip": ["."]}


@pytest.mark.parametrize("entry", CONDA)
def test_range_contains_the_version_that_make_installs(entry):
    name, versions = split(entry)
    if name not in NOT_FROM_PIP:
        installed = constrained_versions()[CONDA_NAMES.get(name, name)]
        assert installed in versions


def test_environment_has_what_the_notebooks_need():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = {Requirement(entry).name for entry in (*project["dependencies"], *extras["torch"], *extras["notebooks"])}
    present = {CONDA_NAMES.get(name, name) for name, _ in map(split, CONDA)}
    assert needed - {"mytensor"} <= present


@pytest.mark.parametrize("requirement", project_requirements(), ids=str)
def test_project_range_contains_the_version_that_make_installs(requirement):
    assert constrained_versions()[canonicalize_name(requirement.name)] in requirement.specifier


def test_constraints_are_exact_and_without_local_tags():
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+", line), line


@pytest.mark.parametrize("name", sorted(constrained_versions()))
def test_constraints_suit_the_oldest_python(name):
    """A fresh Debian 12 has Python 3.11.2; pip refuses the whole list for one package that wants 3.11.5."""
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed here")
    if metadata["Version"].partition("+")[0] != constrained_versions()[canonicalize_name(name)]:
        pytest.skip("another version is installed here")
    assert SpecifierSet(metadata["Requires-Python"] or "").contains("3.11.0")
