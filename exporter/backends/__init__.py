"""Backends: for each runtime and hardware, how int8 is made, what the fast kernels took, what they compute in."""
