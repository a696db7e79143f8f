"""DLPack: what a capsule says, who frees the memory and when, and what is refused; beside numpy and torch."""

import ctypes
import functools
import gc
import inspect
import re
import sys
import weakref

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from arrays import DTYPES, draw, nd

import mytensor as mt
from mytensor import check

HOST, GPU = (1, 0), (2, 0)
DEVICES = ["cpu", *(["simt"] if not backend.simt_problem() else []), *(["cuda"] if mt.cuda.is_available() else [])]
KINDS = {"NDArray": lambda array: array, "Tensor": mt.Tensor}
OWN_DLPACK = {"cpu": HOST, "cuda": GPU}


class Versioned(ctypes.Structure):
    """The head of DLManagedTensorVersioned; then comes the tensor, whose head is the data's address and the device."""

    _fields_ = [
        *(("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p)),
        *(("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("data", ctypes.c_void_p)),
        *(("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32)),
    ]


def name_of(capsule) -> str:
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return get_name(capsule).decode()


def inside(capsule) -> Versioned:
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return Versioned.from_address(get_pointer(capsule, b"dltensor_versioned"))


class Producer:
    """Hands over what it is given, whatever is asked of it."""

    def __init__(self, give, device=HOST):
        self.give, self.device = give, device

    def __dlpack__(self, copy=None, **options):
        return self.give(copy=copy) if copy else self.give()

    def __dlpack_device__(self):
        return self.device


# ---------------------------------------------------------------------------------------------------------------------
# Ours, handed over
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 0, 4), (2, 3, 1, 7)])
def test_every_consumer_sees_the_same_memory_and_may_write_to_it(kind, dtype, shape, rng):
    ours = KINDS[kind](nd(draw(rng, shape, dtype)))
    theirs = np.from_dlpack(ours)
    assert theirs.dtype == dtype and theirs.shape == shape and theirs.flags.writeable
    theirs[...] = 3
    check.equal(torch.from_dlpack(ours), theirs)
    check.equal(ours if kind == "NDArray" else ours.array, theirs)
    assert not theirs.size or torch.from_dlpack(ours).data_ptr() == theirs.ctypes.data


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("consume", [np.from_dlpack, torch.from_dlpack], ids=["numpy", "torch"])
@pytest.mark.parametrize("copy", [True, False, None])
def test_a_copy_is_one_where_it_is_asked_for(kind, consume, copy, rng):
    array = nd(draw(rng, (3, 5), np.float32))
    before = array.clone().numpy()
    theirs = consume(KINDS[kind](array), copy=copy)
    array.numpy()[...] = 7
    check.equal(theirs, before if copy else array.numpy())
    theirs[0, 0] = 9
    assert array.numpy()[0, 0] == (7 if copy else 9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [None, (0, 0), (0, 8), (1, 0), (1, 1), (2, 3)])
@pytest.mark.parametrize("copy", [True, False, None])
def test_the_capsule_is_of_the_version_that_the_consumer_knows(kind, version, copy):
    capsule = KINDS[kind](backend.full((2, 3), 1.0)).__dlpack__(max_version=version, copy=copy)
    if version is None or version < (1, 0):
        assert name_of(capsule) == "dltensor"
    else:
        assert name_of(capsule) == "dltensor_versioned"
        held = inside(capsule)
        assert (held.major, held.minor, held.ndim) == (1, 0, 2)
        assert held.flags == (2 if copy else 0), "copied, and never read-only"


@pytest.mark.parametrize("kind", KINDS)
def test_it_takes_the_keywords_that_torch_takes_and_no_others(kind):
    ours = KINDS[kind](backend.full((2,), 1.0))
    wanted = [name for name in inspect.signature(torch.Tensor.__dlpack__).parameters if name != "self"]
    assert len(wanted) >= 4
    for name in wanted:
        assert name_of(ours.__dlpack__(**{name: None})) == "dltensor"
    for wrong in ({"strem": None}, {"version": (1, 0)}, {"device": HOST}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            ours.__dlpack__(**wrong)
    with pytest.raises(TypeError):
        ours.__dlpack__(None)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("wanted", [None, HOST, GPU, (1, 3), (2, 7), (3, 0), (13, 0), (10, 0)])
@pytest.mark.parametrize("copy", [True, False, None])
def test_a_device_is_reached_or_refused(device, wanted, copy, rng):
    values = draw(rng, (3, 5), np.float32)
    array = nd(values).to(device)
    if wanted is None and device == "simt":
        with pytest.raises(TypeError, match=r"device simt; copy the array to the CPU first: \.cpu\(\)"):
            array.__dlpack__(copy=copy)
    elif wanted in (None, OWN_DLPACK.get(device)) or (wanted == HOST and copy is not False):
        capsule = array.__dlpack__(dl_device=wanted, max_version=(1, 0), copy=copy)
        held = inside(capsule)
        place = wanted or OWN_DLPACK[device]
        is_copy = copy is True or place != OWN_DLPACK.get(device)
        assert (held.device_type, held.device_id) == place and held.flags == (2 if is_copy else 0)
        assert is_copy == (held.data != array.data_ptr)
        check.equal(backend.from_dlpack(Producer(lambda: capsule)).cpu(), values)
    else:
        with pytest.raises(BufferError, match=r"dl_device=|copy=False"):
            array.__dlpack__(dl_device=wanted, copy=copy)


@pytest.mark.parametrize("device", [device for device in DEVICES if device != "simt"])
@pytest.mark.parametrize("stream", [None, -1, 0, 1, 2, -2, True, "1", 1.0, 2**70])
def test_a_stream_is_a_gpus(device, stream):
    array = backend.full((3,), 1.0, device=device)
    if stream is None or stream == -1 or (device == "cuda" and type(stream) is int and 0 < stream < 2**60):
        check.equal(
            backend.from_dlpack(Producer(lambda: array.__dlpack__(stream=stream))).cpu(), np.ones(3, np.float32)
        )
    else:
        with pytest.raises((TypeError, ValueError, OverflowError), match=r"stream=|too big"):
            array.__dlpack__(stream=stream)


@pytest.mark.parametrize("name", ["max_version", "dl_device"])
@pytest.mark.parametrize("value", [1, (1,), (1, 0, 0), [1, 0], (1.0, 0), ("1", 0), "cpu", (None, None), {1: 0}])
def test_what_is_no_pair_is_told_so(name, value):
    with pytest.raises(TypeError, match=f"__dlpack__: {name}=.*; wanted a tuple of two whole numbers"):
        backend.full((3,), 1.0).__dlpack__(**{name: value})


def test_a_tensor_that_requires_a_gradient_is_refused_under_every_wish():
    ours = mt.ones(2, requires_grad=True)
    for options in ({}, {"copy": True}, {"max_version": (1, 0)}, {"dl_device": HOST}):
        with pytest.raises(BufferError, match=r"use \.detach\(\) first"):
            ours.__dlpack__(**options)


# ---------------------------------------------------------------------------------------------------------------------
# Whose memory, and for how long
# ---------------------------------------------------------------------------------------------------------------------

CONSUMERS = {
    "nobody": lambda producer: producer.__dlpack__() and None,
    "numpy": np.from_dlpack,
    "torch": torch.from_dlpack,
    "ours": backend.from_dlpack,
    "numpy, a copy": lambda producer: np.from_dlpack(producer, copy=True),
}


@pytest.mark.parametrize("version", [None, (1, 0)])
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_memory_lives_as_long_as_anybody_has_it_and_no_longer(version, consumer):
    gc.collect()  # what earlier tests left
    before = backend.memory_stats()["allocated"]
    array = backend.full((50, 3), 4.0)
    theirs = CONSUMERS[consumer](Producer(functools.partial(array.__dlpack__, max_version=version)))
    del array
    gc.collect()
    assert (backend.memory_stats()["allocated"] > before) == (theirs is not None)
    others = [backend.full((50, 3), 5.0) for _ in range(10)]
    if theirs is not None:
        assert np.asarray(theirs).tolist() == [[4.0] * 3] * 50
    del theirs, others
    gc.collect()
    assert backend.memory_stats()["allocated"] == before


@pytest.mark.parametrize("version", [None, (1, 0)])
@pytest.mark.parametrize("first", ["numpy", "torch", "ours"])
@pytest.mark.parametrize("second", ["numpy", "torch", "ours"])
def test_a_capsule_is_taken_once(version, first, second):
    capsule = backend.full((2,), 1.0).__dlpack__(max_version=version)
    once = CONSUMERS[first](Producer(lambda: capsule))
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        CONSUMERS[second](Producer(lambda: capsule))
    assert np.asarray(once).tolist() == [1.0, 1.0]


def test_the_producer_may_go_first_and_is_let_go_at_last():
    class Watched(np.ndarray):
        pass

    source = np.arange(15, dtype=np.float32).reshape(3, 5).view(Watched)
    gone = weakref.ref(source)
    array = backend.from_dlpack(source)
    view = array.numpy()
    del source, array
    gc.collect()
    assert gone() is not None
    check.equal(view, np.arange(15, dtype=np.float32).reshape(3, 5))
    del view
    gc.collect()
    assert gone() is None


def test_an_array_that_comes_back_is_the_same_storage_so_autograd_sees_its_changes():
    x = mt.ones(3, requires_grad=True)
    y = x * 2
    result = (y * y).sum()
    mt.from_dlpack(y.detach()).fill_(7)
    with pytest.raises(RuntimeError, match="changed in place"):
        result.backward()
    array = backend.full((2, 3), 1.0)
    assert backend.from_dlpack(array).shares_storage(array)
    assert not backend.from_dlpack(Producer(lambda: array.__dlpack__(copy=True))).shares_storage(array)


# ---------------------------------------------------------------------------------------------------------------------
# Others', taken
# ---------------------------------------------------------------------------------------------------------------------


TORCH_DTYPES = sorted({value for value in vars(torch).values() if isinstance(value, torch.dtype)}, key=str)


@pytest.mark.parametrize("dtype", TORCH_DTYPES, ids=str)
def test_every_dtype_of_torch_is_taken_or_refused_by_name(dtype):
    try:
        theirs = torch.empty(3, dtype=dtype)
        theirs.__dlpack__(max_version=(1, 0))
    except (RuntimeError, BufferError, TypeError, NotImplementedError):
        pytest.skip("torch itself does not hand it over")
    name = re.sub(r"int[1-7]$", "int8", str(dtype).removeprefix("torch."))  # torch hands those over as bytes
    if name in ("float32", "float64", "int64", "int32", "uint8", "bool"):
        ours = mt.from_dlpack(theirs)
        assert ours.dtype.name == ("uint8" if name == "bool" else name)
        assert ours.array.data_ptr == theirs.data_ptr()
    else:
        told = rf"{name}|DLPack's type" if name.startswith(("float8", "float4")) else name
        with pytest.raises(TypeError, match=rf"the elements are ({told}).*; the types are float32, float64"):
            mt.from_dlpack(theirs)


def test_drawn_views_are_taken_where_they_are_contiguous_and_refused_otherwise(rng):
    for _ in range(300):
        shape = rng.integers(0, 4, rng.integers(0, 4))
        view = np.arange(256, dtype=np.int32)[rng.integers(0, 9) :][: int(np.prod(shape))].reshape(shape)
        for axis in range(view.ndim):
            step = int(rng.choice([1, 1, 1, 2, -1]))
            view = view[(slice(None),) * axis + (slice(None, None, step),)]
        if view.ndim and rng.random() < 0.3:
            view = view.transpose(rng.permutation(view.ndim))
        if view.flags.c_contiguous:
            ours = backend.from_dlpack(view)
            check.equal(ours, view)
            assert not view.size or ours.data_ptr == view.ctypes.data
        else:
            with pytest.raises(ValueError, match="is not contiguous"):
                backend.from_dlpack(view)


@pytest.mark.parametrize(
    "producer", [lambda: np.ones(3, np.float32), lambda: torch.ones(3), lambda: backend.full((3,), 1.0)]
)
def test_producers_of_every_age_are_understood(producer):
    class Oldest:
        def __dlpack__(self):
            return producer().__dlpack__()

    class Old:
        def __dlpack__(self, stream=None):
            return producer().__dlpack__()

        def __dlpack_device__(self):
            return HOST

    for source in (Oldest(), Old(), Producer(producer().__dlpack__)):
        check.equal(mt.from_dlpack(source), np.ones(3, np.float32))


def forged(**changes):
    """A producer of torch's memory whose capsule says something else about it."""
    capsule = torch.ones(6)[:4].__dlpack__(max_version=(1, 0))
    held = inside(capsule)
    true = {name: getattr(held, name) for name in changes}
    for name, value in changes.items():
        setattr(held, name, value)
    return Producer(lambda: capsule), capsule, lambda: [setattr(held, name, value) for name, value in true.items()]


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"major": 2}, BufferError, "got DLPack of version 2.*; wanted version 1"),
        ({"flags": 1}, BufferError, "the array is read-only.*mytensor.tensor copies it"),
        ({"flags": 3}, BufferError, "the array is read-only"),
        ({"device_type": 8}, ValueError, r"device of another kind \(DLPack device 8\)"),
        ({"device_type": 13}, ValueError, "device of another kind"),
        ({"device_id": 1}, ValueError, "on device number 1; wanted number 0"),
    ],
)
def test_a_capsule_that_is_refused_stays_its_producers(changes, error, sentence):
    producer, capsule, restore = forged(**changes)
    with pytest.raises(error, match=f"from_dlpack: .*{sentence}"):
        mt.from_dlpack(producer)
    assert name_of(capsule) == "dltensor_versioned"
    restore()
    check.equal(mt.from_dlpack(producer), np.ones(4, np.float32))


def test_read_only_and_misaligned_arrays_are_refused_and_can_be_copied():
    fixed = np.arange(3, dtype=np.float32)
    fixed.flags.writeable = False
    with pytest.raises(BufferError, match="read-only"):
        mt.from_dlpack(fixed)
    check.equal(mt.tensor(Producer(functools.partial(fixed.__dlpack__, max_version=(1, 0)))), fixed)
    shifted = np.zeros(13, np.uint8)[1:].view(np.float32)
    with pytest.raises(ValueError, match="do not begin at multiples of their size"):
        mt.from_dlpack(shifted)


@pytest.mark.parametrize(
    ("source", "error", "sentence"),
    [
        (Producer(lambda: None), TypeError, "gave <class 'NoneType'>; wanted a capsule"),
        (Producer(lambda: 3), TypeError, "gave <class 'int'>; wanted a capsule"),
        (Producer(lambda: 1 / 0), ZeroDivisionError, "division"),
        (Producer(np.ones(3).__dlpack__, None), TypeError, r"__dlpack_device__\(\) is None; wanted a tuple"),
        (Producer(np.ones(3).__dlpack__, ()), TypeError, r"__dlpack_device__\(\) is \(\); wanted a tuple"),
        (Producer(np.ones(3).__dlpack__, ("cpu", 0)), TypeError, "wanted a tuple of two whole numbers"),
        (torch.ones(2, requires_grad=True), BufferError, "detach"),
        (torch.eye(2).to_sparse(), BufferError, "strided"),
        (np.ones(3, ">f4"), BufferError, "byte order"),
        (backend.full((2,), 1.0).__dlpack__(), TypeError, "no __dlpack__"),
    ],
)
def test_a_producer_at_fault_is_named(source, error, sentence):
    with pytest.raises(error, match=sentence):
        mt.from_dlpack(source)


def test_nothing_is_leaked_by_refusals():
    source = torch.ones(2, dtype=torch.float16)
    before = sys.getrefcount(source)
    for _ in range(20):
        with pytest.raises(TypeError):
            mt.from_dlpack(source)
    assert sys.getrefcount(source) == before
