"""The claims of a lowering itself, whatever the operator: it is the model it was made from, as near as its precision allows."""

from __future__ import annotations

import numpy as np

from edgedeploy.artifact import Claim, Parity, Precision
from exporter.verify import Outputs

#: |error| of a float artifact against torch, relative to the largest output: summation order and fused operators
FLOAT_BOUND = 1e-3
#: the same for half precision, which has 11 bits: a few of its steps add up over the layers
HALF_BOUND = 3e-2
#: share of the evaluation examples where a quantised artifact must name the class that its float model names
SAME_CLASS = 0.9
LEAST_COSINE = 0.9


def tolerance(precision: Precision, expected: Outputs) -> tuple[float, float]:
    """(atol, rtol) of what a device must reproduce of this host's outputs.

    Float kernels differ by rounding only, half precision by more of it. int8 kernels of another CPU may round a tie the
    other way, and one step of an early layer can become a few steps of the output: 2 % of the largest output is about five
    of its 255 steps.
    """
    largest = max(float(np.abs(array).max()) for array in expected.values())
    # what was given small may compute in int8
    if precision in ("int8-static", "int8-dynamic", "as-given"):
        return 0.02 * largest, 0.02
    if precision == "fp16":
        return 1e-2 * max(1.0, largest), 1e-2
    return float_bound(largest), 1e-3


def float_bound(largest: float) -> float:
    """The |error| allowed between two float computations whose largest output is `largest`."""
    return FLOAT_BOUND * max(1.0, largest)


def of_parity(parity: Parity, precision: Precision, largest: float, points: float | None, max_points: float) -> list[Claim]:
    """largest: of the float model's golden outputs. points: of accuracy lost against the float model, None if not measured."""
    agree = "" if parity.same_top1 is None else f", same top class on {parity.same_top1:.2%} of {parity.evaluated:,}"
    if precision in ("fp32", "fp16"):
        bound = float_bound(largest) if precision == "fp32" else HALF_BOUND * max(1.0, largest)
        least = 0.999 if precision == "fp32" else 0.98
        holds = parity.max_abs <= bound and (parity.same_top1 is None or parity.same_top1 >= least)
        return [Claim(name="parity", holds=holds, detail=f"max |error| {parity.max_abs:.2e} (bound {bound:.2e}){agree}")]
    # The cosine of two logits says nothing where both are near zero, so the class is looked at where there is one.
    classed = parity.same_top1 is not None and points is not None
    close = parity.same_top1 >= SAME_CLASS if classed and parity.same_top1 is not None else parity.min_cosine >= LEAST_COSINE
    limit = f"same top class on at least {SAME_CLASS:.0%}" if classed else f"least cosine at least {LEAST_COSINE}"
    detail = f"least cosine {parity.min_cosine:.4f}, max |error| {parity.max_abs:.3f}{agree} (bound: {limit})"
    claims = [Claim(name="parity", holds=close, detail=detail)]
    if points is not None:
        claims.append(
            Claim(
                name="accuracy kept in int8",
                holds=points <= max_points,
                detail=f"{points:+.2f} points lost against its float model (at most {max_points:g}, --max-drop)",
            )
        )
    return claims
