"""Our framework beside PyTorch: the same network, the same start, the same batches; time, accuracy, memory,
trajectories.

    results = mytensor.compare.run(epochs=2, seeds=[0])
    print(mytensor.compare.table(results))

Running a comparison imports torch; reading one from a file doesn't, and neither does measuring our side's memory.
"""

import importlib
from typing import Any

from mytensor._lazy import lazy_modules

_MODULE_OF = {
    "run": "side_by_side",
    "CAUSES": "ablation_causes",
    "SCALINGS": "ablation_causes",
    "Assumptions": "ablation_causes",
    "train": "ablation_causes",
    "ablate": "ablation",
    "ablation_table": "ablation",
    "fits_table": "ablation",
    "load_ablation": "ablation",
    "sweep": "ablation",
    "differences": "results",
    "latest_file": "report",
    "latest_results": "report",
    "load_results": "results",
    "save_results": "results",
    "report_table": "report",
    "results_folder": "report",
    "summaries": "results",
    "summary_table": "results",
    "table": "results",
    "peak_memory": "memory_peaks",
    "Trajectory": "trajectories",
    "trajectory": "trajectories",
    "TorchLeNet": "twin",
    "copy_weights": "twin",
    "torch_recipe": "twin",
}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        return _module(name)
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


_module, __dir__ = lazy_modules(__name__)
