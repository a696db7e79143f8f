"""What measures: our side beside PyTorch (compare), each kernel (bench), a step's time and memory, and the
machine (doctor).

Uses the framework and is not used by it; mytensor.workbook stands on both."""

from mytensor._lazy import lazy_modules

__getattr__, __dir__ = lazy_modules(__name__)
