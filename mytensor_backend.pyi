"""The compiled backend of mytensor: arrays and the kernels that work on them.

An op takes NDArrays and returns new ones. A name that ends in _ writes into its first argument and bumps its
storage's version. A window's size, stride, padding and dilation are ints or pairs (h, w). All floating arguments of
a call share one dtype, float32 or float64. An empty batch works.

Handed mytensor.Tensors, an op that has a derivative records the graph and returns Tensors."""

# Written by scripts/stubs.py.
import collections.abc
import typing

import numpy as np

from mytensor import Tensor

_Array = typing.TypeVar("_Array", NDArray, Tensor)

class SimtError(RuntimeError):
    """What the emulator (device simt) found wrong with a kernel."""

class CudaError(RuntimeError):
    """What the CUDA runtime reports (device cuda)."""

class DType:
    """The type of an NDArray's elements.

    Members:

      float32

      float64

      int64

      int32

      uint8"""

    __members__: typing.ClassVar[dict[str, DType]]
    float32: typing.ClassVar[DType]
    float64: typing.ClassVar[DType]
    int32: typing.ClassVar[DType]
    int64: typing.ClassVar[DType]
    uint8: typing.ClassVar[DType]

    @typing.overload
    def __eq__(self, other: DType) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: int) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: DType) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: int) -> None: ...
    def __str__(self) -> str: ...
    @property
    def is_floating(self) -> bool: ...
    @property
    def itemsize(self) -> int:
        """Bytes an element takes."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class NDArray:
    """A contiguous, row-major array: a shape over a storage."""

    def __array__(self, dtype: typing.Any = None, copy: typing.Any = None) -> typing.Any: ...
    def __dlpack__(
        self,
        *,
        stream: typing.Any = None,
        max_version: typing.Any = None,
        dl_device: typing.Any = None,
        copy: typing.Any = None,
    ) -> object:
        """A capsule for another library: of the array itself, or of a copy where it must be one."""

    def __dlpack_device__(self) -> tuple[int, int]:
        """(1, 0): host memory; (2, 0): a GPU's."""

    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...
    def astype(self, dtype: DType) -> NDArray:
        """A copy with elements of another type."""

    def clone(self) -> NDArray:
        """A copy with a storage of its own."""

    def cpu(self) -> NDArray:
        """A copy on the CPU; itself if it is there already."""

    def item(self) -> typing.Any:
        """The one element, as a Python number."""

    def numpy(self) -> np.ndarray:
        """A numpy array over the same memory: a change of one is seen in the other."""

    def pin_memory(self) -> NDArray:
        """A copy in pinned memory of the CPU; itself if it is pinned."""

    def reshape(self, shape: collections.abc.Sequence[int]) -> NDArray:
        """The same storage under another shape; one size may be -1."""

    def shares_storage(self, *args) -> bool:
        """Whether one of the others lies in the same memory. What is no NDArray does not."""

    def to(self, device: str, non_blocking: bool = False) -> NDArray:
        """A copy on another device; itself if it is there already. non_blocking: a copy between a GPU and pinned
        memory is queued on the current stream and not waited for."""

    @property
    def data_ptr(self) -> int:
        """Address of element 0."""

    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> typing.Any: ...
    @property
    def is_pinned(self) -> bool:
        """Whether it lies in pinned memory of the CPU."""

    @property
    def nbytes(self) -> int: ...
    @property
    def ndim(self) -> int: ...
    @property
    def shape(self) -> tuple: ...
    @property
    def size(self) -> int:
        """Number of elements."""

    @property
    def version(self) -> int:
        """How often an in-place op has written to the storage."""

class CudaEvent:
    """A mark in a stream; mytensor.cuda.Event wraps it."""

    def __init__(self, enable_timing: bool, blocking: bool) -> None: ...
    def elapsed_time(self, end: CudaEvent) -> float: ...
    def query(self) -> bool: ...
    def record(self, stream: int) -> None: ...
    def state(self) -> str: ...
    def synchronize(self) -> None: ...
    def wait(self, stream: int) -> None: ...

def abs(x: _Array) -> _Array:
    """|x|, element by element. x: any shape; any dtype but uint8."""

@typing.overload
def add(a: _Array, b: _Array) -> _Array:
    """a + b, broadcast. One dtype, any; integers wrap around."""

@typing.overload
def add(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def add(a: int | float, b: _Array) -> _Array: ...
@typing.overload
def add_(a: _Array, b: _Array, alpha: int | float = 1) -> _Array:
    """a += alpha * b, in place; b is an array that broadcasts to a's shape, or a number. Returns a."""

@typing.overload
def add_(a: _Array, b: int | float, alpha: int | float = 1) -> _Array: ...
def amax(x: _Array, dims: int | collections.abc.Sequence[int] | None = None, keepdim: bool = False) -> _Array:
    """The largest element over dims (all when left out); NaN where there is a NaN."""

def amin(x: _Array, dims: int | collections.abc.Sequence[int] | None = None, keepdim: bool = False) -> _Array:
    """The smallest element over dims (all when left out); NaN where there is a NaN."""

def argmax(x: _Array, dim: int, keepdim: bool = False) -> _Array:
    """Where the first largest element stands along dim: int64. The first NaN counts as the largest."""

def avg_pool2d(
    input: _Array,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> _Array:
    """The mean of each window.

    input: (N, C, H, W), floating or int64. Returns (N, C, OH, OW): each window's sum, divided by divisor_override if
    given, else by the number of its elements inside the input and, with count_include_pad, the padding. stride None:
    kernel_size. padding: zeros, at most kernel_size / 2."""

def avg_pool2d_backward(
    upstream: NDArray,
    input_shape: collections.abc.Sequence[int],
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> NDArray:
    """The gradient of avg_pool2d's input: each upstream element, divided as in avg_pool2d, is added to all elements of
    its window.

    upstream: (N, C, OH, OW). Returns (N, C, H, W), which is input_shape. The other arguments: those of the forward
    pass."""

def broadcast_to(x: _Array, shape: collections.abc.Sequence[int]) -> _Array:
    """x repeated to `shape`."""

def build_info() -> dict:
    """How this extension was built: source_hash, compiler, flags, kernel_flags, arch, cpu_features (list),
    simt_flags (of the emulator's kernels: fast | watched), cuda (str or None)."""

def cat(arrays: collections.abc.Sequence[_Array], dim: int = 0) -> _Array:
    """The arrays one after the other along dim; their other dimensions and dtypes agree."""

def check_red_zones() -> None:
    """Raises when a kernel wrote outside its arrays since memory mode 'debug' was set."""

def col2im(
    columns: _Array,
    output_size: int | tuple[int, int],
    kernel_size: int | tuple[int, int],
    dilation: int | tuple[int, int] = (1, 1),
    padding: int | tuple[int, int] = (0, 0),
    stride: int | tuple[int, int] = (1, 1),
) -> _Array:
    """The windows' elements added at their places (torch's fold): (N, C * kh * kw, L) -> (N, C, H, W), (H, W) being
    output_size."""

def conv2d(
    input: _Array,
    weight: _Array,
    bias: _Array | None = None,
    stride: int | tuple[int, int] = (1, 1),
    padding: int | tuple[int, int] | None = None,
    dilation: int | tuple[int, int] = (1, 1),
    groups: int = 1,
) -> _Array:
    """2-D convolution (cross-correlation): input (N, C, H, W), weight (O, C / groups, kh, kw), bias (O,) -> (N, O,
    H', W'), where H' = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1. padding None: kernel // 2,
    which keeps H and W when the kernel is odd and the stride 1."""

def conv2d_bias_grad(upstream: NDArray) -> NDArray:
    """Gradient of conv2d with respect to its bias: upstream (N, O, H', W') summed over N, H' and W' -> (O,)."""

def conv2d_input_grad(
    upstream: NDArray,
    weight: NDArray,
    input_shape: collections.abc.Sequence[int],
    stride: int | tuple[int, int] = (1, 1),
    padding: int | tuple[int, int] | None = None,
    dilation: int | tuple[int, int] = (1, 1),
    groups: int = 1,
) -> NDArray:
    """Gradient of conv2d with respect to its input: upstream (N, O, H', W'), weight (O, C / groups, kh, kw) ->
    input_shape (N, C, H, W)."""

def conv2d_weight_grad(
    upstream: NDArray,
    input: NDArray,
    weight_shape: collections.abc.Sequence[int],
    stride: int | tuple[int, int] = (1, 1),
    padding: int | tuple[int, int] | None = None,
    dilation: int | tuple[int, int] = (1, 1),
    groups: int = 1,
) -> NDArray:
    """Gradient of conv2d with respect to its weight: upstream (N, O, H', W'), input (N, C, H, W) -> weight_shape (O,
    C / groups, kh, kw)."""

def copy_(destination: _Array, source: _Array) -> _Array:
    """Copies source, broadcast, into destination; both have one dtype. Returns destination."""

@typing.overload
def cross_entropy(
    logits: NDArray,
    target: NDArray,
    weight: NDArray | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> tuple[NDArray, NDArray, NDArray]:
    """Cross entropy: log(sum over c of exp(logits[n, c])) - logits[n, target[n]], times weight[target[n]]; 0 where
    target is ignore_index.

    logits: (N, C, ...). target: int64 (N, ...). weight: (C,). label_smoothing: the share of the target that is
    spread over all classes. Returns the loss, (N, ...) for reduction 'none', () for 'mean' and 'sum'; log_sum_exp
    (N, ...); total_weight (), by which 'mean' divides. IndexError for a label that is no class."""

@typing.overload
def cross_entropy(*args, **kwargs) -> typing.Any: ...
def cross_entropy_backward(
    upstream: NDArray,
    logits: NDArray,
    target: NDArray,
    log_sum_exp: NDArray,
    total_weight: NDArray,
    weight: NDArray | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> NDArray:
    """The gradient of cross_entropy's logits (N, C, ...): softmax minus the one-hot target, weighted and smoothed.

    upstream: the loss's shape. log_sum_exp, total_weight: what cross_entropy returned. The others: as in
    cross_entropy."""

def cuda_current_stream() -> int:
    """The calling thread's current stream."""

def cuda_info() -> dict:
    """Which GPUs there are: built (bool), runtime_version, driver_version (None: no driver), gpus (list of name,
    compute_capability, total_memory in bytes), problem (why the first of them cannot be used, or why there is
    none; None: it can)."""

def cuda_memory_info() -> tuple[int, int]:
    """(free, total) bytes of the GPU's memory."""

def cuda_new_stream(priority: int = 0) -> int:
    """A stream of the pool."""

def cuda_record_stream(array: NDArray, stream: int) -> None:
    """The stream uses the array's memory: freed, it is given to nobody before the stream has come so far."""

def cuda_set_stream(stream: int) -> None:
    """Makes it the calling thread's current stream."""

def cuda_stream_query(stream: int) -> bool: ...
def cuda_stream_synchronize(stream: int) -> None: ...
@typing.overload
def div(a: _Array, b: _Array) -> _Array:
    """a / b, broadcast. float32 or float64."""

@typing.overload
def div(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def div(a: int | float, b: _Array) -> _Array: ...
@typing.overload
def div_floor(a: NDArray, b: NDArray) -> NDArray:
    """The largest whole number that is not above a / b, broadcast. One dtype, any; ValueError where a whole number
    is divided by 0."""

@typing.overload
def div_floor(a: NDArray, b: int | float) -> NDArray: ...
@typing.overload
def div_floor(a: int | float, b: NDArray) -> NDArray: ...
@typing.overload
def div_trunc(a: NDArray, b: NDArray) -> NDArray:
    """a / b cut toward zero, broadcast. One dtype, any; ValueError where a whole number is divided by 0."""

@typing.overload
def div_trunc(a: NDArray, b: int | float) -> NDArray: ...
@typing.overload
def div_trunc(a: int | float, b: NDArray) -> NDArray: ...
def empty(shape: collections.abc.Sequence[int], dtype: DType = DType.float32, device: str = "cpu") -> NDArray:
    """An uninitialised array (NaN in memory mode 'debug')."""

def empty_cache(device: str | None = None) -> None:
    """Returns cached blocks to the system, of one device or of all."""

@typing.overload
def eq(a: _Array, b: _Array) -> _Array:
    """a == b, broadcast: uint8, 1 where it holds."""

@typing.overload
def eq(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def eq(a: int | float, b: _Array) -> _Array: ...
def exp(x: _Array) -> _Array:
    """e to the power of x, element by element. x: any shape, float32 or float64."""

def explain_cuda(
    runtime_version: int,
    driver_version: int,
    architectures: str,
    gpus: collections.abc.Sequence[tuple[str, int, int]],
    error: str = "",
    is_forked: bool = False,
) -> str:
    """Why device cuda does not work given these facts, and what to do; '' if it does. Versions: 1000 * major + 10 *
    minor; architectures: '80 90'; gpus: (name, major, minor)."""

def fill_(a: _Array, value: int | float) -> _Array:
    """Makes every element of a the number `value`. Returns a."""

def fma_peak(seconds: float = 0.5) -> float:
    """Floating-point operations a second of all threads together, on float32 numbers that stay in registers: the
    CPU's ceiling for a product, measured for about so many seconds."""

def from_dlpack(source: typing.Any) -> NDArray:
    """Shares the memory of any object with __dlpack__: a torch tensor, a numpy array."""

def from_numpy(array: np.ndarray) -> NDArray:
    """Shares the memory of a C-contiguous, writable, aligned array in this machine's byte order; copies any other."""

def full(
    shape: collections.abc.Sequence[int], value: int | float, dtype: DType = DType.float32, device: str = "cpu"
) -> NDArray:
    """An array of one value."""

def gather_batch(
    images: NDArray,
    index: NDArray,
    mean: NDArray,
    std: NDArray,
    flip: NDArray | None = None,
    crop: NDArray | None = None,
    padding: int = 0,
) -> NDArray:
    """images uint8 (N, C, H, W), index int64 (B,), mean and std float32 (C,) -> float32 (B, C, H, W): (x / 255 -
    mean) / std. crop int64 (B, 2): corner of the window in the image padded with black; flip uint8 (B,): mirrored
    where not 0."""

@typing.overload
def ge(a: _Array, b: _Array) -> _Array:
    """a >= b, broadcast: uint8, 1 where it holds."""

@typing.overload
def ge(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def ge(a: int | float, b: _Array) -> _Array: ...
def get_num_threads() -> int: ...
@typing.overload
def gt(a: _Array, b: _Array) -> _Array:
    """a > b, broadcast: uint8, 1 where it holds."""

@typing.overload
def gt(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def gt(a: int | float, b: _Array) -> _Array: ...
def im2col(
    input: _Array,
    kernel_size: int | tuple[int, int],
    dilation: int | tuple[int, int] = (1, 1),
    padding: int | tuple[int, int] = (0, 0),
    stride: int | tuple[int, int] = (1, 1),
) -> _Array:
    """The windows of each image as columns (torch's unfold): (N, C, H, W) -> (N, C * kh * kw, L), L windows from
    left to right, top to bottom."""

def index_select(x: _Array, index: _Array) -> _Array:
    """x (N, ...), index int64 (B,) -> (B, ...): row i is x's row index[i]."""

def index_select_backward(upstream: NDArray, index: NDArray, shape: collections.abc.Sequence[int]) -> NDArray:
    """upstream (B, ...), index int64 (B,) -> shape (N, ...): row r is the sum of the upstream rows whose index is r."""

def kernel_for(op: str, compute_capability: tuple[int, int], device: str = "cuda") -> str:
    """The name of the kernel that a GPU of this compute capability, (major, minor), computes `op` by: the selected
    one, else the first of the device's list that runs there. NotImplementedError: there is none, or the selected
    one needs a newer GPU. No GPU is asked."""

def kernels(op: str, device: str | None = None) -> list:
    """The kernels of an op, of one device or of all: name, device, one sentence (description), whether it is the one
    that serves (selected), the compute capability it needs (oldest_gpu; None on the CPU)."""

@typing.overload
def le(a: _Array, b: _Array) -> _Array:
    """a <= b, broadcast: uint8, 1 where it holds."""

@typing.overload
def le(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def le(a: int | float, b: _Array) -> _Array: ...
def linear(input: _Array, weight: _Array, bias: _Array | None = None) -> _Array:
    """input @ weight.T + bias: (rows, in), (out, in), (out,) -> (rows, out)."""

def log(x: _Array) -> _Array:
    """Natural logarithm, element by element; log(0) = -inf, NaN below. x: any shape, float32 or float64."""

def log_softmax(x: _Array, dim: int) -> _Array:
    """x - log(sum of exp(x)) along dim. x: any shape, float32 or float64."""

def log_softmax_backward(upstream: NDArray, output: NDArray, dim: int) -> NDArray:
    """The gradient of log_softmax's input: upstream - exp(output) * (sum of upstream along dim). All of one shape."""

def logsumexp(x: _Array, dims: collections.abc.Sequence[int], keepdim: bool = False) -> _Array:
    """log(sum of exp(x)) over dims, a list. x: any shape, float32 or float64. Returns x's shape, where dims are 1
    with keepdim and gone without."""

@typing.overload
def lt(a: _Array, b: _Array) -> _Array:
    """a < b, broadcast: uint8, 1 where it holds."""

@typing.overload
def lt(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def lt(a: int | float, b: _Array) -> _Array: ...
def matmul(a: _Array, b: _Array, transpose_a: bool = False, transpose_b: bool = False) -> _Array:
    """op(a) @ op(b): (m, k) @ (k, n) -> (m, n), or of batches (b, m, k) @ (b, k, n) -> (b, m, n). transpose_a: a is
    (k, m); transpose_b: b is (n, k)."""

@typing.overload
def max_pool2d(
    input: NDArray,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = (0, 0),
    dilation: int | tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
    short_indices: bool = False,
) -> tuple[NDArray, NDArray]:
    """The largest element of each window.

    input: (N, C, H, W), any dtype. Returns output (N, C, OH, OW) and indices of the same shape: where in its (H, W)
    plane each maximum stood, row * W + column; int64, or with short_indices int32, where H * W allows. stride None:
    kernel_size. Padding, at most kernel_size / 2, counts as minus infinity; of equal maxima the first counts, row by
    row; NaN wins. ceil_mode: a last window that reaches beyond the padding counts too, if it starts inside the
    input."""

@typing.overload
def max_pool2d(*args, **kwargs) -> typing.Any: ...
def max_pool2d_backward(
    upstream: NDArray,
    indices: NDArray,
    input_shape: collections.abc.Sequence[int],
    kernel_size: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = (0, 0),
    dilation: int | tuple[int, int] = (1, 1),
) -> NDArray:
    """The gradient of max_pool2d's input: each upstream element is added where its maximum stood.

    upstream, indices: (N, C, OH, OW). Returns (N, C, H, W), which is input_shape. IndexError for an index outside
    its plane. kernel_size and what follows: the forward pass's. They may be left out; with them, a GPU's thread
    looks at a few windows only."""

@typing.overload
def maximum(a: _Array, b: _Array) -> _Array:
    """The larger of a and b, broadcast; NaN where one of them is NaN."""

@typing.overload
def maximum(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def maximum(a: int | float, b: _Array) -> _Array: ...
def mean(x: _Array, dims: int | collections.abc.Sequence[int] | None = None, keepdim: bool = False) -> _Array:
    """The mean over dims (all when left out). float32 or float64."""

def memory_mode() -> str: ...
def memory_stats(device: str = "cpu") -> dict:
    """Bytes allocated and reserved, their peaks, and how many requests the cache served. device: also 'pinned'."""

@typing.overload
def minimum(a: _Array, b: _Array) -> _Array:
    """The smaller of a and b, broadcast; NaN where one of them is NaN."""

@typing.overload
def minimum(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def minimum(a: int | float, b: _Array) -> _Array: ...
@typing.overload
def mul(a: _Array, b: _Array) -> _Array:
    """a * b, broadcast. One dtype, any; integers wrap around."""

@typing.overload
def mul(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def mul(a: int | float, b: _Array) -> _Array: ...
@typing.overload
def mul_(a: _Array, b: _Array) -> _Array:
    """a *= b, in place; b is an array that broadcasts to a's shape, or a number. Returns a."""

@typing.overload
def mul_(a: _Array, b: int | float) -> _Array: ...
def narrow(x: _Array, dim: int, start: int, length: int) -> _Array:
    """Elements start to start + length - 1 of dimension dim; a copy."""

def narrow_backward(upstream: NDArray, shape: collections.abc.Sequence[int], dim: int, start: int) -> NDArray:
    """narrow's adjoint: upstream in its place in an array of zeros of `shape`."""

@typing.overload
def ne(a: _Array, b: _Array) -> _Array:
    """a != b, broadcast: uint8, 1 where it holds."""

@typing.overload
def ne(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def ne(a: int | float, b: _Array) -> _Array: ...
def neg(x: _Array) -> _Array:
    """-x, element by element. x: any shape; any dtype but uint8."""

@typing.overload
def nll_loss(
    log_probabilities: NDArray,
    target: NDArray,
    weight: NDArray | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
) -> tuple[NDArray, NDArray]:
    """Negative log-likelihood: -weight[target[n]] * log_probabilities[n, target[n]], 0 where target is ignore_index.

    log_probabilities: (N, C, ...). target: int64 (N, ...). weight: (C,). Returns the loss, (N, ...) for reduction
    'none', () for 'mean' and 'sum', and total_weight (), by which 'mean' divides. IndexError for a label that is no
    class."""

@typing.overload
def nll_loss(*args, **kwargs) -> typing.Any: ...
def nll_loss_backward(
    upstream: NDArray,
    target: NDArray,
    input_shape: collections.abc.Sequence[int],
    weight: NDArray | None,
    reduction: str,
    ignore_index: int,
    total_weight: NDArray,
) -> NDArray:
    """The gradient of nll_loss's log_probabilities, of input_shape (N, C, ...). upstream: the loss's shape. The
    others: as in nll_loss."""

def normal(
    shape: collections.abc.Sequence[int],
    mean: float,
    std: float,
    seed: int,
    offset: int,
    dtype: DType = DType.float32,
    device: str = "cpu",
) -> NDArray:
    """Numbers drawn from the normal distribution, by Box-Muller from the same counters as uniform's."""

def nvtx_annotate_ops(enabled: bool) -> bool:
    """Whether each op stands in a range of its name; returns what was set before."""

def nvtx_available() -> bool:
    """Whether the build has NVTX."""

def nvtx_mark(name: str) -> None: ...
def nvtx_pop() -> None:
    """Ends the range begun last."""

def nvtx_push(name: str) -> None:
    """Begins a range of this thread."""

def ops_with_kernels() -> list[str]:
    """The ops that have several kernels to choose from."""

def permute(x: _Array, dims: collections.abc.Sequence[int]) -> _Array:
    """Output dimension i is x's dimension dims[i]; a copy."""

def philox(
    counter: typing.Annotated[collections.abc.Sequence[int], "FixedSize(4)"],
    key: typing.Annotated[collections.abc.Sequence[int], "FixedSize(2)"],
) -> typing.Annotated[list[int], "FixedSize(4)"]:
    """Philox4x32-10 itself: four 32-bit words from a counter of four and a key of two, least significant first. All
    draws are made of it."""

@typing.overload
def pow(a: _Array, b: _Array) -> _Array:
    """a to the power of b, broadcast. One dtype, any; integers wrap around."""

@typing.overload
def pow(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def pow(a: int | float, b: _Array) -> _Array: ...
def relu(x: _Array) -> _Array:
    """max(x, 0), element by element; NaN stays NaN. x: any shape, float32 or float64."""

def relu_backward(upstream: NDArray, output: NDArray) -> NDArray:
    """The gradient of relu's input: upstream where output, which relu returned, is positive, else 0. All of one
    shape."""

def reset_peak_memory_stats(device: str | None = None) -> None:
    """Peaks count from here on, on one device or on all."""

@typing.overload
def select_kernel(op: str, name: str) -> None: ...
@typing.overload
def select_kernel(op: str, name: None) -> None:
    """Computes `op` by the kernel of that name from now on; None: by the default."""

def selected_kernel(op: str) -> typing.Any:
    """The name select_kernel was given, or None."""

def set_memory_mode(mode: str) -> None:
    """'caching' reuses freed blocks, 'plain' returns them to the system, 'debug' fills new blocks with NaN between
    red zones."""

def set_num_threads(threads: int) -> None: ...
def set_simt_settings(**kwargs) -> None:
    """Changes some of simt_settings(), given by name."""

def set_tensor_handler(handler: typing.Any) -> None:
    """mytensor registers here what an op does with Tensors."""

def sgd_step_(
    parameters: collections.abc.Sequence[NDArray],
    gradients: collections.abc.Sequence[NDArray],
    velocities: collections.abc.Sequence[NDArray],
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    first_step: bool = False,
) -> None:
    """One step of torch.optim.SGD for all parameters, in place. velocities may be empty without momentum; first_step
    sets them."""

def sigmoid(x: _Array) -> _Array:
    """1 / (1 + exp(-x)), element by element. x: any shape, float32 or float64."""

def simt_call(
    library: str,
    function: str,
    arrays: collections.abc.Sequence[NDArray],
    numbers: collections.abc.Sequence[float] = [],
) -> None:
    """Calls an extern "C" function (std::vector<NDArray>& arrays, const std::vector<double>& numbers) of a library
    of kernels built for the emulator."""

def simt_problem() -> str:
    """Why device 'simt' does not work here; '' if it does."""

def simt_settings() -> dict:
    """What the emulator does with a launch; mytensor.simt explains it."""

def softmax(x: _Array, dim: int) -> _Array:
    """exp(x) / sum of exp(x) along dim. x: any shape, float32 or float64."""

def softmax_backward(upstream: NDArray, output: NDArray, dim: int) -> NDArray:
    """The gradient of softmax's input: output * (upstream - sum of upstream * output along dim). All of one shape."""

def sqrt(x: _Array) -> _Array:
    """Square root, element by element; NaN below 0. x: any shape, float32 or float64."""

@typing.overload
def sub(a: _Array, b: _Array) -> _Array:
    """a - b, broadcast. One dtype, any; integers wrap around."""

@typing.overload
def sub(a: _Array, b: int | float) -> _Array: ...
@typing.overload
def sub(a: int | float, b: _Array) -> _Array: ...
def sum(x: _Array, dims: int | collections.abc.Sequence[int] | None = None, keepdim: bool = False) -> _Array:
    """The sum over dims (all when left out). float32, float64; integers are summed as int64."""

def sum_to_shape(x: NDArray, shape: collections.abc.Sequence[int]) -> NDArray:
    """Sums x over the dimensions along which an array of `shape` was repeated: broadcast_to's adjoint."""

def synchronize(device: str) -> None:
    """Waits until all kernels of the device have ended."""

def take_simt_launches() -> list:
    """The launches recorded since the last call, as mytensor.simt reads them."""

def tanh(x: _Array) -> _Array:
    """Hyperbolic tangent, element by element. x: any shape, float32 or float64."""

def uniform(
    shape: collections.abc.Sequence[int],
    low: float,
    high: float,
    seed: int,
    offset: int,
    dtype: DType = DType.float32,
    device: str = "cpu",
) -> NDArray:
    """Numbers drawn uniformly from [low, high). Element i of a float32 array comes from Philox4x32-10's counter
    offset + i // 4, of a float64 array from offset + i // 2; seed is the key."""

def versions(*args) -> tuple:
    """The version of each array: how often an in-place op has written to its storage. 0 for what is no array."""

@typing.overload
def where(mask: _Array, a: _Array, b: _Array) -> _Array:
    """a's element where the uint8 mask is not 0, else b's; all three broadcast."""

@typing.overload
def where(mask: _Array, a: _Array, b: int | float) -> _Array: ...
@typing.overload
def where(mask: _Array, a: int | float, b: _Array) -> _Array: ...

float32: DType
float64: DType
int32: DType
int64: DType
uint8: DType
