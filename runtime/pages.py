"""Keep the memory of freed arrays: on glibc, giving large blocks back and faulting them in again costs more than the
arithmetic done in them (two to three times on element-wise products of a million)."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_pages"]

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


def keep_pages() -> None:
    """Tell the allocator of this process to keep what is freed.  Memory then stays at its peak until the end."""
    if not sys.platform.startswith("linux"):
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
        libc.mallopt(M_TOP_PAD, 64 << 20)
    except (OSError, AttributeError):
        return  # another C library: only speed is lost
