"""What measures: our side beside PyTorch, every kernel, a step's time and memory, the machine; and the pictures of it.

It uses the framework, which does not use it. mytensor.workbook stands on both.
"""

from mytensor._lazy import lazy_modules

__getattr__, __dir__ = lazy_modules(__name__)
