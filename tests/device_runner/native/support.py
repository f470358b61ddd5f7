"""A plan, run: what the tests of the runner share."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Json = dict[str, Any]
RUNTIMES = ("onnx", "tflite", "executorch")
SUFFIX = {"onnx": "onnx", "tflite": "tflite", "executorch": "pte"}
#: a test that waits this long for something has found a hang
PATIENCE_SEC = 60.0
ORDER = ["hello", "load", "adapters", "first", "warmup", "steady", "output", "rusage", "end"]
EXIT = {
    "plan_missing": 2, "plan_invalid": 2, "path_outside": 2, "input_missing": 2, "input_size": 2, "model_missing": 2,
    "signature_mismatch": 2, "unsupported_dtype": 2, "busy": 2, "model_invalid": 3, "library_missing": 3,
    "runtime_error": 3, "output_failed": 3, "worker_died": 4, "time_limit": 5, "memory_limit": 5, "cancelled": 6,
    "denied": 2, "link_lost": 7, "internal": 1,
}  # fmt: skip


@dataclass
class Ran:
    """What a call of the runner gave."""

    code: int
    events: list[Json]
    stderr: str
    directory: Path = field(default_factory=Path)

    def __getitem__(self, name: str) -> Json:
        found = [event for event in self.events if event["event"] == name]
        assert found, f"no {name} in {self.events}"
        return found[-1]

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events if event["event"] != "progress"]

    def failed(self, *codes: str) -> Json:
        """The error, which must be the last line, be one of `codes` and agree with the exit code."""
        last = self.events[-1]
        assert last["event"] == "error", self.events
        assert last["code"] in codes, last
        assert last["message"]
        assert last["phase"]
        assert self.code == EXIT[last["code"]]
        return last

    def done(self) -> Ran:
        assert self.code == 0, (self.events, self.stderr[-2000:])
        assert self.events[-1]["event"] == "end"
        return self


@dataclass
class Edgebench:
    """The runner under test; `prefix` is an emulator where it needs one."""

    binary: Path
    prefix: tuple[str, ...] = ()

    def command(self, *arguments: str | Path) -> list[str]:
        return [*self.prefix, str(self.binary), *(os.fspath(argument) for argument in arguments)]

    def call(self, *arguments: str | Path, **options: Any) -> Ran:
        done = subprocess.run(self.command(*arguments), capture_output=True, timeout=PATIENCE_SEC, check=False, **options)
        # strictly: nothing but JSON objects, one a line, each with its event
        lines = done.stdout.decode("ascii")
        assert lines == "" or lines.endswith("\n"), lines
        events = [json.loads(line) for line in lines.splitlines()]
        assert all(isinstance(event, dict) and "event" in event for event in events)
        stderr = done.stderr.decode("utf-8", "replace")
        assert not sanitizer_report(stderr), stderr
        return Ran(done.returncode, events, stderr)

    def run(self, directory: Path, plan: Any = None) -> Ran:
        """Write the plan and run it in the foreground."""
        if plan is not None:
            write_plan(directory, plan)
        ran = self.call("--plan", directory / "plan.json")
        ran.directory = directory
        return ran


def sanitizer_report(stderr: str) -> str:
    """What a sanitizer found in our own code. A runtime's loader may read beyond a damaged model; that is its own."""
    if ": runtime error: " in stderr:
        return stderr
    if "ERROR: AddressSanitizer" not in stderr:
        return ""
    frames = [line for line in stderr.splitlines() if re.match(r"\s+#\d+ ", line) and "libsanitizer" not in line]
    return "" if frames and re.search(r"/lib/lib[^/]+\.so", frames[0]) else stderr


def write_plan(directory: Path, plan: Any) -> Path:
    path = directory / "plan.json"
    path.write_bytes(plan if isinstance(plan, bytes) else json.dumps(plan).encode())
    return path


def limits(least: int, most: int, ms: int = 0) -> Json:
    return {"min_count": least, "min_ms": ms, "max_count": most}


def base_plan(runtime: str, model: str, inputs: Sequence[Json], outputs: Sequence[Json], **more: Any) -> Json:
    return {
        "protocol": 1, "runtime": runtime, "backend": "cpu", "model": model, "threads": 1, "affinity": None,
        "inputs": list(inputs), "outputs": list(outputs), "cases": 4, "warmup": limits(3, 20), "steady": limits(10, 50),
        "max_seconds": 60, "max_memory_mb": 2048, "write_outputs": "outputs", "output_cases": 4, "load_cold": False, **more,
    }  # fmt: skip


def tensor(name: str, dtype: str, shape: Sequence[int], *adapters: Json, file: str | None = None) -> Json:
    entry: Json = {"name": name, "dtype": dtype, "shape": list(shape), "adapters": list(adapters)}
    if file is not None:
        entry["file"] = file
    return entry


def image_plan(directory: Path, models: Path, runtime: str, **more: Any) -> Json:
    """The plan of the image model, its files put into `directory`."""
    (directory / "inputs").mkdir(exist_ok=True)
    shutil.copyfile(models / f"image.{SUFFIX[runtime]}", directory / f"image.{SUFFIX[runtime]}")
    shutil.copyfile(models / "image-0.bin", directory / "inputs" / "image.bin")
    names = ("args_0", "output_0") if runtime == "tflite" else ("image", "logits")
    return base_plan(
        runtime, f"image.{SUFFIX[runtime]}",
        [tensor(names[0], "float32", [1, 3, 16, 16], file="inputs/image.bin")],
        [tensor(names[1], "float32", [1, 10])], **more,
    )  # fmt: skip


def text_plan(directory: Path, models: Path, runtime: str, **more: Any) -> Json:
    """The plan of the text model: integer ids, two inputs, two outputs."""
    shutil.copyfile(models / f"text.{SUFFIX[runtime]}", directory / f"text.{SUFFIX[runtime]}")
    for i in range(2):
        shutil.copyfile(models / f"text-{i}.bin", directory / f"{i}.bin")
    lite = runtime == "tflite"
    ids_adapters = [{"op": "cast", "to": "int32"}] if lite else []
    names = ("args_0", "args_1", "output_0", "output_1") if lite else ("ids", "mask", "scores", "states")
    return base_plan(
        runtime, f"text.{SUFFIX[runtime]}",
        [tensor(names[0], "int64", [1, 8], *ids_adapters, file="0.bin"), tensor(names[1], "float32", [1, 8], file="1.bin")],
        [tensor(names[2], "float32", [1, 3]), tensor(names[3], "float32", [1, 8, 16])], **more,
    )  # fmt: skip


def expected(models: Path, name: str, runtime: str) -> list[npt.NDArray[Any]]:
    with np.load(models / f"{name}-{runtime}.npz") as arrays:
        return [arrays[f"arr_{k}"] for k in range(len(arrays.files))]


def output(ran: Ran, k: int) -> npt.NDArray[Any]:
    """Output `k` as its line describes it, [cases, ...]."""
    line = [event for event in ran.events if event["event"] == "output"][k]
    assert line["index"] == k
    array = np.fromfile(ran.directory / line["file"], "bool" if line["dtype"] == "bool" else line["dtype"])
    assert array.nbytes == line["bytes"]
    shape = line["shape"]
    assert shape[0] == 1 or line["cases"] == 1
    return array.reshape([line["cases"], *shape])


@dataclass
class SampleFile:
    """samples.bin, read as the protocol lays it out."""

    warmup_capacity: int
    steady_capacity: int
    warmup: npt.NDArray[np.int64]
    steady: npt.NDArray[np.int64]


def read_samples(directory: Path) -> SampleFile:
    data = (directory / "samples.bin").read_bytes()
    assert data[:4] == b"EDGS"
    assert int.from_bytes(data[4:8], "little") == 1
    warmup, steady, reserved = (int.from_bytes(data[at : at + 8], "little") for at in (8, 16, 24))
    assert reserved == 0
    assert len(data) == 32 + 16 * (warmup + steady)
    records = np.frombuffer(data[32:], "<i8").reshape(-1, 2)
    regions = []
    for region in (records[:warmup], records[warmup:]):
        written = region[:, 1] != 0
        count = int(written.sum())
        assert written[:count].all(), "the written records are a prefix"
        assert (region[:count, 1] >= 1).all()
        assert not region[count:].any()
        regions.append(region[:count])
    return SampleFile(warmup, steady, *regions)


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_SEC
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


class Started:
    """A run in the foreground of another process, watched while it goes on."""

    def __init__(self, edgebench: Edgebench, directory: Path, plan: Json) -> None:
        write_plan(directory, plan)
        self.directory = directory
        self.events: list[Json] = []
        command = edgebench.command("--plan", directory / "plan.json")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(self, event: str) -> Json:
        """Read lines up to and including the first of `event`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"ended before {event}: {self.events}")

    def finish(self) -> Ran:
        out, err = self.process.communicate(timeout=PATIENCE_SEC)
        self.events += [json.loads(line) for line in out.splitlines()]
        return Ran(self.process.returncode, self.events, err, self.directory)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def json_of(lines: Path | bytes) -> list[Json]:
    """The objects of a file of lines, whole ones only."""
    text = lines.read_bytes() if isinstance(lines, Path) else lines
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def endless(plan: Json) -> Json:
    """The plan with a steady phase that does not end on its own while a test looks at it."""
    return {**plan, "steady": limits(0, 1_000_000, 600_000), "max_seconds": 600}
