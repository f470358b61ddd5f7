"""Subjects by name from torchvision, timm and Hugging Face, and the study's own four.

reference.py          what is typed, `timm:resnet18:96@weights.safetensors`, taken apart
load.py               a reference and `--weights`, `--student`, `--data` -> Subject
pictures.py           images in folders as data
build.py              a reference -> a model that every runtime can lower
timm_models.py, torchvision_models.py, hf_models.py   one file per zoo
study.py              the four subjects of arXiv 2411.00907

Everything but reference.py and study.py imports torch.
"""
