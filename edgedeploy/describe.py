"""Manifests for people: the summary after an export, and `edgedeploy show`."""

from __future__ import annotations

from typing import Any

import click

from edgedeploy.artifact import Accuracy, Drop, Manifest
from edgedeploy.bundle import Bundle
from edgedeploy.terminal import clean, size, table


def accuracy_text(accuracy: Accuracy | None) -> str:
    """92.87 % [92.35, 93.36] n=10,000, or "not measured"."""
    if accuracy is None:
        return "not measured"
    return f"{100 * accuracy.value:.2f} % [{100 * accuracy.low:.2f}, {100 * accuracy.high:.2f}] n={accuracy.n:,}"


def drop_text(drop: Drop | None) -> str:
    """Points lost against identity with their interval."""
    return "–" if drop is None else f"{drop.points:+.2f} [{drop.low:+.2f}, {drop.high:+.2f}]"


def p_text(drop: Drop | None) -> str:
    """McNemar's exact p-value of the change against identity."""
    return "–" if drop is None or drop.p_value is None else f"{drop.p_value:.2g}"


def summary_table(rows: list[dict[str, Any]]) -> None:
    """What an export wrote, one line a bundle."""
    lines = []
    notes = []
    for row in rows:
        if row["error"] is not None:
            lines.append([row["subject"], row["operator"], row["runtime"], "failed", *[""] * 6])
            continue
        accuracy = Accuracy.model_validate(row["accuracy"]) if row["accuracy"] else None
        drop = Drop.model_validate(row["drop"]) if row["drop"] else None
        int8 = "–" if row["int8_share"] is None else f"{row['int8_share']:.0%}"
        fast = "–" if row["fast_share"] is None else f"{row['fast_share']:.0%}"
        lines.append(
            [row["subject"], row["operator"], f"{row['runtime']}-{row['backend']}", row["precision"], size(row["model_bytes"]),
             accuracy_text(accuracy), drop_text(drop), p_text(drop), int8, fast]
        )  # fmt: skip
        notes += [f"{row['operator']} on {row['runtime']}: {note}" for note in row["notes"]]
    headers = ["subject", "operator", "runtime", "precision", "size", "accuracy", "points lost", "p",
               "int8 MACs", "fast MACs"]  # fmt: skip
    table(headers, lines, right=(4, 6, 7, 8, 9))
    for note in notes:
        click.echo(f"note: {clean(note)}")
    for row in rows:
        if row["error"] is None:
            click.echo(f"{row['state']}: {clean(row['path'])}")


def show(bundle: Bundle) -> None:
    """Print what a bundle is, readably."""
    manifest = bundle.manifest
    for name, value in _facts(bundle, manifest):
        click.echo(f"{name:<14} {clean(value)}")
    for i, stage in enumerate(manifest.stages):
        click.echo(f"\nstage {i}: {stage.file}, {size(stage.bytes)}, sha256 {stage.sha256[:16]}…")
        for kind, ports in (("in", stage.inputs), ("out", stage.outputs)):
            for port in ports:
                adapters = " via " + ", ".join(adapter.op for adapter in port.adapters) if port.adapters else ""
                shape = "x".join(map(str, port.tensor.shape))
                click.echo(f"  {kind:<4} {clean(port.name)}: {port.tensor.dtype} {shape}, is {clean(port.source)}{adapters}")
        if stage.coverage is not None:
            coverage = stage.coverage
            pieces = "" if coverage.partitions is None else f", {coverage.partitions} partition(s)"
            click.echo(
                f"  {coverage.macs:,} MACs: {coverage.fast_share:.1%} on the {manifest.backend} backend{pieces}, "
                f"{coverage.int8_share:.1%} in int8"
            )
            if coverage.off_backend:
                off = ", ".join(f"{count} {kind}" for kind, count in coverage.off_backend.items())
                click.echo(f"  left to plain kernels: {clean(off)}")
    click.echo("\nclaims")
    for claim in manifest.claims:
        click.echo(f"  {'holds' if claim.holds else 'BROKEN'}: {clean(claim.name)}: {clean(claim.detail)}")
    for warning in [*manifest.warnings, *(timing.note for timing in manifest.timings.values() if timing.note)]:
        click.echo(f"  note: {clean(warning)}")


def _facts(bundle: Bundle, manifest: Manifest) -> list[tuple[str, str]]:
    recipe = manifest.recipe
    steps = [*recipe.transforms, *(["cut at " + recipe.cut] if recipe.cut else []), recipe.precision]
    facts = [
        ("bundle", str(bundle.path)),
        ("digest", bundle.digest),
        ("subject", f"{manifest.subject} ({manifest.signature.task})"),
        ("operator", f"{recipe.asked}: {' → '.join(steps)}"),
        ("runtime", f"{manifest.runtime}, backend {manifest.backend}, for {manifest.target_isa}"),
        ("size", size(manifest.model_bytes)),
        ("accuracy", accuracy_text(manifest.accuracy)),
    ]
    if manifest.drop is not None:
        drop = manifest.drop
        p = "" if drop.p_value is None else f", McNemar p {p_text(drop)}"
        discordant = f"only it right: {drop.lost}, only this right: {drop.won}{p}"
        facts.append(("points lost", f"{drop_text(drop)} against identity ({discordant})"))
    if manifest.parity is not None:
        parity = manifest.parity
        same = "" if parity.same_top1 is None else f", same top class on {parity.same_top1:.2%} of {parity.evaluated:,}"
        numbers = f"max |error| {parity.max_abs:.3g}, least cosine {parity.min_cosine:.5f}"
        facts.append(("parity", f"{numbers}{same}, against {parity.against}"))
    if manifest.parameters is not None and manifest.macs is not None:
        facts.append(("model", f"{manifest.parameters:,} parameters, {manifest.macs:,} MACs"))
    for key in ("scheme", "calibration", "weights", "activations", "left_float"):
        if key in recipe.parameters:
            facts.append((key.replace("_", " "), str(recipe.parameters[key])))
    facts.append(("weights", f"teacher {(manifest.lineage.teacher or '–')[:16]} ({manifest.lineage.teacher_origin})"))
    if manifest.lineage.student:
        facts.append(("", f"student {manifest.lineage.student[:16]} ({manifest.lineage.student_origin})"))
    facts.append(("made with", ", ".join(f"{name} {version}" for name, version in manifest.toolchain.items())))
    facts.append(("created", manifest.created))
    return facts
