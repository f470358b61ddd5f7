"""What of a model a runtime lacks, in words."""

from __future__ import annotations

from device_runner.needs.words import BACKEND, CUSTOM_OPERATOR, IR_VERSION, KERNEL, LAYOUT, OPERATOR, OPSET, Needs, operator_of
from device_runner.offers.offer import Offer


def lacking(needs: Needs, offer: Offer) -> list[str]:
    """Each thing that is asked for and not offered, with its version where that is what is wrong; sorted."""
    found = []
    # of the operators of a set that it has, where no list of them is kept, the set's version says all
    sets = {operator_of(domain) for domain in offer.versions.get(OPSET, {})}
    for kind, names in needs.items():
        if kind in sets and kind not in offer.versions:
            continue
        offered = offer.versions.get(kind, {})
        for name, version in names.items():
            newest = offered.get(name)
            if newest is None:
                # an operator set that it does not know: what of it is used is lacking, and named
                found += [] if kind == OPSET else [_thing(kind, name)]
            elif version > newest:
                found.append(_too_new(kind, name, version, newest))
    return sorted(found)


def summary(offer: Offer) -> str:
    """The newest opset and format, how many operators or kernels, which backends."""
    parts = []
    for kind, names in offer.versions.items():
        if kind in (OPSET, IR_VERSION):
            parts += [f"{kind} {version}" + (f" of {name}" if name else "") for name, version in names.items()]
        elif kind == LAYOUT:
            parts += [f"reads {name}" for name in names]
        elif kind == BACKEND:
            parts.append(f"{kind}s {', '.join(names)}")
        else:
            noun, of, domain = kind.partition(" of ")
            parts.append(f"{len(names)} {noun}s{of}{domain}")
    return ", ".join(parts)


def _thing(kind: str, name: str) -> str:
    if kind == LAYOUT:
        return f"reading {name}"
    if kind in (OPERATOR, CUSTOM_OPERATOR, KERNEL, BACKEND):
        return f"the {kind} {name}"
    return f"the operator {name} of {kind.removeprefix('operator of ')}"


def _too_new(kind: str, name: str, version: int, newest: int) -> str:
    if kind == OPSET:
        return f"opset {version} of {name} (it has {newest} at most)"
    if kind == IR_VERSION:
        return f"IR version {version} (it has {newest} at most)"
    return f"the {kind} {name} in version {version} (it has version {newest} at most)"
