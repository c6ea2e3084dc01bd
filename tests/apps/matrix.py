#!/usr/bin/env python3
"""Every app on every engine with five inputs: the thin client's result is the monolithic twin's bit for bit,
and both are what ONNX Runtime and TensorFlow answer in Python, within a stated tolerance.

    matrix.py [--inputs N] [APP...]

Beside it what `pocket inspect` says of the model: its files, and what was measured when the service loaded it.
The frameworks' answers were written beside the models by tools/make-app-models. The tensorflow engine gets the
same model as a SavedModel, NAME_tf. What cannot be is printed with its reason: an engine that is not built, and
a format that an engine does not read, which must be refused on both sides. Ends with 0, 1 or, without
models, 77.
"""
import argparse
import itertools
import json
import os
import subprocess
import sys

import programs
from judges import judge_of
from programs import BIN, DATA, ENGINES, MODELS, MODELS_OF, Failure, Service, attempt, check, report
from process import SKIPPED, Skip, end_on_signals

FRAMEWORKS = ["onnxruntime", "tensorflow"]
INPUTS = 5
# An engine, the other one's format, and what the refusal says.
FOREIGN = [("onnxruntime", "_tf", "is a directory"), ("tensorflow", "", "Could not find SavedModel")]


def references_of(model):
    """{framework: its answers}."""
    found = {}
    for framework in FRAMEWORKS:
        path = os.path.join(DATA, "references", f"{model}.{framework}.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                found[framework] = json.load(file)
            check(len(found[framework]["inputs"]) == INPUTS, f"{path} is not of {INPUTS} inputs")
    return found


def entry_of(model, engine):
    return f"{model}_tf" if engine == "tensorflow" else model


def compare(app, model, engine, service, inputs):
    """{framework: the largest differences} of one cell of the matrix."""
    judge, references = judge_of(app), references_of(model)
    most = {}
    for name, arguments in itertools.islice(judge.inputs(references["onnxruntime"], service.folder), inputs):
        arguments += ["--engine", engine, "--model", entry_of(model, engine)]
        thin, twin = report(app, service, *arguments), report(app, None, *arguments)
        where = f"{app}, {model}, {engine}, {name}"
        check((thin["mode"], twin["mode"]) == ("pocket", "monolithic"), f"{where}: the wrong programs")
        check(thin["engine"] == twin["engine"] == engine, f"{where}: {thin['engine']} answered")
        check(thin["result"] == twin["result"], f"{where}: Pocket's answer is not the monolithic twin's")
        for framework, reference in references.items():
            try:
                apart = judge.differences(thin["result"], reference, name)
            except Failure as failure:
                raise Failure(f"{where}, against {framework}: {failure}") from None
            for each, tolerance in zip(apart, judge.tolerances):
                check(each <= tolerance, f"{where}: {each:.1e} from {framework}, more than {tolerance}")
            most[framework] = [max(pair) for pair in zip(most.get(framework, apart), apart)]
    return most


def inspected(model, engine, service):
    """What the service tells of a model that it has loaded: files, memory, loading."""
    done = subprocess.run([os.path.join(BIN, "pocket"), "inspect", model, "--engine", engine, "--json",
                           "--socket", service.socket], capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"pocket inspect {model}: {done.stderr.strip()}")
    facts = json.loads(done.stdout)
    check(facts["engine"] == engine, f"pocket inspect {model} --engine {engine} told of {facts['engine']}")
    for tensor in facts["inputs"] + facts["outputs"]:
        check(tensor["name"] and tensor["dtype"] and len(tensor["shape"]) == tensor["rank"],
              f"pocket inspect {model}: {tensor}")
    for key in ("inputs", "outputs", "licence", "source", "sha256"):
        check(facts[key], f"pocket inspect {model} tells no {key}")
    for key in ("file_bytes", "memory_bytes", "load_ms"):
        check(facts[key] > 0, f"pocket inspect {model}: {key} is {facts[key]}")
    return (f"{facts['file_bytes'] / 1e6:.0f} MB", f"{facts['memory_bytes'] / 1e6:.0f} MB",
            f"{facts['load_ms']:.0f} ms")


def why_not(model, engine):
    """Why a cell cannot be; None where it can."""
    if not programs.is_built(engine):
        return "the engine is not built" + (": tools/setup-tensorflow" if engine == "tensorflow" else "")
    if engine == "tensorflow":
        check(os.path.exists(os.path.join(MODELS, f"{model}_tf", "model.toml"))
              and "tensorflow" in references_of(model),
              f"TensorFlow is set up, but there is no {model}_tf: tools/make-app-models")
    return None


def refuse(app, model, service):
    """What an engine cannot read is refused by both sides, with its reason."""
    _, arguments = next(judge_of(app).inputs(references_of(model)["onnxruntime"], service.folder))
    for engine, suffix, wanted in FOREIGN:
        if not programs.is_built(engine) or not os.path.exists(os.path.join(MODELS, model + suffix)):
            continue
        for side in (None, service):
            done = attempt(app, side, *arguments, "--engine", engine, "--model", model + suffix)
            text = done.stderr.strip().replace(MODELS, "MODELS")
            check(done.returncode == 1 and wanted in text,
                  f"{app}, {model}{suffix}, {engine}: status {done.returncode}, '{text}'")
        print(f"refused on {engine}: {text}", flush=True)


WIDTHS = [24, 30, 12, 20, 20, 20, 16, 9, 9, 9]


def row(*cells):
    print(" ".join(f"{cell:{width}}" for cell, width in zip(cells, WIDTHS)).rstrip(), flush=True)


def shown(differences):
    if differences is None:
        return "not set up"
    units = [f"{differences[0]:.1e}"] + [f"{each:.1e} px" for each in differences[1:]]
    return ", ".join(units)


def main():
    end_on_signals()
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--inputs", type=int, default=INPUTS, help="only the first N; a text app's are one")
    parser.add_argument("apps", nargs="*", metavar="APP")
    options = parser.parse_args()
    apps = options.apps or list(MODELS_OF)
    programs.need_models(model for app in apps for model in MODELS_OF[app])
    row("app", "model", "engine", "Pocket, monolithic", "from ONNX Runtime", "from TensorFlow", "tolerance",
        "files", "memory", "loading")
    with Service() as service:
        for app in apps:
            for model in MODELS_OF[app]:
                for engine in ENGINES:
                    reason = why_not(model, engine)
                    if reason:
                        row(app, model, engine, f"cannot be: {reason}")
                        continue
                    most = compare(app, model, engine, service, options.inputs)
                    row(app, model, engine, "equal", *(shown(most.get(each)) for each in FRAMEWORKS),
                        judge_of(app).text, *inspected(entry_of(model, engine), engine, service))
                refuse(app, model, service)


if __name__ == "__main__":
    try:
        main()
    except Skip as skipped:
        print(f"skipped: {skipped}")
        sys.exit(SKIPPED)
    except Failure as wrong:
        print(wrong)
        sys.exit(1)
