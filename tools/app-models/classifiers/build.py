#!/usr/bin/env python3
"""The classifiers that tools/make-models built, in the repository of all apps' models, and what ONNX Runtime
says to five pictures: build.py --models DIR --data DIR"""
import os
import shutil

import pictures
import references

MODELS = ["mobilenetv2", "resnet50"]


def link(source, target):
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def answers(data, model, ask):
    """{picture: the score of each class}. ask: from a picture to the model's outputs."""
    folder = os.path.join(data, "../pictures")
    return {name: [float(score) for score in
                   ask(pictures.input_of(model, os.path.join(folder, name)))["scores"][0]]
            for name in sorted(os.listdir(folder))}


def main():
    options = references.options(__doc__)
    for name in MODELS:
        target = os.path.join(options.models, name)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(os.path.join(options.models, "../models", name), target, copy_function=link)
        ask = references.ask_onnxruntime(os.path.join(target, "1", "model.onnx"))
        references.write(options.data, name, "onnxruntime",
                         answers(options.data, name, lambda picture: ask({"image": picture})))
        print(f"app models: {name}, as it was built, and ONNX Runtime's answers")


if __name__ == "__main__":
    main()
