"""Memory that is freed stays with the process, so that it need not be fetched again.

Training allocates and frees buffers of a few megabytes in every step. By default glibc
hands such memory back to the system and fetches it anew, page by page, zeroed: 6 % of a
SASRec epoch on Amazon Beauty (``benchmarks/where_time_goes.py``). The thresholds set
here keep up to 256 MB of it, which were in use before.
"""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h
KEPT = 2**28  # bytes at the top of the heap that are not handed back
LARGEST = 2**25  # bytes of a block that comes from the heap; glibc's own upper limit


def keep_pages() -> bool:
    """Raise glibc's thresholds; does nothing where there is another C library.

    What the environment says (``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_MMAP_THRESHOLD_``)
    wins.

    Returns:
        Whether both thresholds were set.
    """
    if not sys.platform.startswith("linux"):
        return False
    if {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"} & {*os.environ}:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl, for one, has no such knob
        return False
    wanted = ((TRIM_THRESHOLD, KEPT), (MMAP_THRESHOLD, LARGEST))
    return all(mallopt(name, value) == 1 for name, value in wanted)
