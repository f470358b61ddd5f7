"""The cases of the fuzz: a damaged plan, manifest, model or input, and what its ending must be."""

from __future__ import annotations

import contextlib
import io
import json
import random
import resource
import shutil
import subprocess
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from device_runner import bundles, plan
from edgedeploy import bundle
from edgedeploy.cli import main
from edgedeploy.record import Limits, Plan
from edgedeploy.terminal import clean
from tests import sealing
from tests.fuzz import mutate

#: a case may ask the runner for this long and this much; the runner itself must hold to it
MAX_SECONDS, MAX_MEMORY_MB = 10, 2048
#: ... and end soon after
BOUND_SECONDS = 25.0
KINDS = ("plan", "plan-text", "model", "wrong-runtime", "input", "manifest", "manifest-text", "bundle-model", "bundle-array")


@dataclass(frozen=True)
class Ending:
    """How a case ended. `fault` is empty when it ended as it must."""

    kind: str
    what: str
    fault: str = ""
    seconds: float = 0.0


def _prepare(source: Path, scratch: Path) -> dict[str, object]:
    """A directory as a device has it: models, inputs, and the plan that would run; returns the plan."""
    work = plan.from_bundle(bundle.read(source))
    quick = Limits(min_count=3, min_ms=0, max_count=50)
    asked = Plan(
        warmup=Limits(min_count=1, min_ms=0, max_count=5), steady=quick, max_seconds=MAX_SECONDS, max_memory_mb=MAX_MEMORY_MB
    )
    document = plan.document(work, asked, outputs=True)
    plan.lay_out(work, scratch, document)
    return document


def _clamp(document: object) -> object:
    """A plan may ask for hours or for all memory, and that would be valid: such a plan is no finding, and is cut down."""
    if isinstance(document, dict):
        for key, most in (("max_seconds", MAX_SECONDS), ("max_memory_mb", MAX_MEMORY_MB)):
            value = document.get(key, most)
            if isinstance(value, int | float) and not isinstance(value, bool) and value > most:
                document[key] = most
    return document


def _edgebench(kind: str, scratch: Path) -> Ending:
    """Run the plan in `scratch`; every line must be JSON and the last an `end` or an `error`, the exit code a known one."""
    command = [str(bundles.locate(bundles.host_abi()).binary), "--plan", str(scratch / "plan.json")]
    began = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, timeout=BOUND_SECONDS + 30, check=False)
    except subprocess.TimeoutExpired:
        return Ending(kind, "hang", f"did not end within {BOUND_SECONDS + 30:.0f} s", BOUND_SECONDS + 30)
    seconds = time.monotonic() - began
    try:
        lines = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
        last = lines[-1]
    except (ValueError, IndexError) as error:
        return Ending(
            kind, "garbled", f"exit {done.returncode}, stdout is not JSON Lines: {error}: {done.stdout[-300:]!r}", seconds
        )
    what = str(last.get("code", last.get("event")))
    fault = ""
    if last.get("event") not in ("end", "error"):
        fault = f"last line is {last}"
    elif (done.returncode == 0) != (last["event"] == "end") or done.returncode not in (0, 2, 3, 4, 5):
        fault = f"exit {done.returncode} with {last}"
    elif last["event"] == "error" and not (last.get("code") and last.get("message")):
        fault = f"an error that says nothing: {last}"
    elif what == "internal":
        fault = f"an internal error: {last}"
    elif seconds > BOUND_SECONDS:
        fault = f"took {seconds:.0f} s"
    return Ending(kind, what, fault, seconds)


def _command(kind: str, arguments: list[str]) -> Ending:
    """Run the command line in this process: it must exit with 0, 1 or 2, with one JSON document or with plain text."""
    out, err = io.StringIO(), io.StringIO()
    began = time.monotonic()
    code: object = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(arguments)
    except SystemExit as exit_:
        code = exit_.code
    except BaseException:
        return Ending(kind, "traceback", traceback.format_exc()[-1500:], time.monotonic() - began)
    seconds = time.monotonic() - began
    if code not in (0, 1, 2):
        return Ending(kind, f"exit {code}", f"exit {code}: {err.getvalue()[-300:]}", seconds)
    try:
        if "--json" in arguments:
            json.loads(out.getvalue())
    except ValueError:
        return Ending(kind, f"exit {code}", f"stdout is not one JSON document: {out.getvalue()[-300:]!r}", seconds)
    unclean = {character for character in out.getvalue() + err.getvalue() if clean(character) != character} - {"\n"}
    fault = f"prints {unclean}" if unclean else f"took {seconds:.0f} s" if seconds > BOUND_SECONDS else ""
    return Ending(kind, f"{arguments[0]} exit {code}", fault, seconds)


def run(number: int, seed: int, sources: list[Path], scratch: Path) -> Ending:
    """Case `number` of a seed: the same damage each time it is run."""
    rng = random.Random(f"{seed}-{number}")
    kind = KINDS[number % len(KINDS)]
    source = rng.choice(sources)
    scratch.mkdir(parents=True)
    try:
        if kind in ("plan", "plan-text", "model", "wrong-runtime", "input"):
            return _runner_case(kind, source, sources, scratch, rng)
        return _bundle_case(kind, source, scratch / "bundle", rng)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _runner_case(kind: str, source: Path, sources: list[Path], scratch: Path, rng: random.Random) -> Ending:
    document = _prepare(source, scratch)
    model = scratch / str(document["model"])
    text = json.dumps(document)
    if kind == "plan":
        text = json.dumps(_clamp(mutate.document(document, rng)))
    elif kind == "model":
        model.write_bytes(mutate.blob(model.read_bytes(), rng))
    elif kind == "wrong-runtime":
        other = bundle.read(rng.choice(sources))
        model.write_bytes(other.file(other.manifest.stages[0].file).read_bytes())
        text = json.dumps({**document, "runtime": rng.choice(("onnx", "tflite", "executorch"))})
    elif kind == "input":
        file = scratch / plan.input_file(0)
        damaged = mutate.blob(file.read_bytes(), rng)
        # half of them of the right size, so that the values reach the model: NaN, huge ids
        file.write_bytes(rng.randbytes(file.stat().st_size) if rng.random() < 0.5 else damaged)
    (scratch / "plan.json").write_bytes(mutate.text(text, rng) if kind == "plan-text" else text.encode())
    return _edgebench(kind, scratch)


def _bundle_case(kind: str, source: Path, copy: Path, rng: random.Random) -> Ending:
    shutil.copytree(source, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    if kind == "manifest-text":
        (copy / "manifest.json").write_bytes(mutate.text(json.dumps(manifest), rng))
        sealing.reseal(copy)
    elif kind == "manifest":
        (copy / "manifest.json").write_text(json.dumps(mutate.document(manifest, rng)))
        sealing.reseal(copy)
    elif kind == "bundle-array":
        name = rng.choice(sorted(name for name in manifest["files"] if name.startswith(("golden/", "eval/"))))
        sealing.replace(copy, name, mutate.array((copy / name).read_bytes(), rng))
    else:
        name = manifest["stages"][0]["file"]
        sealing.replace(copy, name, mutate.blob((copy / name).read_bytes(), rng) or b"\x00")
    limit = ["--json", "--max-seconds", str(MAX_SECONDS)]
    brief = ["--launches", "1", "--warmup-ms", "0", "--min-count", "3", "--min-ms", "0", "--max-memory-mb", str(MAX_MEMORY_MB)]
    ending = Ending(kind, "nothing")
    for arguments in (
        ["show", str(copy)],
        ["show", str(copy), "--json"],
        ["verify", str(copy), *limit],
        ["bench", str(copy), "--accuracy", *brief, *limit, "--out", str(copy.parent / "runs")],
    ):
        ending = _command(kind, arguments)
        if ending.fault:
            break
    return ending


def peak_child_mb() -> float:
    """Largest resident size any child of this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
