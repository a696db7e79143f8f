"""The allocator's inspector says what the compiled allocator did."""

import pytest

import mytensor as mt

pytest.importorskip("anywidget")

from mytensor.inspect.allocator import AllocatorInspector

KIB = 1024


def program():
    return AllocatorInspector([40 * KIB, 96 * KIB, "a", 50 * KIB, 40 * KIB, "b"])


def test_blocks_and_counts_are_the_allocators():
    inspector = program()
    assert str(inspector) == (
        "Allocator in mode caching: 4 requests, 1 served from the cache. Blocks: A (40 KiB, d), B (96 KiB, cached), "
        "C (56 KiB, c). b is freed: block B is kept in the cache."
    )
    stats = mt.memory_stats()
    assert inspector.allocate(90 * KIB) == "e"
    assert mt.memory_stats()["cache_hits"] == stats["cache_hits"] + 1
    assert mt.memory_stats()["allocated"] == stats["allocated"] + 96 * KIB
    assert inspector.blocks[1] == {"letter": "B", "capacity": 96 * KIB, "holder": "e", "bytes": 90 * KIB}
    held = mt.memory_stats()["reserved"]
    inspector.free("e")
    inspector.empty_cache()
    assert mt.memory_stats()["reserved"] == held - 96 * KIB
    assert [block["letter"] for block in inspector.blocks] == ["A", "C"]


@pytest.mark.parametrize("disturb", [lambda: mt.empty(96 * KIB, dtype=mt.uint8), mt.empty_cache, lambda: mt.zeros(7)])
def test_other_cells_do_not_confuse_it(disturb):
    inspector = program()
    kept = disturb()
    mt.zeros(3)
    mt.set_memory_mode("plain")  # empties the cache
    mt.set_memory_mode("caching")
    inspector.allocate(96 * KIB)
    assert inspector.happened == "e wants 96 KiB: block B (96 KiB) comes from the cache; the system is not asked."
    assert [block["letter"] for block in inspector.blocks] == ["A", "B", "C"]
    del kept


def test_plain_mode_keeps_nothing_and_is_left_behind():
    inspector = program()
    inspector.mode = "plain"
    assert [block["letter"] for block in inspector.blocks] == ["A", "C"]
    inspector.free("c")
    assert inspector.happened == "c is freed: block C goes back to the system."
    inspector.allocate(56 * KIB)
    assert inspector.counts["from_cache"] == 1
    assert mt.memory_mode() == "caching"


def test_clicks_from_the_browser():
    inspector = program()
    inspector.wanted = ["free", "d", 1]
    inspector.wanted = ["free", "d", 2]  # clicked twice
    assert inspector.happened == "d is freed: block A is kept in the cache."
    inspector.wanted = ["allocate", 40 * KIB, 3]
    assert inspector.blocks[0]["holder"] == "e"


def test_picture_and_sentence():
    data, _ = program()._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"].startswith("Allocator in mode caching")
    assert AllocatorInspector()._repr_mimebundle_()[0]["text/plain"].endswith("Nothing has been asked for yet.")
