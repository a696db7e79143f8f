"""What teaches: the checks and the exercises of the notebooks, and the widgets that look inside a kernel (inspect).

It uses the framework and mytensor.lab, which do not use it.
"""

from mytensor._lazy import lazy_modules

__getattr__, __dir__ = lazy_modules(__name__)
