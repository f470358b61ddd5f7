"""Cutting a float model into stages: where it can be cut, what crosses there, and which cut is best for a pair of devices."""
