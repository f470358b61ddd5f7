"""What stays on a device between runs (models, inputs, runners), and how it is kept from growing without end."""

from __future__ import annotations

from device_runner.device_cache.cache import DeviceCache, cache_of, leasing
from device_runner.device_cache.holdings import Holdings

__all__ = ["DeviceCache", "Holdings", "cache_of", "leasing"]
