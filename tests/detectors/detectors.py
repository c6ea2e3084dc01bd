#!/usr/bin/env python3
"""A detector as thin client and as monolithic twin, on each engine.

    detectors.py APP --build BUILD --deps DEPS [--pictures N] [--memory]

Both must find the same things, to the last bit, and what ONNX Runtime and NumPy found in the same
picture when the model was built, within a tolerance. --memory: what the thin client needs at most for
large pictures, and its size as the only file of a container's image. Ends with 0, 1 or, without the
models, 77.
"""
import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from process import SKIPPED, Skip, end_on_signals, start, stop  # noqa: E402

ENGINES = ["onnxruntime", "openvino"]
# Engines add in other orders: as far from the reference as their sums may be.
SCORE_TOLERANCE = 5e-4
PIXEL_TOLERANCE = 0.5
MOST = 100
CLIENT_BYTES = 40_000_000
IMAGE_BYTES = 10_000_000
READY_SECONDS = 60
ATTEMPTS = 10


class Failure(Exception):
    """What is wrong, for the person who runs the test."""


@contextlib.contextmanager
def service(build, models):
    """The socket of a running service."""
    with tempfile.TemporaryDirectory(prefix="pocket-detectors-") as folder:
        path = os.path.join(folder, "pocket.sock")
        with open(os.path.join(folder, "log"), "w+", encoding="utf-8") as log:
            process = start([f"{build}/bin/pocketd", "--socket", path, "--models",
                            models], stdout=log, stderr=log)
            try:
                wait_for(path, process, log)
                yield path
            finally:
                stop(process, READY_SECONDS)


def wait_for(path, process, log):
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            if client.connect_ex(path) == 0:
                return
        time.sleep(0.02)
    log.seek(0)
    raise Failure(f"the service did not start: {log.read()}")


def run(command):
    """Its report. On a busy machine loading a large model takes longer than a client waits: the service
    goes on with it, so the client asks again, as it is told to."""
    for _ in range(ATTEMPTS):
        done = subprocess.run(command + ["--json", "-"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
        if "try again later" not in done.stderr:
            break
    raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")


def is_same(one, other):
    return (one["class"] == other["class"]
            and abs(one["score"] - other["score"]) <= SCORE_TOLERANCE
            and all(abs(a - b) <= PIXEL_TOLERANCE for a, b in zip(one["box"], other["box"])))


def check_found(found, expected, least, where):
    """Each detection of one side that is clearly above what it leaves out must be on the other."""
    for these, those, side in ((expected, found, "the app"), (found, expected, "the reference")):
        floor = max([least] + [each[-1]["score"] for each in (these, those) if len(each) == MOST])
        for each in these:
            if each["score"] > floor + SCORE_TOLERANCE and not any(is_same(each, other)
                                                                   for other in those):
                raise Failure(f"{where}: {side} has not found {each}")


def compare(options, path, engine, pictures, reference):
    count = 0
    for name in pictures:
        arguments = ["--input", os.path.join(options.deps, "pictures", name), "--engine", engine,
                     "--least-score", str(reference["least_score"])]
        program = os.path.join(options.build, "bin", options.app)
        thin = run([program, "--socket", path] + arguments)
        twin = run([f"{program}-monolithic", "--models", os.path.join(options.deps, "app-models")]
                   + arguments)
        where = f"{options.app}, {engine}, {name}"
        if (thin["mode"], twin["mode"]) != ("pocket", "monolithic"):
            raise Failure(f"{where}: the programs ran as {thin['mode']} and {twin['mode']}")
        if thin["result"] != twin["result"]:
            raise Failure(f"{where}: Pocket gives {thin['result']}, its twin {twin['result']}")
        check_found(thin["result"], reference["pictures"][name], reference["least_score"], where)
        count += len(thin["result"])
    print(f"{options.app}, {engine}: {count} things in {len(pictures)} pictures, as its twin and the "
          "reference find them")
    if count == 0:
        raise Failure(f"{options.app} finds nothing at all, which tests nothing")


def check_memory(options, path):
    program = os.path.join(options.build, "bin", options.app)
    for name in ("large.jpg", "large.png", "huge.jpg"):
        picture = os.path.join(options.deps, "app-data", "pictures", name)
        report = run([program, "--socket", path, "--input", picture])
        most = report["memory"]["peak_rss_bytes"]
        print(f"{options.app}, {name}: at most {most / 1e6:.1f} MB")
        if not 0 < most <= CLIENT_BYTES:
            raise Failure(f"{options.app} needed {most} bytes for {name}; the most is {CLIENT_BYTES}")
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "-o", stripped.name, program], check=True)
        size = os.path.getsize(stripped.name)
    print(f"{options.app}: {size / 1e6:.1f} MB as a file")
    if size > IMAGE_BYTES:
        raise Failure(f"{options.app} has {size} bytes; the most is {IMAGE_BYTES}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("app")
    parser.add_argument("--build", required=True)
    parser.add_argument("--deps", required=True)
    parser.add_argument("--pictures", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    end_on_signals()
    try:
        models = os.path.join(options.deps, "app-models")
        file = os.path.join(options.deps, "app-data/detections", f"{options.app}.json")
        if not os.path.isfile(os.path.join(models, options.app, "model.toml")) or not os.path.isfile(file):
            raise Skip(f"no {options.app} in '{models}' (tools/make-app-models)")
        with open(file, encoding="utf-8") as text:
            reference = json.load(text)
        pictures = sorted(reference["pictures"])[:options.pictures]
        with service(options.build, models) as path:
            for engine in ENGINES:
                compare(options, path, engine, pictures, reference)
            if options.memory:
                check_memory(options, path)
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    except Failure as failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
