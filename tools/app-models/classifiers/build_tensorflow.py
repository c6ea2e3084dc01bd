#!/usr/bin/env python3
"""The classifiers as SavedModels, and what TensorFlow says to the pictures: build_tensorflow.py --models DIR
--data DIR"""
import references
import saved_model
from build import MODELS, answers


def main():
    options = references.options(__doc__)
    for name in MODELS:
        references.write(options.data, name, "tensorflow",
                         answers(options.data, name, saved_model.write(options.models, name)))


if __name__ == "__main__":
    main()
