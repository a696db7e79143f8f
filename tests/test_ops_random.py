"""The draws: published vectors, the documented layout, the documented formulas, and their statistics."""

import mytensor_backend as backend
import numpy as np
import pytest
from arrays import FLOATING, for_all_threads, same

from mytensor.check.comparison import within

pytestmark = pytest.mark.usefixtures("poisoned_memory")

FULL = 2**32 - 1


@pytest.mark.parametrize(
    "counter, key, words",
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((FULL,) * 4, (FULL,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(counter, key, words):
    """Random123's known-answer tests of philox4x32-10."""
    assert tuple(backend.philox(counter, key)) == words


def words_of(seed: int, offset: int, counters: int) -> np.ndarray:
    """uint64 (counters, 4): the words that csrc/ops/random.h speaks of."""
    key = (seed & FULL, seed >> 32)
    places = [(offset + i) % 2**64 for i in range(counters)]
    return np.array([backend.philox((place & FULL, place >> 32, 0, 0), key) for place in places], np.uint64)


def fractions_of(words: np.ndarray, dtype) -> np.ndarray:
    if dtype == np.float32:
        return (words >> 8).ravel() / 2.0**24
    return ((words[:, 0::2] >> 5) * 2.0**26 + (words[:, 1::2] >> 6)).ravel() / 2.0**53


@pytest.mark.parametrize("seed, offset", [(0, 0), (2**64 - 1, 2**32 - 2), (1234567890123, 2**64 - 2)])
@pytest.mark.parametrize("dtype", FLOATING)
def test_elements_are_the_documented_ones(dtype, seed, offset):
    kind = getattr(backend, dtype.__name__)
    epsilon = np.finfo(dtype).eps
    for shape in ((), (1,), (3, 7), (2, 3, 5), (0, 4)):
        count = int(np.prod(shape))
        words = words_of(seed, offset, (count + 1) // 1)
        fractions = fractions_of(words, dtype)
        uniform = backend.uniform(shape, -1.5, 3.0, seed, offset, kind)
        assert uniform.dtype == kind
        within(uniform, (-1.5 + 4.5 * fractions[:count]).reshape(shape), 2 * epsilon * 3)

        first, second = fractions[0::2], fractions[1::2]
        radius = np.sqrt(-2 * np.log(first + (2.0**-24 if dtype == np.float32 else 2.0**-53)))
        pairs = radius[:, None] * np.stack([np.cos(2 * np.pi * second), np.sin(2 * np.pi * second)], 1)
        normal = backend.normal(shape, 0.5, 2.0, seed, offset, kind)
        assert normal.dtype == kind
        within(normal, (0.5 + 2.0 * pairs.ravel()[:count]).reshape(shape), epsilon * 32)


@pytest.mark.parametrize("dtype", FLOATING)
def test_a_later_offset_continues(dtype):
    kind = getattr(backend, dtype.__name__)
    per_counter = 16 // np.dtype(dtype).itemsize
    for op in (backend.uniform, backend.normal):
        whole = op((50 * per_counter,), 0.0, 1.0, 7, 100, kind).numpy()
        same(op((20 * per_counter,), 0.0, 1.0, 7, 130, kind), whole[30 * per_counter :])


@pytest.mark.parametrize("dtype", FLOATING)
def test_statistics(dtype):
    """Mean, variance and the Kolmogorov-Smirnov distance, within 4 of their standard deviations (seeds are fixed)."""
    kind, n = getattr(backend, dtype.__name__), 400_000
    uniform = backend.uniform((n,), 0.0, 1.0, 11, 0, kind).numpy().astype(np.float64)
    assert abs(uniform.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
    assert abs(uniform.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / n)
    ordered = np.sort(uniform)
    assert np.abs(ordered - np.arange(n) / n).max() < 2 / np.sqrt(n)
    assert abs(np.corrcoef(uniform[:-1], uniform[1:])[0, 1]) < 4 / np.sqrt(n)

    normal = backend.normal((n,), 0.0, 1.0, 11, 0, kind).numpy().astype(np.float64)
    assert abs(normal.mean()) < 4 / np.sqrt(n)
    assert abs(normal.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((normal**4).mean() - 3) < 4 * np.sqrt(96 / n)
    assert abs(np.corrcoef(normal[0::2], normal[1::2])[0, 1]) < 4 / np.sqrt(n / 2)


@pytest.mark.parametrize("dtype", FLOATING)
def test_the_upper_end_is_never_drawn(dtype):
    low = dtype(1)
    high = np.nextafter(np.nextafter(low, dtype(2)), dtype(2))
    draws = backend.uniform((10_000,), float(low), float(high), 3, 0, getattr(backend, dtype.__name__)).numpy()
    assert draws.min() >= low
    assert draws.max() < high
    same(backend.uniform((3,), 2.5, 2.5, 3, 0), np.full(3, 2.5, np.float32))
    same(backend.normal((3,), 2.5, 0.0, 3, 0), np.full(3, 2.5, np.float32))


def test_errors():
    for low, high in ((1.0, 0.0), (0.0, np.inf), (np.nan, 1.0), (-3e38, 3e38)):
        with pytest.raises(ValueError):
            backend.uniform((3,), low, high, 0, 0)
    for mean, std in ((0.0, -1.0), (np.nan, 1.0), (0.0, np.inf), (1e39, 1.0)):
        with pytest.raises(ValueError):
            backend.normal((3,), mean, std, 0, 0)
    for op in (backend.uniform, backend.normal):
        with pytest.raises(TypeError):
            op((3,), 0.0, 1.0, 0, 0, backend.int64)
        with pytest.raises(ValueError):
            op((-3,), 0.0, 1.0, 0, 0)
        with pytest.raises(TypeError):
            op((3,), 0.0, 1.0, -1, 0)


def test_same_bits_for_any_number_of_threads():
    for op in (backend.uniform, backend.normal):
        for_all_threads(lambda op=op: op((50_001,), 0.0, 1.0, 5, 0))
