"""Tensor: numbers in and out, operators and methods against torch."""

import copy
import math
import operator
import pickle
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from twins import close, compare, draw

import mytensor as mt


def test_importing_mytensor_loads_neither_torch_nor_matplotlib():
    code = "import sys, mytensor; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestNumbersIn:
    @pytest.mark.parametrize(
        ("data", "dtype"),
        [
            (1.5, mt.float32),
            (3, mt.int64),
            ([1.0, 2.0], mt.float32),
            ([[1, 2], [3, 4]], mt.int64),
            ([], mt.float32),
            ([True, False], mt.uint8),
            (np.zeros(3), mt.float64),
            (np.float64(2.0), mt.float64),
            (np.zeros(3, np.int32), mt.int32),
            (np.array([True, False]), mt.uint8),
        ],
    )
    def test_dtype_follows_the_data(self, data, dtype):
        assert mt.tensor(data).dtype == dtype

    @pytest.mark.parametrize(
        "bad",
        [np.zeros(2, np.float16), np.zeros(2, np.complex64), np.array([None]), np.array(["a"]), np.zeros(2, np.int16)],
    )
    def test_unsupported_dtypes_say_what_to_do(self, bad):
        with pytest.raises(TypeError, match=r"wanted|convert|supported"):
            mt.tensor(bad)
        with pytest.raises(TypeError):
            mt.from_numpy(bad)

    def test_asking_for_a_dtype_converts(self):
        assert mt.tensor(np.ones(2, np.float16), dtype=mt.float32).tolist() == [1.0, 1.0]
        assert mt.tensor([1, 2], dtype="float64").dtype == mt.float64
        assert mt.tensor([1, 2], dtype=np.uint8).dtype == mt.uint8
        with pytest.raises(TypeError, match="float16"):
            mt.tensor([1], dtype="float16")

    def test_layouts_that_numpy_allows(self):
        base = np.arange(24.0).reshape(4, 6)
        read_only = base.copy()
        read_only.flags.writeable = False
        for array in (base.T, base[:, ::-2], base.astype(">f8"), read_only, base[1, 2]):
            for make in (mt.tensor, mt.from_numpy):
                if isinstance(array, np.ndarray):
                    assert np.array_equal(make(array).numpy(), array)

    def test_tensor_copies_and_from_numpy_shares(self):
        array = np.zeros(3, np.float32)
        copied, shared = mt.tensor(array), mt.from_numpy(array)
        array[0] = 7
        assert copied.tolist() == [0, 0, 0] and shared.tolist() == [7, 0, 0]
        shared.add_(1)
        assert array.tolist() == [8, 1, 1]

    def test_from_numpy_wants_an_array(self):
        with pytest.raises(TypeError, match="list"):
            mt.from_numpy([1.0])

    def test_dlpack_to_and_from_torch_shares_memory(self):
        theirs = torch.zeros(2, 3)
        ours = mt.from_dlpack(theirs)
        theirs[0, 1] = 5
        assert ours.tolist() == [[0, 5, 0], [0, 0, 0]]
        back = torch.from_dlpack(ours)
        back[1, 2] = 6
        assert theirs[1, 2] == 6
        assert mt.tensor(torch.arange(6.0).reshape(2, 3).T).tolist() == [[0, 3], [1, 4], [2, 5]]

    def test_dlpack_refuses_what_it_cannot_carry(self):
        with pytest.raises(BufferError, match="detach"):
            torch.from_dlpack(mt.ones(2, requires_grad=True))
        with pytest.raises(TypeError, match="__dlpack__"):
            mt.from_dlpack([1.0])

    def test_sizes(self):
        assert mt.zeros(2, 3).shape == mt.ones((2, 3)).shape == mt.empty([2, 3]).shape == (2, 3)
        assert mt.full((2,), 7).tolist() == [7, 7] and mt.full((2,), 0.5).dtype == mt.float32
        assert mt.arange(3).tolist() == [0, 1, 2] and mt.arange(1, 2, 0.5).tolist() == [1.0, 1.5]
        assert mt.zeros_like(mt.arange(3)).dtype == mt.int64
        with pytest.raises(ValueError, match="negative"):
            mt.zeros(2, -1)
        with pytest.raises(TypeError, match="int"):
            mt.zeros(2.0)

    def test_too_large_is_a_memory_error(self):
        with pytest.raises(MemoryError):
            mt.empty(2**20, 2**20, 2**8)

    def test_only_floating_tensors_require_gradients(self):
        with pytest.raises(TypeError, match="float"):
            mt.tensor([1, 2], requires_grad=True)

    def test_unknown_device(self):
        with pytest.raises((NotImplementedError, ValueError), match="cpu"):
            mt.tensor([1.0], device="tpu")

    def test_uniform_is_ready_to_train(self):
        weight = mt.Tensor.uniform(4, 3, 5, 5)
        assert weight.requires_grad and weight.is_leaf and weight.shape == (4, 3, 5, 5)
        values = weight.detach().numpy()
        assert (values >= -0.1).all() and (values < 0.1).all() and np.unique(values).size > 250


class TestNumbersOut:
    def test_numpy_shares_and_refuses_recorded_tensors(self):
        x = mt.zeros(2)
        x.numpy()[0] = 3
        assert x.tolist() == [3, 0]
        with pytest.raises(RuntimeError, match=r"detach\(\)\.numpy"):
            mt.ones(2, requires_grad=True).numpy()

    def test_item(self):
        assert mt.tensor([[2.5]]).item() == 2.5 and isinstance(mt.tensor(3).item(), int)
        with pytest.raises(ValueError, match="one element"):
            mt.zeros(2).item()
        assert float(mt.tensor(1.5)) == 1.5 and int(mt.tensor(2)) == 2 and [10, 20][mt.tensor(1)] == 20
        with pytest.raises(TypeError, match="integer"):
            range(3)[mt.tensor(1.0)]

    FORMATS: ClassVar = [
        "",
        ".4f",
        ".3e",
        "10.2f",
        ">12",
        "<12.3g",
        "+.1f",
        "08.3f",
        ",.2f",
        ".2%",
        "g",
        "^11",
        "_",
        "n",
    ]

    @pytest.mark.parametrize("value", [2.5, -0.0, 1e-9, 12345.678, float("nan"), float("-inf"), 3, -7, 2**62])
    def test_format_of_a_single_number(self, value):
        for spec in [*self.FORMATS, "d", "x", ".3d", "s"]:
            try:
                wanted = format(torch.tensor(value), spec)
            except ValueError as error:
                with pytest.raises(ValueError, match=r"format|Precision|allowed"):
                    format(mt.tensor(value), spec)
                assert str(error)
                continue
            assert format(mt.tensor(value), spec) == wanted
        for same in (mt.tensor(value, device="simt"), mt.Parameter(mt.tensor(value), requires_grad=False)):
            assert f"{same:.4f}" == f"{torch.tensor(value):.4f}"
        assert f"{mt.tensor(float(value), requires_grad=True):.4f}" == f"{torch.tensor(float(value)):.4f}"

    def test_format_of_several_numbers(self):
        for x in (mt.tensor([1.5]), mt.ones(2, 3), mt.zeros(0)):
            assert f"{x}" == str(x) == repr(x)
            with pytest.raises(TypeError, match=r"'\.4f' is for a single number.*shape.*item"):
                f"{x:.4f}"

    def test_conversions_to_python(self):
        for value in (2.5, -2.5, 0.0, 3, -4):
            ours, theirs = mt.tensor(value), torch.tensor(value)
            for convert in (int, float, bool, complex, math.floor, math.ceil):
                assert convert(ours) == convert(theirs) and type(convert(ours)) is type(convert(theirs))
        assert operator.index(mt.tensor([3])) == 3 and operator.index(mt.tensor(1, dtype=mt.uint8)) == 1
        for bad in (mt.tensor(1.0), mt.ones(2), mt.tensor([1, 2]), mt.zeros(0, dtype=mt.int64)):
            with pytest.raises(TypeError, match="as an index"):
                operator.index(bad)
        for convert in (int, float, complex):
            with pytest.raises(ValueError, match="one element"):
                convert(mt.ones(2))
        for value, error in ((float("nan"), ValueError), (float("inf"), OverflowError)):
            with pytest.raises(error):
                int(mt.tensor(value))
        with pytest.raises(ValueError, match="ambiguous"):
            bool(mt.zeros(0))
        with pytest.raises(TypeError, match="0-d"):
            iter(mt.tensor(1.0))
        assert len({mt.ones(2), mt.ones(2)}) == 2  # by identity

    def test_contains(self):
        for values in ([1.0, 2.5, float("nan"), 0.1], [1, 2, 3], [255, 0]):
            ours, theirs = mt.tensor(values), torch.tensor(values)
            numbers = [
                1,
                1.0,
                2.5,
                0.1,
                np.float64(0.1),
                np.float32(0.1),
                np.int64(2),
                -1,
                300,
                2**40,
                0.0,
                float("nan"),
            ]
            for number in [*numbers, float("inf"), True]:
                assert (number in ours) is (number in theirs), number
            assert (mt.tensor(values[0]) in ours) is True and (mt.zeros(1) + 7 in mt.tensor([1.0])) is False
        assert 300 not in mt.tensor([44], dtype=mt.uint8) and 2.5 not in mt.tensor([2]) and 1 not in mt.zeros(0)
        assert 2**53 + 1 not in mt.tensor([2**53]) and 2**53 + 1 in mt.tensor([2**53 + 1])
        for other in (None, "a", [1.0], (1,), np.ones(1), torch.ones(1), object(), 1j, {}):
            with pytest.raises(TypeError, match="the element must be a number, got"):
                other in mt.ones(2)  # noqa: B015

    def test_truth(self):
        assert mt.tensor(1) and not mt.tensor([0.0])
        with pytest.raises(ValueError, match="ambiguous"):
            bool(mt.zeros(2))

    def test_length_and_iteration(self):
        rows = list(mt.tensor([[1, 2], [3, 4]]))
        assert [row.tolist() for row in rows] == [[1, 2], [3, 4]]
        with pytest.raises(TypeError, match="0-d"):
            len(mt.tensor(1.0))

    def test_repr(self):
        assert repr(mt.tensor([1.0, 2.5])) == "tensor([1.0, 2.5])"
        assert repr(mt.tensor([1, 2])) == "tensor([1, 2])"
        assert "dtype=mt.float64" in repr(mt.tensor(np.zeros(2)))
        x = mt.ones(2, requires_grad=True)
        assert "requires_grad=True" in repr(x) and "grad_fn=<MulBackward>" in repr(x * 2)
        assert "size=(0, 3)" in repr(mt.zeros(0, 3))

    def test_copy_and_pickle(self):
        x = mt.tensor([1.0, 2.0], requires_grad=True)
        for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert twin.tolist() == [1.0, 2.0] and twin.requires_grad
            assert not twin.array.shares_storage(x.array)
        assert isinstance(copy.deepcopy(mt.Parameter(mt.zeros(2))), mt.Parameter)
        with pytest.raises(RuntimeError, match="leaves"):
            copy.deepcopy(x * 2)

    def test_conversions(self):
        x = mt.tensor([1.75, -2.5])
        assert x.long().tolist() == [1, -2] and x.double().dtype == mt.float64 and x.to("cpu") is x and x.float() is x
        compare(
            lambda x: x.to(mt.float32 if isinstance(x, mt.Tensor) else torch.float32).double() * x,
            draw(3, 2),
            terms=2**31,
        )
        if not backend.cuda_info()["gpus"]:
            with pytest.raises(NotImplementedError, match="'simt' runs the same kernels on the CPU"):
                x.to("cuda")


BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
}


class TestArithmetic:
    @pytest.mark.parametrize("name", BINARY)
    @pytest.mark.parametrize(
        ("first", "second"),
        [((2, 3, 5), (2, 3, 5)), ((2, 3, 5), (3, 1)), ((5,), (2, 3, 1)), ((), (3, 2)), ((0, 3), (3,))],
    )
    def test_two_tensors(self, name, first, second):
        compare(BINARY[name], draw(*first, low=0.5), draw(*second, low=0.5))

    @pytest.mark.parametrize("name", BINARY)
    def test_tensor_and_number(self, name):
        compare(lambda x: BINARY[name](x, 3), draw(3, 2, low=0.5))
        compare(lambda x: BINARY[name](1.5, x), draw(3, 2, low=0.5))

    def test_one_tensor_on_both_sides(self):
        compare(lambda x: x * x + x / x - x, draw(3, 5, low=0.5))

    @pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, 0.5])
    def test_powers_at_zero(self, exponent):
        compare(lambda x: x**exponent, np.array([0.0, 1.0, 2.0]))
        compare(lambda a, b: a**b, np.array([0.0, 0.0, 2.0]), np.array([0.0, 2.0, 0.0]))

    @pytest.mark.parametrize("name", ["exp", "log", "sqrt", "abs", "tanh", "sigmoid", "relu", "square", "neg"])
    def test_functions(self, name):
        compare(lambda x: getattr(x, name)(), draw(3, 7, low=0.1))
        if name not in ("log", "sqrt"):
            compare(lambda x: getattr(x, name)(), np.array([-3.0, -1.0, 0.0, 2.0]))

    def test_nan_and_infinity_propagate(self):
        values = np.array([np.nan, np.inf, -np.inf, 1.0, 0.0])
        for name in ("exp", "tanh", "sigmoid", "relu", "abs"):
            close(getattr(mt.tensor(values), name)(), getattr(torch.tensor(values), name)())
        assert np.isnan((mt.tensor(values) * 0).numpy()[:3]).all()

    def test_maximum_minimum_where(self):
        a, b = draw(2, 3), draw(3)
        b[0] = a[0, 0]  # a tie
        compare(lambda a, b: a.maximum(b), a, b)
        compare(lambda a, b: a.minimum(b), a, b)
        mask = np.array([[1, 0, 1], [0, 0, 1]], np.uint8)
        compare(lambda m, a, b: mt.where(m, a, b), mask, a, b, also=lambda m, a, b: torch.where(m.bool(), a, b))
        assert mt.where(mt.tensor(mask), mt.ones(3), 0).tolist() == mask.tolist()

    def test_comparisons(self):
        a, b = mt.tensor([1.0, 2.0, 3.0]), mt.tensor([3.0, 2.0, 1.0])
        assert (a == b).tolist() == [0, 1, 0] and (a != b).tolist() == [1, 0, 1] and (a == b).dtype == mt.uint8
        assert (a < 2).tolist() == [1, 0, 0] and (a >= b).tolist() == [0, 1, 1] and (a > 2).tolist() == [0, 0, 1]
        assert (a <= b).tolist() == [1, 1, 0] and (a > b).tolist() == [0, 0, 1]
        assert (a == None) is False  # noqa: E711

    def test_comparisons_with_other_things(self):
        ours, theirs = mt.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0])
        for other in (None, "a", b"a", [1.0, 2.0], (1.0, 2.0), object(), {}, ..., np.str_("a")):
            assert (ours == other) is False and (ours != other) is True  # as in torch
            assert (other == ours) is False and (other != ours) is True
            for symbol in ("lt", "le", "gt", "ge"):
                with pytest.raises(TypeError, match="wanted a Tensor or a number, got"):
                    getattr(operator, symbol)(ours, other)
        arrays = [theirs, theirs[0], np.ones(2), np.ones(2, np.float32), np.array(1.0), np.array([True, False])]
        functions = [
            getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "pow")
        ]
        for other in arrays:
            for function in [*functions, operator.truediv, operator.matmul]:
                for left, right in ((ours, other), (other, ours)):
                    with pytest.raises(TypeError, match=r"got .*(torch\.Tensor|numpy\.ndarray).*mt\.tensor"):
                        function(left, right)
        for number in (1, 1.0, True, np.float32(1), np.int64(1), np.bool_(True), np.float64(1)):
            assert (ours == number).tolist() == (number == ours).tolist() == [1, 0]
            assert (ours > number).tolist() == (number < ours).tolist() == [0, 1]
        for number in (1j, np.complex64(1), Fraction(1, 2), Decimal(1)):
            for function in functions[:-1]:
                with pytest.raises(TypeError, match="number"):
                    function(ours, number)

    def test_mixed_dtypes_are_refused(self):
        for other in (mt.tensor([1, 2]), mt.tensor(np.zeros(2))):
            with pytest.raises(TypeError, match="dtype"):
                mt.zeros(2) + other
        with pytest.raises(TypeError, match=r"number 1.5"):
            mt.tensor([1, 2]) + 1.5
        with pytest.raises(TypeError, match="int64 and float32"):
            mt.tensor([1, 2]) / mt.zeros(2)
        with pytest.raises(TypeError, match=r"mt.tensor"):
            mt.zeros(2) + np.zeros(2)
        with pytest.raises(TypeError, match=r"mt.tensor"):
            np.zeros(2) + mt.zeros(2)
        with pytest.raises(TypeError, match="str"):
            mt.zeros(2) + "1"
        assert (np.float32(2) * mt.ones(2)).tolist() == [2, 2]

    @pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
    def test_division_of_integers_is_torchs(self, dtype):
        a, b = np.array([[7, 0, 3], [100, 5, 9]], dtype), np.array([2, 0, 5], dtype)
        whole = (  # what stays an integer
            lambda a, b: a // (b + 1),
            lambda a, b: a // 4,
            lambda a, b: 100 // (a + 1),
            lambda a, b: a.div(b + 1, rounding_mode="trunc"),
            lambda a, b: a.clone().div_(b + 1, rounding_mode="floor"),
            lambda a, b: a.div(3, rounding_mode="floor"),
            lambda a, b: a**3,
            lambda a, b: a**b,
            lambda a, b: 2**b,
        )
        fractions = (  # and what becomes float32
            lambda a, b: a / b,
            lambda a, b: a / 3,
            lambda a, b: a / 2.5,
            lambda a, b: a / 0,
            lambda a, b: a.div(2.5, rounding_mode="floor"),
            lambda a, b: a.div(-2.5, rounding_mode="trunc"),
        )
        for function in (*whole, *fractions):
            ours, theirs = function(mt.tensor(a), mt.tensor(b)), function(torch.tensor(a), torch.tensor(b))
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), strict=True)
        for number in (3, 2.5):  # torch multiplies by the reciprocal, rounded twice
            ours, theirs = number / mt.tensor(a), number / torch.tensor(a)
            assert ours.dtype == mt.float32
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=np.finfo(np.float32).eps)
        x = mt.tensor(a)
        x //= 2
        np.testing.assert_array_equal(x.numpy(), a // 2, strict=True)
        for wrong in (lambda: x.div_(2), lambda: x.div_(2.5, rounding_mode="floor"), lambda: x.__itruediv__(2)):
            with pytest.raises(TypeError, match="float32"):
                wrong()

    @pytest.mark.parametrize("mode", ["trunc", "floor"])
    def test_rounded_quotients_have_slope_0(self, mode):
        compare(lambda a, b: a.div(b, rounding_mode=mode) + a, draw(3, 4), draw(4, low=0.5))
        compare(lambda a: a.div(0.3, rounding_mode=mode) + a, draw(3, 4))
        compare(lambda a: (a * 2).div_(0.3, rounding_mode=mode) + a, draw(3, 4))

    def test_shapes_that_do_not_broadcast(self):
        with pytest.raises(ValueError, match="shape"):
            mt.zeros(2, 3) + mt.zeros(2)


class TestMatmul:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ((3, 5), (5, 2)),
            ((5,), (5,)),
            ((5,), (5, 2)),
            ((3, 5), (5,)),
            ((4, 3, 5), (4, 5, 2)),
            ((4, 3, 5), (5, 2)),
            ((3, 5), (4, 5, 2)),
            ((5,), (4, 5, 2)),
            ((4, 3, 5), (5,)),
            ((2, 1, 3, 5), (4, 5, 7)),
            ((0, 5), (5, 2)),
            ((3, 0), (0, 2)),
        ],
    )
    def test_like_torch(self, first, second):
        compare(lambda a, b: a @ b, draw(*first), draw(*second))

    @pytest.mark.parametrize("transpose_a", [False, True])
    @pytest.mark.parametrize("transpose_b", [False, True])
    def test_transposed_factors(self, transpose_a, transpose_b):
        a = draw(5, 3) if transpose_a else draw(3, 5)
        b = draw(2, 5) if transpose_b else draw(5, 2)
        compare(
            lambda a, b: mt.matmul(a, b, transpose_a, transpose_b),
            a,
            b,
            also=lambda a, b: (a.T if transpose_a else a) @ (b.T if transpose_b else b),
        )

    def test_errors(self):
        with pytest.raises(ValueError, match=r"shape|inner|\(3, 5\)"):
            mt.zeros(3, 5) @ mt.zeros(3, 5)
        with pytest.raises(ValueError, match="dimension"):
            mt.zeros(3, 5) @ mt.tensor(1.0)
        with pytest.raises(TypeError, match="ndarray"):
            mt.zeros(3, 5) @ np.zeros((5, 2))


class TestReductions:
    @pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "logsumexp", "var"])
    @pytest.mark.parametrize("dim", [0, -1, (0, 2), (1,), (0, 1, 2)])
    @pytest.mark.parametrize("keepdim", [False, True])
    def test_over_dims(self, name, dim, keepdim):
        compare(lambda x: getattr(x, name)(dim, keepdim=keepdim), draw(2, 3, 5))

    @pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "max", "min", "var"])
    def test_over_all(self, name):
        compare(lambda x: getattr(x, name)(), draw(2, 3, 5))
        if name != "var":
            compare(lambda x: getattr(x, name)(), draw())

    @pytest.mark.parametrize("name", ["amax", "amin", "max"])
    def test_ties_share_the_gradient(self, name):
        compare(lambda x: getattr(x, name)(), np.array([1.0, 2.0, 2.0, 1.0, 1.0]))

    @pytest.mark.parametrize("name", ["max", "min"])
    @pytest.mark.parametrize("keepdim", [False, True])
    def test_values_and_indices(self, name, keepdim):
        x = draw(3, 4, 5)
        x[1, 2] = x[1, 1]
        compare(lambda x: getattr(x, name)(1, keepdim=keepdim).values, x)
        ours, theirs = getattr(mt.tensor(x), name)(1, keepdim), getattr(torch.tensor(x), name)(1, keepdim)
        assert ours.indices.tolist() == theirs.indices.tolist()

    def test_argmax(self):
        x = draw(3, 4, 5)
        for dim in (None, 0, -1):
            assert mt.tensor(x).argmax(dim).tolist() == torch.tensor(x).argmax(dim).tolist()
        assert mt.tensor([1.0, 3.0, 3.0]).argmax().item() == 1

    def test_integers(self):
        hits = mt.tensor([1, 2, 3]) == mt.tensor([1, 0, 3])
        assert hits.sum().item() == 2 and hits.sum().dtype == mt.int64
        assert mt.tensor(np.full(300, 255, np.uint8)).sum().item() == 300 * 255
        with pytest.raises(TypeError, match="float"):
            hits.mean()

    def test_errors(self):
        with pytest.raises(IndexError, match="dim 2"):
            mt.zeros(2, 3).sum(2)
        with pytest.raises(ValueError, match="twice"):
            mt.zeros(2, 3).sum((0, -2))

    @pytest.mark.parametrize("name", ["softmax", "log_softmax"])
    def test_softmax(self, name):
        for dim in (0, 1, -1):
            compare(lambda x, dim=dim: getattr(x, name)(dim), draw(3, 4, 5))
        compare(lambda x: getattr(x, name)(1), np.array([[1e4, -1e4, 0.0], [-np.inf, 0.0, 1.0]]))

    def test_logsumexp_of_nothing_possible(self):
        compare(lambda x: x.logsumexp(1), np.array([[-np.inf, -np.inf], [1e4, 1e4]]))


class TestShape:
    def test_like_torch(self):
        x = draw(2, 3, 1, 5)
        for function in (
            lambda x: x.reshape(3, -1),
            lambda x: x.view((6, 5)),
            lambda x: x.flatten(),
            lambda x: x.flatten(1, 2),
            lambda x: x.squeeze(),
            lambda x: x.squeeze(2),
            lambda x: x.squeeze(0),
            lambda x: x.unsqueeze(-1),
            lambda x: x.transpose(1, 3),
            lambda x: x.permute(3, 0, 2, 1),
            lambda x: x.reshape(6, 5).T,
            lambda x: x.expand(2, 3, 4, 5),
            lambda x: x.expand(7, -1, -1, 2, -1),
            lambda x: x.broadcast_to((4, 2, 3, 1, 5)),
            lambda x: x.narrow(1, 1, 2),
            lambda x: x.clone(),
        ):
            compare(lambda x, function=function: function(x) * 2, x)

    def test_cat_and_stack(self):
        a, b, c = draw(2, 3), draw(2, 1), draw(2, 4)
        compare(lambda a, b, c: mt.cat([a, b, c], -1), a, b, c, also=lambda a, b, c: torch.cat([a, b, c], -1))
        compare(lambda a, b: mt.stack([a, b], 1), a, draw(2, 3), also=lambda a, b: torch.stack([a, b], 1))
        compare(lambda a: mt.cat([a, a]), a, also=lambda a: torch.cat([a, a]))
        with pytest.raises(ValueError, match="at least one"):
            mt.cat([])

    @pytest.mark.parametrize("dim", [0, 1, -1])
    def test_cat_passes_over_tensors_of_shape_0(self, dim):
        nothing = draw(0)
        for place in range(3):
            parts = [draw(2, 3), draw(2, 3)]
            parts.insert(place, nothing)
            compare(lambda *p: mt.cat(p, dim), *parts, also=lambda *p: torch.cat(p, dim))
        compare(lambda *p: mt.cat(p, dim) * 2, nothing, nothing, also=lambda *p: torch.cat(p, dim) * 2)
        compare(lambda a, b: mt.cat([a, b]), nothing, draw(3), also=lambda a, b: torch.cat([a, b]))

    def test_a_single_number_has_dims_0_and_minus_1(self):
        for function in (
            lambda x: x.transpose(0, 0),
            lambda x: x.transpose(0, -1),
            lambda x: x.permute(()),
            lambda x: x.flatten(0, -1),
            lambda x: x.squeeze(0),
            lambda x: x.unsqueeze(-1),
            lambda x: x.softmax(0),
            lambda x: x.log_softmax(-1),
            lambda x: x.logsumexp(0),
            lambda x: x.sum(0),
            lambda x: x.mean(-1),
            lambda x: x.amax(0, keepdim=True),
        ):
            compare(lambda x, function=function: function(x) * 2, draw())
        compare(lambda x, i: x.index_select(0, i), draw(), np.array([0]))

    def test_reshape_shares_memory(self):
        x = mt.zeros(2, 3)
        x.reshape(6).add_(1)
        assert x.tolist() == [[1, 1, 1], [1, 1, 1]]

    def test_errors(self):
        with pytest.raises(ValueError, match=r"shape|elements"):
            mt.zeros(2, 3).reshape(4)
        with pytest.raises(IndexError, match="dim 3"):
            mt.zeros(2, 3).transpose(0, 3)
        with pytest.raises(ValueError, match="permute"):
            mt.zeros(2, 3).permute(0, 0)
        with pytest.raises(ValueError, match="matrix"):
            _ = mt.zeros(2).T


class TestIndexing:
    KEYS: ClassVar = [
        1,
        -1,
        slice(1, 3),
        slice(None, -1),
        (slice(None), 0),
        (..., 2),
        (1, ..., slice(1, 2)),
        (None, 1),
        (slice(None), None, slice(0, 2)),
        (0, 1, 2),
        [2, 0, 0],
        np.array([3, -1]),
        np.array([[1, 0], [0, 2]]),
        ([1, 1], slice(None), 2),
        slice(3, 1),
        (),
    ]

    @pytest.mark.parametrize("key", KEYS, ids=str)
    def test_like_torch(self, key):
        compare(lambda x: x[key] * 1, draw(4, 3, 5))

    def test_tensor_as_index(self):
        x, rows = draw(4, 3), np.array([3, 1, 1])
        compare(lambda x: x[mt.tensor(rows)], x, also=lambda x: x[torch.tensor(rows)])
        assert mt.tensor(x)[mt.tensor(2)].tolist() == x[2].tolist()

    def test_index_select(self):
        rows = np.array([2, 0, 2])
        for dim in (0, 1, -1):
            compare(lambda x, i, dim=dim: x.index_select(dim, i), draw(4, 3, 5), rows)

    @pytest.mark.parametrize(
        ("key", "error"),
        [
            (4, IndexError),
            ((0, 0, 0, 0), IndexError),
            ([4], IndexError),
            (slice(None, None, 2), NotImplementedError),
            ((slice(None), [0, 1]), NotImplementedError),
            (np.array([True, False, True, True]), TypeError),
            ("a", NotImplementedError),
        ],
        ids=str,
    )
    def test_errors(self, key, error):
        with pytest.raises(error):
            mt.zeros(4, 3, 5)[key]

    def test_assignment(self):
        x = mt.zeros(2)
        x[0] = 1
        assert x.tolist() == [1, 0]
        with pytest.raises(NotImplementedError, match=r"mt\.cat"):
            mt.zeros(2, requires_grad=True)[0] = 1


class TestInPlace:
    def test_values(self):
        x = mt.zeros(2, 3)
        alias = x
        x += 2
        x *= mt.tensor([1.0, 2.0, 3.0])
        x -= 1
        x /= 2
        assert alias is x and x.tolist() == [[0.5, 1.5, 2.5]] * 2
        assert x.sub_(mt.ones(2, 3), alpha=0.5).tolist() == [[0, 1, 2]] * 2
        assert x.fill_(3).zero_().tolist() == [[0, 0, 0]] * 2
        assert x.copy_(mt.tensor([1, 2, 3])).tolist() == [[1, 2, 3]] * 2

    def test_result_must_fit(self):
        for change in (
            lambda x: x.add_(mt.zeros(2, 3)),
            lambda x: x.mul_(mt.zeros(2, 3)),
            lambda x: x.div_(mt.ones(2, 3)),
        ):
            with pytest.raises(ValueError, match="shape"):
                change(mt.zeros(3))

    def test_every_change_counts_as_a_version(self):
        x = mt.zeros(3)
        for change in (
            lambda: x.add_(1),
            lambda: x.mul_(2),
            lambda: x.div_(2),
            lambda: x.fill_(1),
            lambda: x.uniform_(),
            lambda: x.normal_(),
        ):
            before = x.array.version
            change()
            assert x.array.version > before
