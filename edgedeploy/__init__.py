"""edgedeploy: export a model under a deployment operator, measure it on a device, say which way to deploy it."""

__version__ = "0.1.0"
