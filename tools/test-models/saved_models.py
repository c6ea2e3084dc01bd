#!/usr/bin/env python3
"""Fills a folder with SavedModels and their cases, whose wanted answers are TensorFlow's own.

    saved_models.py --out DIR --published DIR

Runs with TensorFlow's Python package (tools/setup-tensorflow). `published`: the repository that build.py
made, from which SavedModels of others are taken.
"""
import argparse
import os
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import ml_dtypes
import numpy as np
import tensorflow as tf

from cases import Case, Wanted, random_of

ROWS = [None, 5]
DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8",
          "uint16", "uint32", "uint64", "bool", "str", "complex64", "complex128"]
TEXTS = [b"", b"pocket", "\u00e9t\u00e9".encode(), b"with\0zero", b"\xff\xfe not UTF-8", b"x" * 5000,
         b"exactly 22 characters!", b"and 23 of them, a heap!"]


def tensorflow_dtype(name):
    return tf.string if name == "str" else tf.as_dtype(name)


def any_bits(random, name, shape):
    """Every bit pattern of the type; infinities and NaNs with a payload among them."""
    count = int(np.prod(shape))
    if name == "str":
        return np.array([TEXTS[index % len(TEXTS)] for index in range(count)], object).reshape(shape)
    if name == "bool":
        return random.integers(0, 2, shape).astype(bool)
    dtype = np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)
    return np.frombuffer(random.bytes(count * dtype.itemsize), dtype).reshape(shape).copy()


def small_values(random, name, shape):
    """Values whose sums are exact in every type."""
    if name in ("bool", "str"):
        return any_bits(random, name, shape)
    low = 0 if name.startswith("u") else -7
    dtype = np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)
    return random.integers(low, 8, shape).astype(dtype)


def spec(shape, dtype, name):
    return tf.TensorSpec(shape, dtype, name=name)


class SavedModel:
    """A case with a SavedModel, which TensorFlow itself is asked, too."""

    def __init__(self, root, name, module=None, signatures=None, source=None, signature=None):
        self.case = Case(root, name)
        self.signature = signature
        folder = self.case.path("model.savedmodel")
        if source:
            shutil.copytree(source, folder)
        else:
            tf.saved_model.save(module, folder, signatures=signatures)
        loaded = tf.saved_model.load(folder)
        self.loaded = loaded  # its variables live as long as it
        self.function = loaded.signatures.get(signature or "serving_default")

    def call(self, inputs, relative=0.0, absolute=0.0):
        """inputs: {name: array}; the wanted answer is TensorFlow's."""
        answer = self.function(**{name: tf.constant(values) for name, values in inputs.items()})
        self.case.call(inputs, {name: Wanted(np.asarray(answer[name].numpy(), object)
                                             if answer[name].dtype == tf.string
                                             else answer[name].numpy(), relative, absolute)
                                for name in sorted(answer)})
        return self

    def failing_call(self, inputs):
        self.case.call(inputs)
        return self

    def save(self, **options):
        if self.signature:
            options["signature"] = self.signature
        lines = [f"{key} = '{value}'\n" for key, value in options.items()]
        self.case.save("[options]\n" + "".join(lines) if lines else "")


def one_function(root, name, function, *specs):
    module = tf.Module()
    module.function = tf.function(function, input_signature=specs)
    return SavedModel(root, name, module, {"serving_default": module.function})


def identity(root, dtype):
    name = f"tf_identity_{dtype}"
    model = one_function(root, name, lambda x: {"y": tf.identity(x)},
                         spec([None, None], tensorflow_dtype(dtype), "x"))
    for shape in [(6, 7), (0, 3), (1, 1), (3, 0), (64, 100)]:
        model.call({"x": any_bits(random_of(name), dtype, shape)})
    model.save()


def arithmetic(root, dtype):
    name, kind = f"tf_arithmetic_{dtype}", tensorflow_dtype(dtype)
    random = random_of(name)
    add = {"bool": tf.math.logical_xor, "str": lambda x, y: tf.strings.join([x, y])}.get(
        dtype, tf.add)
    model = one_function(root, name, lambda x, y: {"z": add(x, y)}, spec(ROWS, kind, "x"),
                         spec(ROWS, kind, "y"))
    for rows in (4, 0, 257):
        model.call({"x": small_values(random, dtype, (rows, 5)),
                    "y": small_values(random, dtype, (rows, 5))})
    model.save()


def signatures(root):
    """One SavedModel, served under three names with a signature each, and under one that it lacks."""
    module = tf.Module()
    module.double = tf.function(lambda x: {"y": x * 2}, input_signature=[spec([None], tf.float32, "x")])
    module.parts = tf.function(
        lambda b, a: {"sum": a + b, "greater": a > b, "count": tf.size(a, tf.int64)},
        input_signature=[spec([None], tf.float32, "b"), spec([None], tf.float32, "a")])
    module.nothing = tf.function(lambda: {"answer": tf.constant(42)}, input_signature=[])
    table = {"serving_default": module.double, "parts": module.parts, "no_input": module.nothing}
    x = np.arange(5, dtype=np.float32)
    SavedModel(root, "tf_signature_default", module, table).call({"x": x}).save()
    source = os.path.join(root, "repository/tf_signature_default/1/model.savedmodel")
    parts = SavedModel(root, "tf_signature_parts", source=source, signature="parts")
    parts.call({"a": x, "b": x[::-1].copy()}).call({"a": x[:0], "b": x[:0]}).save()
    SavedModel(root, "tf_signature_no_input", source=source, signature="no_input").call({}).save()
    SavedModel(root, "tf_signature_missing", source=source, signature="missing").save()
    tags = SavedModel(root, "tf_tags_missing", source=source)
    tags.save(tags="serve,gpu")


def strings(root):
    def work(text, numbers):
        words = tf.strings.split(text).to_tensor(default_value="-")
        return {"upper": tf.strings.upper(text, encoding="utf-8"), "words": words,
                "length": tf.strings.length(text), "number": tf.strings.to_number(numbers),
                "same": text}

    model = one_function(root, "tf_strings", work, spec([None], tf.string, "text"),
                         spec([None], tf.string, "numbers"))
    model.call({"text": np.array([b"one two", "d\u00e9j\u00e0 vu".encode(), b"", b"x " * 3000], object),
                "numbers": np.array([b"1.5", b"-2"], object)})
    model.call({"text": np.array([], object), "numbers": np.array([], object)})
    model.failing_call({"text": np.array([b"a"], object), "numbers": np.array([b"no number"], object)})
    model.save()


def lookup(root):
    """A table that the SavedModel fills when it is loaded."""
    module = tf.Module()
    keys, values = tf.constant(["red", "green"]), tf.constant([7, 8], tf.int64)
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, values), default_value=-1)
    module.find = tf.function(lambda word: {"number": module.table.lookup(word)},
                              input_signature=[spec([None], tf.string, "word")])
    model = SavedModel(root, "tf_lookup", module, {"serving_default": module.find})
    model.call({"word": np.array([b"green", b"blue", b"red"], object)}).save()


def shapes(root):
    random = random_of("tf_shapes")
    floats = lambda *shape: random.standard_normal(shape).astype(np.float32)
    model = one_function(root, "tf_unknown_rank", lambda x: {"y": -x}, spec(None, tf.float32, "x"))
    for shape in [(), (3,), (1, 2, 1, 2, 1, 2, 1, 2)]:
        model.call({"x": floats(*shape)})
    model.save()
    model = one_function(root, "tf_non_zero", lambda x: {"y": tf.where(x)}, spec([None], tf.float32, "x"))
    for values in ([0, 1, 0, 2], [0, 0], [], [1] * 3000):
        model.call({"x": np.array(values, np.float32)})
    model.save()
    model = one_function(root, "tf_fill", lambda x, shape: {"y": tf.fill(shape, x)},
                         spec([], tf.float32, "x"), spec([None], tf.int32, "shape"))
    for shape in ([4], [1024, 1500], [3, 0], []):  # 6 MB out of 4 bytes, then little again
        model.call({"x": np.float32(1.5), "shape": np.array(shape, np.int32)})
    model.failing_call({"x": np.float32(1), "shape": np.array([-2], np.int32)}).save()
    model = one_function(root, "tf_rank_9", lambda x: {"y": tf.reshape(x, [2] * 9)},
                         spec([512], tf.float32, "x"))
    model.save()


def gather(root):
    """Indices from the client: in range and far out of range."""
    model = one_function(root, "tf_gather", lambda data, indices: {"y": tf.gather(data, indices)},
                         spec([None, 3], tf.float32, "data"), spec([None], tf.int64, "indices"))
    data = random_of("tf_gather").standard_normal((5, 3)).astype(np.float32)
    for indices in ([0, 4, 2], []):
        model.call({"data": data, "indices": np.array(indices, np.int64)})
    for index in (5, -6, 1 << 40, -(1 << 62)):
        model.failing_call({"data": data, "indices": np.array([1, index], np.int64)})
    model.call({"data": data, "indices": np.array([3], np.int64)}).save()


def control_flow(root):
    def collatz(n):
        steps = lambda each: tf.while_loop(
            lambda value, _: value > 1,
            lambda value, count: (tf.cond(value % 2 == 0, lambda: value // 2, lambda: 3 * value + 1),
                                  count + 1), (each, tf.constant(0, tf.int64)))[1]
        return {"steps": tf.map_fn(steps, n)}

    model = one_function(root, "tf_control_flow", collatz, spec([None], tf.int64, "n"))
    model.call({"n": np.array([1, 7, 27, 97], np.int64)}).save()


def state(root):
    """A model that remembers is refused, unless its entry says otherwise."""
    module = tf.Module()
    module.total = tf.Variable(tf.zeros(4))
    module.add = tf.function(lambda x: {"y": module.total.assign_add(x)},
                             input_signature=[spec([4], tf.float32, "x")])
    module.keep = tf.function(lambda x: {"y": module.total.assign(x) * 2},
                              input_signature=[spec([4], tf.float32, "x")])
    module.read = tf.function(lambda x: {"y": module.total + x},
                              input_signature=[spec([4], tf.float32, "x")])
    table = {"serving_default": module.add, "keep": module.keep, "read": module.read}
    x = np.array([1, 2, 3, 4], np.float32)
    SavedModel(root, "tf_state_refused", module, table).save()
    source = os.path.join(root, "repository/tf_state_refused/1/model.savedmodel")
    kept = SavedModel(root, "tf_state_kept", source=source, signature="keep")
    kept.call({"x": x}).call({"x": x * 3}).save(state="keep")
    SavedModel(root, "tf_state_only_read", source=source, signature="read").call({"x": x}).save()


def convolution(root):
    """A small Keras network with a dynamic batch, as Keras exports it."""
    tf.keras.utils.set_random_seed(7)
    network = tf.keras.Sequential([
        tf.keras.Input((32, 32, 3), name="image"), tf.keras.layers.Conv2D(16, 3, activation="relu"),
        tf.keras.layers.BatchNormalization(), tf.keras.layers.DepthwiseConv2D(3, strides=2),
        tf.keras.layers.GlobalAveragePooling2D(), tf.keras.layers.Dense(10, activation="softmax")])
    folder = os.path.join(root, "exported")
    network.export(folder, verbose=False)
    model = SavedModel(root, "tf_convolution", source=folder)
    shutil.rmtree(folder)
    name = next(iter(model.function.structured_input_signature[1]))
    for batch in (1, 3):
        image = random_of("tf_convolution").uniform(-1, 1, (batch, 32, 32, 3)).astype(np.float32)
        model.call({name: image}, relative=1e-5, absolute=1e-6)
    model.save()


def published(root, repository):
    """Spotify's note transcription. Only a session can load it: its optimizer is an old Keras'."""
    source = os.path.join(repository, "basic_pitch_savedmodel/1/model.savedmodel")
    case = Case(root, "tf_basic_pitch").take_file(source, "model.savedmodel")
    sound = random_of("basic_pitch").uniform(-0.5, 0.5, (1, 43844, 1)).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], source).signature_def[
            "serving_default"]
        (key, fed), = signature.inputs.items()
        answer = session.run({name: each.name for name, each in signature.outputs.items()},
                             {fed.name: sound})
    case.call({key: sound}, {name: Wanted(answer[name], 1e-3, 1e-4) for name in sorted(answer)})
    case.save()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--published", required=True)
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    for dtype in DTYPES:
        identity(options.out, dtype)
        arithmetic(options.out, dtype)
    for build in (signatures, strings, lookup, shapes, gather, control_flow, state, convolution):
        build(options.out)
    published(options.out, options.published)
    print(f"test models: {len(os.listdir(os.path.join(options.out, 'repository')))} of TensorFlow's")


if __name__ == "__main__":
    main()
