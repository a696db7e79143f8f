"""README.zh-CN.md has README.md's numbers, commands and links, and scripts/readme.py notices when it has not."""

import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPEC = importlib.util.spec_from_file_location("readme_tool", ROOT / "scripts" / "readme.py")
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)

ENGLISH = TOOL.README.read_text(encoding="utf-8")
CHINESE = TOOL.TRANSLATION.read_text(encoding="utf-8")


def test_the_translation_agrees():
    assert TOOL.disagreements(ENGLISH, CHINESE) == []


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("327 s", "372 s", "numbers"),
        ("make test", "make tests", "commands"),
        ("(LICENSE)", "(COPYING)", "links"),
        ("`csrc/cuda/`", "`csrc/gpu/`", "names in code"),
        ("| Linux x86-64 | 全部功能 |\n", "", "rows of tables"),
        ("## 数据\n", "", "sections"),
        ("/content/mytensor anywidget", "/content/mytensor", "commands"),
    ],
)
def test_a_stale_translation_is_seen(right, wrong, complaint):
    assert right in CHINESE
    assert complaint in "\n".join(TOOL.disagreements(ENGLISH, CHINESE.replace(right, wrong)))
