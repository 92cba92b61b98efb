"""Give the memory of large pictures back to the system. This works with glibc; elsewhere nothing is done.

glibc gives each thread a pool of its own, up to eight a core, and keeps freed memory in its pool. Searching a large picture
takes hundreds of megabytes in many pieces, and any of the server's threads may do it. After forty such pictures the process
held 1.5 GB, and 0.4 GB with these settings (two cores).
"""

from __future__ import annotations

import ctypes
import platform

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1  # of mallopt(3), from malloc.h
_POOLS = 2
_LARGE = 1 << 20  # bytes; larger pieces go back at once
_SPARE = 16 << 20  # bytes at a pool's end that are kept for the next picture


def keep_little_memory() -> bool:
    """Call it before threads start. Returns whether it worked."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(_ARENA_MAX, _POOLS), mallopt(_MMAP_THRESHOLD, _LARGE), mallopt(_TRIM_THRESHOLD, _SPARE)])
