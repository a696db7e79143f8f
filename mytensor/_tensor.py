"""Tensor: an NDArray (shape, dtype, memory) plus what autograd needs to know about it.

A Tensor never computes anything itself: each method names an operation of `mytensor.ops`, which calls the compiled
backend and records the graph. Names and meanings are torch's.

Types: the two tensors of an operation must have the same dtype, there is no silent promotion (x.float(), x.long() ...
convert). Python numbers take the dtype of the tensor beside them. `/` divides integers as float32, `//` keeps them.

Memory: reshape, view, flatten, squeeze, unsqueeze and an index of nothing but `:`, `...` and None share the memory of
the tensor. What chooses or reorders elements (x[0], x[1:3], narrow, transpose, permute, .T) is a part: a copy whatever
its shape, as arrays are contiguous here, and a change of it in place is written to the tensor too, as if it were a view
(ops/parts.py). Rows by their numbers (x[rows], index_select) are a plain copy.
"""

from __future__ import annotations

import contextlib
import copyreg
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import mytensor_backend as backend
import numpy as np
from mytensor_backend import DType, NDArray

from mytensor.arguments import as_flag, as_number, as_sizes, describe, normalize_dim
from mytensor.cuda.streams import Stream

_FLOATING = (backend.float32, backend.float64)
_DTYPE_OF_NAME = {name: getattr(backend, name) for name in ("float32", "float64", "int64", "int32", "uint8")}
_NAME_OF_DTYPE = {dtype: name for name, dtype in _DTYPE_OF_NAME.items()}
_DEVICES = ("cpu", "cuda", "simt")
_DLPACK_CUDA = 2  # DLPack's number for a GPU's memory
_PLAIN_DTYPES = (backend.float32, backend.int64)  # repr does not mention these


class Tensor:
    """An n-dimensional array that knows how it was computed.

    data: an NDArray (wrapped, not copied), or a numpy array, number or nested list (copied; see `mt.tensor`).
    requires_grad: collect dloss/dself in `.grad` when backward runs. Only floating dtypes can.
    """

    __slots__ = (
        "__weakref__",
        "_grad",  # Tensor or None: see the property grad
        "_hooks",  # of a leaf: registration number -> hook; those of a computed tensor stand on its node
        "_output_index",  # which output of grad_fn this is
        "_part",  # where this was taken from, if it is a part of another tensor (ops/parts.py); else None
        "_requires_grad",
        "_shares_memory",  # True for both ends of a recorded reshape: in-place changes would bypass the graph
        "array",  # the NDArray: the numbers
        "grad_fn",  # the Node that computed this tensor; None for leaves
    )
    __array_priority__ = 1000  # numpy's operators leave `array * tensor` to us

    def __init__(self, data, requires_grad: bool = False):
        self.array = data if isinstance(data, NDArray) else _new_array(data, None)
        self._grad: Tensor | None = None
        self.grad_fn: autograd.Node | None = None
        self._requires_grad = False
        self._output_index = 0
        self._hooks: dict[int, Callable] | None = None
        self._shares_memory = False
        self._part: Part | NotToChange | None = None
        if requires_grad is not False:
            self.requires_grad = requires_grad

    @classmethod
    def _wrap(cls, array) -> Tensor:
        """A leaf around an NDArray without any checks: the way results of operations are made."""
        tensor = cls.__new__(cls)
        tensor.array = array
        tensor._grad = None
        tensor.grad_fn = None
        tensor._requires_grad = False
        tensor._output_index = 0
        tensor._hooks = None
        tensor._shares_memory = False
        tensor._part = None
        return tensor

    @staticmethod
    def uniform(*shape, low: float = -0.1, high: float = 0.1, requires_grad: bool = True) -> Tensor:
        """A float32 tensor with values drawn uniformly from [low, high), ready to be trained.

        The report initialises its layers with `Tensor.uniform(...)` without giving the range; +-0.1 is our assumption,
        small enough for its 3x3 kernels to start in the linear range. The layers of `mytensor.nn` use torch's
        initialisation.
        """
        return creation.uniform(*shape, low=low, high=high, requires_grad=requires_grad)

    # -----------------------------------------------------------------------------------------------------------------
    # What it is
    # -----------------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every dimension."""
        return self.array.shape

    def size(self, dim: int | None = None):
        """The shape, or the length of one dimension."""
        return self.shape if dim is None else self.shape[normalize_dim(dim, self.ndim, "size")]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    @property
    def nbytes(self) -> int:
        """The memory of the elements, in bytes."""
        return self.array.nbytes

    @property
    def dtype(self) -> DType:
        """mt.float32, mt.float64, mt.int64, mt.int32 or mt.uint8."""
        return self.array.dtype

    @property
    def device(self) -> str:
        """Where the numbers live, e.g. "cpu"."""
        return self.array.device

    @property
    def requires_grad(self) -> bool:
        """True if backward computes a gradient for this tensor, or for something it was computed from."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        flag = as_flag(flag, "requires_grad")
        if flag and self.array.dtype not in _FLOATING:
            raise TypeError(
                f"only floating tensors can require a gradient, this one has dtype {_NAME_OF_DTYPE[self.array.dtype]}; "
                "convert it first: x.float()"
            )
        if not flag and self.grad_fn is not None:
            raise RuntimeError(
                "requires_grad can be switched off only on leaves, and this tensor was computed; use .detach() instead"
            )
        self._requires_grad = flag

    @property
    def grad(self) -> Tensor | None:
        """dloss/dself, summed over all backward calls since it was last cleared (set to None)."""
        return self._grad

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None:
            if not isinstance(gradient, Tensor):
                raise TypeError(f"grad: wanted a Tensor or None, got {describe(gradient)}; mt.tensor(...) makes one")
            if gradient is self:
                raise ValueError("grad: a tensor cannot be its own gradient; give it a .clone()")
            if gradient.shape != self.shape:
                raise ValueError(f"grad: wanted the shape of its tensor, {self.shape}, got {gradient.shape}")
            if gradient.dtype != self.dtype:
                raise TypeError(f"grad: wanted the dtype of its tensor, {self.dtype.name}, got {gradient.dtype.name}")
            if gradient.device != self.device:
                raise ValueError(f"grad: wanted the device of its tensor, {self.device}, got {gradient.device}")
        self._grad = gradient

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switches the collecting of gradients on or off; returns the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """True if no recorded operation computed this tensor: backward ends here."""
        return self.grad_fn is None

    def is_floating_point(self) -> bool:
        """True for float32 and float64."""
        return self.array.dtype in _FLOATING

    # -----------------------------------------------------------------------------------------------------------------
    # Autograd
    # -----------------------------------------------------------------------------------------------------------------

    def backward(self, gradient: Tensor | None = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Adds dself/dleaf to the `.grad` of every leaf this tensor was computed from.

        gradient: the upstream gradient, of this tensor's shape; may be left out for a single number.
        retain_graph: keep what the graph has saved, so that backward can run through it a second time.
        create_graph: derivatives of derivatives; not supported.
        """
        if create_graph:
            raise NotImplementedError("backward: create_graph=True (derivatives of derivatives) is not supported")
        autograd.backward(self, gradient, retain_graph)

    def detach(self) -> Tensor:
        """The same numbers (the memory is shared), cut off from the graph."""
        output = Tensor._wrap(self.array)
        output._part = self._part
        return output

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> autograd.HookHandle:
        """Calls hook(gradient) whenever backward has this tensor's gradient; a returned Tensor replaces it."""
        return autograd.register_hook(self, hook)

    def retain_grad(self) -> None:
        """Keeps `.grad` after backward although this tensor is not a leaf: the gradient behind all hooks.

        After an in-place change, `.grad` belongs to the new value.
        """
        autograd.retain_grad(self)

    @property
    def retains_grad(self) -> bool:
        """True if `retain_grad` was called on this tensor and it is not a leaf."""
        return autograd.retains_grad(self)

    # -----------------------------------------------------------------------------------------------------------------
    # Numbers out
    # -----------------------------------------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """A numpy array that shares the memory. RuntimeError if a gradient is required: numpy records nothing.
        TypeError on a device other than the CPU: .cpu() first."""
        if self._requires_grad:
            raise RuntimeError("this tensor requires a gradient, and numpy would not record it; use .detach().numpy()")
        return self.array.numpy()

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if self._requires_grad:
            raise BufferError("this tensor requires a gradient, which DLPack would lose; use .detach() first")
        return self.array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def item(self) -> float | int:
        """The only element, as a Python number."""
        if self.array.size != 1:
            raise ValueError(
                f"item: wanted a tensor with one element, got shape {self.shape}; use .tolist() or an index"
            )
        return self.array.item()

    def tolist(self):
        """The elements as nested Python lists."""
        return self.array.cpu().numpy().tolist()

    def __format__(self, spec: str) -> str:
        """f"{loss:.4f}": a 0-d tensor is written as its number is, any other one as print does."""
        if self.ndim == 0:
            return format(self.item(), spec)
        if spec:
            raise TypeError(
                f"the format {spec!r} is for a single number, and this tensor has shape {self.shape}; format its "
                "elements (.tolist()), or .item() where there is one"
            )
        return str(self)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.is_floating_point() or self.numel() != 1:
            raise TypeError(
                "only an integer tensor with one element can be used as an index, this one has dtype "
                f"{_NAME_OF_DTYPE[self.dtype]} and shape {self.shape}"
            )
        return int(self.item())

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise ValueError(
                f"the truth value of a tensor with shape {self.shape} is ambiguous; compare single elements, or use "
                "(a == b).sum() == a.numel() for `all equal`"
            )
        return bool(self.array.item())

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor: it is a single number; use .item()")
        return self.array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(len(self)))

    def __contains__(self, element) -> bool:
        if isinstance(element, Tensor):
            return bool((self == element).sum().item())
        number = as_number(element, "`element in tensor`: the element")
        return bool((self.array.cpu().numpy() == number).any())

    def __repr__(self) -> str:
        prefix = "tensor("
        body = np.array2string(
            self.array.cpu().numpy(),
            separator=", ",
            prefix=prefix,
            precision=4,
            floatmode="maxprec_equal",
            threshold=1000,
        )
        notes = [body]
        if self.device != "cpu":
            notes.append(f'device="{self.device}"')
        if self.numel() == 0 and self.ndim != 1:
            notes.append(f"size={self.shape}")
        if self.dtype not in _PLAIN_DTYPES:
            notes.append(f"dtype=mt.{_NAME_OF_DTYPE[self.dtype]}")
        if self.grad_fn is not None:
            notes.append(f"grad_fn={self.grad_fn!r}")
        elif self._requires_grad:
            notes.append("requires_grad=True")
        return f"{prefix}{', '.join(notes)})"

    def __reduce__(self):
        """How a tensor is copied (copy.copy, copy.deepcopy) and pickled: the class, the array, and the rest."""
        if self.grad_fn is not None:
            raise RuntimeError("only leaves can be copied or pickled; use .detach() or .clone() on this tensor")
        return _rebuild, (type(self), self.array, self._requires_grad, self.grad), self._own_attributes()

    def __copy__(self) -> Tensor:
        """The same memory: changes in place reach both, and of a part also the tensor that it was taken from."""
        rebuild, arguments, attributes = self.__reduce__()
        twin = rebuild(*arguments)
        twin._part = self._part
        for named in attributes or ():
            for name, value in (named or {}).items():
                setattr(twin, name, value)
        return twin

    def _own_attributes(self):
        """The attributes that a subclass has added, in the form in which object.__getstate__ gives them."""
        state = object.__getstate__(self)
        attributes, slots = state if isinstance(state, tuple) else (state, {})
        slots = {name: value for name, value in slots.items() if name not in Tensor.__slots__}
        return (attributes, slots) if attributes or slots else None

    __hash__ = object.__hash__  # tensors are dictionary keys by identity, since == compares elements

    # -----------------------------------------------------------------------------------------------------------------
    # Copies and conversions
    # -----------------------------------------------------------------------------------------------------------------

    def clone(self) -> Tensor:
        """A copy with memory of its own; gradients flow through it."""
        return ops.clone(self)

    def contiguous(self) -> Tensor:
        """The tensor itself: ours are always contiguous. Of a part (see mytensor._tensor) one that is for reading only:
        in torch it depends on strides whether a change of it in place reaches the other tensor; .clone() first."""
        return self if self._part is None else ops.contiguous(self)

    def to(self, *args, copy: bool = False, **kwargs) -> Tensor:
        """The tensor with another dtype (mt.float64 ...), on another device ("cpu", "cuda", "simt"), or both; itself
        if nothing changes. Gradients flow back to where it came from.

        Torch's spellings: to(dtype), to(device), to(device, dtype), to(other tensor), each with non_blocking behind it,
        or by keywords: to(device=..., dtype=..., non_blocking=...).
        copy: a copy also where nothing changes.
        non_blocking: do not wait for a copy between a GPU and pinned memory: it is queued on the current stream, behind
        the kernels that are there, and runs beside those of other streams. From a GPU to the CPU the result is pinned,
        and must not be read before the stream has come so far (an event, or `mt.cuda.current_stream().synchronize()`).
        Nor must a pinned source be written before. Any other copy is waited for all the same.
        """
        device, dtype, non_blocking = parse_to_arguments(args, kwargs)
        result = self if dtype in (None, self.dtype) else ops.cast(self, dtype)
        if device not in (None, self.device):
            result = ops.to_device(result, device, non_blocking)
        return ops.clone(result) if copy and result is self else result

    def cpu(self) -> Tensor:
        """The tensor on the CPU; itself if it is there."""
        return self.to("cpu")

    def cuda(self, non_blocking: bool = False) -> Tensor:
        """The tensor on the GPU; itself if it is there."""
        return self.to("cuda", non_blocking=non_blocking)

    def pin_memory(self) -> Tensor:
        """A copy in pinned memory of the CPU, which a GPU reads without help: `.to("cuda", non_blocking=True)` then
        does not wait. Itself if it is pinned. Not recorded. NotImplementedError: no GPU, so nothing to pin for."""
        return self if self.is_pinned() else Tensor._wrap(self.array.pin_memory())

    def is_pinned(self) -> bool:
        """Whether the numbers lie in pinned memory."""
        return self.array.is_pinned

    def record_stream(self, stream: Stream) -> None:
        """Tells that a stream uses this tensor's memory: freed, it is given to nobody before that use is over.

        Ops tell this by themselves; it is for kernels of other libraries that got the memory from here. ValueError: the
        tensor is neither on a GPU nor pinned.
        """
        if not isinstance(stream, Stream):
            raise TypeError(f"record_stream: wanted an mt.cuda.Stream, got {describe(stream)}")
        backend.cuda_record_stream(self.array, stream.cuda_stream)

    # -----------------------------------------------------------------------------------------------------------------
    # Arithmetic
    # -----------------------------------------------------------------------------------------------------------------

    def __add__(self, other):
        return ops.add(self, other)

    def __radd__(self, other):
        return ops.add(other, self)

    def __sub__(self, other):
        return ops.sub(self, other)

    def __rsub__(self, other):
        return ops.sub(other, self)

    def __mul__(self, other):
        return ops.mul(self, other)

    def __rmul__(self, other):
        return ops.mul(other, self)

    def __truediv__(self, other):
        return ops.div(self, other)

    def __rtruediv__(self, other):
        return ops.div(other, self)

    def __floordiv__(self, other):
        return ops.div(self, other, "floor")

    def __rfloordiv__(self, other):
        return ops.div(other, self, "floor")

    def __pow__(self, other):
        return ops.pow(self, other)

    def __rpow__(self, other):
        return ops.pow(other, self)

    def __matmul__(self, other):
        return ops.matmul(self, other)

    def __rmatmul__(self, other):
        return ops.matmul(other, self)

    def __neg__(self):
        return ops.neg(self)

    def __abs__(self):
        return ops.abs(self)

    def __eq__(self, other):
        return ops.eq(self, other)

    def __ne__(self, other):
        return ops.ne(self, other)

    def __lt__(self, other):
        return ops.lt(self, other)

    def __le__(self, other):
        return ops.le(self, other)

    def __gt__(self, other):
        return ops.gt(self, other)

    def __ge__(self, other):
        return ops.ge(self, other)

    def add(self, other, alpha=1) -> Tensor:
        """self + alpha * other, with broadcasting."""
        return ops.add(self, other if alpha == 1 else ops.mul(other, alpha))

    def sub(self, other, alpha=1) -> Tensor:
        """self - alpha * other, with broadcasting."""
        return ops.sub(self, other if alpha == 1 else ops.mul(other, alpha))

    def mul(self, other) -> Tensor:
        """self * other, element by element, with broadcasting."""
        return ops.mul(self, other)

    def div(self, other, rounding_mode: str | None = None) -> Tensor:
        """self / other, with broadcasting; of integers in float32. rounding_mode: "trunc" or "floor", no fraction."""
        return ops.div(self, other, rounding_mode)

    def pow(self, exponent) -> Tensor:
        """self to the power of a number or a tensor."""
        return ops.pow(self, exponent)

    def square(self) -> Tensor:
        """self * self."""
        return ops.mul(self, self)

    def neg(self) -> Tensor:
        """-self."""
        return ops.neg(self)

    def exp(self) -> Tensor:
        """e to the power of each element."""
        return ops.exp(self)

    def log(self) -> Tensor:
        """The natural logarithm of each element."""
        return ops.log(self)

    def sqrt(self) -> Tensor:
        """The square root of each element."""
        return ops.sqrt(self)

    def abs(self) -> Tensor:
        """The absolute value of each element."""
        return ops.abs(self)

    def tanh(self) -> Tensor:
        """The hyperbolic tangent of each element."""
        return ops.tanh(self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x)) of each element."""
        return ops.sigmoid(self)

    def relu(self) -> Tensor:
        """max(x, 0) of each element."""
        return ops.relu(self)

    def maximum(self, other: Tensor) -> Tensor:
        """The larger of the two, element by element."""
        return ops.maximum(self, other)

    def minimum(self, other: Tensor) -> Tensor:
        """The smaller of the two, element by element."""
        return ops.minimum(self, other)

    def matmul(self, other: Tensor) -> Tensor:
        """The matrix product, by torch's rules for 1-D and batched operands."""
        return ops.matmul(self, other)

    # -----------------------------------------------------------------------------------------------------------------
    # Reductions
    # -----------------------------------------------------------------------------------------------------------------

    def sum(self, dim: int | Sequence[int] | None = None, keepdim: bool = False, dtype: DType | None = None) -> Tensor:
        """The sum over some dimensions, or over all. Integer tensors are summed as int64. dtype: convert first."""
        return ops.sum(self if dtype is None else self.to(dtype), dim, keepdim)

    def mean(self, dim: int | Sequence[int] | None = None, keepdim: bool = False, dtype: DType | None = None) -> Tensor:
        """The mean over some dimensions, or over all. dtype: convert first."""
        return ops.mean(self if dtype is None else self.to(dtype), dim, keepdim)

    def var(
        self,
        dim: int | Sequence[int] | None = None,
        correction: int | None = None,
        keepdim: bool = False,
        unbiased: bool | None = None,
    ) -> Tensor:
        """The variance: the sum of squared distances from the mean over (count - correction). Infinity, or NaN where
        all distances are 0, if the correction leaves nothing to divide by. unbiased: torch's older word for the
        correction, 1 or 0, where none is given."""
        if correction is None:
            correction = 1 if unbiased is None else int(as_flag(unbiased, "var: unbiased"))
        return ops.var(self, dim, correction, keepdim)

    def amax(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Tensor:
        """The largest element over some dimensions; equal maxima share the gradient evenly."""
        return ops.amax(self, dim, keepdim)

    def amin(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Tensor:
        """The smallest element over some dimensions; equal minima share the gradient evenly."""
        return ops.amin(self, dim, keepdim)

    def max(self, dim: int | None = None, keepdim: bool = False) -> Tensor | ValuesAndIndices:
        """The largest element; with a dim, (values, indices) along it, and the gradient goes to the index's element."""
        return ops.max_of_all(self) if dim is None else ValuesAndIndices(*ops.max_along(self, dim, keepdim))

    def min(self, dim: int | None = None, keepdim: bool = False) -> Tensor | ValuesAndIndices:
        """The smallest element; with a dim, (values, indices) along it; the gradient goes to the index's element."""
        return ops.min_of_all(self) if dim is None else ValuesAndIndices(*ops.min_along(self, dim, keepdim))

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """The int64 position of the largest element along dim, or in the flattened tensor; of equal ones, the first."""
        return ops.argmax(self, dim, keepdim)

    def softmax(self, dim: int, dtype: DType | None = None) -> Tensor:
        """exp(x) / sum(exp(x)) along dim. dtype: convert first."""
        return ops.softmax(self if dtype is None else self.to(dtype), dim)

    def log_softmax(self, dim: int, dtype: DType | None = None) -> Tensor:
        """log(softmax(x)) along dim, computed without overflow. dtype: convert first."""
        return ops.log_softmax(self if dtype is None else self.to(dtype), dim)

    def logsumexp(self, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
        """log(sum(exp(x))) over dim, computed without overflow."""
        return ops.logsumexp(self, dim, keepdim)

    # -----------------------------------------------------------------------------------------------------------------
    # Shape
    # -----------------------------------------------------------------------------------------------------------------

    def reshape(self, *shape) -> Tensor:
        """The same elements in another shape; one length may be -1. The memory is shared."""
        return ops.reshape(self, _unpack(shape))

    def view(self, *shape) -> Tensor:
        """The same as reshape: our memory is always contiguous."""
        return ops.reshape(self, _unpack(shape))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Merges the dimensions start_dim ... end_dim into one. The memory is shared."""
        return ops.flatten(self, start_dim, end_dim)

    def squeeze(self, dim: int | Sequence[int] | None = None) -> Tensor:
        """Without the dimensions of length 1 (or without those of `dim` whose length is 1). The memory is shared."""
        return ops.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        """With a dimension of length 1 put in at `dim`. The memory is shared."""
        return ops.unsqueeze(self, dim)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """With two dimensions exchanged. A part: a copy, and a change of it in place is written to this tensor too."""
        return ops.transpose(self, dim0, dim1)

    def permute(self, *dims) -> Tensor:
        """With the dimensions in another order. A part: a copy, and a change of it in place is written to this tensor
        too."""
        return ops.permute(self, _unpack(dims))

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix. A part: a copy, and a change of it in place is written to this tensor too."""
        if self.ndim != 2:
            raise ValueError(
                f".T: wanted a matrix (2 dimensions), got shape {self.shape}; use .transpose(dim0, dim1) or .permute"
            )
        return ops.transpose(self, 0, 1)

    def broadcast_to(self, *shape) -> Tensor:
        """Repeated to a larger shape by numpy's broadcasting rules. A copy that cannot be changed in place, as in
        torch, where several of its elements are one."""
        return ops.broadcast_to(self, _unpack(shape))

    def expand(self, *shape) -> Tensor:
        """Like broadcast_to; -1 keeps a dimension's length."""
        shape = as_sizes(_unpack(shape), "expand")
        missing = len(shape) - self.ndim
        return ops.broadcast_to(
            self, [self.shape[d - missing] if n == -1 and d >= missing else n for d, n in enumerate(shape)]
        )

    # -----------------------------------------------------------------------------------------------------------------
    # Choosing elements
    # -----------------------------------------------------------------------------------------------------------------

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The slices of dimension `dim` that an int64 index names, in its order."""
        return ops.select(self, dim, index)

    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        """Elements start ... start + length - 1 of dimension `dim`. A part: a copy, and a change of it in place is
        written to this tensor too."""
        return ops.narrow(self, dim, start, length)

    def __getitem__(self, key) -> Tensor:
        """x[2], x[1:5], x[:, 0]: a part: a copy, and a change of it in place is written to this tensor too.
        x[:], x[...], x[None]: the memory is shared. x[rows] with int64 rows: a plain copy."""
        return ops.getitem(self, key)

    def __setitem__(self, key, value):
        """x[2] = number or tensor, for the keys of x[key] except rows, and where no graph is recorded."""
        ops.setitem(self, key, value)

    # -----------------------------------------------------------------------------------------------------------------
    # In place
    # -----------------------------------------------------------------------------------------------------------------

    def add_(self, other, alpha: float = 1) -> Tensor:
        """self += alpha * other."""
        return ops.add_(self, other, alpha)

    def sub_(self, other, alpha: float = 1) -> Tensor:
        """self -= alpha * other."""
        return ops.sub_(self, other, alpha)

    def mul_(self, other) -> Tensor:
        """self *= other."""
        return ops.mul_(self, other)

    def div_(self, other, rounding_mode: str | None = None) -> Tensor:
        """self /= other."""
        return ops.div_(self, other, rounding_mode)

    def fill_(self, value: float) -> Tensor:
        """Sets every element to one number, which may be a 0-d tensor."""
        return ops.fill_(self, value)

    def zero_(self) -> Tensor:
        """Sets every element to 0."""
        return ops.fill_(self, 0)

    def copy_(self, source: Tensor) -> Tensor:
        """Takes over the elements of a tensor of the same (or a broadcastable) shape."""
        return ops.copy_(self, source)

    def uniform_(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draws every element from the uniform distribution on [low, high)."""
        return ops.uniform_(self, low, high)

    def normal_(self, mean: float = 0.0, std: float = 1.0) -> Tensor:
        """Draws every element from the normal distribution."""
        return ops.normal_(self, mean, std)

    def __iadd__(self, other):
        return ops.add_(self, other)

    def __isub__(self, other):
        return ops.sub_(self, other)

    def __imul__(self, other):
        return ops.mul_(self, other)

    def __itruediv__(self, other):
        return ops.div_(self, other)

    def __ifloordiv__(self, other):
        return ops.div_(self, other, "floor")

    # At the end of the class: behind these, `int` and `float` would no longer mean Python's types.

    def float(self) -> Tensor:
        """As float32."""
        return self.to(backend.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(backend.float64)

    def long(self) -> Tensor:
        """As int64; fractions are cut off."""
        return self.to(backend.int64)

    def int(self) -> Tensor:
        """As int32; fractions are cut off."""
        return self.to(backend.int32)


class Parameter(Tensor):
    """A tensor that belongs to a model: Module collects it, an optimiser updates it. Requires a gradient by default."""

    __slots__ = ()

    def __init__(self, data, requires_grad: bool = True):
        super().__init__(data.array if isinstance(data, Tensor) else data, requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class ValuesAndIndices(NamedTuple):
    """What max(dim) and min(dim) return."""

    values: Tensor
    indices: Tensor


# ---------------------------------------------------------------------------------------------------------------------
# Numbers in
# ---------------------------------------------------------------------------------------------------------------------


def tensor(data, dtype: DType | None = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor from a number, a nested list, a numpy array, or anything that speaks DLPack (a torch tensor). Always
    a copy.

    device: "cpu", "cuda" (a GPU) or "simt" (the emulator that runs the GPU's kernels on the CPU; see mytensor.simt).
    When left out, where the data is: a tensor stays on its device, all else goes to the CPU.
    dtype: when left out, numpy arrays keep theirs; Python floats become float32, ints int64. bool becomes uint8 (0 and
    1), since there is no boolean dtype here; comparisons return uint8 for the same reason.
    TypeError: float16, complex, strings and other dtypes there are no kernels for. ValueError: a number that the dtype
    does not hold, e.g. 300 or NaN in uint8; fractions are cut off.
    """
    array = _new_array(data, None if dtype is None else as_dtype(dtype))
    return Tensor(array if device is None else array.to(as_device(device)), requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a numpy array: a change in one is seen in the other.

    An array that is not C-contiguous, writable and in the machine's byte order cannot be shared, and is copied.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: wanted a numpy array, got {describe(array)}; mt.tensor takes lists and numbers")
    if array.dtype == np.bool_:
        array = array.view(np.uint8) if array.flags.c_contiguous else array.astype(np.uint8)
    _check_numpy_dtype(array.dtype)
    return Tensor._wrap(backend.from_numpy(array))


def from_dlpack(source: Any) -> Tensor:
    """A tensor that shares the memory of an object that speaks DLPack: a torch tensor on the CPU, a numpy array."""
    if not hasattr(source, "__dlpack__"):
        raise TypeError(f"from_dlpack: {describe(source)} has no __dlpack__ method; mt.tensor copies lists and numbers")
    return Tensor._wrap(backend.from_dlpack(source))


def as_dtype(dtype) -> DType:
    """mt.float32 and so on from itself, its name ("float32"), or numpy's type (np.float32)."""
    if isinstance(dtype, DType):
        return dtype
    name = describe(dtype)
    if isinstance(dtype, (str, type, np.dtype)):  # of what else numpy would make one: of None float64
        with contextlib.suppress(TypeError):
            name = np.dtype(dtype).name
    if name not in _DTYPE_OF_NAME:
        raise TypeError(
            f"dtype {name} is not supported; wanted one of {', '.join('mt.' + known for known in _DTYPE_OF_NAME)}"
        )
    return _DTYPE_OF_NAME[name]


def as_array(value, op: str) -> NDArray:
    """The NDArray of an op's argument, a Tensor or an NDArray."""
    if isinstance(value, Tensor):
        return value.array
    if isinstance(value, NDArray):
        return value
    raise TypeError(f"{op}: wanted a Tensor, got {describe(value)}; mt.tensor(...) makes one")


def as_device(device) -> str:
    """ "cpu", "cuda" or "simt", checked."""
    if not isinstance(device, str):
        raise TypeError(f"a device must be one of 'cpu', 'cuda', 'simt', got {device!r} ({type(device).__name__})")
    if device not in _DEVICES:
        raise ValueError(f"device {device!r} is not one of 'cpu', 'cuda', 'simt'")
    return device


def parse_to_arguments(args: tuple, kwargs: dict) -> tuple[str | None, DType | None, bool]:
    """(device, dtype, non_blocking) from the arguments of a `to` in any of torch's spellings: (dtype), (device),
    (device, dtype) or (other tensor), each with non_blocking behind it, or keywords. None: as it was."""
    first = args[0] if args else None
    if isinstance(first, Tensor):
        names = ["other", "non_blocking"]
    elif isinstance(first, (DType, type, np.dtype)) or (isinstance(first, str) and first in _DTYPE_OF_NAME):
        names = ["dtype", "non_blocking"]
    else:
        names = ["device", "dtype", "non_blocking"]
    if len(args) > len(names):
        raise TypeError(f"to: wanted at most ({', '.join(names)}), got {len(args)} arguments")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in ("device", "dtype", "other", "non_blocking"):
            raise TypeError(f"to: there is no argument {name!r}; wanted device, dtype, other, non_blocking or copy")
        if name in given:
            raise TypeError(f"to: {name} was given twice, as {given[name]!r} and as {name}={value!r}")
        given[name] = value
    if "other" in given:
        other = given["other"]
        if not isinstance(other, Tensor):
            raise TypeError(f"to: other must be a Tensor, got {describe(other)}")
        if "device" in given or "dtype" in given:
            raise TypeError("to: a tensor brings its device and its dtype, so neither can be given beside it")
        given.update(device=other.device, dtype=other.dtype)
    if not given:
        raise TypeError("to: wanted a dtype (mt.float64), a device ('cpu', 'cuda', 'simt'), both, or a Tensor")
    device, dtype, non_blocking = given.get("device"), given.get("dtype"), given.get("non_blocking", False)
    if not isinstance(non_blocking, (bool, np.bool_)):
        raise TypeError(f"to: non_blocking must be True or False, got {non_blocking!r}")
    return (
        None if device is None else as_device(device),
        None if dtype is None else as_dtype(dtype),
        bool(non_blocking),
    )


def _new_array(data, dtype: DType | None):
    """A new NDArray with the values of `data`."""
    if isinstance(data, Tensor):
        data = data.array
    elif hasattr(data, "__dlpack_device__") and data.__dlpack_device__()[0] == _DLPACK_CUDA:
        data = backend.from_dlpack(data)
    if isinstance(data, NDArray):
        if dtype is None or dtype == data.dtype:
            return data.clone()
        _check_range(data.cpu().numpy(), dtype)
        return data.astype(dtype)
    is_python_data = not isinstance(data, (np.ndarray, np.generic))
    if is_python_data and hasattr(data, "__dlpack__"):
        try:
            data, is_python_data = np.from_dlpack(data), False
        except (RuntimeError, BufferError) as error:  # torch.bfloat16, say; which of the two is numpy's choice
            if "dtype" not in str(error):
                raise
            raise TypeError(
                f"cannot read a {type(data).__name__} of dtype {getattr(data, 'dtype', 'unknown')} ({error}); convert "
                "it first, e.g. x.float()"
            ) from None
    array = _numpy_array(data)
    if is_python_data and array.dtype in (np.float64, np.uint64, np.object_) and array.size:
        array = _python_numbers(data, array, dtype)
    if dtype is not None:
        _check_range(array, dtype)
        with np.errstate(over="ignore"):  # 1e300 is infinity in float32
            array = array.astype(_NAME_OF_DTYPE[dtype])
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8)
    elif is_python_data and array.dtype == np.float64:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    _check_numpy_dtype(array.dtype)
    # order="C" and the native byte order: what NDArray wants. Always a copy, so that the tensor owns its memory.
    return backend.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def _check_numpy_dtype(dtype: np.dtype) -> None:
    if dtype.name not in _DTYPE_OF_NAME:
        near = "float32" if dtype.kind == "f" else "int64"
        raise TypeError(
            f"numpy dtype {dtype.name} is not supported; convert the array first, e.g. array.astype(np.{near}) "
            f"(there are kernels for {', '.join(_DTYPE_OF_NAME)})"
        )


def _numpy_array(data) -> np.ndarray:
    """The numbers as a numpy array. TypeError or ValueError for what holds anything else, or is ragged."""
    try:
        array = np.asarray(data)
    except ValueError:
        raise ValueError(
            f"cannot make a tensor of this {type(data).__name__}: at every level its parts must be numbers, or lists "
            "of one length"
        ) from None
    if array.dtype.kind == "O" and isinstance(data, (list, tuple, int)):
        other = [element for element in array.flat if not isinstance(element, (int, float))]
        if not other:
            return array  # integers beyond 64 bits
        raise TypeError(
            f"cannot make a tensor of a {type(data).__name__} that holds {describe(other[0])}; wanted numbers"
        )
    if array.dtype.kind not in "fiub":
        hint = "; take .real, .imag or abs() first" if array.dtype.kind == "c" else ""
        raise TypeError(
            f"cannot make a tensor of {array.dtype.name} values (got {describe(data)}); wanted numbers{hint}"
        )
    return array


def _python_numbers(data, array: np.ndarray, dtype: DType | None) -> np.ndarray:
    """Python's numbers, of which numpy made floating ones, or integers beyond int64.

    It makes floating numbers of all where one integer lies beyond int64, and the others lose digits. So where integers
    are wanted they are read one by one.
    """
    wants_integers = _are_integers(data) if dtype is None else not dtype.is_floating
    if not wants_integers:
        try:
            return array.astype(np.float64)
        except OverflowError:
            raise ValueError("tensor: an integer lies beyond the largest floating number") from None
    if array.dtype.kind == "f" and (np.abs(array) < 2**53).all():
        return array  # exact, and NaN is not among them
    wanted = np.iinfo(np.int64 if dtype is None else _NAME_OF_DTYPE[dtype])
    elements = np.array(data, dtype=object)
    for element in elements.flat:
        if not wanted.min <= element <= wanted.max:
            raise ValueError(_does_not_fit(element, wanted.dtype.name))
    return np.array([int(element) for element in elements.flat], wanted.dtype).reshape(elements.shape)


def _are_integers(data) -> bool:
    if isinstance(data, (list, tuple)):
        return all(_are_integers(element) for element in data)
    return isinstance(data, (int, np.integer))


def _check_range(array: np.ndarray, dtype: DType) -> None:
    """ValueError if an integer dtype does not hold every number; fractions may be cut off."""
    if dtype.is_floating or array.size == 0 or array.dtype.kind == "b":
        return
    limits = np.iinfo(_NAME_OF_DTYPE[dtype])
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        # The largest int64 is 2^63 as a float, which is too large. Written so that NaN does not fit.
        fits = (array >= limits.min) & (array <= limits.max) & (array < limits.max + 1.0)
        wrong = array[~fits]
    else:
        wrong = np.array([end for end in (array.min(), array.max()) if not limits.min <= int(end) <= limits.max])
    if wrong.size:
        raise ValueError(_does_not_fit(wrong.flat[0], dtype.name))


def _does_not_fit(number, name: str) -> str:
    return f"tensor: the number {number} does not fit {name}; use another number or another dtype"


def _rebuild(kind: type[Tensor], array, requires_grad: bool, grad: Tensor | None) -> Tensor:
    """Makes a tensor again from what __reduce__ said. Not by kind(...), whose arguments a subclass may have changed."""
    tensor = kind._wrap(array)
    tensor._requires_grad = requires_grad
    tensor.grad = grad
    return tensor


def _array_from(values: np.ndarray, device: str):
    return backend.from_numpy(values).to(device)


# How an NDArray is copied and pickled. Tensors that share one still share it then.
copyreg.pickle(NDArray, lambda array: (_array_from, (array.cpu().numpy(), array.device)))


def _unpack(sizes: tuple) -> tuple:
    """reshape(2, 3) and reshape((2, 3)) mean the same."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


# At the end, because these import Tensor from here.
from mytensor import autograd, creation, ops  # noqa: E402
from mytensor.ops.parts import NotToChange, Part  # noqa: E402
