"""What the text apps should answer, computed without an engine: the tokenizers package for the tokens,
NumPy for the network, each written from the papers and independent of encoder.py and apps/text.
"""
import json
import math
import os

import numpy as np
import tokenizers

erf = np.vectorize(math.erf, otypes=[np.float32])


class Network:
    """The encoder over weights(name, shape), in float32; texts one at a time, so without padding."""

    def __init__(self, sizes, weights):
        self.sizes, self.weights, self.cache = sizes, weights, {}

    def weight(self, name, *shape):
        if name not in self.cache:
            self.cache[name] = np.ascontiguousarray(self.weights(name, shape), np.float32)
        return self.cache[name]

    def dense(self, x, name, size_out):
        return (x @ self.weight(f"{name}.kernel", x.shape[-1], size_out)
                + self.weight(f"{name}.bias", size_out))

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        size = self.sizes.hidden
        return x * self.weight(f"{name}.scale", size) + self.weight(f"{name}.offset", size)

    def gelu(self, x):
        if self.sizes.tanh_gelu:
            return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))
        return x / 2 * (1 + erf(x / np.sqrt(2)))

    def attention(self, x, name):
        sizes = self.sizes
        each = sizes.hidden // sizes.heads

        def heads(part):  # [heads, tokens, each]
            return self.dense(x, f"{name}.{part}", sizes.hidden).reshape(
                len(x), sizes.heads, each).transpose(1, 0, 2)

        logits = np.einsum("hfe,hte->hft", heads("query"), heads("key")) / np.sqrt(each)
        if sizes.talking:
            logits = np.einsum("hft,hg->gft", logits,
                               self.weight(f"{name}.before_softmax", sizes.heads, sizes.heads))
        share = np.exp(logits - logits.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        if sizes.talking:
            share = np.einsum("hft,hg->gft", share,
                              self.weight(f"{name}.after_softmax", sizes.heads, sizes.heads))
        mixed = np.einsum("hft,hte->fhe", share, heads("value")).reshape(len(x), sizes.hidden)
        return self.dense(mixed, f"{name}.output", sizes.hidden)

    def feed_forward(self, x, name):
        y = self.gelu(self.dense(x, f"{name}.inside", self.sizes.inside))
        if self.sizes.gated:
            y = y * self.dense(x, f"{name}.gate", self.sizes.inside)
        return self.dense(y, f"{name}.output", self.sizes.hidden)

    def encode(self, ids):
        sizes = self.sizes
        x = (self.weight("embeddings.word", sizes.vocabulary, sizes.hidden)[ids]
             + self.weight("embeddings.type", sizes.types, sizes.hidden)[0]
             + self.weight("embeddings.position", sizes.positions, sizes.hidden)[:len(ids)])
        x = self.norm(x, "embeddings.norm")
        for layer in range(sizes.layers):
            name = f"layer{layer}"
            x = self.norm(x + self.attention(x, f"{name}.attention"), f"{name}.attention.norm")
            x = self.norm(x + self.feed_forward(x, f"{name}.feed_forward"),
                          f"{name}.feed_forward.norm")
        return x

    def embedding(self, ids):
        mean = self.encode(ids).mean(0)
        return mean / np.linalg.norm(mean)

    def score(self, ids):
        pooled = np.tanh(self.dense(self.encode(ids)[0], "pooler", self.sizes.hidden))
        return float(1 / (1 + np.exp(-self.dense(pooled, "classifier", 1)[0])))


def lines_of(path):
    """(number from 1, text) of the lines that are not blank."""
    with open(path, "rb") as file:
        for number, line in enumerate(file.read().split(b"\n"), 1):
            text = line.decode("utf-8", "replace")
            if text.strip(" \t\r\v\f"):
                yield number, text


def tokenizer_of(vocabulary, most):
    tokenizer = tokenizers.BertWordPieceTokenizer(vocabulary, lowercase=True)
    tokenizer.enable_truncation(most)
    return lambda text: tokenizer.encode(text).ids


def answers(texts, encode, task, network, poles=""):
    """{text file: [{"line", "tokens", "score", "sentiment"}]}, as the app's result has them."""
    described = [line.split(": ", 1) for line in poles.splitlines()]
    vectors = np.array([network.embedding(encode(text)) for _, text in described])
    labels = list(dict.fromkeys(label for label, _ in described))

    def judge(ids):
        if task == "sentiment":
            score = network.score(ids)
            return {"score": score, "sentiment": "positive" if score >= 0.5 else "negative"}
        likeness = vectors @ network.embedding(ids)
        most = [max(float(value) for value, (label, _) in zip(likeness, described) if label == wanted)
                for wanted in labels]
        return {"score": most[0] - most[1], "sentiment": labels[int(np.argmax(most))]}

    result = {}
    for path in texts:
        rows = [{"line": number, "ids": encode(text)} for number, text in lines_of(path)]
        result[os.path.basename(path)] = [{**row, **judge(row["ids"])} for row in rows]
    return result


def write(path, expected):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(expected, file)
