#!/usr/bin/env python3
"""The detectors as SavedModels, and what TensorFlow finds in the pictures: build_tensorflow.py --models DIR
--data DIR"""
import reference
import references
import saved_model


def main():
    options = references.options(__doc__)
    for name in reference.DETECTORS:
        reference.write(options.data, name, "tensorflow", saved_model.write(options.models, name))


if __name__ == "__main__":
    main()
