"""Arithmetic element by element, with broadcasting: +, -, *, /, powers, comparisons, exp, log ...

Broadcasting repeats the smaller operand, so its gradient is the sum over the repetitions: `_unbroadcast` at the end of
each backward of two operands.
"""

from __future__ import annotations

from numbers import Number

import mytensor_backend as backend
import numpy as np

from mytensor._tensor import NDArray, Tensor, as_array
from mytensor.arguments import as_number, describe
from mytensor.autograd import Function


def _operand(value, op: str):
    """A Tensor, NDArray or Python number, as `Function.apply` and the backend take it."""
    if isinstance(value, (Tensor, NDArray, int, float)):
        return value
    if isinstance(value, (np.number, np.bool_)):
        return as_number(value, f"{op}: a number beside a Tensor")
    if is_foreign_array(value):
        raise TypeError(f"{op}: got {describe(value)} beside a Tensor; make it a Tensor first: mt.tensor(array)")
    raise TypeError(f"{op}: wanted a Tensor or a number, got {describe(value)}")


def is_foreign_array(value) -> bool:
    """An array of numpy, torch or another library, which is no single number."""
    return (hasattr(value, "__dlpack__") or hasattr(value, "__array__")) and not isinstance(value, np.generic)


def _operands(a, b, op: str, fractions: bool = False) -> tuple:
    """Both operands, checked: tensors of one dtype, and no fraction beside an integer tensor.

    fractions: a float number may stand beside an integer tensor, for the op makes floating numbers of both.
    """
    a, b = _operand(a, op), _operand(b, op)
    if not isinstance(b, (int, float)):
        if not isinstance(a, (int, float)):
            if a.dtype != b.dtype:
                raise TypeError(
                    f"{op}: got dtypes {a.dtype.name} and {b.dtype.name}; both tensors must have the same dtype, "
                    "convert one of them: x.float(), x.double(), x.long()"
                )
            return a, b
        tensor, number = b, a
    else:
        tensor, number = a, b
    if (
        isinstance(number, float)
        and not fractions
        and not isinstance(tensor, (int, float))
        and not tensor.dtype.is_floating
    ):
        raise TypeError(
            f"{op}: got a tensor of dtype {tensor.dtype.name} and the number {number}; convert first: x.float()"
        )
    return a, b


def _floating(x, op: str) -> None:
    """Functions like exp need floating numbers."""
    if isinstance(x, (Tensor, NDArray)) and not x.dtype.is_floating:
        raise TypeError(f"{op}: wanted float32 or float64, got {x.dtype.name}; convert the tensor first: x.float()")


def _is_integer_tensor(value) -> bool:
    return isinstance(value, (Tensor, NDArray)) and not value.dtype.is_floating


def _as_floating(value):
    """An integer tensor as float32 (it has no gradient that could be lost); anything else as it is."""
    if not _is_integer_tensor(value):
        return value
    return (value.array if isinstance(value, Tensor) else value).astype(backend.float32)


def _shape_of(value) -> tuple | None:
    return value.shape if type(value) is NDArray else None


def _unbroadcast(gradient, shape):
    """The gradient of an operand of this shape: summed over the dimensions along which it was repeated."""
    return gradient if gradient.shape == shape else backend.sum_to_shape(gradient, shape)


class Add(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.shapes = _shape_of(a), _shape_of(b)
        return backend.add(a, b)

    @staticmethod
    def backward(ctx, upstream):  # d(a + b) = da + db
        need_a, need_b = ctx.needs_input_grad
        shape_a, shape_b = ctx.shapes
        return (
            _unbroadcast(upstream, shape_a) if need_a else None,
            _unbroadcast(upstream, shape_b) if need_b else None,
        )


class Sub(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.shapes = _shape_of(a), _shape_of(b)
        return backend.sub(a, b)

    @staticmethod
    def backward(ctx, upstream):  # d(a - b) = da - db
        need_a, need_b = ctx.needs_input_grad
        shape_a, shape_b = ctx.shapes
        return (
            _unbroadcast(upstream, shape_a) if need_a else None,
            _unbroadcast(backend.neg(upstream), shape_b) if need_b else None,
        )


class Mul(Function):
    @staticmethod
    def forward(ctx, a, b):
        need_a, need_b = ctx.needs_input_grad
        ctx.shapes = _shape_of(a), _shape_of(b)
        ctx.save_for_backward(a if need_b else None, b if need_a else None)
        return backend.mul(a, b)

    @staticmethod
    def backward(ctx, upstream):  # d(ab) = b da + a db
        need_a, need_b = ctx.needs_input_grad
        shape_a, shape_b = ctx.shapes
        a, b = ctx.saved
        return (
            _unbroadcast(backend.mul(upstream, b), shape_a) if need_a else None,
            _unbroadcast(backend.mul(upstream, a), shape_b) if need_b else None,
        )


class Div(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.shapes = _shape_of(a), _shape_of(b)
        ctx.save_for_backward(a if ctx.needs_input_grad[1] else None, b)
        return backend.div(a, b)

    @staticmethod
    def backward(ctx, upstream):  # d(a/b) = da / b - a/b^2 db
        need_a, need_b = ctx.needs_input_grad
        shape_a, shape_b = ctx.shapes
        a, b = ctx.saved
        gradient_b = None
        if need_b:
            gradient_b = _unbroadcast(backend.mul(backend.neg(upstream), backend.div(backend.div(a, b), b)), shape_b)
        return (_unbroadcast(backend.div(upstream, b), shape_a) if need_a else None, gradient_b)


class DivRounded(Function):
    """Quotients without their fraction. They change in steps, and between two steps the slope is 0."""

    @staticmethod
    def forward(ctx, a, b, quotient):
        ctx.shapes = _shape_of(a), _shape_of(b)
        return quotient(a, b)

    @staticmethod
    def backward(ctx, upstream):
        return [
            backend.full(shape, 0.0, upstream.dtype, upstream.device) if needed else None
            for needed, shape in zip(ctx.needs_input_grad, ctx.shapes, strict=False)
        ]


class Pow(Function):
    @staticmethod
    def forward(ctx, a, b):
        output = backend.pow(a, b)
        ctx.shapes = _shape_of(a), _shape_of(b)
        ctx.save_for_backward(a, b, output if ctx.needs_input_grad[1] else None)
        return output

    @staticmethod
    def backward(ctx, upstream):  # d(a^b) = b a^(b-1) da + a^b ln(a) db
        need_a, need_b = ctx.needs_input_grad
        shape_a, shape_b = ctx.shapes
        a, b, output = ctx.saved
        gradient_a = gradient_b = None
        if need_a:
            slope = backend.mul(backend.pow(a, backend.sub(b, 1.0) if type(b) is NDArray else b - 1.0), b)
            # a^0 is 1 everywhere, so its slope is 0 at a = 0 too, where the formula says 0 * infinity.
            is_constant = backend.eq(b, 0.0) if type(b) is NDArray else b == 0
            gradient_a = _unbroadcast(_zero_where(is_constant, backend.mul(upstream, slope)), shape_a)
        if need_b:
            a = a if type(a) is NDArray else backend.full((), a, b.dtype, b.device)
            slope = backend.mul(output, backend.log(a))
            # 0^b is 0 for every b > 0, so its slope is 0, where the formula says 0 * -infinity.
            slope = _zero_where(backend.mul(backend.eq(a, 0.0), backend.ge(b, 0.0)), slope)
            gradient_b = _unbroadcast(backend.mul(upstream, slope), shape_b)
        return gradient_a, gradient_b


def _zero_where(mask, x):
    """x with zeros where the mask (a uint8 array, or one bool for all) is set."""
    zeros = backend.full(x.shape, 0.0, x.dtype, x.device)
    if isinstance(mask, bool):
        return zeros if mask else x
    return backend.where(backend.broadcast_to(mask, x.shape), zeros, x)


class Maximum(Function):
    """The gradient goes to the operand that was chosen, and half to each where they are equal."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return backend.maximum(a, b)

    @staticmethod
    def backward(ctx, upstream):
        a, b = ctx.saved
        return _to_the_chosen(ctx, upstream, backend.lt(a, b), backend.gt(a, b))


class Minimum(Function):
    """The gradient goes to the operand that was chosen, and half to each where they are equal."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return backend.minimum(a, b)

    @staticmethod
    def backward(ctx, upstream):
        a, b = ctx.saved
        return _to_the_chosen(ctx, upstream, backend.gt(a, b), backend.lt(a, b))


def _to_the_chosen(ctx, upstream, is_b, is_a):
    """The gradients of a and b. NaN is neither smaller nor larger: beside it both get the whole, so none is lost."""
    need_a, need_b = ctx.needs_input_grad
    a, b = ctx.saved
    share = backend.where(backend.eq(a, b), backend.div(upstream, 2.0), upstream)
    return (
        _unbroadcast(_zero_where(is_b, share), a.shape) if need_a else None,
        _unbroadcast(_zero_where(is_a, share), b.shape) if need_b else None,
    )


class Where(Function):
    @staticmethod
    def forward(ctx, mask, a, b):
        ctx.save_for_backward(mask)
        ctx.shapes = a.shape, b.shape
        return backend.where(mask, a, b)

    @staticmethod
    def backward(ctx, upstream):  # to a where the mask is set, to b elsewhere
        _, need_a, need_b = ctx.needs_input_grad
        (mask,) = ctx.saved
        zeros = backend.full(upstream.shape, 0.0, upstream.dtype, upstream.device)
        shape_a, shape_b = ctx.shapes
        return (
            None,
            _unbroadcast(backend.where(mask, upstream, zeros), shape_a) if need_a else None,
            _unbroadcast(backend.where(mask, zeros, upstream), shape_b) if need_b else None,
        )


class Neg(Function):
    @staticmethod
    def forward(ctx, x):
        return backend.neg(x)

    @staticmethod
    def backward(ctx, upstream):
        return backend.neg(upstream)


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        output = backend.exp(x)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, upstream):  # (e^x)' = e^x
        (output,) = ctx.saved
        return backend.mul(upstream, output)


class Log(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return backend.log(x)

    @staticmethod
    def backward(ctx, upstream):  # (ln x)' = 1 / x
        (x,) = ctx.saved
        return backend.div(upstream, x)


class Sqrt(Function):
    @staticmethod
    def forward(ctx, x):
        output = backend.sqrt(x)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, upstream):  # (sqrt x)' = 1 / (2 sqrt x)
        (output,) = ctx.saved
        return backend.div(upstream, backend.mul(output, 2.0))


class Abs(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return backend.abs(x)

    @staticmethod
    def backward(ctx, upstream):  # |x|' = sign(x), 0 at 0
        (x,) = ctx.saved
        positive = backend.gt(x, 0.0).astype(x.dtype)
        negative = backend.lt(x, 0.0).astype(x.dtype)
        return backend.mul(upstream, backend.sub(positive, negative))


class Tanh(Function):
    @staticmethod
    def forward(ctx, x):
        output = backend.tanh(x)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, upstream):  # tanh' = 1 - tanh^2
        (output,) = ctx.saved
        return backend.mul(upstream, backend.sub(1.0, backend.mul(output, output)))


class Sigmoid(Function):
    @staticmethod
    def forward(ctx, x):
        output = backend.sigmoid(x)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, upstream):  # s' = s (1 - s)
        (output,) = ctx.saved
        return backend.mul(upstream, backend.mul(output, backend.sub(1.0, output)))


def add(a, b) -> Tensor:
    """a + b."""
    return Add.apply(*_operands(a, b, "add"))


def sub(a, b) -> Tensor:
    """a - b."""
    return Sub.apply(*_operands(a, b, "sub"))


def mul(a, b) -> Tensor:
    """a * b, element by element."""
    return Mul.apply(*_operands(a, b, "mul"))


_ROUNDED = {"trunc": backend.div_trunc, "floor": backend.div_floor}


def div(a, b, rounding_mode: str | None = None) -> Tensor:
    """a / b. Integers are divided as float32, as in torch.

    rounding_mode: "trunc" cuts the fraction off, "floor" takes the next whole number below; the quotient of integers
    is then an integer. ValueError where an integer is divided by 0.
    """
    a, b = _operands(a, b, "div", fractions=True)
    if rounding_mode is None:
        return Div.apply(_as_floating(a), _as_floating(b))
    if rounding_mode not in _ROUNDED:
        raise ValueError(f'div: rounding_mode must be None, "trunc" or "floor", got {rounding_mode!r}')
    if isinstance(a, float) or isinstance(b, float):
        a, b = _as_floating(a), _as_floating(b)
    return DivRounded.apply(a, b, _ROUNDED[rounding_mode])


def pow(a, b) -> Tensor:
    """a to the power of b. Integers wrap around; to a negative power, which only a tensor may name, they are cut."""
    a, b = _operands(a, b, "pow")
    if isinstance(b, int) and b < 0 and _is_integer_tensor(a):
        raise ValueError(
            f"pow: got a tensor of dtype {a.dtype.name} and the exponent {b}, and integers to negative integer powers "
            f"are no integers; convert first: x.float() ** {b}"
        )
    return Pow.apply(a, b)


def maximum(a: Tensor, b: Tensor) -> Tensor:
    """The larger of the two, element by element."""
    return Maximum.apply(*_two_tensors(a, b, "maximum"))


def minimum(a: Tensor, b: Tensor) -> Tensor:
    """The smaller of the two, element by element."""
    return Minimum.apply(*_two_tensors(a, b, "minimum"))


def _two_tensors(a, b, op: str) -> tuple:
    for value in (a, b):
        if not isinstance(value, (Tensor, NDArray)):
            raise TypeError(f"{op}: wanted two Tensors, got {describe(value)}; mt.tensor(...) makes one")
    return _operands(a, b, op)


def where(mask: Tensor, a, b) -> Tensor:
    """a where the uint8 mask is not 0, b elsewhere; a and b may be numbers (not both)."""
    as_array(mask, "where: the mask")
    a, b = _operands(a, b, "where")
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        raise TypeError("where: at least one of the two choices must be a Tensor, got two numbers")
    like = next(value for value in (a, b) if not isinstance(value, (int, float)))
    a, b = (
        backend.full((), value, like.dtype, like.device) if isinstance(value, (int, float)) else value
        for value in (a, b)
    )
    return Where.apply(mask, a, b)


def neg(x: Tensor) -> Tensor:
    """-x; of uint8, which wraps around, 256 - x."""
    return sub(0, x) if as_array(x, "neg").dtype == backend.uint8 else Neg.apply(x)


def exp(x: Tensor) -> Tensor:
    """e to the power of x."""
    _floating(x, "exp")
    return Exp.apply(x)


def log(x: Tensor) -> Tensor:
    """The natural logarithm."""
    _floating(x, "log")
    return Log.apply(x)


def sqrt(x: Tensor) -> Tensor:
    """The square root."""
    _floating(x, "sqrt")
    return Sqrt.apply(x)


def abs(x: Tensor) -> Tensor:
    """The absolute value; of uint8, which has no negative ones, a copy."""
    return add(x, 0) if as_array(x, "abs").dtype == backend.uint8 else Abs.apply(x)


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    _floating(x, "tanh")
    return Tanh.apply(x)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    _floating(x, "sigmoid")
    return Sigmoid.apply(x)


def _compare(name: str, symbol: str):
    """A comparison: uint8 (1 where it holds, else 0), without a derivative."""
    kernel = getattr(backend, name)

    def compare(a, b):
        for value in (a, b) if name in ("eq", "ne") else ():
            if not (isinstance(value, (Tensor, NDArray, Number, np.bool_)) or is_foreign_array(value)):
                return NotImplemented  # a string, None, a list: Python makes `== "a"` False and `!= "a"` True
        a, b = _operands(a, b, name)
        return Tensor._wrap(kernel(_array(a), _array(b)))

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"a {symbol} b, element by element, as uint8."
    return compare


def _array(value):
    return value.array if isinstance(value, Tensor) else value


eq = _compare("eq", "==")
ne = _compare("ne", "!=")
lt = _compare("lt", "<")
le = _compare("le", "<=")
gt = _compare("gt", ">")
ge = _compare("ge", ">=")
