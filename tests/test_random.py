"""The state of the random numbers, and the choice of kernels."""

import pytest

import mytensor as mt


def test_a_seed_repeats_and_the_counter_moves_on():
    mt.manual_seed(5)
    first = [mt.rand(7).tolist(), mt.randn(3, 2).tolist(), mt.rand(7).tolist()]
    mt.manual_seed(5)
    assert [mt.rand(7).tolist(), mt.randn(3, 2).tolist(), mt.rand(7).tolist()] == first
    assert first[0] != first[2]
    mt.manual_seed(6)
    assert mt.rand(7).tolist() != first[0]


def test_state():
    mt.manual_seed(2**64 - 1)
    mt.rand(5)
    state = mt.random.get_state()
    assert state == (2**64 - 1, 2)  # five numbers took two counters
    expected = mt.rand(4).tolist()
    mt.manual_seed(0)
    mt.random.set_state(state)
    assert mt.rand(4).tolist() == expected


def test_bad_seeds():
    for seed, error in ((-1, ValueError), (2**64, ValueError), (1.0, TypeError), (True, TypeError)):
        with pytest.raises(error):
            mt.manual_seed(seed)
    with pytest.raises(ValueError):
        mt.random.set_state((0, -1))


def test_use_kernel():
    op = "conv2d"
    names = [kernel["name"] for kernel in mt.kernels(op, "cpu")]

    def selected():
        return [kernel["name"] for kernel in mt.kernels(op, "cpu") if kernel["selected"]]

    default = selected()
    with mt.use_kernel(op, names[-1]):
        assert selected() == [names[-1]]
        with mt.use_kernel(op, names[0]):
            assert selected() == [names[0]]
        assert selected() == [names[-1]]
    assert selected() == default
    choice = mt.use_kernel(op, names[-1])
    assert names[-1] in repr(choice) and selected() == [names[-1]]
    mt.use_kernel(op, None)
    assert selected() == default
    for arguments in ((op, "no such kernel"), ("no such op", None)):
        with pytest.raises((ValueError, KeyError), match="no such"):
            mt.use_kernel(*arguments)
    assert selected() == default


def test_draws_in_a_row_share_no_number():
    mt.manual_seed(3)
    for dtype in (mt.float32, mt.float64):
        first, second = mt.rand(9, dtype=dtype).tolist(), mt.empty(9, dtype=dtype).uniform_().tolist()
        assert not set(first) & set(second)
