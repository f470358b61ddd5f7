"""Claims about a file whose weights are stored small."""

from __future__ import annotations

from edgedeploy.artifact import Claim
from exporter.operators.base import Facts

#: share of the constants that must have the claimed type; biases, norms and scales stay float
LEAST_SHARE = 0.75
#: the same in a very small model, where biases, norms and what a precision leaves out count for more
LEAST_SHARE_SMALL, SMALL = 0.5, 4096
#: what a file may have beside its weights, which counts in a very small model only: graph, names, scales
BESIDE = 16 * 1024


def weights(facts: Facts, kind: str) -> Claim:
    """The constants, as read back from the file, are of this type ("int8", "float16")."""
    stored = {str(name): int(count) for name, count in dict(facts.scheme.get("stored", {})).items()}
    total = sum(stored.values())
    share = stored.get(kind, 0) / total if total else 0.0
    listed = ", ".join(f"{count:,} {name}" for name, count in stored.items())
    return Claim(
        name=f"weights stored as {kind}",
        holds=share >= (LEAST_SHARE if total > SMALL else LEAST_SHARE_SMALL),
        detail=f"{share:.1%} of the constants in the file ({listed or 'none found'})",
    )


def smaller(facts: Facts, *, share: float) -> Claim:
    """The file has at most this share of the bytes of the same model's in float, and fewer in any case."""
    most = min(share * facts.float_bytes + BESIDE, facts.float_bytes - 1)
    found = facts.made_bytes / max(facts.float_bytes, 1)
    return Claim(
        name="smaller file",
        holds=facts.made_bytes <= most,
        detail=f"{facts.made_bytes:,} bytes, {found:.0%} of {facts.float_bytes:,} in float",
    )
