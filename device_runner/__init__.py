"""The device side: push an artifact to a device, measure it there, keep what was measured."""
