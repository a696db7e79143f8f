"""A kernel file ends with its ladder (csrc/ops/ladder.h); a kernel of another type than its op's does not compile."""

from __future__ import annotations

import os
import pathlib
import shlex
import subprocess

import pytest

CSRC = pathlib.Path(__file__).resolve().parent.parent / "csrc"
COMPILER = shlex.split(os.environ.get("CXX", "c++"))

FILE = """
#include "ops/fill_cast.h"
#include "ops/sgd.h"
namespace mt {{
namespace {{
void step(const std::vector<SgdTensor>&, const SgdSettings&, DType) {{}}
void step_without_dtype(const std::vector<SgdTensor>&, const SgdSettings&) {{}}
constexpr Rung<SgdKernel> kRungs[] = {{{{"step", "What it does.", {oldest_gpu} {kernel}}}}};
}}  // namespace
{ladder}
}}  // namespace mt
"""
DEVICE = {"oldest_gpu": "75,", "kernel": "step", "ladder": "const DeviceLadder sgd_ladder(kSgdOp, kRungs);"}
CPU = {
    "oldest_gpu": "",
    "kernel": "step",
    "ladder": "namespace cpu { constexpr Ladder<SgdKernel> sgd_ladder(kRungs); }",
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (DEVICE, None),
        (CPU, None),
        (DEVICE | {"kernel": "step_without_dtype"}, "step_without_dtype"),
        (CPU | {"kernel": "step_without_dtype"}, "step_without_dtype"),
        (DEVICE | {"ladder": "const DeviceLadder fill_ladder(kFillOp, kRungs);"}, "fill_ladder"),
        (CPU | {"ladder": "namespace cpu { constexpr Ladder<SgdKernel> fill_ladder(kRungs); }"}, "fill_ladder"),
    ],
    ids=["device", "cpu", "device, another type", "cpu, another type", "device, another op", "cpu, another op"],
)
def test_a_ladder_holds_its_ops_kernels(tmp_path, text, wanted):
    source = tmp_path / "ladder.cpp"
    source.write_text(FILE.format(**text))
    command = [*COMPILER, "-std=c++17", "-fsyntax-only", f"-I{CSRC}", str(source)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if wanted is None:
        assert result.returncode == 0, result.stderr
    else:
        assert result.returncode != 0
        assert wanted in result.stderr
