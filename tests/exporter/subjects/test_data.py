"""The sets of the built-in subjects: what they hold, that they share nothing, and how that is kept so."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from edgedeploy.errors import ClaimError, UserError
from edgedeploy.signature import ITEM_BYTES
from exporter.subjects import (
    fashion_data,
    fashion_sources,
    film_data,
    film_sources,
    load,
    minilm_sources,
    minilm_tokens,
    names,
    news_data,
    news_sources,
)
from exporter.subjects.base import Split, SplitName
from exporter.subjects.disjoint import KEEP_LAST, drop_repeats, require_disjoint

SIZES: dict[str, dict[SplitName, int]] = {
    "fashion-lite0": {"train": 55_000, "validation": 4_000, "calibration": 1_000, "evaluation": 10_000},
    "fashion-lite2": {"train": 55_000, "validation": 4_000, "calibration": 1_000, "evaluation": 10_000},
    "film-minilm": {"train": 8_165, "calibration": 318, "validation": 1_060, "evaluation": 1_062},
    "news-minilm": {"train": 9_740, "calibration": 338, "validation": 1_119, "evaluation": 7_521},
}


@pytest.mark.parametrize("name", names())
def test_the_four_sets_share_no_example(name: str) -> None:
    splits = {part: load(name).split(part) for part in KEEP_LAST}
    require_disjoint(splits)
    assert {part: len(split) for part, split in splits.items()} == SIZES[name]


@pytest.mark.parametrize("name", names())
def test_a_batch_is_what_the_signature_says(name: str) -> None:
    subject = load(name)
    for part in KEEP_LAST:
        split = subject.split(part)
        batch = split.batch(3, 8)
        assert set(batch) == {spec.name for spec in subject.signature.inputs}
        for spec in subject.signature.inputs:
            assert (str(batch[spec.name].dtype), batch[spec.name].shape) == (spec.dtype, (5, *spec.shape[1:]))
        assert set(np.unique(split.labels)) == set(range(len(subject.signature.labels)))
    raw_bytes = sum(array[:1].nbytes for array in split.raw.values())
    assert raw_bytes * 2 <= sum(ITEM_BYTES[spec.dtype] * spec.elements for spec in subject.signature.inputs), "kept compact"


@pytest.mark.parametrize("name", names())
def test_every_source_has_a_licence_and_the_digest_that_is_fetched(name: str) -> None:
    fashion, minilm = list(fashion_sources.DATA.values()), [minilm_sources.BASE_WEIGHTS, minilm_sources.TOKENIZER]
    fetched = {
        "fashion-lite0": [*fashion, fashion_sources.LITE0_WEIGHTS],
        "fashion-lite2": [*fashion, fashion_sources.LITE2_WEIGHTS, fashion_sources.LITE0_WEIGHTS],
        "film-minilm": [film_sources.SENTENCES, *minilm],
        "news-minilm": [news_sources.TRAIN, news_sources.TEST, *minilm],
    }[name]
    sources = load(name).sources
    assert [source.sha256 for source in sources] == [file.sha256 for file in fetched]
    assert all(source.licence and source.where for source in sources)


def test_a_picture_is_padded_doubled_and_normalised() -> None:
    pixels = np.zeros((1, 28, 28), np.uint8)
    pixels[0, 0, 27] = 255
    image = fashion_data.preprocess({"pixels": pixels})["image"]
    bright = np.argwhere(image[0] > 0)
    assert {tuple(place) for place in bright} == {(c, y, x) for c in range(3) for y in (4, 5) for x in (58, 59)}
    assert image[0, 0, 4, 58] == pytest.approx((1 - 0.2860) / 0.3530)
    assert image[0, 0, 0, 0] == pytest.approx(-0.2860 / 0.3530)


def test_a_sentence_becomes_padded_ids_and_a_mask() -> None:
    ids = minilm_tokens.tokenise(["A fine film.", "word " * 200])
    assert ids.shape == (2, 64)
    inputs = minilm_tokens.preprocess({"ids": ids})
    assert inputs["input_ids"][0, :7].tolist() == [101, 1037, 2986, 2143, 1012, 102, 0]
    assert inputs["attention_mask"].sum(axis=1).tolist() == [6, 64]


def test_a_file_that_is_no_idx_and_a_line_that_is_no_rating_are_errors(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(UserError, match="IDX"):
        fashion_data.read_idx(tmp_path / "x.gz")
    assert film_data.read_rated("1\t2.5\tfine\r\n2\t-1\tbad\n") == [("fine", 2.5), ("bad", -1.0)]
    with pytest.raises(UserError, match="2 fields instead of 3"):
        film_data.read_rated("1\t2.5\n")


def test_a_table_of_messages_has_a_known_group_and_a_text_in_every_row() -> None:
    head = "Category\tText\nd\tstring\nclass\t\n"
    assert news_data.read_messages(f"{head}sci.med\ta b\nsci.space\t \n\nalt.atheism\tc\n") == [("a b", 13), ("c", 0)]
    for row in ("sci.med", "sci.med\ta\tb", "sci.nothing\ta"):
        with pytest.raises(UserError, match="not a group and a text"):
            news_data.read_messages(f"{head}{row}\n")


def test_no_text_of_the_later_messages_is_one_of_the_earlier() -> None:
    """By the whole text, beside what `require_disjoint` says of the first 64 tokens; 7 are left out for it."""
    earlier = news_data.read_messages(news_sources.earlier().read_text("utf-8"))
    later = news_data.read_messages(news_sources.later().read_text("utf-8"))
    known = {text for text, _ in earlier}
    assert (len(earlier), len(later)) == (11_293, 7_528)
    assert sum(text in known for text, _ in later) == len(later) - len(news_data.split("evaluation")) == 7


def test_the_first_messages_of_a_set_are_a_fair_sample_of_it() -> None:
    """The files have one group after the other; golden inputs, quick tests and calibration take the first ones."""
    for part in ("calibration", "evaluation"):
        counts = np.bincount(news_data.split(part).labels[:256], minlength=20)
        assert counts.min() >= 3, part
        assert counts.max() <= 30, part


def test_what_is_cut_off_a_message_before_it_is_tokenised_was_never_seen() -> None:
    texts = [text for text, _ in news_data.read_messages(news_sources.later().read_text("utf-8"))[::400]]
    found = {ids.tobytes() for ids in news_data.split("evaluation").raw["ids"]}
    assert all(ids.tobytes() in found for ids in minilm_tokens.tokenise(texts))


def sets(**values: list[int]) -> dict[SplitName, Split]:
    return {
        name: Split.from_arrays({"x": np.array(values[name])}, np.zeros(len(values[name])))
        for name in KEEP_LAST
        if name in values
    }


def test_a_repeated_example_stays_in_the_set_that_is_reported_on() -> None:
    kept = drop_repeats(sets(train=[1, 2, 2, 3, 5], validation=[3, 4], calibration=[5, 4], evaluation=[1, 9, 9]))
    found = {name: split.raw["x"].tolist() for name, split in kept.items()}
    assert found == {"train": [2, 2], "validation": [3], "calibration": [5, 4], "evaluation": [1, 9, 9]}
    require_disjoint(kept)


def test_sets_that_share_an_example_are_refused_whatever_their_labels() -> None:
    splits = sets(train=[1, 2], evaluation=[2, 3])
    with pytest.raises(ClaimError, match="train and evaluation sets share an example"):
        require_disjoint(splits)
    require_disjoint(sets(train=[1, 2], evaluation=[3]))


def test_arrays_and_labels_must_go_together() -> None:
    with pytest.raises(ValueError, match="x has 2 examples and there are 3 labels"):
        Split.from_arrays({"x": np.zeros(2)}, [0, 1, 2])
    with pytest.raises(ValueError, match="one class number per example"):
        Split.from_arrays({"x": np.zeros(2)}, [[0], [1]])
    assert Split.from_arrays({"x": np.zeros((2, 3))}, [0, 1]).batch(1, 2)["x"].shape == (1, 3)
