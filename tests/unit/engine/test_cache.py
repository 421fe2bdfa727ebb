from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.engine import ByteCache


def block(size: int) -> np.ndarray:
    return np.zeros(size, np.uint8)


def test_what_was_unused_for_longest_goes_first() -> None:
    cache: ByteCache[np.ndarray] = ByteCache(30)
    for name in "abc":
        cache.put(name, block(10))
    assert cache.get("a") is not None
    cache.put("d", block(10))
    assert "b" not in cache
    assert all(name in cache for name in "acd")
    assert cache.nbytes == 30


def test_a_value_larger_than_the_cache_is_not_kept_and_drops_its_predecessor() -> None:
    cache: ByteCache[np.ndarray] = ByteCache(30)
    cache.put("a", block(10))
    cache.put("a", block(31))
    assert cache.get("a") is None
    assert cache.nbytes == 0


def test_discard_and_clear() -> None:
    cache: ByteCache[np.ndarray] = ByteCache(30)
    cache.put("a", block(10))
    cache.put("b", block(10))
    cache.discard("a")
    cache.discard("a")
    assert (len(cache), cache.nbytes) == (1, 10)
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40))))
def test_bytes_are_counted_and_bounded(puts: list[tuple[int, int]]) -> None:
    cache: ByteCache[np.ndarray] = ByteCache(100)
    for key, size in puts:
        cache.put(key, block(size))
        kept = [value for k in range(6) if (value := cache.get(k)) is not None]
        assert cache.nbytes == sum(value.nbytes for value in kept) <= 100
        assert key in cache


def test_threads_can_share_it() -> None:
    cache: ByteCache[np.ndarray] = ByteCache(1000)

    def work(seed: int) -> None:
        generator = np.random.default_rng(seed)
        for key in generator.integers(0, 50, 500):
            cache.put(int(key), block(int(generator.integers(0, 100))))
            cache.get(int(key))
            cache.discard(int(generator.integers(0, 50)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.nbytes == sum(value.nbytes for key in range(50) if (value := cache.get(key)) is not None)
