"""The run record: what a run measured, with the context it was measured in.

A run is a directory: `run.json` (written last: its presence is the commit), `samples.parquet`, `log/`. While it runs there is
`samples.jsonl`, append-only, and `run.partial.json`. Reading and writing are in `device_runner.results.store`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from edgedeploy.artifact import Accuracy, Drop, Sha256, Text
from edgedeploy.bounds import Count
from edgedeploy.gates import Gates
from edgedeploy.limits import MAX_MEMORY_MB, MAX_PHASE_MS, MAX_SECONDS, MAX_STREAMS
from edgedeploy.preparation import Preparation
from edgedeploy.signature import SafeName, Strict

SCHEMA_VERSION = 4

Phase = Literal["first", "warmup", "steady"]
Name = Annotated[str, StringConstraints(max_length=500)]


class Limits(Strict):
    """When a phase of a launch ends: both minima are met, or the maximum is reached."""

    min_count: Count
    min_ms: Annotated[float, Field(ge=0, le=MAX_PHASE_MS)]
    max_count: Annotated[int, Field(ge=1)] = 1_000_000


class Plan(Strict):
    """How each artifact is measured: the same for every launch of a run."""

    launches: Annotated[int, Field(ge=1, le=1000)] = 5
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    #: CPUs the process is pinned to; None leaves it to the system
    affinity: tuple[int, ...] | None = None
    warmup: Limits = Limits(min_count=5, min_ms=200)
    steady: Limits = Limits(min_count=100, min_ms=1000)
    max_seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] = 120
    max_memory_mb: Annotated[int, Field(ge=16, le=MAX_MEMORY_MB)] = 4096
    #: a file of device_runner/plans
    mode: Name = "standard"
    #: copies of the model that infer side by side
    streams: Annotated[int, Field(ge=1, le=MAX_STREAMS)] = 1
    #: half the relative width of the median's interval at which no more launches are made; `launches` is then the most
    until: Annotated[float, Field(gt=0, lt=1)] | None = None
    #: device time after which no block of launches is begun
    budget_sec: Annotated[float, Field(gt=0, le=MAX_SECONDS)] | None = None
    #: launches of a block run side by side and take turns of so many milliseconds; None: one after the other
    turn_ms: Annotated[int, Field(ge=1, le=1000)] | None = None
    gates: Gates = Gates()
    preparation: Preparation = Preparation()


class ArtifactRef(Strict):
    """The artifact of a run, by digest; the rest is copied from its manifest so that a record can be read alone."""

    digest: Sha256
    #: "bundle", "as-given" for a bare model file, or "imported" for somebody else's timings
    kind: Literal["bundle", "as-given", "imported"]
    path: Name
    subject: Name
    operator: Name
    #: float transforms of the recipe; with the precision they say which artifact is the float twin of an int8 one
    transforms: tuple[Name, ...] = ()
    runtime: Name
    backend: Name
    precision: Name
    target_isa: Name
    model_bytes: Count
    accuracy: Accuracy | None = None
    drop: Drop | None = None
    #: for int8: what may make it no faster than float, said when it is not
    int8_reason: Text = ""
    #: what the exporter warned of, or how a bare model was fed
    warnings: tuple[Text, ...] = ()

    @property
    def label(self) -> str:
        """What it is, for people."""
        return f"{self.subject} {self.operator} on {self.runtime}-{self.backend}"


class Device(Strict):
    """A device in its role: "whole", or "near" and "far" of two. `facts` is what it said of itself (CPU model, ABI, cores,
    memory, kernel); of a far one also the `threads` and `affinity` it ran with, which are the plan's for the others."""

    name: Name
    transport: Name
    role: Name = "whole"
    tier: Name = ""
    facts: dict[str, Any] = {}


class Context(Strict):
    """What the device was doing. A value that could not be read is None, never a guess.

    Frequencies in kHz and temperatures in degrees Celsius, by name; load average over 1 minute.
    """

    taken: str
    load_1m: float | None = None
    memory_available_kb: Count | None = None
    governors: dict[str, str] | None = None
    frequencies_khz: dict[str, Count] | None = None
    temperatures_c: dict[str, float] | None = None
    #: by cpufreq policy and frequency in kHz: ms spent there since the device was started
    time_in_state_ms: dict[str, dict[str, Count]] | None = None
    #: what holds the clocks down, in the device's words; empty when it says that nothing does
    throttling: tuple[Name, ...] | None = None
    battery_percent: float | None = None
    charging: bool | None = None
    screen_on: bool | None = None


class Finding(Strict):
    """Something about the samples that bears on what they mean. Nothing is thrown away for it.

    `flag` has a page in docs/flags; `numbers` are those it was raised for, each with its unit in its name.
    """

    flag: Name
    text: Text
    numbers: dict[str, float] = {}


class PathRecord(Strict):
    """How the near device reached the far one. hops: in the order that what is sent takes. shaped: by what the link was made
    other than it is, "" where it was not."""

    kind: Literal["direct", "through the host", "same device"]
    hops: Annotated[tuple[Name, ...], Field(max_length=8)] = ()
    shaped: Name = ""


class LinkLook(Strict):
    """A look at the link from the near device, on its clock: echoes of an empty frame, then bytes each way.

    10^6 bits a second. A rate is None where it could not be told from the round trip.
    """

    taken: str
    rtt_us: Annotated[float, Field(ge=0)]
    rtt_p90_us: Annotated[float, Field(ge=0)]
    echoes: Count
    up_mbit_s: Annotated[float, Field(ge=0)] | None = None
    down_mbit_s: Annotated[float, Field(ge=0)] | None = None
    bytes_each_way: Count = 0
    seconds: Annotated[float, Field(ge=0)] = 0


class Gap(Strict):
    """The link was away and came back within the launch. after: how many samples of the phase came before it."""

    phase: Phase | Literal["output"]
    after: Count
    elapsed_ns: Count
    reason: Text = ""


class Crossing(Strict):
    """What the timed inferences of a launch over two devices were made of: medians of durations, in ns.

    near: the stages on the near device, up to the first byte sent. round_trip: from there to the last byte received, on the
    same clock. far: of that, what the far side measured of itself. link: the median of round trip less far. The bytes are of
    one inference, with their framing.
    """

    near_median_ns: float | None = None
    round_trip_median_ns: float | None = None
    far_median_ns: float | None = None
    link_median_ns: float | None = None
    bytes_sent: Count | None = None
    bytes_received: Count | None = None
    gaps: tuple[Gap, ...] = ()


class FarLaunch(Strict):
    """The far side's process of a launch."""

    load_cold_ns: Count | None = None
    load_warm_ns: Count | None = None
    peak_rss_kb: Count | None = None
    runtime_version: Name = ""
    before: Context | None = None
    after: Context | None = None
    #: its error line, where it ended otherwise than by being ended
    error: dict[str, Any] | None = None


class Launch(Strict):
    """One process of the runner. Times are None where the launch did not get that far.

    `position` is its place in the order of the whole experiment, from 0; `block` is the ABBA block it belongs to.
    """

    index: Count
    position: Count
    block: Count
    started: str
    valid: bool
    #: why it is not valid; empty when it is
    invalid_because: tuple[Text, ...] = ()
    flags: tuple[Text, ...] = ()
    load_cold_ns: Count | None = None
    load_warm_ns: Count | None = None
    first_ns: Count | None = None
    input_adapters_ns: Count | None = None
    output_adapters_ns: Count | None = None
    warmup_count: Count = 0
    steady_count: Count = 0
    steady_median_ns: float | None = None
    steady_p90_ns: float | None = None
    peak_rss_kb: Count | None = None
    involuntary_switches: Count | None = None
    #: outputs of the golden inputs against what the host got at export
    conforms: bool | None = None
    conformance_detail: Text = ""
    runtime_version: Name = ""
    before: Context | None = None
    after: Context | None = None
    #: while it ran, about once a minute; of a sustained load alone, since a look costs the device something
    during: tuple[Context, ...] = ()
    #: from the look before it until its samples were fetched
    took_sec: Annotated[float, Field(ge=0)] | None = None
    #: of all streams together, where all of them were at work
    inferences_per_sec: Annotated[float, Field(ge=0)] | None = None
    #: timed samples that were warm-up still and are not in the medians; they stay in the samples, marked
    unsettled_count: Count = 0
    #: None: nobody looked
    findings: tuple[Finding, ...] | None = None
    #: the runner's error line, where there was one
    error: dict[str, Any] | None = None
    #: of a run over two devices
    crossing: Crossing | None = None
    far: FarLaunch | None = None
    link_before: LinkLook | None = None
    link_after: LinkLook | None = None


class Interval(Strict):
    """An estimate with its 95 % interval over launches. `low` and `high` are None from too few launches to say."""

    estimate: float
    low: float | None = None
    high: float | None = None
    launches: Count
    method: Text = ""


class Experiment(Strict):
    """Several runs whose launches are interleaved. `order` lists (run id, launch index) in the order they were started."""

    id: SafeName
    seed: int
    runs: tuple[SafeName, ...]
    order: tuple[tuple[SafeName, int], ...]


class Window(Strict):
    """A stretch of a sustained load: its start after the first timed inference, and the inferences that began in it."""

    start_sec: Annotated[float, Field(ge=0)]
    count: Count
    median_ms: float
    p90_ms: float | None = None


class Sustained(Strict):
    """A launch under full load: the curve, and what became of the speed. A ratio above 1 is slower than at first.

    `throttled_after_sec`: from when on the device was slower, None where it was not.
    """

    launch: Count
    window_sec: Annotated[float, Field(gt=0)]
    curve: tuple[Window, ...]
    compared_sec: Annotated[float, Field(gt=0)]
    first_ms: float
    last_ms: float
    ratio: float
    throttled_after_sec: float | None = None


class OperatorGroup(Strict):
    """Operators of one kind that ran in one place. `time_ms` is of one inference, with the profiler on: the sum of each
    operator's median. `share` is of the sum over all groups.

    `where` is the delegate or execution provider, or the runtime's own name for kernels that no delegate took.
    """

    kind: Name
    where: Name
    stage: Count = 0
    operators: Count
    time_ms: Annotated[float, Field(ge=0)]
    share: Annotated[float, Field(ge=0, le=1)]


class OperatorTime(Strict):
    """One operator. `time_ms` is the median of its calls."""

    name: Name
    where: Name
    stage: Count = 0
    time_ms: Annotated[float, Field(ge=0)]


class Profile(Strict):
    """What the runtime's own profiler says, in a launch of its own. Its times are longer than without, so they are never
    compared with the timed launches: what means something is the shares.

    `unavailable`: why nothing is known; everything else is then empty.
    """

    unavailable: Text = ""
    inferences: Count = 0
    #: with the profiler on
    inference_ms: float | None = None
    #: the largest share first
    groups: tuple[OperatorGroup, ...] = ()
    #: the slowest operators by themselves
    slowest: tuple[OperatorTime, ...] = ()


class MemoryUse(Strict):
    """Resident memory of the runner, in a launch of its own that does nothing but load and infer; kB, None where not said.

    Before the model is loaded the runner and its runtime's library are in it already. `anonymous_kb` is what the process
    wrote itself, `file_kb` pages of files (libraries, and a model that is mapped), which the system can take away.
    """

    unavailable: Text = ""
    library_kb: Count | None = None
    loaded_kb: Count | None = None
    steady_kb: Count | None = None
    peak_kb: Count | None = None
    anonymous_kb: Count | None = None
    file_kb: Count | None = None


class RunRecord(Strict):
    """`run.json`."""

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    id: SafeName
    created: str
    finished: str
    artifact: ArtifactRef
    devices: Annotated[tuple[Device, ...], Field(min_length=1)]
    plan: Plan
    experiment: Experiment
    software: dict[str, str] = {}
    launches: tuple[Launch, ...]
    #: enough valid launches, conditions met
    valid: bool
    invalid_because: tuple[Text, ...] = ()
    warnings: tuple[Text, ...] = ()
    #: on the device, over the bundle's labelled samples, where it was asked for
    device_accuracy: Accuracy | None = None
    median_ms: Interval | None = None
    p90_ms: Interval | None = None
    #: with the model's file in the page cache
    load_ms: Interval | None = None
    #: with the file dropped from the page cache, where the device lets us
    load_cold_ms: Interval | None = None
    first_ms: Interval | None = None
    #: of all streams together
    inferences_per_sec: Interval | None = None
    #: from the load, its file not in the page cache, to the end of the first inference
    cold_start_ms: Interval | None = None
    #: of the run as a whole; None: nobody looked
    findings: tuple[Finding, ...] | None = None
    sustained: tuple[Sustained, ...] = ()
    #: passes of their own, where they were asked for
    profile: Profile | None = None
    memory: MemoryUse | None = None
    #: over two devices: the stages before this one ran on the first device, the others on the second; 0: all of them
    split: Count | None = None
    path: PathRecord | None = None
    #: what the median is made of (see Crossing), each over launches; their sum is not the median of the sums
    near_ms: Interval | None = None
    round_trip_ms: Interval | None = None
    far_ms: Interval | None = None
    link_ms: Interval | None = None

    @property
    def place(self) -> str:
        """Where it ran, for people: the device, or both."""
        return " → ".join(device.name for device in self.devices)

    @property
    def tier(self) -> str:
        """Where it is deployed: "edge"; "mobile+edge" of a cut; "edge from mobile" where the input alone is elsewhere."""
        tiers = [device.tier for device in self.devices]
        return f"{tiers[1]} from {tiers[0]}" if self.split == 0 else self.computes_on

    @property
    def computes_on(self) -> str:
        """The tier of whoever computes: "edge", "mobile+edge"."""
        return "+".join(device.tier for device in self.devices[1 if self.split == 0 else 0 :])
