"""Ops that move elements: against numpy, every element."""

import itertools

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from arrays import DTYPES, FLOATING, draw, for_all_threads, nd, same

from mytensor.check.comparison import within

pytestmark = pytest.mark.usefixtures("poisoned_memory")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ((), (5,), (37, 18), (3, 5, 7), (2, 1, 19, 33), (1, 1, 1), (3, 0, 2)), ids=str)
def test_permute(dtype, shape, rng):
    x = draw(rng, shape, dtype)
    for dims in itertools.permutations(range(len(shape))):
        same(backend.permute(nd(x), dims), x.transpose(dims))
        same(backend.permute(nd(x), [dim - len(shape) for dim in dims]), x.transpose(dims))


def test_permute_errors():
    x = nd(np.zeros((2, 3, 5), np.float32))
    for dims, error in (
        ((0, 1), ValueError),
        ((0, 1, 1), ValueError),
        ((0, 1, -2), ValueError),
        ((0, 1, 3), IndexError),
    ):
        with pytest.raises(error):
            backend.permute(x, dims)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", (0, 1, 2, -1))
def test_cat(dtype, dim, rng):
    shapes = [[3, 5, 7] for _ in range(4)]
    for shape, length in zip(shapes, (2, 0, 5, 1), strict=True):
        shape[dim] = length
    arrays = [draw(rng, tuple(shape), dtype) for shape in shapes]
    same(backend.cat([nd(array) for array in arrays], dim), np.concatenate(arrays, dim))
    same(backend.cat([nd(arrays[0])], dim), arrays[0])


def test_cat_errors():
    x = nd(np.zeros((2, 3), np.float32))
    for arrays, dim, error in (
        ([], 0, ValueError),
        ([x, nd(np.zeros((2, 4), np.float32))], 0, ValueError),
        ([x, nd(np.zeros((2, 3, 1), np.float32))], 0, ValueError),
        ([x, nd(np.zeros((2, 3)))], 0, TypeError),
        ([x, x], 2, IndexError),
        ([nd(np.float32(1))], 0, ValueError),
    ):
        with pytest.raises(error):
            backend.cat(arrays, dim)


@pytest.mark.parametrize("dtype", DTYPES)
def test_narrow_and_its_adjoint(dtype, rng):
    x = draw(rng, (4, 5, 7), dtype)
    for dim in (0, 1, 2, -1):
        length = x.shape[dim]
        for start in range(length + 1):
            for count in range(length - start + 1):
                place = [slice(None)] * 3
                place[dim] = slice(start, start + count)
                piece = backend.narrow(nd(x), dim, start, count)
                same(piece, x[tuple(place)])
                wanted = np.zeros_like(x)
                wanted[tuple(place)] = x[tuple(place)]
                same(backend.narrow_backward(piece, x.shape, dim, start), wanted)


def test_narrow_errors():
    x = nd(np.zeros((2, 3), np.float32))
    for arguments, error in (
        ((0, 0, 3), IndexError),
        ((1, -1, 1), IndexError),
        ((1, 4, 0), IndexError),
        ((1, 1, 2**63 - 1), IndexError),
        ((1, 1, -1), ValueError),
        ((2, 0, 1), IndexError),
    ):
        with pytest.raises(error):
            backend.narrow(x, *arguments)
    for arguments, error in (
        (((2, 3, 1), 0, 0), ValueError),
        (((5, 4), 0, 0), ValueError),
        (((4, 3), 0, 3), IndexError),
        (((4, 3), 0, -1), IndexError),
    ):
        with pytest.raises(error):
            backend.narrow_backward(x, *arguments)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ((7,), (5, 3), (3, 2, 5), (4, 0), (1, 1001)), ids=str)
def test_index_select(dtype, shape, rng):
    x = draw(rng, shape, dtype)
    for count in (0, 1, 11, 300):
        index = rng.integers(0, shape[0], count)
        same(backend.index_select(nd(x), nd(index)), x[index])


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("shape", ((7,), (50, 3), (3, 2, 5), (4, 0), (300, 301)), ids=str)
def test_index_select_backward(dtype, shape, rng):
    for count in (0, 1, 200):
        index = rng.integers(0, shape[0], count)
        upstream = draw(rng, (count, *shape[1:]), dtype)
        leaf = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        leaf.index_select(0, torch.from_numpy(index)).backward(torch.from_numpy(upstream.astype(np.float64)))
        magnitude = np.zeros(shape)
        np.add.at(magnitude, index, np.abs(upstream))
        ours = backend.index_select_backward(nd(upstream), nd(index), shape)
        assert ours.numpy().dtype == dtype
        within(ours, leaf.grad.numpy(), count * np.finfo(dtype).eps * magnitude)


def test_index_errors():
    x = nd(np.zeros((5, 2), np.float32))
    for bad in (5, -1, 2**62):
        with pytest.raises(IndexError, match=r"index\[2\]"):
            backend.index_select(x, nd(np.array([0, 4, bad])))
        with pytest.raises(IndexError, match=r"index\[1\]"):
            backend.index_select_backward(x, nd(np.array([0, bad, 0, 0, 0])), (5, 2))
    with pytest.raises(TypeError, match="int64"):
        backend.index_select(x, nd(np.zeros(3, np.int32)))
    with pytest.raises(ValueError):
        backend.index_select(x, nd(np.zeros((1, 3), np.int64)))
    with pytest.raises(ValueError):
        backend.index_select(nd(np.float32(1)), nd(np.zeros(1, np.int64)))
    with pytest.raises(ValueError):
        backend.index_select_backward(x, nd(np.zeros(5, np.int64)), (5, 3))
    with pytest.raises(IndexError):
        backend.index_select(nd(np.zeros((0, 2), np.float32)), nd(np.zeros(1, np.int64)))


def test_same_bits_for_any_number_of_threads(rng):
    upstream, index = nd(draw(rng, (5000, 64), np.float32)), nd(rng.integers(0, 1000, 5000))
    for_all_threads(lambda: backend.index_select_backward(upstream, index, (1000, 64)))
    for_all_threads(lambda: backend.permute(upstream, (1, 0)))
