"""The most the native runner lets a plan ask for. The same numbers are in device_runner/native/src/plan.cpp."""

from __future__ import annotations

#: a week
MAX_SECONDS = 604_800.0
#: 4 TiB
MAX_MEMORY_MB = 2**22
#: a day, for a phase
MAX_PHASE_MS = 86_400_000.0
MAX_THREADS = 256
#: of what stays on a device between runs; not the runner's: 100 TB
MAX_CACHE_MB = 10**8
#: sessions of one model in one process
MAX_STREAMS = 64
