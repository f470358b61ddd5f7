"""Text as MiniLM takes it: WordPiece ids of a fixed length, and a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.subjects.base import Arrays

#: tokens, of which two are [CLS] and [SEP]; longer texts are cut
LENGTH = 64
#: token 0 is [PAD] and stands nowhere else, so the mask need not be kept
PADDING_ID = 0
PREPROCESSING = (
    f"WordPiece (tokenizer.json), lower case, [CLS] and [SEP] added, cut to {LENGTH} tokens, padded with 0; "
    "attention_mask is 1 where there is a token"
)


def preprocess(raw: Arrays) -> dict[str, npt.NDArray[Any]]:
    """ids int32 [b, 64] -> input_ids and attention_mask, int64 [b, 64]."""
    ids = raw["ids"].astype(np.int64)
    return {"input_ids": ids, "attention_mask": (ids != PADDING_ID).astype(np.int64)}


def tokenise(texts: list[str]) -> npt.NDArray[np.int32]:
    """Texts -> ids int32 [n, 64]."""
    from tokenizers import Tokenizer

    from exporter.subjects.minilm_sources import tokenizer

    words = Tokenizer.from_file(str(tokenizer()))
    # the file asks for 128, both ways
    words.enable_truncation(LENGTH)
    words.enable_padding(length=LENGTH, pad_id=PADDING_ID, pad_token="[PAD]")  # noqa: S106
    return np.array([encoding.ids for encoding in words.encode_batch(texts)], dtype=np.int32)
