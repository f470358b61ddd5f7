"""`edgedeploy export`: subject x operator x runtime -> artifact bundles."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgedeploy.errors import EdgedeployError
from edgedeploy.ranges import FiniteRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgedeploy.progress import Reporter
    from exporter.outcome import Outcome
    from exporter.runtimes.base import Runtime


#: two speeds, a bandwidth, a latency
_PAIR = (*[FiniteRange(1e-6, 1e6)] * 3, FiniteRange(0, 1e6))


class SomeFailed(EdgedeployError):
    """Some combinations failed; each is in the table or the JSON document."""

    reported = True


@click.command()
@click.option("--op", "operators", default="dsptq", show_default=True, metavar="OP[,OP…]",
              help="all (the study's eight), or operators; steps join with + (distilled+pruned+sptq). "
                   "identity is always there too.")  # fmt: skip
@click.option("--subject", "subjects", default="fashion-lite0", show_default=True, metavar="NAME[,NAME…]",
              help="A built-in subject, all of them, one of the study's four or study for all of those, a zoo's model "
                   "(timm:resnet18, torchvision:…, hf:…), FILE.py:ATTRIBUTE, or with --data a file .pt2, .onnx, "
                   ".tflite, .pte or .keras or a SavedModel's folder.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path),
              help="The sets of a model file (an .npz), or of a zoo's model (that, or a folder of images).")  # fmt: skip
@click.option("--weights", metavar="WHICH",
              help="Of a zoo's or the study's model: pretrained (default), random (latency alone), or a file.")  # fmt: skip
@click.option("--student", metavar="MODEL", help="Of a zoo's model: the zoo's model that is its student.")
@click.option("--runtime", "runtimes", default="all", show_default=True, metavar="NAME[,NAME…]",
              help="onnx, tflite, executorch, or all.")  # fmt: skip
@click.option("--target", help="Instruction set to lower for: x86_64, x86_64-vnni or aarch64. Default: this host's.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("artifacts"), show_default=True,
              help="Where the bundles go.")  # fmt: skip
@click.option("--calibration-samples", type=click.IntRange(1, 100_000), default=256, show_default=True,
              help="Examples the int8 ranges are calibrated on.")  # fmt: skip
@click.option("--calibration", "methods", default="all", show_default=True, metavar="METHOD[,METHOD…]",
              help="minmax, percentile, entropy, or all: the nearest to the float model by validation is kept.")  # fmt: skip
@click.option("--max-drop", "max_points", type=FiniteRange(-100, 100), default=3.0, show_default=True,
              help="Points of accuracy an int8 lowering may lose against its float model; more fails the export.")  # fmt: skip
@click.option("--cut", default="auto", show_default=True, metavar="WHERE",
              help="Where partition cuts: after a module (blocks.5), at a share of the MACs (0.5), or auto: the fastest "
                   "predicted for --pair.")  # fmt: skip
@click.option("--pair", nargs=4, type=_PAIR, default=(1.0, 2.0, 200.0, 1.0), show_default=True,
              metavar="FIRST SECOND MBIT_S LATENCY_MS",
              help="For --cut auto: how many times as fast as this host each device is, and their link.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Exports side by side, each subject and runtime in a process of its own.")  # fmt: skip
@click.option(
    "--memory-gb",
    type=FiniteRange(1, 1e6),
    help="Memory that the exports of -j may hold together. Default: 80 % of what is available.",
)
@click.option("--retrain", is_flag=True, help="Train the weights anew instead of taking the shipped ones.")
@click.option("--force", is_flag=True, help="Replace bundles that are there and were made from something else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else there.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.option("--job", is_flag=True, hidden=True, help="This is one of the processes of -j.")
def command(
    operators: str, subjects: str, data: Path | None, weights: str | None, student: str | None,
    runtimes: str, target: str | None, out: Path,
    calibration_samples: int, methods: str, max_points: float, cut: str,
    pair: tuple[float, float, float, float], jobs: int,
    memory_gb: float | None, retrain: bool, force: bool, as_json: bool, quiet: bool, job: bool,
) -> None:  # fmt: skip
    """Turn a model under an operator into artifact bundles, one per runtime.

    Every artifact is run on its real runtime, on real inputs and on the whole evaluation set, before its bundle is
    written. Running the same command again keeps what is there.

    \b
    Examples:
      edgedeploy export --op dsptq
      edgedeploy export --op identity,distilled,sptq,dsptq --subject film-minilm --runtime onnx
      edgedeploy export --op partition,sptq-partition --cut blocks.5
      edgedeploy export --op all --subject all --runtime all -j 2
      edgedeploy export --op sptq --subject examples/my_model.py:subject
      edgedeploy export --op sptq --subject my_model.pt2 --data my_data.npz
      edgedeploy export --op sptq,partition --subject my_model.onnx --data my_data.npz
      edgedeploy export --op dsptq --subject study --weights random
    """
    from edgedeploy import isa
    from edgedeploy.interrupt import stopping_raises
    from edgedeploy.progress import Reporter
    from exporter import operators as operator_registry
    from exporter import python_code, recall
    from exporter import runtimes as runtime_registry
    from exporter import subjects as subject_registry
    from exporter.options import Options
    from exporter.partition.division import CutRequest
    from exporter.partition.search import Pair
    from exporter.runtimes.base import CALIBRATION_METHODS
    from exporter.training import processes

    together = processes.current()
    if not together.main:
        # what became of it is the main process's to say; an error of this one is still said on stderr
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    reporter = Reporter(quiet=quiet or not together.main)
    asked = _names(operators, operator_registry.STUDY, "--op", (*operator_registry.NAMES, *operator_registry.ALIASES))
    for name in asked:
        operator_registry.parse(name)
    chosen = _names(methods, CALIBRATION_METHODS, "--calibration")
    for method in chosen:
        if method not in CALIBRATION_METHODS:
            raise click.UsageError(f"--calibration {method!r}: choose of {', '.join(CALIBRATION_METHODS)}, or all")
    in_order = tuple(method for method in CALIBRATION_METHODS if method in chosen)
    options = Options(isa.resolve(target), calibration_samples, in_order, max_points, CutRequest(cut, Pair(*pair)))
    built_in, study = subject_registry.names(), subject_registry.study_names()
    names = _names(subjects, built_in, "--subject", (*built_in, *study))
    names = list(dict.fromkeys(each for name in names for each in (study if name == "study" else (name,))))
    chosen_runtimes = [runtime_registry.get(name) for name in _names(runtimes, runtime_registry.names(), "--runtime")]
    if jobs > 1 and together.count > 1:
        raise click.UsageError(f"-j {jobs} and {together.count} launched processes: leave -j out, or the launcher")

    def note_of(names: Sequence[str], runtimes: Sequence[Runtime]) -> str | None:
        return recall.key(names, {"data": data}, asked, runtimes, out, options, weights=weights, student=student)

    note = note_of(names, chosen_runtimes)
    # all processes must come to the trainings, so none is let off by a note that another did not see
    outcomes = None if note is None or retrain or force or together.count > 1 else recall.recall(note)
    for known in outcomes or ():
        if known.error is not None:
            reporter.say(f"{known.subject}: {known.operator} on {known.runtime} cannot be: {known.error}")
    if outcomes is None:
        with stopping_raises():
            if jobs > 1 and len(names) * len(chosen_runtimes) > 1:
                pairs = _jobs(names, [runtime.name for runtime in chosen_runtimes], own=runtimes == "all", in_one=retrain)
                outcomes = _side_by_side(pairs, jobs, memory_gb, reporter, quiet=quiet)
                depends = recall.depends_of_all(
                    note_of([subject], [runtime_registry.get(name) for name in of.split(",")])
                    for subject, of in pairs
                    if python_code.source_of(subject) is not None
                )
            else:
                from exporter.export import export

                watched = python_code.Watched(names)
                loaded = {name: subject_registry.load(name, data, weights=weights, student=student) for name in names}
                watched.loaded(loaded)
                outcomes = export(
                    list(loaded.values()), asked, chosen_runtimes, out, options,
                    retrain=retrain, force=force, own_runtime=runtimes == "all", progress=reporter, say=reporter.say,
                )  # fmt: skip
                depends = watched.depends()
        if not together.main:
            return
        if isinstance(depends, str):
            if not job:
                reporter.say(depends)
        # what was trained anew is not what the same question without that would lead to
        elif note is not None and not retrain:
            recall.remember(note, outcomes, depends)
    _print(outcomes, as_json=as_json)
    _raise_for(outcomes, quiet=quiet)


def _jobs(names: list[str], runtimes: list[str], *, own: bool, in_one: bool) -> list[tuple[str, str]]:
    """Pairs of a subject and its runtimes, each a job of its own.

    own: a file as given goes to its own runtime alone. in_one: all runtimes of a subject in one job, as where it is trained
    anew, once.
    """
    from exporter.given import runtime_of

    pairs = []
    for name in names:
        taken = [each for each in runtimes if not own or runtime_of(name) in (None, each)]
        pairs += [(name, each) for each in ([",".join(taken)] if in_one else taken)]
    return pairs


def _side_by_side(
    pairs: list[tuple[str, str]], jobs: int, memory_gb: float | None, reporter: Reporter, *, quiet: bool
) -> list[Outcome]:
    """This very command once for every pair of subject and runtime, each in a process of its own."""
    from exporter.memory import available_gb
    from exporter.parallel import Job, side_by_side

    given = click.get_current_context().params
    flags = [f"--{name}" for name in ("retrain", "force") if given[name]]
    passed = ["--job", "--op", given["operators"], "--out", str(given["out"]), "--calibration", given["methods"],
              "--calibration-samples", str(given["calibration_samples"]), "--max-drop", str(given["max_points"]),
              "--cut", given["cut"], "--pair", *(str(number) for number in given["pair"]), *flags]  # fmt: skip
    for option in ("data", "weights", "student", "target"):
        if given[option] is not None:
            passed += [f"--{option}", str(given[option])]
    todo = [
        Job(subject, runtime, (*passed, "--subject", subject, "--runtime", runtime), given["operators"])
        for subject, runtime in pairs
    ]
    limit = memory_gb if memory_gb is not None else 0.8 * available_gb()
    return side_by_side(todo, jobs, limit, reporter.say, quiet=quiet)


def _raise_for(outcomes: list[Outcome], *, quiet: bool) -> None:
    """Raise SomeFailed where some failed; each was said before, unless that was asked not to be."""
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if failed:
        causes = ": " + "; ".join(str(error) for error in failed) if quiet else ""
        error = SomeFailed(f"{len(failed)} of {len(outcomes)} exports failed{causes}")
        # a single cause the user can fix is the user's to fix: exit 2
        codes = {each.exit_code for each in failed}
        error.exit_code = codes.pop() if len(codes) == 1 else 1
        raise error


def _names(text: str, everything: tuple[str, ...], option: str, known: tuple[str, ...] = ()) -> list[str]:
    """What a comma-separated list names. everything: what "all" stands for; known: what there is, where that is more."""
    if text == "all":
        return list(everything)
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise click.UsageError(f"{option} names nothing; there are {', '.join(known or everything)}, or all")
    return names


def _print(outcomes: list[Outcome], *, as_json: bool) -> None:
    import json

    from edgedeploy.describe import summary_table
    from exporter import rows as export_rows

    rows = export_rows.of(outcomes)
    if as_json:
        click.echo(json.dumps({"bundles": rows}))
    else:
        summary_table(rows)
