"""The artifact bundle's manifest: what the exporter promises and everything after it relies on.

A bundle is a directory: `manifest.json`, one model file per stage, `golden/` (real inputs, what the float model says of
them, what this artifact says of them), `eval/` (labelled samples) and `bundle.sha256`. Nothing is read out of a file name.
Reading and writing the directory is in `edgedeploy.bundle`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from edgedeploy.bounds import Axis, Count, Positive, Scale, Tolerance, ZeroPoint
from edgedeploy.signature import Dim, DType, SafeName, Signature, Strict, TensorSpec

SCHEMA_VERSION = 1

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=4000)]
Precision = Literal["fp32", "fp16", "int8-static", "int8-dynamic", "int8-weights", "as-given"]
#: a path inside the bundle: plain names joined by "/", never absolute, never ".."
RelPath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_+-][A-Za-z0-9_.+-]*(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)*$", max_length=300)
]


class Quantisation(Strict):
    """Affine quantisation of a tensor: real = scale * (stored - zero_point)."""

    scale: Scale
    zero_point: ZeroPoint


class Cast(Strict):
    """To another dtype; a value that does not fit is an error."""

    op: Literal["cast"] = "cast"
    to: DType


class Quantize(Strict):
    """float32 -> int8/uint8, rounded half to even and clamped."""

    op: Literal["quantize"] = "quantize"
    to: Literal["int8", "uint8"]
    scale: Scale
    zero_point: ZeroPoint


class Dequantize(Strict):
    """int8/uint8 -> float32."""

    op: Literal["dequantize"] = "dequantize"
    scale: Scale
    zero_point: ZeroPoint


class Transpose(Strict):
    """Permute the axes."""

    op: Literal["transpose"] = "transpose"
    perm: Annotated[tuple[Axis, ...], Field(max_length=8)]


class Reshape(Strict):
    """Another shape of the same number of elements."""

    op: Literal["reshape"] = "reshape"
    shape: Annotated[tuple[Dim, ...], Field(max_length=8)]


Adapter = Annotated[Cast | Quantize | Dequantize | Transpose | Reshape, Field(discriminator="op")]


class Port(Strict):
    """One input or output of a stage.

    `name` is the runtime's own name of it; `tensor` is what the model file itself takes or gives; `source` names the
    signature's tensor (or a cut tensor) it stands for, and `adapters` lead from that tensor to this one (inputs) or from
    this one to that (outputs).
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    tensor: TensorSpec
    quantisation: Quantisation | None = None
    adapters: Annotated[tuple[Adapter, ...], Field(max_length=8)] = ()


class HeavyOp(Strict):
    """A multiply-accumulate operator and where it runs."""

    name: Annotated[str, StringConstraints(max_length=300)]
    kind: Annotated[str, StringConstraints(max_length=100)]
    macs: Count
    #: what its kernel computes in, as found in the lowered graph
    compute: Literal["fp32", "fp16", "int8", "unknown"]
    #: taken by the fast backend
    fast: bool


class Coverage(Strict):
    """How much of the lowered graph the fast backend took, and how much of it computes in int8.

    Shares are of the multiply-accumulates of one inference (0..1). `partitions` counts the pieces the graph fell into on the
    fast backend; `off_backend` lists the operators (kind -> count) left to the runtime's plain kernels.
    """

    method: Text
    macs: Count
    fast_share: Annotated[float, Field(ge=0, le=1)]
    int8_share: Annotated[float, Field(ge=0, le=1)]
    partitions: Count | None = None
    off_backend: dict[str, Count] = {}
    heavy: Annotated[tuple[HeavyOp, ...], Field(max_length=2000)] = ()


class Stage(Strict):
    """One model file and its ends."""

    file: RelPath
    sha256: Sha256
    bytes: Positive
    inputs: Annotated[tuple[Port, ...], Field(min_length=1, max_length=64)]
    outputs: Annotated[tuple[Port, ...], Field(min_length=1, max_length=64)]
    coverage: Coverage | None = None


class Recipe(Strict):
    """What was done to the model, in the canonical order: float transforms, cut, quantisation of each stage."""

    asked: Annotated[str, StringConstraints(max_length=200)]
    transforms: tuple[SafeName, ...] = ()
    cut: Annotated[str, StringConstraints(max_length=300)] | None = None
    precision: Precision = "fp32"
    #: what each step was done with (temperatures, calibration method, scheme, ...)
    parameters: dict[str, Any] = {}


class Parity(Strict):
    """The artifact against the float model it was made from, on the golden inputs and on the whole evaluation set.

    `same_top1` is the share of evaluation examples where both name the same class.
    """

    against: Text
    golden_cases: Positive
    max_abs: Annotated[float, Field(ge=0)]
    mean_abs: Annotated[float, Field(ge=0)]
    min_cosine: Annotated[float, Field(ge=-1.000001, le=1.000001)]
    same_top1: Annotated[float, Field(ge=0, le=1)] | None = None
    evaluated: Count = 0


class Accuracy(Strict):
    """Accuracy on the evaluation set, with its 95 % interval (Wilson score)."""

    metric: str
    value: Annotated[float, Field(ge=0, le=1)]
    low: Annotated[float, Field(ge=0, le=1)]
    high: Annotated[float, Field(ge=0, le=1)]
    n: Positive


class Drop(Strict):
    """Accuracy lost against identity on the same runtime, paired over the evaluation set, in points (0..100), 95 % interval.

    `lost` examples only identity gets right, `won` only this artifact does. `p_value`: of McNemar's exact test that they
    are as likely (None in a manifest from before it was taken).
    """

    against: Sha256 | None
    points: float
    low: float
    high: float
    n: Positive
    lost: Count
    won: Count
    p_value: Annotated[float, Field(ge=0, le=1)] | None = None


class Conformance(Strict):
    """What a device must reproduce of the host's run of this very artifact on the golden inputs.

    An output value conforms when |device - host| <= atol + rtol * |host|.
    """

    atol: Tolerance
    rtol: Tolerance
    runtime_version: str
    isa: str


class Claim(Strict):
    """A claim of the operator or of the lowering, and how it was found to hold."""

    name: str
    holds: bool
    detail: Text


class Lineage(Strict):
    """Which weights this artifact was made from."""

    teacher: Sha256 | None = None
    teacher_origin: str = ""
    student: Sha256 | None = None
    student_origin: str = ""


class FileEntry(Strict):
    """Digest and size of a file of the bundle that is not a stage's model."""

    sha256: Sha256
    bytes: Count


class Timing(Strict):
    """Host medians taken at export, for the warning about slow int8 alone; never part of the digest, never a result."""

    median_ms: Annotated[float, Field(ge=0)]
    threads: Positive
    note: Text = ""


class Manifest(Strict):
    """`manifest.json`. See DESIGN in docs/ for the words; `digest()` is the bundle's identity."""

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    subject: SafeName
    signature: Signature
    recipe: Recipe
    runtime: SafeName
    backend: SafeName
    #: instruction set the lowering was made for: x86_64, x86_64-vnni, aarch64, any
    target_isa: SafeName
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=8)]
    parameters: Count | None = None
    macs: Count | None = None
    cut_tensors: tuple[TensorSpec, ...] = ()
    lineage: Lineage = Lineage()
    sets: dict[SafeName, Sha256] = {}
    seed: int = 0
    #: digest of everything that was asked for: an export that asks the same again keeps the bundle
    request: Sha256 | None = None
    toolchain: dict[SafeName, str] = {}
    parity: Parity | None = None
    accuracy: Accuracy | None = None
    drop: Drop | None = None
    conformance: Conformance | None = None
    claims: tuple[Claim, ...] = ()
    warnings: tuple[Text, ...] = ()
    files: dict[RelPath, FileEntry] = {}
    created: str = ""
    timings: dict[str, Timing] = {}

    #: left out of the digest: they differ between two otherwise equal exports
    VOLATILE: ClassVar[tuple[str, ...]] = ("created", "timings")

    @field_validator("files")
    @classmethod
    def _files_do_not_name_the_manifest(cls, files: dict[str, FileEntry]) -> dict[str, FileEntry]:
        if {"manifest.json", "bundle.sha256"} & set(files):
            raise ValueError("manifest.json and bundle.sha256 cannot list themselves")
        return files

    @model_validator(mode="after")
    def _stage_files_are_apart(self) -> Manifest:
        names = [stage.file for stage in self.stages]
        if len(set(names)) != len(names) or set(names) & set(self.files):
            raise ValueError("two entries of the manifest name the same file")
        return self

    @property
    def precision(self) -> Precision:
        return self.recipe.precision

    @property
    def model_bytes(self) -> int:
        """Bytes of all stages' model files: what a device has to hold."""
        return sum(stage.bytes for stage in self.stages)

    def digest(self) -> str:
        """The identity of the bundle: `canonical_digest` of this manifest as it is written."""
        return canonical_digest(self.model_dump(mode="json"))


def canonical_digest(document: Mapping[str, Any]) -> str:
    """sha256 of a manifest's document as canonical JSON (sorted keys, no spaces, ASCII), without times and timings.

    Of the document as it stands in the file, so that a manifest keeps its identity when a later version of this class has
    fields that it does not. Raises ValueError for a NaN, RecursionError for nesting past all reason.
    """
    kept = {name: value for name, value in document.items() if name not in Manifest.VOLATILE}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
