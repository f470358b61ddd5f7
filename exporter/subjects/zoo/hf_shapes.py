"""Shapes of well-known models on the Hugging Face hub, for random weights where the hub is out of reach.

Copied from each repository's config.json; what is not said is the default of its configuration class. The two
students and the two teachers of the study (arXiv 2411.00907, its replication package names them) are among them.
"""

from __future__ import annotations

from typing import Any

_BERT_BASE = {"model_type": "bert", "vocab_size": 30_522}
_ROBERTA_BASE = {
    "model_type": "roberta", "vocab_size": 50_265, "max_position_embeddings": 514, "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}  # fmt: skip
_DEBERTA_V3 = {
    "model_type": "deberta-v2", "vocab_size": 128_100, "hidden_size": 768, "intermediate_size": 3072,
    "num_attention_heads": 12, "max_position_embeddings": 512, "type_vocab_size": 0, "relative_attention": True,
    "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": ["p2c", "c2p"],
    "max_relative_positions": -1, "position_biased_input": False, "layer_norm_eps": 1e-7,
}  # fmt: skip

#: name on the hub -> keys of its config.json
SHAPES: dict[str, dict[str, Any]] = {
    "bert-base-uncased": _BERT_BASE,
    "google-bert/bert-base-uncased": _BERT_BASE,
    "Intel/bert-base-uncased-mrpc": _BERT_BASE,
    "prajjwal1/bert-tiny": {
        **_BERT_BASE, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512,
    },
    "prajjwal1/bert-small": {
        **_BERT_BASE, "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 2048,
    },
    "roberta-base": _ROBERTA_BASE,
    "FacebookAI/roberta-base": _ROBERTA_BASE,
    "Intel/roberta-base-mrpc": _ROBERTA_BASE,
    "distilroberta-base": {**_ROBERTA_BASE, "num_hidden_layers": 6},
    # 4 layers of 512 and the vocabulary of cased BERT, which is how its 28 M parameters come about
    "haisongzhang/roberta-tiny-cased": {
        "model_type": "roberta", "vocab_size": 28_996, "hidden_size": 512, "num_hidden_layers": 4,
        "num_attention_heads": 8, "intermediate_size": 2048, "max_position_embeddings": 514, "type_vocab_size": 2,
    },
    "distilbert-base-uncased": {"model_type": "distilbert"},
    "albert-base-v2": {
        "model_type": "albert", "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072,
        "hidden_act": "gelu_new",
    },
    "google/electra-small-discriminator": {"model_type": "electra"},
    "google/mobilebert-uncased": {"model_type": "mobilebert"},
    "microsoft/mpnet-base": {"model_type": "mpnet", "max_position_embeddings": 514, "layer_norm_eps": 1e-5},
    "squeezebert/squeezebert-uncased": {"model_type": "squeezebert", "embedding_size": 768},
    "microsoft/deberta-v3-small": {**_DEBERTA_V3, "num_hidden_layers": 6},
    "microsoft/deberta-v3-xsmall": {
        **_DEBERTA_V3, "hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 6, "num_hidden_layers": 12,
    },
    "google/vit-base-patch16-224": {"model_type": "vit", "num_labels": 1000},
    "facebook/deit-tiny-patch16-224": {
        "model_type": "vit", "hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768, "num_labels": 1000,
    },
    "facebook/convnext-tiny-224": {"model_type": "convnext", "num_labels": 1000},
    "microsoft/resnet-18": {
        "model_type": "resnet", "layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512],
        "num_labels": 1000,
    },
    "google/mobilenet_v2_1.0_224": {"model_type": "mobilenet_v2", "num_labels": 1001},
}  # fmt: skip
