"""A store to draw: what a report must show, in as few runs as it takes. What is in it was never measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from device_runner.results.statistics import estimate, quantile
from device_runner.results.store import Store
from device_runner.results.writer import RunWriter
from device_runner.samples import Samples
from edgedeploy.record import ArtifactRef, Context, Device, Experiment, Launch, OperatorGroup, Plan, Profile, RunRecord
from tests.device_runner.recorded import accurate, lost

EXPERIMENT = "20260131-120000-abc123"
LAUNCHES, SAMPLES = 5, 400
#: operator, precision, median in ms, accuracy (None: not measured), points lost
OPERATORS = (
    ("identity", "fp32", 8.0, 0.90, None),
    ("pruned", "fp32", 4.2, 0.895, 0.5),
    ("sptq", "int8-static", 2.5, 0.898, 0.2),
    ("dsptq", "int8-static", 1.1, 0.87, 3.0),
    ("distilled", "fp32", 3.1, None, None),
)
RUNTIMES = (("onnx", "cpu", 1.0), ("tflite", "xnnpack", 0.8))
#: name, whether it says its temperature and frequency, how slow it is
DEVICES = (("phone", True, 1.0), ("board", False, 3.0))
#: of (device, runtime, operator): a launch that is not valid, and is slow; and a run that is not valid at all
BAD_LAUNCH, BAD_RUN = ("phone", "onnx", "sptq", 2), ("board", "onnx", "pruned")
WHY = "temperature 61.2 °C, over 45 °C"


def write(root: Path) -> list[RunRecord]:
    """Every operator on every runtime and device, in one experiment."""
    store, rng, runs = Store(root), np.random.default_rng(7), []
    combinations = [(device, runtime, operator) for device in DEVICES for runtime in RUNTIMES for operator in OPERATORS]
    names = [f"{EXPERIMENT}.{number:02d}" for number in range(len(combinations))]
    for run, combination in zip(names, combinations, strict=True):
        runs.append(_run(store, rng, run, combination, names))
    plan = {"artifacts": [{"run": run} for run in names]}
    (root / "experiments").mkdir(parents=True, exist_ok=True)
    (root / "experiments" / f"{EXPERIMENT}.json").write_text(json.dumps(plan))
    return runs


def _run(store: Store, rng: np.random.Generator, run: str, combination: tuple, names: list[str]) -> RunRecord:  # type: ignore[type-arg]
    (device, says, slowness), (runtime, backend, faster), (operator, precision, ms, accuracy, points) = combination
    writer, launches = RunWriter(store, run), []
    invalid = (device, runtime, operator) == BAD_RUN
    for index in range(LAUNCHES):
        bad = invalid or (device, runtime, operator, index) == BAD_LAUNCH
        centre = ms * slowness * faster * rng.normal(1, 0.01) * (3 if bad else 1)
        elapsed = (centre * 1e6 * rng.lognormal(0, 0.02, SAMPLES)).astype(np.int64)
        starts = 10**9 + np.concatenate([[0], np.cumsum(elapsed[:-1])])
        writer.append(index, None, Samples(np.empty((0, 2), np.int64), np.stack([starts, elapsed], axis=1)))
        launches.append(
            Launch(
                index=index, position=index, block=index, started=f"2026-01-31T12:0{index}:00Z", valid=not bad,
                invalid_because=(WHY,) if bad else (), steady_count=SAMPLES, steady_median_ns=float(np.median(elapsed)),
                steady_p90_ns=quantile(elapsed, 0.9), peak_rss_kb=40_000, runtime_version="1.0",
                before=_context(says, 38.0 + index), after=_context(says, 40.0 + index),
            )
        )  # fmt: skip
    medians = [launch.steady_median_ns / 1e6 for launch in launches if launch.valid and launch.steady_median_ns]
    facts = {"cpu": {"model": f"chip of the {device}"}, "abi": "linux-aarch64"}
    record = RunRecord(
        id=run, created="2026-01-31T12:00:00Z", finished="2026-01-31T12:10:00Z", valid=not invalid,
        invalid_because=("no launch is valid",) if invalid else (),
        artifact=ArtifactRef(
            digest=hashlib.sha256(run.encode()).hexdigest(), kind="bundle",
            path=f"artifacts/film/{operator}/{runtime}-{backend}",
            subject="film", operator=operator, runtime=runtime, backend=backend, precision=precision, target_isa="aarch64",
            model_bytes=int(1e6 * ms), accuracy=accurate(accuracy) if accuracy else None,
            drop=lost(points, 0.3, 0.04) if points else None,
        ),
        devices=(Device(name=device, transport="ssh", tier="edge", facts=facts),), plan=Plan(launches=LAUNCHES),
        experiment=Experiment(id=EXPERIMENT, seed=0, runs=tuple(names), order=()), launches=tuple(launches),
        median_ms=estimate(medians, "median of each launch"), p90_ms=None,
        cold_start_ms=estimate([9 * each for each in medians], "cold start of each launch") if says else None,
        profile=_profile(operator, backend) if device == "phone" else None,
    )  # fmt: skip
    writer.finish(record)
    return record


def _profile(operator: str, backend: str) -> Profile:
    """Most of it on the backend, some of it not, and more kinds than have a bar."""
    where = "XNNPACK" if backend == "xnnpack" else "CPUExecutionProvider"
    convolution = "Conv (int8)" if operator.endswith("sptq") else "Conv (float)"
    kinds = [(convolution, where, 53, 0.7), ("Softmax", "Default", 1, 0.1)]
    kinds += [(f"Kind{number}", where, 2, 0.2 / 8) for number in range(8)]
    groups = tuple(
        OperatorGroup(kind=kind, where=place, operators=count, time_ms=share, share=share)
        for kind, place, count, share in kinds
    )
    return Profile(inferences=100, inference_ms=1.2, groups=groups)


def _context(says: bool, celsius: float) -> Context:
    if not says:
        return Context(taken="2026-01-31T12:00:00Z")
    return Context(
        taken="2026-01-31T12:00:00Z", temperatures_c={"cpu": celsius, "skin": celsius - 5}, load_1m=0.4,
        frequencies_khz={"cpu0": 1_800_000, "cpu4": 2_400_000}, governors={"cpu0": "performance"}, throttling=(),
    )  # fmt: skip
