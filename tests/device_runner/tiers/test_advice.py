"""What is predicted of each candidate, from what is measured of its stages and of the link."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from device_runner import inventory
from device_runner.benching import bench
from device_runner.results.store import Store
from device_runner.tiers import candidates, profiles
from device_runner.tiers.advice import LinkFigures, Work, judged, predict, ranked
from device_runner.tiers.candidates import Candidate
from edgedeploy import bundle
from edgedeploy.artifact import Port
from edgedeploy.errors import UserError
from edgedeploy.progress import StatusLine
from edgedeploy.signature import TensorSpec
from tests.device_runner.conftest import BRIEF
from tests.device_runner.tiers import chains

WIDTHS = (64, 300, 20, 100, 5)
FRAME, TENSOR = 72, 32


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles of one subject: whole, and cut after each of its first three products."""
    root = tmp_path_factory.mktemp("chain")
    for cut in (None, 1, 2, 3):
        chains.write_bundle(root / f"cut-{cut}", WIDTHS, cut)
    return root


@pytest.fixture
def found(chain: Path) -> list[Candidate]:
    return candidates.of([bundle.read(chain / f"cut-{cut}") for cut in (None, 1, 2, 3)])


def test_each_bundle_is_a_candidate_and_a_whole_one_is_two(found: list[Candidate]) -> None:
    assert [candidate.name for candidate in found] == [
        "identity on onnx-cpu, all near", "identity on onnx-cpu, all far", "partition on onnx-cpu, cut after t1",
        "partition on onnx-cpu, cut after t2", "partition on onnx-cpu, cut after t3",
    ]  # fmt: skip
    back = FRAME + TENSOR + 4 * 5
    assert [(each.sent_bytes, each.received_bytes) for each in found] == [
        (0, 0), (FRAME + TENSOR + 4 * 64, back), (FRAME + TENSOR + 4 * 300, back), (FRAME + TENSOR + 4 * 20, back),
        (FRAME + TENSOR + 4 * 100, back),
    ]  # fmt: skip


def test_int8_at_the_cut_sends_a_quarter_of_the_bytes(chain: Path) -> None:
    manifest = bundle.read(chain / "cut-1").manifest
    quantised = manifest.model_copy(update={"cut_tensors": (TensorSpec(name="t1", dtype="int8", shape=(1, 300)),)})
    sizes = []
    for each in (manifest, quantised):
        sent, _ = candidates.crossing(each, each.stages[:1], each.stages[1:])
        sizes.append(sum(spec.nbytes for spec in sent))
    assert sizes == [1200, 300]


def test_an_input_of_the_subject_that_a_later_stage_takes_crosses_too(chain: Path) -> None:
    manifest = bundle.read(chain / "cut-1").manifest
    first, second = manifest.stages
    mask = Port(name="mask", source="image", tensor=TensorSpec(name="mask", dtype="int32", shape=(1, 64)))
    wider = second.model_copy(update={"inputs": (*second.inputs, mask)})
    sent, received = candidates.crossing(manifest, [first], [wider])
    assert [(spec.name, spec.nbytes) for spec in sent] == [("t1", 1200), ("mask", 256)]
    assert [spec.name for spec in received] == ["logits"]


def test_bundles_that_cannot_be_compared_are_refused(chain: Path, tmp_path: Path) -> None:
    other = chains.write_bundle(tmp_path / "other", WIDTHS, 1, subject="other")
    with pytest.raises(UserError, match="of one subject are compared, these are of chain, other"):
        candidates.of([bundle.read(chain / "cut-1"), bundle.read(other)])
    with pytest.raises(UserError, match="export --op partition"):
        candidates.of([bundle.read(chain / "cut-None")])


def test_the_time_of_a_candidate_is_the_sum_of_its_parts(found: list[Candidate]) -> None:
    link = LinkFigures(2.0, 8.0, 4.0, "assumed")  # 1 and 2 ms for a kB
    near, far = Work(10.0, ("a",)), Work(3.0, ("b",))
    whole, sent_whole, first, *_ = found
    assert predict(whole, near, None, link).total_ms == 10.0
    uploaded = predict(sent_whole, None, far, link)
    assert uploaded.there_ms == pytest.approx(1 + 0.360)
    assert uploaded.back_ms == pytest.approx(1 + 2 * 0.124)
    cut = predict(first, near, far, link)
    assert cut.total_ms == pytest.approx(10 + 3 + 2 + 1.304 + 0.248)
    assert cut.runs == ("a", "b")
    fast = LinkFigures(0.1, None, None, "a link that is too fast to say")
    assert predict(first, near, far, fast).total_ms == pytest.approx(13.1)


def test_a_slow_link_wants_the_narrow_cut_and_a_fast_one_the_fast_device(found: list[Candidate]) -> None:
    near = [Work(10.0), None, Work(1.0), Work(2.0), Work(3.0)]
    far = [None, Work(2.0), Work(1.5), Work(1.0), Work(0.5)]

    def best(mbit_s: float) -> str:
        link = LinkFigures(0.1, mbit_s, mbit_s, "assumed")
        order = ranked([predict(*each, link) for each in zip(found, near, far, strict=True)])
        return order[0].candidate.name

    assert best(1000) == "identity on onnx-cpu, all far"
    assert best(1) == "partition on onnx-cpu, cut after t2"
    assert best(0.1) == "identity on onnx-cpu, all near"


def test_the_verdict_is_of_the_predicted_best_alone(found: list[Candidate]) -> None:
    link = LinkFigures(0.0, None, None, "none")
    order = ranked([predict(each, Work(float(place)), None, link) for place, each in enumerate(found)])
    names = [prediction.candidate.name for prediction in order]
    same = judged(order, {names[0]: 5.0, names[1]: 6.0, names[2]: 9.0})
    assert same.holds
    assert str(same) == f"the predicted best is the measured best: {names[0]}"
    near = judged(order, {names[0]: 5.4, names[1]: 5.0, names[2]: 9.0})
    assert near.holds
    assert "8.0 % longer" in str(near)
    off = judged(order, {names[0]: 6.0, names[1]: 5.0})
    assert not off.holds
    assert "do not go by the prediction" in str(off)
    with pytest.raises(UserError, match="nothing can be said"):
        judged(order, {names[1]: 5.0})


def test_stages_are_measured_once_and_then_taken_from_the_store(found: list[Candidate], store: Store) -> None:
    local, said = inventory.resolve("local"), StatusLine(io.StringIO())
    begun: list[str] = []
    two = [found[0], found[1], found[3]]
    near = profiles.works(two, local, BRIEF, store, said, begun.append, far=False)
    assert sorted(near) == [0, 2]
    far = profiles.works(two, local, BRIEF, store, said, begun.append, far=True)
    assert sorted(far) == [1, 2]
    # the whole model, which the near device has measured already, is not measured again
    assert far[1].runs == near[0].runs
    assert all(work.ms > 0 for work in (*near.values(), *far.values()))
    assert len(begun) == 2
    assert profiles.works(two, local, BRIEF, store, said, begun.append, far=True) == far
    assert len(begun) == 2
    # with other threads it is another profile
    two_threads = BRIEF.model_copy(update={"threads": 2})
    assert profiles.works(two[2:], local, two_threads, store, said, begun.append, far=True)[0].runs != far[2].runs


def test_a_run_of_a_stages_file_by_hand_counts(found: list[Candidate], store: Store, chain: Path) -> None:
    said = StatusLine(io.StringIO())
    begun: list[str] = []
    by_hand = bench([chain / "cut-2/stage1.onnx"], "local", BRIEF, store, 0, {}, said, begun.append)
    far = profiles.works(found[3:4], inventory.resolve("local"), BRIEF, store, said, begun.append, far=True)
    assert far[0].runs == (by_hand.records[0].id,)
