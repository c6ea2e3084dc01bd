"""The paper's two text classifiers: a published encoder architecture, dropout (nothing at inference),
one dense unit and a sigmoid.

small_bert L-4 H-512 A-8: arXiv:1908.08962. talkheads_ggelu_bert_en_base: BERT's base sizes with
talking-heads attention and a gated GELU layer of 4 H inside, as its page on TensorFlow Hub says.
"""
import numpy as np

from encoder import Encoder
from names import place
from sizes import MODELS

SMALL = MODELS["small_bert_l4_h512_a8"]
SMALL_PARAMETERS = 28763648  # of the encoder with its pooler
SMALL_SEED = 1908
# The encoder's published weights; the paper trained the dense unit itself and did not publish it.
SMALL_URL = ("https://huggingface.co/google/bert_uncased_L-4_H-512_A-8/resolve/main/"
             "model.safetensors")

TALKING = MODELS["talkheads_ggelu_bert_en_base"]
# BERT base's 109,482,240, and in each layer the gate's kernel and bias and two maps over the heads.
TALKING_PARAMETERS = 109482240 + 12 * (768 * 3072 + 3072 + 2 * 12 * 12)
TALKING_SEED = 2003


class SeededWeights:
    """Random weights under which different texts get clearly different scores. An array depends on
    the seed and its name only."""

    def __init__(self, seed):
        self.seed = seed

    def __call__(self, name, shape):
        if name.endswith((".bias", ".offset")):
            return np.zeros(shape, np.float32)
        if name.endswith(".scale"):
            return np.ones(shape, np.float32)
        random = np.random.default_rng([self.seed, *name.encode()])
        values = random.standard_normal(shape, np.float32)
        if name.startswith("embeddings."):
            return values * np.float32(0.5)
        if name.endswith("_softmax"):  # each head mostly listens to itself
            return np.eye(*shape, dtype=np.float32) + values * np.float32(0.1)
        return values * np.float32(1 / np.sqrt(shape[0]))


class PublishedWeights:
    """A BERT encoder as its authors' file has it, and seeded weights for the dense unit."""

    def __init__(self, tensors, seeded):
        self.tensors, self.seeded = tensors, seeded

    def __call__(self, name, shape):
        if name.startswith("classifier."):
            return self.seeded(name, shape)
        for prefix in ("", "bert."):
            values = self.tensors.get(prefix + place(name))
            if values is not None:
                return values.T if name.endswith(".kernel") else values
        raise KeyError(f"the file has no {place(name)}")


def build(name, sizes, weights, path, description):
    """Writes the model; returns how many parameters its encoder has."""
    graph = Encoder(name, sizes, weights)
    vector = graph.pooled(graph.encode())
    encoder = graph.parameters
    score = graph.add("Sigmoid", [graph.dense(vector, "classifier", sizes.hidden, 1)])
    if graph.parameters - encoder != sizes.hidden + 1:
        raise ValueError("the dense unit has another size")
    graph.write(path, score, "score", 1, description)
    return encoder
