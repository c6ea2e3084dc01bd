#!/usr/bin/env python3
"""The text apps' models as SavedModels, for the tensorflow engine; OpenVINO reads them too.

    build_tensorflow.py --models DIR --data DIR

Runs with TensorFlow's own Python package (tools/setup-tensorflow), after build.py: it takes weights and
entries from the ONNX models that lie in DIR already, so that both formats are the same model.
"""
import os
import shutil

import frameworks
import numpy as np
import references
import tensorflow as tf

from onnx_file import read_weights
from sizes import MODELS

INPUTS = ["input_word_ids", "input_mask", "input_type_ids"]
EPSILON = 1e-12
MASKED = -1e9


class Encoder(tf.Module):
    """The encoder of sizes.py over {name: array}."""

    def __init__(self, sizes, weights):
        super().__init__()
        self.sizes = sizes
        self.weights = {name: tf.Variable(values, trainable=False, name=name.replace(".", "_"))
                        for name, values in weights.items()}

    def dense(self, x, name):
        return tf.matmul(x, self.weights[f"{name}.kernel"]) + self.weights[f"{name}.bias"]

    def norm(self, x, name):
        x -= tf.reduce_mean(x, -1, keepdims=True)
        x *= tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + EPSILON)
        return x * self.weights[f"{name}.scale"] + self.weights[f"{name}.offset"]

    def attention(self, x, name, bias):
        sizes = self.sizes
        each = sizes.hidden // sizes.heads
        shape = tf.shape(x)

        def heads(part):
            split = tf.reshape(self.dense(x, f"{name}.{part}"),
                               [shape[0], shape[1], sizes.heads, each])
            return tf.transpose(split, [0, 2, 1, 3])

        def across(values, weight):
            return tf.einsum("bhft,hg->bgft", values, self.weights[f"{name}.{weight}"])

        logits = tf.matmul(heads("query") * float(1 / np.sqrt(each)), heads("key"),
                           transpose_b=True)
        logits = across(logits, "before_softmax") if sizes.talking else logits
        share = tf.nn.softmax(logits + bias)
        share = across(share, "after_softmax") if sizes.talking else share
        mixed = tf.transpose(tf.matmul(share, heads("value")), [0, 2, 1, 3])
        return self.dense(tf.reshape(mixed, shape), f"{name}.output")

    def feed_forward(self, x, name):
        y = tf.nn.gelu(self.dense(x, f"{name}.inside"), approximate=self.sizes.tanh_gelu)
        if self.sizes.gated:
            y *= self.dense(x, f"{name}.gate")
        return self.dense(y, f"{name}.output")

    def encode(self, ids, mask, types):
        weights = self.weights
        bias = tf.cast(1 - mask, tf.float32)[:, tf.newaxis, tf.newaxis, :] * MASKED
        x = (tf.gather(weights["embeddings.word"], ids) + tf.gather(weights["embeddings.type"], types)
             + weights["embeddings.position"][:tf.shape(ids)[1]])
        x = self.norm(x, "embeddings.norm")
        for layer in range(self.sizes.layers):
            name = f"layer{layer}"
            x = self.norm(x + self.attention(x, f"{name}.attention", bias), f"{name}.attention.norm")
            x = self.norm(x + self.feed_forward(x, f"{name}.feed_forward"),
                          f"{name}.feed_forward.norm")
        return x


class Embedding(Encoder):
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32, name) for name in INPUTS])
    def answer(self, ids, mask, types):
        shown = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
        total = tf.reduce_sum(self.encode(ids, mask, types) * shown, 1)
        mean = total / tf.maximum(tf.reduce_sum(shown, 1), 1e-9)
        length = tf.sqrt(tf.reduce_sum(mean * mean, 1, keepdims=True))
        return {"embedding": mean / tf.maximum(length, 1e-12)}


class Classifier(Encoder):
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32, name) for name in INPUTS])
    def answer(self, ids, mask, types):
        pooled = tf.tanh(self.dense(self.encode(ids, mask, types)[:, 0, :], "pooler"))
        return {"score": tf.sigmoid(self.dense(pooled, "classifier"))}


def main():
    options = references.options(__doc__)
    for name, sizes in MODELS.items():
        source = os.path.join(options.models, name)
        target = os.path.join(options.models, f"{name}_tf")
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(os.path.join(target, "1"))
        weights = read_weights(os.path.join(source, "1", "model.onnx"))
        kind = Classifier if "classifier.kernel" in weights else Embedding
        module = kind(sizes, weights)
        path = os.path.join(target, "1", "model.savedmodel")
        tf.saved_model.save(module, path, signatures={"serving_default": module.answer})
        with open(os.path.join(source, "model.toml"), encoding="utf-8") as file:
            entry = file.read()
        with open(os.path.join(target, "model.toml"), "w", encoding="utf-8") as file:
            file.write("engine = 'tensorflow'\n" + entry)
        frameworks.write(options.models, options.data, name, "tensorflow", references.ask_saved_model(path))
        print(f"app models: {name}_tf, a SavedModel of the same weights", flush=True)


if __name__ == "__main__":
    main()
