"""mytensor: a small deep-learning framework to read, with a compiled backend. `import mytensor as mt`."""

import typing as _typing

from mytensor._build_check import csrc_path
from mytensor._build_check import load_backend as _load_backend

_load_backend()  # first: it says what to do when the extension is missing or stale

from mytensor_backend import (  # noqa: E402
    empty_cache,
    float32,
    float64,
    get_num_threads,
    int32,
    int64,
    memory_mode,
    memory_stats,
    reset_peak_memory_stats,
    set_memory_mode,
    set_num_threads,
    uint8,
)

# Before all others: _tensor.py and the modules it uses import each other, and this is the way in.
from mytensor._tensor import DType, Parameter, Tensor, from_dlpack, from_numpy, tensor  # noqa: E402

# isort: split

from mytensor import autograd, cuda, models, nn, optim, random, simt  # noqa: E402
from mytensor._lazy import lazy_modules as _lazy_modules  # noqa: E402
from mytensor.autograd import (  # noqa: E402
    Function,
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from mytensor.creation import (  # noqa: E402
    arange,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    ones,
    ones_like,
    rand,
    rand_like,
    randn,
    randn_like,
    zeros,
    zeros_like,
)
from mytensor.devices import default_device  # noqa: E402
from mytensor.gradcheck import gradcheck  # noqa: E402
from mytensor.ladders import kernels, ops_with_kernels, use_kernel  # noqa: E402
from mytensor.ops import (  # noqa: E402
    cat,
    div,
    exp,
    log,
    log_softmax,
    logsumexp,
    matmul,
    maximum,
    minimum,
    pow,
    relu,
    softmax,
    stack,
    where,
)
from mytensor.random import manual_seed  # noqa: E402

__version__ = "0.1.0"

__all__ = [
    "DType",
    "Function",
    "Parameter",
    "Tensor",
    "arange",
    "autograd",
    "cat",
    "csrc_path",
    "cuda",
    "default_device",
    "div",
    "empty",
    "empty_cache",
    "empty_like",
    "enable_grad",
    "exp",
    "eye",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "get_num_threads",
    "gradcheck",
    "int32",
    "int64",
    "is_grad_enabled",
    "kernels",
    "log",
    "log_softmax",
    "logsumexp",
    "manual_seed",
    "matmul",
    "maximum",
    "memory_mode",
    "memory_stats",
    "minimum",
    "models",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "ops_with_kernels",
    "optim",
    "pow",
    "rand",
    "rand_like",
    "randn",
    "randn_like",
    "random",
    "relu",
    "reset_peak_memory_stats",
    "set_grad_enabled",
    "set_memory_mode",
    "set_num_threads",
    "simt",
    "softmax",
    "stack",
    "tensor",
    "uint8",
    "use_kernel",
    "where",
    "zeros",
    "zeros_like",
]

if _typing.TYPE_CHECKING:  # for editors: what mytensor._lazy finds by these names
    from mytensor.lab import bench as bench
    from mytensor.lab import compare as compare
    from mytensor.lab import doctor as doctor
    from mytensor.lab import plots as plots
    from mytensor.workbook import check as check
    from mytensor.workbook import exercise as exercise
    from mytensor.workbook import inspect as inspect

# mt.data, mt.training, mt.check and the other modules that few need: imported when they are first asked for.
__getattr__, __dir__ = _lazy_modules(__name__)
