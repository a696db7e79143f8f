"""Packages that not every installation has. `from mytensor.optional import torch` is `import torch`, except that a
missing package is said in a sentence, with the command that installs it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import anywidget as anywidget
    import ipywidgets as ipywidgets
    import torch as torch
    import torchvision as torchvision
    import traitlets as traitlets
    from IPython.display import display as display
    from matplotlib.figure import Figure as Figure
    from matplotlib.patches import Rectangle as Rectangle
    from PIL import Image as Image

# What can be imported from here -> the module, and the name in it where it is not the module itself.
PLACES = {
    "anywidget": ("anywidget", None),
    "display": ("IPython.display", "display"),
    "Figure": ("matplotlib.figure", "Figure"),
    "Image": ("PIL.Image", None),
    "ipywidgets": ("ipywidgets", None),
    "Rectangle": ("matplotlib.patches", "Rectangle"),
    "torch": ("torch", None),
    "torchvision": ("torchvision", None),
    "traitlets": ("traitlets", None),
}
# Package -> what pip calls it, where that is another name.
PIP_NAMES = {"IPython": "ipython", "PIL": "pillow", "traitlets": "anywidget"}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    path, attribute = PLACES[name]
    package = path.partition(".")[0]
    try:
        importlib.import_module(package)
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != package:  # it is there, but something that it needs is not
            raise
        raise ModuleNotFoundError(
            f"this needs {package}, which is not installed: pip install {PIP_NAMES.get(package, package)} (in a clone, "
            "pip install -e '.[notebooks]' installs all that the notebooks use)",
            name=package,
        ) from error
    return module if attribute is None else getattr(module, attribute)
