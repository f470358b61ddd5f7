"""The process that has TensorFlow: makes a .tflite of a Keras model or a SavedModel. Needs nothing of edgedeploy.

    python tensorflow_process.py convert SOURCE FOLDER MEMORY     FOLDER/fixed (a SavedModel for batch 1), FOLDER/float.tflite
    python tensorflow_process.py quantise FIXED EXAMPLES DESTINATION MEMORY    static int8; EXAMPLES: an .npz, name -> [n, ...]

It tells what it did in one line of JSON on stdout: tensorflow (its version), max_abs; or refused, with the reason.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CPU_SEC = 1800
#: of config.json; that of a large model has a few MB
CONFIG_LIMIT = 64 << 20
#: what in a Keras model is code, or leads to some
CODE = ("Lambda", "__lambda__", "function", "__tensor__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
#: operators of a SavedModel that reach out of it, or run Python
OUTWARD = {
    "ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "PyFuncStateless", "EagerPyFunc", "PrintV2", "WholeFileReader",
    "WholeFileReaderV2", "TextLineDataset", "TFRecordDataset", "FixedLengthRecordDataset", "FixedLengthRecordDatasetV2",
    "DataServiceDataset", "DebugIdentity", "DebugIdentityV2", "SaveDataset", "SaveDatasetV2", "LoadDataset", "RpcCall",
    "RpcClient", "RpcServer",
}  # fmt: skip
#: operators with a state or an effect that a model to be converted may have; whatever else has one is refused
STATEFUL = {
    "VarHandleOp", "ReadVariableOp", "AssignVariableOp", "VarIsInitializedOp", "DisableCopyOnRead", "ResourceGather",
    "VariableV2", "Variable", "Assign", "AssignAddVariableOp", "RestoreV2", "PlaceholderV2", "StatefulPartitionedCall",
    "While", "If", "Case", "Assert", "HashTableV2", "LookupTableFindV2", "LookupTableImportV2", "LookupTableSizeV2",
    "MutableHashTableV2", "RandomUniform", "RandomStandardNormal", "TruncatedNormal", "StatelessRandomGetKeyCounter",
}  # fmt: skip
#: made-up inputs on which the conversion is compared with the model
CASES = 4
#: |difference| allowed, relative to the largest output
BOUND = 1e-3


class Refused(Exception):
    """The model cannot be converted; the message says why."""


def main(arguments: list[str]) -> dict[str, Any]:
    """Do what is asked; the result is told."""
    memory = int(arguments[-1])
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, CPU_SEC), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if arguments[0] == "convert":
        return convert(Path(arguments[1]), Path(arguments[2]))
    return quantise(Path(arguments[1]), Path(arguments[2]), Path(arguments[3]))


def convert(source: Path, folder: Path) -> dict[str, Any]:
    """The model for batch 1 as a SavedModel and as a float .tflite, compared with it."""
    if source.is_dir():
        refuse_outward(source)
    else:
        refuse_code(source)
    import tensorflow as tf

    call, specs, owner = _signature(source if source.is_dir() else _exported(source, folder / "exported"))
    module = tf.Module()
    module.owner = owner
    module.call = tf.function(call, input_signature=specs)
    concrete = module.call.get_concrete_function()
    tf.saved_model.save(module, str(folder / "fixed"), signatures={"serving_default": concrete})
    made = tf.lite.TFLiteConverter.from_saved_model(str(folder / "fixed"), signature_keys=["serving_default"]).convert()
    (folder / "float.tflite").write_bytes(made)
    return {"tensorflow": tf.__version__, "max_abs": _difference(tf, module.call, specs, made)}


def quantise(fixed: Path, examples: Path, destination: Path) -> dict[str, Any]:
    """Full-integer int8 with float ends, ranges (min-max) of the examples."""
    import numpy as np
    import tensorflow as tf

    with np.load(examples, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}

    def each() -> Iterator[dict[str, Any]]:
        for index in range(len(next(iter(arrays.values())))):
            yield {name: array[index : index + 1] for name, array in arrays.items()}

    converter = tf.lite.TFLiteConverter.from_saved_model(str(fixed), signature_keys=["serving_default"])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = each
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    destination.write_bytes(converter.convert())
    return {"tensorflow": tf.__version__}


def refuse_code(source: Path) -> None:
    """Raise Refused for a .keras with anything in it but layers of Keras, and arrays. Safe mode refuses less."""
    try:
        with zipfile.ZipFile(source) as archive:
            if archive.getinfo("config.json").file_size > CONFIG_LIMIT:
                raise Refused("its config.json is too large")
            config = json.loads(archive.read("config.json"))
            if any(info.file_size > 2**33 for info in archive.infolist()):
                raise Refused("it unpacks to more than 8 GB")
            unknown = [name for name in archive.namelist() if name not in ("config.json", "metadata.json", "model.weights.h5")]
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        raise Refused("it is no .keras file as Keras 3 saves it, or a damaged one") from None
    if unknown:
        raise Refused(
            f"it has {unknown[0][:80]!r} in it, which may be read as anything; only layers with plain weights are taken"
        )
    left = [config]
    while left:
        item = left.pop()
        if isinstance(item, list):
            left += item
        if not isinstance(item, dict):
            continue
        left += item.values()
        name, module = item.get("class_name"), item.get("module")
        if name in CODE:
            raise Refused(f"it has a {name} in it, which is code or leads to some; only layers of Keras itself are taken")
        if name is not None and module is not None and str(module).split(".")[0] != "keras":
            raise Refused(f"its {str(name)[:80]} is of {str(module)[:80]}; only layers of Keras itself are taken")
        if name is not None and item.get("registered_name") not in (None, name) and module is None:
            raise Refused(f"its {str(name)[:80]} is no layer of Keras itself")
        if name in ("StringLookup", "IntegerLookup", "TextVectorization") and isinstance(
            item.get("config", {}).get("vocabulary"), str
        ):
            raise Refused(f"its {name} reads its vocabulary from a file; save it with the vocabulary in it")


def refuse_links(weights: Any) -> None:
    """Raise Refused where the HDF5 file of the weights takes data from other files."""
    import h5py

    waiting = [weights]
    while waiting:
        group = waiting.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise Refused(f"its weights have a link ({name}) where data should be")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif item.external or item.is_virtual:
                raise Refused(f"its weights ({name}) are in another file")


def refuse_outward(source: Path) -> None:
    """Raise Refused for a SavedModel that names an operator which reaches out of it."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((source / "saved_model.pb").read_bytes())
    except Exception:
        raise Refused("its saved_model.pb is damaged, or too large") from None
    for meta in saved.meta_graphs:
        nodes = [*meta.graph_def.node, *(node for each in meta.graph_def.library.function for node in each.node_def)]
        outward = {node.op for node in nodes} & OUTWARD
        outward |= {node.op for node in _run(meta) if node.op not in STATEFUL and _has_effect(node.op)}
        if outward:
            raise Refused(f"it has the operators {', '.join(sorted(outward))}, which reach out of the model")


def _has_effect(op: str) -> bool:
    """Whether TensorFlow says of the operator that it has a state or an effect; True for one that it does not know."""
    from tensorflow.python.framework import op_def_registry

    known = op_def_registry.get(op)
    return known is None or bool(known.is_stateful)


def _run(meta: Any) -> list[Any]:
    """All nodes but those that nothing leads to except saving the model again, which writes files and is never asked for."""
    nodes = {node.name: node for node in meta.graph_def.node}
    functions = {each.signature.name: each for each in meta.graph_def.library.function}
    outputs = [output for signature in meta.signature_def.values() for output in signature.outputs.values()]
    doubled = len(nodes) + len(functions) < len(meta.graph_def.node) + len(meta.graph_def.library.function)
    if doubled or any(output.WhichOneof("encoding") != "name" for output in outputs):
        raise Refused("its saved_model.pb is damaged, or it gives something other than tensors")
    ends = [output.name for output in outputs]
    ends += [name for each in meta.collection_def.values() for name in each.node_list.value]
    needed = _before([*ends, meta.saver_def.restore_op_name], nodes)
    saving = _before([meta.saver_def.save_tensor_name], nodes) - needed
    run = [node for name, node in nodes.items() if name not in saving]
    only_saving = _called([nodes[name] for name in saving], functions)
    loaded = set(functions) & set(meta.object_graph_def.concrete_functions)
    called = _called(run, functions) | loaded | (set(functions) - only_saving)
    called |= _called([node for name in called for node in functions[name].node_def], functions)
    return [*run, *(node for name in called for node in functions[name].node_def)]


def _before(names: list[str], nodes: dict[str, Any]) -> set[str]:
    """The nodes of these names (of tensors, or of nodes) and all that come before them."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().removeprefix("^").split(":")[0]
        if name in nodes and name not in found:
            found.add(name)
            waiting += nodes[name].input
    return found


def _called(nodes: list[Any], functions: dict[str, Any]) -> set[str]:
    """The functions that these nodes call, and those that they call in turn."""
    found: set[str] = set()
    waiting = list(nodes)
    while waiting:
        for value in waiting.pop().attr.values():
            for name in {value.func.name, *(each.name for each in value.list.func)} & set(functions) - found:
                found.add(name)
                waiting += functions[name].node_def
    return found


def _exported(source: Path, folder: Path) -> Path:
    """A Keras model as a SavedModel, by Keras itself."""
    import h5py
    import keras

    with zipfile.ZipFile(source) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as weights:
        refuse_links(weights)
    model = keras.models.load_model(source, compile=False, safe_mode=True)
    model.export(str(folder), verbose=False)
    return folder


def _signature(source: Path) -> tuple[Callable[..., Any], list[Any], Any]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(source))
    if "serving_default" not in loaded.signatures:
        raise Refused(f"it has no signature serving_default, but {sorted(loaded.signatures) or 'none'}")
    function = loaded.signatures["serving_default"]
    named = function.structured_input_signature[1]
    specs = [tf.TensorSpec([1, *_fixed(spec.shape)[1:]], spec.dtype, name=name) for name, spec in sorted(named.items())]
    names = sorted(named)

    def call(*inputs: Any) -> dict[str, Any]:
        given: dict[str, Any] = function(**dict(zip(names, inputs, strict=True)))
        return given

    return call, specs, loaded


def _fixed(shape: Any) -> list[int]:
    """The shape, whose batch alone may be open."""
    if shape is None or (hasattr(shape, "rank") and shape.rank is None):
        raise Refused("it has an input of no known number of axes")
    sizes = list(shape)
    if not sizes or any(size is None for size in sizes[1:]):
        raise Refused(f"it has an input of shape {sizes}; save it with every size fixed but the batch's")
    return [1 if size is None else int(size) for size in sizes]


def _difference(tf: Any, call: Any, specs: list[Any], made: bytes) -> float:
    """Largest |difference| between model and conversion on made-up inputs. Raises Refused above the bound."""
    import numpy as np

    interpreter = tf.lite.Interpreter(model_content=made)
    runner = interpreter.get_signature_runner("serving_default")
    rng = np.random.default_rng(0)
    worst = largest = 0.0
    for _ in range(CASES):
        arrays = {}
        for spec in specs:
            drawn = rng.standard_normal(spec.shape) if spec.dtype.is_floating else rng.integers(0, 2, spec.shape)
            arrays[spec.name] = drawn.astype(spec.dtype.as_numpy_dtype)
        expected = call(*(tf.constant(arrays[spec.name]) for spec in specs))
        found = runner(**arrays)
        for name, tensor in expected.items():
            gap = float(np.abs(found[name] - tensor.numpy()).max())
            worst = max(worst, gap) if np.isfinite(gap) else float("inf")
            largest = max(largest, float(np.abs(tensor.numpy()).max()))
    if not worst <= BOUND * max(1.0, largest):
        raise Refused(f"its conversion gives something else: max |difference| {worst:.2e}")
    return worst


if __name__ == "__main__":
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        told = main(sys.argv[1:])
    except Refused as error:
        told = {"refused": str(error)}
    except Exception as error:  # TensorFlow raises whatever it likes
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = {"refused": f"{type(error).__name__}: {lines[0][:400] if lines else ''}"}
    os.write(out, (json.dumps(told) + "\n").encode())
    os._exit(0)
