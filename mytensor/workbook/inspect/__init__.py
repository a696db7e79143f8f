"""Look inside a kernel: pictures and widgets over what the compiled backend really computed. One module a subject."""

from mytensor._lazy import lazy_modules

__getattr__, __dir__ = lazy_modules(__name__)
