"""Stages compiled before, so that a job which comes again is not compiled again.

For: a node that serves the same study day after day, and a program that runs it on new data of the same sizes.
Everything that a stage follows from is in its key, so a stage found is the stage that would have been made; parties
compare its digest in either case.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["Cache"]

T = TypeVar("T")


class Cache(Generic[T]):
    """The values last asked for, by key; safe to share between threads.

    most: how many are kept, the one longest unused going first.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._found: OrderedDict[bytes, Future[T]] = OrderedDict()

    def get(self, key: bytes, make: Callable[[], T]) -> T:
        """The value of `key`, made by `make` if it is not here; who asks for it meanwhile waits.

        Raises what `make` raises, at all who waited; nothing is kept then.
        """
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            else:
                mine = self._found[key] = Future()
                while len(self._found) > self._most:
                    self._found.popitem(last=False)
        if found is not None:
            return found.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                if self._found.get(key) is mine:
                    del self._found[key]
            mine.set_exception(error)
            raise
        mine.set_result(value)
        return value
