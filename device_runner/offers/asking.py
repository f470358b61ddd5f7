"""Asking a runtime what it can run: by models that it takes or refuses, or of itself where it tells."""

from __future__ import annotations

import json
import re
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from device_runner.needs import tflite_file
from device_runner.needs.onnx_file import STANDARD
from device_runner.needs.words import BACKEND, CUSTOM_OPERATOR, IR_VERSION, KERNEL, LAYOUT, OPERATOR, OPSET, operator_of
from device_runner.offers import probe_models
from device_runner.offers.offer import Offer
from edgedeploy.errors import InternalError

#: a call of the runner -> its last line
Call = Callable[[Sequence[str]], Mapping[str, Any]]

MICROSOFT = "com.microsoft"
_DOMAINS = (STANDARD, "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", MICROSOFT, "com.microsoft.nchwc")
#: what every ONNX Runtime of the last years takes
OLD_IR, OLD_OPSET = 8, 17
#: newer than any will be for a while
_FAR = 9999
NEWEST_OPSET, NEWEST_IR = re.compile(r"till opset ([0-9]+)"), re.compile(r"max supported IR version: ([0-9]+)")
#: what it says of an operator that it does not know
UNREGISTERED = "not a registered"
#: above the newest version of any operator of TensorFlow Lite
_MOST_VERSIONS = 40
#: codes that stand for something else
NO_OPERATORS = ("CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES")
#: what TensorFlow Lite and XNNPACK have besides the built-in ones; each is called so in the library that has it
_CUSTOM = (
    "TFLite_Detection_PostProcess", "NumericVerify", "Mfcc", "AudioSpectrogram",
    "Convolution2DTransposeBias", "MaxPoolingWithArgmax2D", "MaxUnpooling2D",
)  # fmt: skip


def ask(runtime: str, call: Call, libraries: Sequence[Path], shared: Path | None = None) -> Offer:
    """What `runtime` can run. libraries: its own. shared: a directory that the runner sees too, where not all are.

    Raises InternalError for answers that make no sense.
    """
    with tempfile.TemporaryDirectory(prefix="edgedeploy-", dir=shared) as scratch:
        takes = partial(reply, call, Path(scratch), runtime)
        if runtime == "onnx":
            return Offer(versions=_onnx(takes))
        if runtime == "tflite":
            layouts = {tflite_file.BEHIND: 1} if reads_behind(call, Path(scratch)) else {}
            return Offer(versions={**_tflite(takes, libraries), LAYOUT: layouts})
    said = call(["--kernels", "--runtime", runtime])
    if said.get("event") != "kernels":
        raise InternalError(f"{runtime} does not say which kernels it has: {said.get('message')}")
    named = {KERNEL: said["kernels"], BACKEND: said["backends"]}
    return Offer(versions={kind: dict.fromkeys(sorted(set(names)), 1) for kind, names in named.items()})


def reads_behind(call: Call, scratch: Path) -> bool:
    """Whether TensorFlow Lite reads a weight that is kept behind the flatbuffer.

    One that does not takes the model all the same, so it is run. scratch: a directory that the runner sees.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        end = {"dtype": "float32", "shape": [1]}
        plan = {
            "protocol": 1, "runtime": "tflite", "backend": "xnnpack", "model": "model.tflite", "load_cold": False,
            "inputs": [{"name": "x", "file": "x.bin", **end}], "outputs": [{"name": "y", **end}], "write_outputs": "outputs",
        }  # fmt: skip
        Path(directory, "model.tflite").write_bytes(probe_models.tflite_sum_behind(0.5))
        Path(directory, "x.bin").write_bytes(struct.pack("<f", 2.0))
        Path(directory, "plan.json").write_text(json.dumps(plan), "utf-8")
        said = call(["--plan", f"{directory}/plan.json"])
        given = Path(directory, "outputs", "0.bin")
        return said.get("event") == "end" and given.is_file() and given.read_bytes() == struct.pack("<f", 2.5)


def microsoft_operators() -> list[str]:
    """The operators of com.microsoft that a runtime is asked for: those of the newest one that we had, by its own list."""
    return Path(__file__).with_name("onnx_operators.txt").read_text("ascii").split()


def reply(call: Call, scratch: Path, runtime: str, model: bytes) -> str:
    """Why the runtime does not take the model, "" when it does."""
    file = scratch / f"probe.{runtime}"
    file.write_bytes(model)
    said = call(["--describe", str(file), "--runtime", runtime])
    if said.get("event") == "describe":
        return ""
    return str(said.get("message") or "refused")


def _onnx(takes: Callable[[bytes], str]) -> dict[str, dict[str, int]]:
    old = {"": OLD_OPSET}
    opsets = {}
    for domain in _DOMAINS:
        asked = {"" if domain == STANDARD else domain: _FAR}
        newest = NEWEST_OPSET.search(takes(probe_models.onnx(ir_version=OLD_IR, opsets={**old, **asked})))
        if newest:
            opsets[domain] = int(newest.group(1))
    format_version = NEWEST_IR.search(takes(probe_models.onnx(ir_version=_FAR, opsets=old)))
    if STANDARD not in opsets or format_version is None:
        raise InternalError("ONNX Runtime does not say which opset it has")
    sets = {**old, MICROSOFT: 1}
    there = [
        name
        for name in microsoft_operators()
        if UNREGISTERED not in takes(
            probe_models.onnx(ir_version=OLD_IR, opsets=sets, operator=name, domain=MICROSOFT)
        )
    ]  # fmt: skip
    return {
        IR_VERSION: {"": int(format_version.group(1))}, OPSET: opsets, operator_of(MICROSOFT): dict.fromkeys(there, 1),
    }  # fmt: skip


def _tflite(takes: Callable[[bytes], str], libraries: Sequence[Path]) -> dict[str, dict[str, int]]:
    newest = {}
    for code, name in enumerate(tflite_file.operators()):
        if name in NO_OPERATORS:
            continue
        version = 1
        while version <= _MOST_VERSIONS and not takes(probe_models.tflite(code, version)):
            newest[name] = version
            version += 1
    if "CONV_2D" not in newest or max(newest.values()) >= _MOST_VERSIONS:
        raise InternalError("TensorFlow Lite does not say which operators it has")
    content = b"".join(library.read_bytes() for library in libraries)
    custom = {name: 1 for name in _CUSTOM if name.encode() + b"\0" in content}
    return {OPERATOR: newest, CUSTOM_OPERATOR: custom}
