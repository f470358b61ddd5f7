"""Tiny real models for all three runtimes, with inputs and what each runtime's own Python API makes of them.

Run as a program (`python -m ... DIR`), because the converters want a process of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

CASES = 4


class Image(torch.nn.Module):
    """A float image to ten numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.linear = torch.nn.Linear(8, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(torch.relu(self.conv(image)).mean((2, 3)))
        return logits


class Text(torch.nn.Module):
    """Token ids and a mask to two outputs: integer inputs, several of each."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(50, 16)
        self.linear = torch.nn.Linear(16, 3)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.embedding(ids) * mask[:, :, None]
        return self.linear(states.sum(1)), states * 2


def inputs_of(name: str) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(7)
    if name == "image":
        return [rng.standard_normal((CASES, 3, 16, 16)).astype(np.float32)]
    return [rng.integers(0, 50, (CASES, 8)), rng.integers(0, 2, (CASES, 8)).astype(np.float32)]


def export(name: str, model: torch.nn.Module, input_names: list[str], output_names: list[str], target: Path) -> None:
    import litert_torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    args = tuple(torch.from_numpy(array[:1]) for array in inputs_of(name))
    onnx_program = torch.onnx.export(
        model, args, dynamo=True, input_names=input_names, output_names=output_names, opset_version=20,
        external_data=False, verbose=False,
    )  # fmt: skip
    assert onnx_program is not None
    onnx_program.save(str(target / f"{name}.onnx"))
    program = to_edge_transform_and_lower(torch.export.export(model, args), partitioner=[XnnpackPartitioner()])
    (target / f"{name}.pte").write_bytes(program.to_executorch().buffer)
    litert_torch.convert(model, args).export(str(target / f"{name}.tflite"))


def python_outputs(name: str, runtime: str, target: Path) -> list[np.ndarray[Any, Any]]:
    """Per output [cases, ...], by the runtime's own Python API."""
    inputs, found = inputs_of(name), []
    if runtime == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(target / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        names = [port.name for port in session.get_inputs()]
        for case in range(CASES):
            found.append(session.run(None, {key: array[case : case + 1] for key, array in zip(names, inputs, strict=True)}))
    elif runtime == "tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(target / f"{name}.tflite"))
        runner = interpreter.get_signature_runner()
        narrow = [array.astype(np.int32) if array.dtype == np.int64 else array for array in inputs]
        for case in range(CASES):
            done = runner(**{f"args_{i}": array[case : case + 1] for i, array in enumerate(narrow)})
            found.append([done[key] for key in sorted(done)])
    else:
        from executorch.runtime import Runtime

        method = Runtime.get().load_program(target / f"{name}.pte").load_method("forward")
        assert method is not None
        for case in range(CASES):
            done = method.execute([torch.from_numpy(array[case : case + 1]) for array in inputs])
            found.append([tensor.numpy().copy() for tensor in done])
    return [np.concatenate([case[k] for case in found]) for k in range(len(found[0]))]


def main(target: Path) -> None:
    torch.manual_seed(3)
    export("image", Image().eval(), ["image"], ["logits"], target)
    export("text", Text().eval(), ["ids", "mask"], ["scores", "states"], target)
    for name in ("image", "text"):
        for i, array in enumerate(inputs_of(name)):
            array.tofile(target / f"{name}-{i}.bin")
        for runtime in ("onnx", "tflite", "executorch"):
            np.savez(target / f"{name}-{runtime}.npz", *python_outputs(name, runtime, target))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
