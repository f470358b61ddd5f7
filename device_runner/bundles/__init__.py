"""What goes to a device: the native runner and the libraries of the runtimes, for one ABI."""

from device_runner.bundles.assemble import build
from device_runner.bundles.located import RunnerBundle, find, host_abi, locate
from device_runner.bundles.pins import known_abis, load_pins
from device_runner.bundles.sources import sources_digest
from device_runner.bundles.verify import problems

__all__ = ["RunnerBundle", "build", "find", "host_abi", "known_abis", "load_pins", "locate", "problems", "sources_digest"]
