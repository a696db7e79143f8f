"""Parts: x[0], narrow, transpose ... A change of them in place reaches x as it does in torch, or it is an error."""

import numpy as np
import pytest
import torch
from devices import DEVICES

import mytensor as mt
from mytensor import ops

IN_PLACE = {  # what each in-place function is called with
    "add_": lambda lib: (lib.tensor(3.0),),
    "sub_": lambda lib: (2, ),
    "mul_": lambda lib: (lib.tensor(3.0),),
    "div_": lambda lib: (2,),
    "fill_": lambda lib: (7,),
    "zero_": lambda lib: (),
    "copy_": lambda lib: (lib.tensor(5.0),),
    "uniform_": lambda lib: (),
    "normal_": lambda lib: (),
    "__iadd__": lambda lib: (2,),
    "__isub__": lambda lib: (2,),
    "__imul__": lambda lib: (2,),
    "__itruediv__": lambda lib: (2,),
    "__ifloordiv__": lambda lib: (2,),
}  # fmt: skip
DRAWN = ("uniform_", "normal_")


BINARY = [name for name in dir(np.ndarray) if name.startswith("__") and f"__i{name[2:]}" in dir(np.ndarray)]


def test_every_in_place_function_is_in_the_table():
    named = {name for name in dir(mt.Tensor) if name.endswith("_") and not name.startswith("_")} - {"requires_grad_"}
    operators = {name for name in vars(mt.Tensor) if name.startswith("__i") and name.replace("__i", "__", 1) in BINARY}
    assert named | operators == set(IN_PLACE)
    functions = {name for name in ops.__all__ if name.endswith("_")} | {"setitem"}
    assert functions == {name for name in named if hasattr(ops, name)} | {"setitem"}


def library(x):
    return mt if isinstance(x, mt.Tensor) else torch


# Kinds of parts, and of views of parts. Each is called on ours and on torch's.
PARTS = {
    "x[0]": lambda x: x[0],
    "x[-1]": lambda x: x[-1],
    "x[0:1]": lambda x: x[0:1],
    "x[0:2]": lambda x: x[0:2],
    "x[1:]": lambda x: x[1:],
    "x[0:0]": lambda x: x[0:0],
    "x[:, 0]": lambda x: x[:, 0],
    "x[:, 0:1]": lambda x: x[:, 0:1],
    "x[..., -1]": lambda x: x[..., -1],
    "x[0, None, :]": lambda x: x[0, None, :],
    "x[0][1]": lambda x: x[0][1],
    "x[0, 0]": lambda x: x[0, 0],
    "x[:]": lambda x: x[:],
    "x[...]": lambda x: x[...],
    "x[None]": lambda x: x[None],
    "narrow 0": lambda x: x.narrow(0, 0, 1),
    "narrow all": lambda x: x.narrow(1, 0, x.shape[1]),
    "transpose": lambda x: x.transpose(0, 1),
    "transpose of nothing": lambda x: x.transpose(0, 0),
    "permute": lambda x: x.permute(*range(x.ndim - 1, -1, -1)),
    "T": lambda x: x.reshape(x.shape[0], -1).T,
    "T[0]": lambda x: x.transpose(0, 1)[0],
    "T[0:2][0]": lambda x: x.transpose(0, 1)[0:2][0],
    "T T": lambda x: x.transpose(0, 1).transpose(0, 1),
    "row, reshaped": lambda x: x[0].reshape(-1),
    "row, viewed": lambda x: x[0].view(1, -1),
    "row, flattened": lambda x: x[0].flatten(),
    "row, squeezed": lambda x: x[0:1].squeeze(0),
    "row, unsqueezed": lambda x: x[0].unsqueeze(-1),
    "row, detached": lambda x: x[0].detach(),
    "detached row": lambda x: x.detach()[0],
    "row of a reshape": lambda x: x.reshape(1, -1)[0],
    "row of a flatten": lambda x: x.flatten()[1:2],
    "row of rows": lambda x: x[0:2][0:1][0],
    "iterated": lambda x: next(iter(x)),
    "rows by number": lambda x: x[[0]],
    "index_select": lambda x: x.index_select(1, library(x).tensor([0], device=x.device)),
    "clone of a row": lambda x: x[0].clone(),
    "reshape": lambda x: x.reshape(-1),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "another dtype": lambda x: x.double(),
    "the same dtype": lambda x: x.float(),
    "cat of a row": lambda x: library(x).cat([x[0:1]]),
}  # fmt: skip
SHAPES = [(1, 3), (2, 3), (3, 1), (3, 2, 2), (0, 3), (1, 1)]


def both(shape, device="cpu"):
    values = np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape)
    return mt.tensor(values, device=device), torch.tensor(values)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", PARTS)
def test_a_change_in_place_reaches_what_it_reaches_in_torch(kind, device):
    tried = 0
    for shape in SHAPES:
        for name, arguments in IN_PLACE.items():
            x, theirs = both(shape, device)
            try:
                wanted = PARTS[kind](theirs)
            except (IndexError, RuntimeError, StopIteration):  # no such part
                continue
            part = PARTS[kind](x)
            given = [a.to(part.device, part.dtype) if isinstance(a, mt.Tensor) else a for a in arguments(mt)]
            assert getattr(part, name)(*given) is part
            getattr(wanted, name)(*arguments(torch))
            if name in DRAWN:
                wanted.copy_(torch.tensor(part.cpu().numpy()))
            np.testing.assert_array_equal(part.cpu().numpy(), wanted.numpy(), err_msg=f"the part: {shape} {name}")
            np.testing.assert_array_equal(x.cpu().numpy(), theirs.numpy(), err_msg=f"x: {shape} {name}")
            tried += 1
    assert tried >= len(IN_PLACE)


@pytest.mark.parametrize("dtype", [mt.float64, mt.int64, mt.int32, mt.uint8], ids=lambda dtype: dtype.name)
def test_parts_of_other_dtypes(dtype):
    x = mt.tensor([[1, 2, 3], [4, 5, 6]], dtype=dtype)
    x.T[1].add_(10)
    x[0] -= 1
    x[:, 2:] *= 2
    assert x.tolist() == [[0, 11, 4], [4, 15, 12]] and x.dtype == dtype


def test_memory_shared_with_numpy_is_written():
    array = np.zeros((2, 3), np.float32)
    x = mt.from_numpy(array)
    x[1].fill_(5)
    x.T[0].fill_(7)
    x[0, 1] = 2
    assert array.tolist() == [[7, 2, 0], [7, 5, 5]]


def test_every_row_of_a_loop_is_written():
    x = mt.zeros(3, 2)
    for number, row in enumerate(x):
        row += number
    assert x.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_one_part_is_changed_again_and_again():
    x = mt.zeros(2, 3)
    column, row = x[:, 1], x.T[0]
    column.add_(1).mul_(3)
    flat = column.reshape(2)
    flat.add_(1)
    column.add_(1)
    assert x.tolist() == [[0, 5, 0], [0, 5, 0]] and column.tolist() == [5, 5]
    with pytest.raises(RuntimeError, match=r"has changed since it was taken.*again.*clone"):
        row.zero_()
    assert x.T[0].zero_() is not None and x.tolist() == [[0, 5, 0], [0, 5, 0]]


STALE = {
    "the base": lambda x, part: x.zero_(),
    "a reshape of the base": lambda x, part: x.reshape(-1).zero_(),
    "another part": lambda x, part: x[1].zero_(),
    "the base, by numpy": lambda x, part: x.numpy().fill(0),
    "the part, by numpy": lambda x, part: part.numpy().fill(0),
    "the base's array": lambda x, part: setattr(x, "array", x.array.clone()),
}


@pytest.mark.parametrize("change", STALE)
def test_a_part_of_what_has_changed_is_refused(change):
    x = mt.ones(2, 3)
    part = x[0]
    STALE[change](x, part)
    before = x.tolist(), part.tolist()
    for write in (lambda: part.add_(1), lambda: part.reshape(3).add_(1), lambda: part.detach().add_(1)):
        with pytest.raises(RuntimeError, match="has changed since"):
            write()
    assert (x.tolist(), part.tolist()) == before
    assert part.clone().add_(1) is not None  # what the message advises


class TestRecorded:
    """Where a graph is recorded, it could not see the other tensor change."""

    @pytest.mark.parametrize(
        "take", [lambda x: x[0], lambda x: x.T, lambda x: x.narrow(0, 0, 1), lambda x: x[0].reshape(-1)]
    )
    @pytest.mark.parametrize("name", IN_PLACE)
    def test_refused(self, take, name):
        arguments = IN_PLACE[name](mt)
        leaf = mt.ones(2, 3, requires_grad=True)
        with mt.no_grad():
            unrecorded = take(leaf)
        for part in (take(leaf * 1), take(leaf), unrecorded):
            with pytest.raises(RuntimeError, match=r"graph|leaf"):
                getattr(part, name)(*arguments)
        assert leaf.detach().tolist() == [[1, 1, 1], [1, 1, 1]]

    def test_a_recorded_value_beside_a_part(self):
        x, value = mt.zeros(2, 3), mt.ones(3, requires_grad=True)
        with pytest.raises(RuntimeError, match="graph"):
            x[0].add_(value)
        with pytest.raises(NotImplementedError, match="graph"):
            x[0] = value

    def test_a_part_taken_while_recording_is_refused_later_too(self):
        leaf = mt.ones(2, 3, requires_grad=True)
        part = leaf[0]
        with mt.no_grad(), pytest.raises(RuntimeError, match="taken"):
            part.zero_()

    def test_parameters_are_changed_under_no_grad(self):
        leaf = mt.ones(2, 3, requires_grad=True)
        with mt.no_grad():
            leaf[0] = 0
            leaf.T[2].add_(1)
            leaf[1] -= mt.tensor([1.0, 2.0, 3.0])
        assert leaf.detach().tolist() == [[0, 0, 1], [0, -1, -1]]

    def test_the_version_of_the_base_goes_up(self):
        x = mt.ones(2, 3, requires_grad=True)
        loss = (x * x).sum()
        with mt.no_grad():
            x[0].zero_()
        with pytest.raises(RuntimeError, match="changed in place"):
            loss.backward()


def test_what_cannot_be_changed_in_place():
    b = mt.ones(3)
    for repeated in (b.expand(2, 3), b.broadcast_to((2, 3)), b.expand(3), b.expand(2, 3).reshape(6), b.expand(2, 3)[0]):
        with pytest.raises(RuntimeError, match=r"expand.*clone"):
            repeated.add_(1)
    assert b.expand(2, 3).clone().add_(1).tolist() == [[2, 2, 2]] * 2
    x = mt.ones(2, 3)
    with pytest.raises(RuntimeError, match=r"contiguous.*clone"):
        x.T.contiguous().add_(1)
    assert x.contiguous() is x and x.T.contiguous().tolist() == x.T.tolist()
    assert b.tolist() == [1, 1, 1] and x.tolist() == [[1, 1, 1]] * 2


ASSIGNED = {
    "a number": (0, 5),
    "a numpy number": ((slice(None), 1), np.float32(2.5)),
    "a bool": ((1, 2), True),
    "a 0-d tensor": (1, 2.5),
    "a row": (0, [1.0, 2.0, 3.0]),
    "a row for all": (slice(None), [1.0, 2.0, 3.0]),
    "a column": ((slice(None), slice(1, 2)), [[8.0], [9.0]]),
    "everything": (..., 4),
    "nothing": (slice(1, 1), 4),
    "a new dimension": ((None, 0), [[1.0, 2.0, 3.0]]),
    "ones in front": (0, [[[1.0, 2.0, 3.0]]]),
    "another dtype": (0, [1, 2, 3]),
    "from the end": ((-1, -1), 3.5),
    "an index of numpy": (np.int64(1), 6),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ASSIGNED)
def test_assigning_to_a_part(name, device):
    key, value = ASSIGNED[name]
    x, theirs = both((2, 3), device)
    is_tensor = isinstance(value, list) or name == "a 0-d tensor"
    x[key] = mt.tensor(value, device=device) if is_tensor else value
    theirs[key] = torch.tensor(value) if is_tensor else float(value)
    np.testing.assert_array_equal(x.cpu().numpy(), theirs.numpy())


@pytest.mark.parametrize(
    ("key", "value", "error", "words"),
    [
        (0, "a", TypeError, "number, got 'a'"),
        (0, None, TypeError, "number, got None"),
        (0, [1.0, 2.0, 3.0], TypeError, "number, got"),
        (0, np.ones(3), TypeError, "number, got numpy.ndarray"),
        (0, torch.ones(3), TypeError, "number, got torch.Tensor"),
        (0, mt.ones(2), ValueError, r"\(2,\)"),
        (2, 1.0, IndexError, "2 is out of range"),
        ([0, 1], 1.0, NotImplementedError, "rows"),
        (mt.tensor([0]), 1.0, NotImplementedError, "rows"),
        (np.array([True, False]), 1.0, NotImplementedError, "rows"),
        (True, 1.0, NotImplementedError, "True"),
        (1.5, 1.0, NotImplementedError, "1.5"),
        ("a", 1.0, NotImplementedError, "'a'"),
    ],
)
def test_what_cannot_be_assigned(key, value, error, words):
    x = mt.zeros(2, 3)
    with pytest.raises(error, match=words):
        x[key] = value
    assert x.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_part_of_integers_takes_whole_numbers_only():
    x = mt.zeros(2, dtype=mt.int64)
    x[0] = 2**53 + 1
    assert x.tolist() == [2**53 + 1, 0]
    with pytest.raises(ValueError, match="does not fit"):
        x[1] = 2.5


# ---------------------------------------------------------------------------------------------------------------------
# Chains of parts, drawn
# ---------------------------------------------------------------------------------------------------------------------


def drawn_key(rng, shape: tuple) -> tuple:
    keys = []
    for length in shape:
        kind = rng.integers(5)
        ends = sorted(rng.integers(0, length + 1, 2).tolist())
        if kind == 0 and length:
            keys.append(int(rng.integers(-length, length)))
        else:
            keys.append([slice(*ends), slice(None), slice(0, length), slice(None, ends[1]), slice(ends[0], None)][kind])
    return tuple(keys[: rng.integers(len(keys) + 1)])


def drawn_view(rng, x: mt.Tensor, theirs: torch.Tensor) -> tuple:
    """A part of x, or a view, and torch's."""
    dims = rng.permutation(x.ndim).tolist()
    kind = rng.integers(6)
    if kind == 0 and x.ndim > 1:
        return x.transpose(dims[0], dims[1]), theirs.transpose(dims[0], dims[1])
    if kind == 1:
        return x.permute(dims), theirs.permute(dims)
    if kind == 2 and x.ndim:
        start, end = sorted(rng.integers(0, x.shape[dims[0]] + 1, 2).tolist())
        return x.narrow(dims[0], start, end - start), theirs.narrow(dims[0], start, end - start)
    if kind == 3:
        return x.unsqueeze(0).detach(), theirs.unsqueeze(0).detach()
    if kind == 4 and theirs.is_contiguous():
        return x.reshape(-1), theirs.view(-1)
    key = drawn_key(rng, x.shape)
    return x[key], theirs[key]


def test_drawn_chains_of_parts(rng):
    """Whatever is taken from what, and whichever is changed: the first tensor is torch's, or the change is refused."""
    writes = refused = 0
    for _ in range(150):
        x, theirs = both(tuple(rng.integers(1, 4, rng.integers(1, 4)).tolist()))
        taken = [(x, theirs)]
        for _ in range(8):
            part, wanted = taken[rng.integers(len(taken))]
            assert part.shape == tuple(wanted.shape)
            if rng.integers(2):
                taken.append(drawn_view(rng, part, wanted))
                continue
            number, key = float(rng.integers(1, 9)), drawn_key(rng, part.shape)
            try:
                if rng.integers(3) == 0:
                    part[key] = number
                    wanted[key] = number
                else:
                    name = ("add_", "mul_", "fill_", "sub_")[rng.integers(4)]
                    getattr(part, name)(number)
                    getattr(wanted, name)(number)
                writes += 1
            except RuntimeError as error:
                assert "has changed since" in str(error)
                taken = [(x, theirs)]
                refused += 1
            np.testing.assert_array_equal(x.numpy(), theirs.numpy())
    assert writes > 3 * refused > 0
