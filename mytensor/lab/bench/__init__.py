"""How fast each kernel is: every rung of every ladder beside PyTorch, and beside what the machine can do at most.

    results = mytensor.bench.run(device="cuda", ops=["matmul", "conv2d"])
    print(mytensor.bench.table(results))

Measuring imports torch; reading results from a file doesn't.
"""

import importlib
from typing import Any

from mytensor._lazy import lazy_modules

_MODULE_OF = {
    "run": "contest",
    "time_case": "contest",
    "find_row": "measurements",
    "load_results": "measurements",
    "save_results": "measurements",
    "row_text": "measurements",
    "table": "measurements",
    "measured_ceilings": "ceilings",
    "time_step": "step",
    "CASES": "cases",
    "matmul_case": "cases",
}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        return _module(name)
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


_module, __dir__ = lazy_modules(__name__)
