"""Whether a runtime answers as is on record of it, asked for a sample: where to ask for all would take too long."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from device_runner.needs import tflite_file
from device_runner.needs.onnx_file import STANDARD
from device_runner.needs.words import IR_VERSION, LAYOUT, OPERATOR, OPSET, operator_of
from device_runner.offers import probe_models
from device_runner.offers.asking import (
    MICROSOFT,
    NEWEST_IR,
    NEWEST_OPSET,
    NO_OPERATORS,
    OLD_IR,
    OLD_OPSET,
    UNREGISTERED,
    Call,
    ask,
    microsoft_operators,
    reads_behind,
    reply,
)
from device_runner.offers.offer import Offer

#: what is claimed, the model that asks for it, and whether a reply bears it out
_Claim = tuple[str, bytes, Callable[[str], bool]]


def contradictions(
    runtime: str, call: Call, libraries: Sequence[Path], offer: Offer, shared: Path | None = None, every: int = 25
) -> list[str]:
    """Where it answers otherwise than `offer` has it: the operator set, and one operator in `every`, in its newest version and
    in the next. ExecuTorch, which answers at once, is asked for all."""
    if runtime == "executorch":
        return [] if ask(runtime, call, libraries, shared) == offer else ["it names other kernels or backends"]
    claims = _onnx(offer, every) if runtime == "onnx" else _tflite(offer, every)
    with tempfile.TemporaryDirectory(prefix="edgedeploy-", dir=shared) as scratch:
        replies = partial(reply, call, Path(scratch), runtime)
        behind = tflite_file.BEHIND in offer.versions.get(LAYOUT, {})
        if runtime == "tflite" and reads_behind(call, Path(scratch)) != behind:
            return [f"{tflite_file.BEHIND}: {'are not' if behind else 'are'} read"]
        return [f"{what}: {said or 'taken'}" for what, model, holds in claims if not holds(said := replies(model))]


def _taken(said: str) -> bool:
    return not said


def _onnx(offer: Offer, every: int) -> Iterator[_Claim]:
    newest, ir = offer.versions[OPSET][STANDARD], offer.versions[IR_VERSION][""]
    yield f"opset {newest}", probe_models.onnx(ir_version=ir, opsets={"": newest}), _taken
    later = probe_models.onnx(ir_version=ir, opsets={"": newest + 1})
    yield f"no opset {newest + 1}", later, lambda said: NEWEST_OPSET.search(said) is not None
    later = probe_models.onnx(ir_version=ir + 1, opsets={"": OLD_OPSET})
    yield f"no IR version {ir + 1}", later, lambda said: NEWEST_IR.search(said) is not None
    there = offer.versions[operator_of(MICROSOFT)]
    absent = [name for name in microsoft_operators() if name not in there]
    for name in (*sorted(there)[::every], *absent[::every], "NoSuchOperator"):
        model = probe_models.onnx(
            ir_version=OLD_IR, opsets={"": OLD_OPSET, MICROSOFT: 1}, operator=name, domain=MICROSOFT
        )  # fmt: skip
        yield name, model, partial(lambda is_there, said: (UNREGISTERED not in said) == is_there, name in there)


def _tflite(offer: Offer, every: int) -> Iterator[_Claim]:
    names = [name for name in tflite_file.operators() if name not in NO_OPERATORS]
    for name in ("CONV_2D", "STABLEHLO_COMPOSITE", *names[::every]):
        code, newest = tflite_file.operators().index(name), offer.versions[OPERATOR].get(name, 0)
        if newest:
            yield f"{name} {newest}", probe_models.tflite(code, newest), _taken
        yield f"no {name} {newest + 1}", probe_models.tflite(code, newest + 1), bool
