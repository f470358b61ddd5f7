"""What goes to a device: the native runner and the libraries of the runtimes, for one ABI."""

from device_runner.bundles.assemble import build
from device_runner.bundles.located import RunnerBundle, host_abi, locate

__all__ = ["RunnerBundle", "build", "host_abi", "locate"]
