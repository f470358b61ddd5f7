"""What the runtimes that go to a device can run, and what of a model they lack: known before anything is pushed."""

from device_runner.offers.lacking import lacking, summary
from device_runner.offers.offer import Offer, key_of, known

__all__ = ["Offer", "key_of", "known", "lacking", "summary"]
