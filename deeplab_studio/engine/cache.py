"""A cache bounded by bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class HasBytes(Protocol):
    """Anything that knows how much memory it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...


Value = TypeVar("Value", bound=HasBytes)


class ByteCache(Generic[Value]):
    """Keeps what was used last, up to a number of bytes. Safe to use from several threads.

    Parameters
    ----------
    max_bytes : int
        What the values together may hold. A single value larger than that is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held by the values kept."""
        return self._nbytes

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._values

    def get(self, key: Hashable) -> Value | None:
        """The value kept under `key`, which counts as used now; None if there is none."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: Hashable, value: Value) -> None:
        """Keep `value` under `key` in place of the one there, dropping those unused for longest to make room."""
        with self._lock:
            self._drop(key)
            if value.nbytes > self.max_bytes:
                return
            self._values[key] = value
            self._nbytes += value.nbytes
            while self._nbytes > self.max_bytes:
                self._drop(next(iter(self._values)))

    def discard(self, key: Hashable) -> None:
        """Forget the value under `key`, if there is one."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._nbytes = 0

    def _drop(self, key: Hashable) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            self._nbytes -= value.nbytes
