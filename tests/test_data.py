"""CIFAR-10's files, good and bad; the stand-in; batches. Real files are used where they are found, small fakes
elsewhere."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

import mytensor as mt
from mytensor.data import CLASSES, Batches, cifar10, cifar10_files, cifar10_or_stand_in, download, find, synthetic
from mytensor.data.pickles import loads

REAL_CIFAR10 = find() and find().resolve()  # before the tests below hide it


PIXELS = ((np.arange(10_000)[:, None] + np.arange(3072)) % 251).astype(np.uint8)


def batch_bytes(protocol=4, **changes):
    """A batch file of 10,000 images whose pixel (i, j) is (i + j) % 251, pickled by Python 3."""
    batch = {"batch_label": "made up", "labels": [i % 10 for i in range(10_000)], "data": PIXELS} | changes
    return pickle.dumps({key: value for key, value in batch.items() if value is not None}, protocol)


@pytest.fixture(scope="module")
def good_bytes():
    return batch_bytes(protocol=2)  # as Python 2 wrote the official files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    return tmp_path / "cifar-10-batches-py"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """No test sees this machine's data but by asking for it, and none downloads."""
    monkeypatch.delenv("MYTENSOR_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cifar10_files, "_repository", lambda: None)

    def no_network():
        raise OSError("no network in tests")

    monkeypatch.setattr(download, "import_torchvision", no_network)


# Reading


def test_a_batch_file_is_read(folder, good_bytes):
    (folder / "test_batch").write_bytes(good_bytes)
    for root in (folder, folder.parent, str(folder)):
        dataset = cifar10(root, train=False)
        assert dataset.images.shape == (10_000, 3, 32, 32) and dataset.images.dtype == np.uint8
        assert dataset.images.flags.c_contiguous
        assert dataset.labels.dtype == np.int64 and dataset.labels[:12].tolist() == [*range(10), 0, 1]
    # Image 7, channel 2, row 3, column 5 is entry 2*1024 + 3*32 + 5 of its row.
    assert dataset.images[7, 2, 3, 5] == (7 + 2 * 1024 + 3 * 32 + 5) % 251
    assert dataset.source == "CIFAR-10 (re-encoded)" and dataset.classes == CLASSES


def test_the_source_is_named(folder, good_bytes, monkeypatch):
    (folder / "test_batch").write_bytes(batch_bytes(batch_label="test_batch, JPEG-75 re-encoding"))
    assert cifar10(folder, train=False).source == "CIFAR-10 (JPEG-75)"
    monkeypatch.setitem(cifar10_files.OFFICIAL_MD5, "test_batch", hashlib.md5(good_bytes).hexdigest())
    (folder / "test_batch").write_bytes(good_bytes)
    assert cifar10(folder, train=False).source == "CIFAR-10"


def test_where_files_are_looked_for(folder, good_bytes, monkeypatch, tmp_path):
    (folder / "test_batch").write_bytes(good_bytes)
    assert find() is None and find(tmp_path) == folder
    monkeypatch.setenv("MYTENSOR_DATA", str(tmp_path))
    assert find() == folder
    assert find(tmp_path / "elsewhere") is None, "a folder that was named is the only one looked at"
    monkeypatch.delenv("MYTENSOR_DATA")
    (tmp_path / "data").mkdir()
    shutil.move(folder, tmp_path / "data")
    assert find().resolve() == (tmp_path / "data" / folder.name).resolve()


def test_real_files():
    if REAL_CIFAR10 is None:
        pytest.skip("no CIFAR-10 on this machine")
    train, test = cifar10(REAL_CIFAR10), cifar10(REAL_CIFAR10, train=False)
    assert len(train) == 50_000 and len(test) == 10_000
    for dataset in (train, test):
        assert np.bincount(dataset.labels).tolist() == [len(dataset) // 10] * 10
    assert train.labels[:5].tolist() == [6, 9, 9, 4, 1] and test.labels[:5].tolist() == [3, 8, 8, 0, 6]


# Bad files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda good: b"", "test_batch can't be read"),
        (lambda good: good[: len(good) // 2], "test_batch can't be read"),
        (lambda good: b"\x80\x02}" + os.urandom(500), "test_batch"),
        (lambda good: b"<html>404 not found</html>", "test_batch can't be read"),
        (lambda good: pickle.dumps([1, 2]), "test_batch holds no CIFAR-10 batch"),
        (lambda good: batch_bytes(labels=None), "test_batch holds no CIFAR-10 batch"),
        (
            lambda good: batch_bytes(data=np.zeros((9_999, 3072), np.uint8)),
            r"test_batch: 'data' is uint8 \(9999, 3072\)",
        ),
        (lambda good: batch_bytes(data=np.zeros((10_000, 3072), np.int8)), "test_batch: 'data' is int8"),
        (lambda good: batch_bytes(data=[0]), "test_batch: 'data' is list"),
        (lambda good: batch_bytes(labels=[0] * 9_999), "test_batch: 'labels' is a list of 9999"),
        (lambda good: batch_bytes(labels=[10] * 10_000), "test_batch: 'labels' holds 10"),
        (lambda good: batch_bytes(labels=[True] * 10_000), "test_batch: 'labels' holds True"),
        (lambda good: b"x" * (2**26 + 1), "test_batch has 67,108,865 bytes"),
    ],
)
def test_damaged_files_are_named(folder, good_bytes, content, message):
    (folder / "test_batch").write_bytes(content(good_bytes))
    with pytest.raises(ValueError, match=message):
        cifar10(folder, train=False)


def test_a_missing_file_is_named(folder, good_bytes):
    (folder / "test_batch").write_bytes(good_bytes)
    with pytest.raises(FileNotFoundError, match="data_batch_1 is missing"):
        cifar10(folder, train=True)


class Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, ("touch broken_into",)),
        (eval, ("open('broken_into', 'w')",)),
        (np.load, ("broken_into",)),
        (np.frombuffer, (b"1234",)),
        (subprocess.Popen, (["touch", "broken_into"],)),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_run_nothing(tmp_path, call, protocol):
    with pytest.raises(pickle.UnpicklingError, match="no CIFAR-10 file needs"):
        loads(pickle.dumps(Evil(*call), protocol))
    assert not (tmp_path / "broken_into").exists()


def test_pickles_admit_no_codec_but_latin1():
    with pytest.raises(pickle.UnpicklingError, match="codec 'zlib'"):
        loads(b"c_codecs\nencode\n(Vabc\nVzlib\ntR.")


def test_pickles_of_old_and_new_numpy_are_read():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    written = pickle.dumps(array, 2)
    old, new = written.replace(b"numpy._core.", b"numpy.core."), written.replace(b"numpy.core.", b"numpy._core.")
    assert old != new
    for content in (old, new):
        np.testing.assert_array_equal(loads(content), array)


# Absent data and downloads


def test_absent_data_names_the_ways_out(tmp_path):
    for allowed in (False, True):
        with pytest.raises(FileNotFoundError) as error:
            cifar10(download=allowed)
        for way_out in ("data/", "root=", "--data", "MYTENSOR_DATA", "pip install torchvision", "synthetic"):
            assert way_out in str(error.value)
    assert "no network in tests" in str(error.value)


def test_the_stand_in_takes_over_and_says_so(capsys, monkeypatch):
    monkeypatch.setattr(cifar10_files, "synthetic", lambda n, seed: synthetic(n // 1000, seed))
    train, test = cifar10_or_stand_in()
    assert train.source == test.source == "synthetic stand-in"
    assert "synthetic stand-in" in capsys.readouterr().out


def fake_torchvision(content, failure=None):
    """A torchvision whose CIFAR10 writes one file and then perhaps fails."""

    class CIFAR10:
        def __init__(self, root, train, download):
            folder = os.path.join(root, "cifar-10-batches-py")
            os.mkdir(folder)
            with open(os.path.join(folder, "test_batch"), "wb") as file:
                file.write(content if failure is None else content[:1000])
            if failure is not None:
                raise failure

    return types.SimpleNamespace(datasets=types.SimpleNamespace(CIFAR10=CIFAR10))


def test_a_download_is_taken_up(tmp_path, monkeypatch, good_bytes):
    monkeypatch.setattr(download, "import_torchvision", lambda: fake_torchvision(good_bytes))
    assert len(cifar10(tmp_path / "place", train=False)) == 10_000
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["cifar-10-batches-py"]


@pytest.mark.parametrize("failure", [OSError("connection lost"), RuntimeError("bad checksum"), KeyboardInterrupt()])
def test_an_interrupted_download_leaves_nothing(tmp_path, monkeypatch, good_bytes, failure):
    monkeypatch.setattr(download, "import_torchvision", lambda: fake_torchvision(good_bytes, failure))
    with pytest.raises(KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else FileNotFoundError):
        cifar10(tmp_path / "place")
    assert not (tmp_path / "place").exists() and find(tmp_path / "place") is None


def test_a_killed_download_is_not_taken_for_data(tmp_path, good_bytes):
    unfinished = tmp_path / "place" / ".unfinished-download-x" / "cifar-10-batches-py"
    unfinished.mkdir(parents=True)
    (unfinished / "test_batch").write_bytes(good_bytes[:1000])
    assert find(tmp_path / "place") is None


def test_reading_needs_no_torch(folder, good_bytes):
    (folder / "test_batch").write_bytes(good_bytes)
    code = f"import sys, mytensor.data as d; d.cifar10({str(folder)!r}, train=False); assert 'torch' not in sys.modules"
    path = os.pathsep.join([os.path.dirname(os.path.dirname(mt.__file__)), *sys.path])
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": path})


# Data sets


def test_the_stand_in_is_deterministic_and_even():
    a, b, other = synthetic(1003, seed=5), synthetic(1003, seed=5), synthetic(1003, seed=6)
    assert a.checksum == b.checksum != other.checksum
    assert a.images.shape == (1003, 3, 32, 32) and a.images.dtype == np.uint8 and a.images.flags.c_contiguous
    assert a.labels.dtype == np.int64 and set(np.bincount(a.labels, minlength=10)) == {100, 101}
    assert len(a.classes) == 10 and a.source == "synthetic stand-in"
    assert len(np.unique(a.images.reshape(1003, -1), axis=0)) == 1003, "no picture is drawn twice"
    with pytest.raises(ValueError, match="at least one"):
        synthetic(0)


def test_subset():
    dataset = synthetic(30)
    part = dataset.subset(7)
    assert len(part) == 7 and part.source == dataset.source and np.shares_memory(part.images, dataset.images)
    assert part.checksum != dataset.checksum
    for count in (0, -1, 31):
        with pytest.raises(ValueError, match="1 to 30"):
            dataset.subset(count)


# Batches


def expected(dataset, index, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)):
    """The normalised images of an index in float64."""
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (mean, std))
    return (dataset.images[index] / 255 - mean) / std


def test_batches_hold_what_their_order_says():
    dataset, mean, std = synthetic(53, seed=2), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    batches = Batches(dataset, batch_size=20, seed=9, mean=mean, std=std)
    for epoch in (0, 3):
        order = np.random.default_rng([9, epoch]).permutation(53)
        got = list(batches.epoch(epoch))
        assert [images.shape for images, _ in got] == [(20, 3, 32, 32), (20, 3, 32, 32), (13, 3, 32, 32)]
        assert len(got) == len(batches)
        # (x/255 - mean)/std in float32: three roundings of numbers no larger than (1 + mean)/std < 3.
        np.testing.assert_allclose(
            np.concatenate([images.numpy() for images, _ in got]),
            expected(dataset, order, mean, std),
            rtol=0,
            atol=2e-6,
        )
        np.testing.assert_array_equal(np.concatenate([labels.numpy() for _, labels in got]), dataset.labels[order])


def test_batches_in_the_data_sets_order():
    dataset = synthetic(23)
    images, labels = next(iter(Batches(dataset, 23, shuffle=False).epoch(0)))
    np.testing.assert_allclose(images.numpy(), expected(dataset, slice(None)), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(labels.numpy(), dataset.labels)


@pytest.mark.parametrize("augment", [False, True])
def test_an_epoch_can_be_taken_up_in_the_middle(augment):
    batches = Batches(synthetic(50), batch_size=8, seed=1, augment=augment)
    whole, rest = list(batches.epoch(2)), list(batches.epoch(2, start=4))
    assert len(rest) == 3
    for (a, b), (c, d) in zip(whole[4:], rest, strict=True):
        np.testing.assert_array_equal(a.numpy(), c.numpy())
        np.testing.assert_array_equal(b.numpy(), d.numpy())


def test_augmented_images_are_flipped_and_moved():
    dataset = synthetic(40)
    batches = Batches(dataset, batch_size=40, seed=4, augment=True)
    images, _ = next(iter(batches.epoch(0)))
    random = np.random.default_rng([4, 0, 1])
    flips = random.integers(0, 2, 40, dtype=np.uint8)
    crops = random.integers(0, 9, (40, 2), dtype=np.int64)
    plain = expected(dataset, batches.order(0))
    assert 0 < flips.sum() < 40
    padded = np.pad(plain, ((0, 0), (0, 0), (4, 4), (4, 4)), constant_values=-1)  # black is (0 - 0.5) / 0.5
    wanted = [
        picture[:, row : row + 32, column : column + 32][:, :, :: -1 if flip else 1]
        for picture, flip, (row, column) in zip(padded, flips, crops, strict=True)
    ]
    np.testing.assert_allclose(images.numpy(), wanted, rtol=0, atol=1e-6)


def test_bad_batches():
    dataset = synthetic(10)
    with pytest.raises(ValueError, match="batch_size=0"):
        Batches(dataset, 0)
    with pytest.raises(ValueError, match="seed=-1"):
        Batches(dataset, seed=-1)
