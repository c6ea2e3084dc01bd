"""What the apps should answer, as the reference frameworks say in Python: one file for each of an app's models
and framework, which the tests compare the apps with.

    {"least_score": only for detectors, "inputs": {file name: what the app's result should be}}

And what the parts' scripts have in common.
"""
import argparse
import json
import os

import onnxruntime


def options(text):
    """What tools/make-app-models and tools/build-app-model call a part's scripts with."""
    parser = argparse.ArgumentParser(description=text.split(":", maxsplit=1)[0])
    parser.add_argument("--wheels", help="folder of the packages in requirements-data.txt")
    for option in ("models", "data"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--only", help="of the part's models this one, without what the tests compare with")
    return parser.parse_args()


def write(data, model, framework, inputs, **more):
    folder = os.path.join(data, "references")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{model}.{framework}.json"), "w", encoding="utf-8") as file:
        json.dump({**more, "inputs": inputs}, file, indent=1)


def ask_onnxruntime(path):
    """A function from inputs, {name: array}, to a model's outputs, {name: array}."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs)))


def ask_saved_model(path):
    import tensorflow as tf  # only where it is set up
    loaded = tf.saved_model.load(path)  # the function alone would not keep its variables

    def ask(inputs):
        given = {name: tf.constant(values) for name, values in inputs.items()}
        return {name: values.numpy() for name, values in loaded.signatures["serving_default"](**given).items()}
    return ask
