"""The tile's walk shows what the kernel did: every number is copied by one thread of a block in one step."""

import mytensor_backend as backend
import numpy as np
import pytest

pytest.importorskip("anywidget")

from mytensor.inspect.tiles import NOTHING, TileWalk

M, K, N, TILE = 19, 21, 35, 16


@pytest.fixture
def walk(rng):
    if problem := backend.simt_problem():
        pytest.skip(problem)
    return TileWalk(rng.standard_normal((M, K)), rng.standard_normal((K, N)))


def test_each_block_copies_its_rows_and_columns_once(walk):
    assert (walk.blocks, walk.threads, walk.steps, walk.shared_reads) == (6, 256, 2, 32)
    for block in range(walk.blocks):
        row, column = block // 3 * TILE, block % 3 * TILE
        for step in range(walk.steps):
            walk.block, walk.step = block, step
            k = range(step * TILE, min((step + 1) * TILE, K))
            wanted_a = [i * K + p for i in range(row, min(row + TILE, M)) for p in k]
            wanted_b = [p * N + j for p in k for j in range(column, min(column + TILE, N))]
            assert sorted(walk._of_block(walk.copies_a)) == wanted_a
            assert sorted(walk._of_block(walk.copies_b)) == wanted_b


def test_the_sums_end_in_the_output(walk):
    writes = np.array(walk.writes)
    has_output = writes != NOTHING
    assert sorted(writes[has_output]) == list(range(M * N))
    a, b = (np.array(values, np.float64) for values in (walk.a, walk.b))
    a, b = a.reshape(M, K), b.reshape(K, N)
    bound = (K + 2) * np.finfo(np.float32).eps * (abs(a) @ abs(b))
    for step, end in ((0, TILE), (1, K)):
        sums = np.array(walk.sums)[has_output, step]
        wanted = (a[:, :end] @ b[:end]).ravel()[writes[has_output]]
        assert (abs(sums - wanted) <= bound.ravel()[writes[has_output]]).all()


def test_the_sentence_and_the_picture_follow(walk):
    assert "Block 0, step 0: 256 numbers of a and 256 of b" in walk.sentence()
    walk.block, walk.step = 5, 1
    assert "Block 5, step 1: 15 numbers of a and 15 of b" in walk.sentence()
    outlined = [axes.patches[0].get_bbox().bounds[2:] for axes in walk.still().axes if axes.patches]
    assert sorted(outlined) == [(3, 3), (3, 5), (5, 3)]
    with pytest.raises(ValueError, match=r"got a \(2, 3\) and b \(2, 3\); wanted \(m, k\) and \(k, n\)"):
        TileWalk(np.ones((2, 3)), np.ones((2, 3)))
