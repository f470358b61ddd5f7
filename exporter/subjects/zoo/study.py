"""The four subjects of the study (arXiv 2411.00907), each with its student, by name.

The weights it started from, as its replication package names them: torchvision's for ImageNet, which timm has as
safetensors; Intel's fine-tunings on MRPC; and for the text students prajjwal1/bert-small and
haisongzhang/roberta-tiny-cased, which it distilled itself and did not publish. So `--weights random` gives every pair,
for its latency; with trained weights a text student is a folder of one's own (`--student hf:./folder`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A model and its student, as references to zoos."""

    model: str
    student: str


PAIRS = {
    "wide-resnet-101": Pair("timm:wide_resnet101_2.tv2_in1k", "timm:resnet50.tv2_in1k"),
    "resnext-101": Pair("timm:resnext101_64x4d.tv_in1k", "timm:resnext50_32x4d.tv2_in1k"),
    # texts of 128 tokens, padded to that length, as in the study
    "bert-base": Pair("hf:Intel/bert-base-uncased-mrpc:128", "hf:prajjwal1/bert-small"),
    "roberta-base": Pair("hf:Intel/roberta-base-mrpc:128", "hf:haisongzhang/roberta-tiny-cased"),
}
