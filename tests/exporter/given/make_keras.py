"""Run by the Python that has TensorFlow: Keras models and SavedModels into a folder, honest and hostile ones."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2


def trained(data: dict[str, np.ndarray]) -> keras.Model:
    model = keras.Sequential(
        [
            keras.layers.Input((16, 16, 3), name="image"),
            keras.layers.Conv2D(16, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4),
        ]
    )
    keras.utils.set_random_seed(0)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(data["calibration_image"], data["calibration_labels"], epochs=60, verbose=0)
    return model


def two_inputs() -> keras.Model:
    """Ids and a mask, whose names sort the other way round than they are taken."""
    ids = keras.layers.Input((8,), name="words", dtype="int32")
    mask = keras.layers.Input((8,), name="mask", dtype="float32")
    embedded = keras.layers.Embedding(50, 16)(ids) * keras.ops.expand_dims(mask, -1)
    return keras.Model([ids, mask], keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(embedded)))


def rewritten(source: Path, target: Path, old: str, new: str) -> None:
    with zipfile.ZipFile(source) as given, zipfile.ZipFile(target, "w") as made:
        for name in given.namelist():
            content = given.read(name)
            if name == "config.json":
                assert old.encode() in content, content
                content = content.replace(old.encode(), new.encode())
            made.writestr(name, content)


def linked(source: Path, target: Path) -> None:
    """The weights lead to another file."""
    with zipfile.ZipFile(source) as given:
        members = {name: given.read(name) for name in given.namelist()}
    inner = target.with_suffix(".h5")
    inner.write_bytes(members["model.weights.h5"])
    with h5py.File(inner, "a") as weights:
        weights["stolen"] = h5py.ExternalLink("/etc/hostname", "/data")
    with zipfile.ZipFile(target, "w") as made:
        for name, content in members.items():
            made.writestr(name, inner.read_bytes() if name == "model.weights.h5" else content)


class Reads(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


class Writes(tf.Module):
    """An operator that writes a file, where saving has it too; `effective` makes it run, as a text editor could."""

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
    def call(self, x: tf.Tensor) -> tf.Tensor:
        tf.raw_ops.SaveV2(prefix="written", tensor_names=["a"], shape_and_slices=[""], tensors=[x])
        return x + 1.0


class Logs(tf.Module):
    """A resource whose making writes a file, as soon as the model is loaded."""

    def __init__(self) -> None:
        self.log = Log()

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x + 1.0


class Log(tf.saved_model.experimental.TrackableResource):
    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.SummaryWriter()

    def _initialize(self) -> None:
        tf.raw_ops.CreateSummaryFileWriter(
            writer=self.resource_handle, logdir="logged", max_queue=1, flush_millis=1, filename_suffix=""
        )


def effective(folder: Path) -> None:
    """Let what the model gives wait for the file to be written."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    for function in saved.meta_graphs[0].graph_def.library.function:
        if not function.signature.name.startswith("__inference__traced"):
            written = [node.name for node in function.node_def if node.op == "SaveV2"]
            for node in function.node_def:
                if node.op == "Identity":
                    node.input.extend(f"^{name}" for name in written)
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())


def main(folder: Path) -> None:
    data = dict(np.load(folder / "data.npz"))
    model = trained(data)
    good = folder / "good.keras"
    model.save(good)
    model.export(str(folder / "saved"), verbose=False)
    two_inputs().save(folder / "two.keras")
    with_code = keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: x + 1)])
    with_code.save(folder / "code.keras")
    rewritten(
        good, folder / "foreign.keras", '"module": "keras.layers", "class_name": "ReLU"', '"module": "os", "class_name": "ReLU"'
    )
    words = keras.Sequential([keras.layers.Input((4,), dtype="string"), keras.layers.StringLookup(vocabulary=["a", "b"])])
    words.save(folder / "words.keras")
    rewritten(folder / "words.keras", folder / "vocabulary.keras", '"vocabulary": ["a", "b"]', '"vocabulary": "/etc/hostname"')
    linked(good, folder / "linked.keras")
    reads = Reads()
    tf.saved_model.save(reads, str(folder / "reads"), signatures={"serving_default": reads.call})
    for name, module in (("writes", Writes()), ("logs", Logs())):
        tf.saved_model.save(module, str(folder / name), signatures={"serving_default": module.call})
    effective(folder / "writes")
    open_axis = keras.Sequential([keras.layers.Input((None, 4)), keras.layers.Dense(2)])
    open_axis.save(folder / "open.keras")


main(Path(sys.argv[1]))
