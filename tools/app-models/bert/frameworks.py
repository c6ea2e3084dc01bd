"""What the text apps should answer, as a framework says that runs the model: texts one at a time."""
import glob
import os
import tomllib

import numpy as np
import reference
import references


class Asked:
    """In place of reference.Network. ask: from the model's inputs to its outputs, both {name: array}."""

    def __init__(self, ask):
        self.ask = ask

    def answer(self, ids):
        ids = np.asarray([ids], np.int32)
        return self.ask({"input_word_ids": ids, "input_mask": np.ones_like(ids),
                         "input_type_ids": np.zeros_like(ids)})

    def embedding(self, ids):
        return self.answer(ids)["embedding"][0]

    def score(self, ids):
        return float(self.answer(ids)["score"][0, 0])


def write(models, data, name, framework, ask):
    with open(os.path.join(models, name, "model.toml"), "rb") as file:
        entry = tomllib.load(file)["metadata"]
    encode = reference.tokenizer_of(os.path.join(data, "bert-uncased.txt"), int(entry["max_tokens"]))
    texts = sorted(glob.glob(os.path.join(data, "texts", "*.txt")))
    references.write(data, name, framework, reference.answers(
        texts, encode, entry["task"], Asked(ask), entry.get("poles", "")))
