"""What the detectors should find: a framework's answers, and NumPy for the rest, written apart from the apps."""
import os

import numpy as np
import references
from PIL import Image

# What `make models` leaves.
PICTURES = ["astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg"]

LEAST_SCORE, OVERLAP, MOST = 0.05, 0.6, 100


def bilinear(pixels, side):
    """TensorFlow's resize_bilinear without half-pixel centres, rounded to 8 bits."""
    def places(source):
        position = np.arange(side, dtype=np.float32) * np.float32(source / side)
        low = np.minimum(position.astype(int), source - 1)
        return low, np.minimum(low + 1, source - 1), position - low.astype(np.float32)

    pixels = pixels.astype(np.float32)
    top, bottom, down = places(pixels.shape[0])
    left, right, across = places(pixels.shape[1])
    across, down = across[None, :, None], down[:, None, None]
    upper = pixels[top][:, left] + (pixels[top][:, right] - pixels[top][:, left]) * across
    lower = pixels[bottom][:, left] + (pixels[bottom][:, right] - pixels[bottom][:, left]) * across
    return np.floor(upper + (lower - upper) * down + np.float32(0.5)).clip(0, 255).astype(np.uint8)


def grid(cells, shapes):
    """[cells * cells * len(shapes), 4]: y, x, height, width."""
    y, x, shape = np.meshgrid(np.arange(cells), np.arange(cells), np.arange(len(shapes)),
                              indexing="ij")
    sizes = np.asarray(shapes)[shape.ravel()]
    centres = (np.stack([y.ravel(), x.ravel()], 1) + 0.5) / cells
    return np.concatenate([centres, sizes], 1)


def shape(scale, ratio):
    return scale / np.sqrt(ratio), scale * np.sqrt(ratio)


def ssd_anchors():
    scales = np.append(np.linspace(0.2, 0.95, 6), 1)
    levels = [grid(19, [shape(0.1, 1), shape(0.2, 2), shape(0.2, 0.5)])]
    for level, cells in enumerate((10, 5, 3, 2, 1), 1):
        shapes = [shape(scales[level], ratio) for ratio in (1, 2, 0.5, 3, 0.3333)]
        shapes.append(shape(np.sqrt(scales[level] * scales[level + 1]), 1))
        levels.append(grid(cells, shapes))
    return np.concatenate(levels)


def retinanet_anchors():
    return np.concatenate([grid(640 // 2**level,
                                [shape(4 * 2**level * octave / 640, ratio)
                                 for ratio in (1, 2, 0.5) for octave in (1, np.sqrt(2))])
                           for level in range(3, 8)])


def decode(codes, anchors):
    """[N, 4]: top, left, bottom, right."""
    centre = codes[:, :2] / 10 * anchors[:, 2:] + anchors[:, :2]
    size = np.exp(codes[:, 2:] / 5) * anchors[:, 2:]
    return np.concatenate([centre - size / 2, centre + size / 2], 1)


def suppress(boxes, scores):
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order) and len(kept) < MOST:
        best, order = order[0], order[1:]
        kept.append(best)
        corner = np.maximum(boxes[best, :2], boxes[order, :2])
        end = np.minimum(boxes[best, 2:], boxes[order, 2:])
        both = np.prod(np.maximum(end - corner, 0), 1)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
        order = order[both / (areas[best] + areas[order] - both) <= OVERLAP]
    return kept


# The models' names, their anchors and the sides of their input.
DETECTORS = {"ssdmobilenetv2_320x320": (ssd_anchors, 300),
             "ssdresnet50v1_640x640": (retinanet_anchors, 640)}


def detect(ask, anchors, side, path):
    pixels = np.asarray(Image.open(path).convert("RGB"))
    answer = ask(bilinear(pixels, side)[None])
    if "anchors" in answer:
        anchors = anchors[answer["anchors"][0].astype(int)]
    boxes = decode(answer["boxes"][0].astype(float), anchors)
    height, width = pixels.shape[:2]
    found = []
    for number in range(1, answer["scores"].shape[2]):
        scores = answer["scores"][0, :, number]
        chosen = np.flatnonzero(scores >= LEAST_SCORE)
        for index in chosen[suppress(boxes[chosen], scores[chosen])]:
            top, left, bottom, right = boxes[index].clip(0, 1)
            if bottom > top and right > left:
                found.append({"class": number, "score": float(scores[index]),
                              "box": [left * width, top * height, (right - left) * width,
                                      (bottom - top) * height]})
    return sorted(found, key=lambda each: -each["score"])[:MOST]


def write(data, model, framework, ask):
    """ask: from a picture to the model's outputs."""
    anchors, side = DETECTORS[model]
    anchors = anchors()
    folder = os.path.join(data, "../pictures")
    references.write(data, model, framework,
                     {name: detect(ask, anchors, side, os.path.join(folder, name))
                      for name in PICTURES}, least_score=LEAST_SCORE)


def enlarge(source, folder):
    """The same picture as large as photographs are: JPEG of 1352 x 900 and of 2592 x 2072 pixels, and
    the smaller one as PNG."""
    os.makedirs(folder, exist_ok=True)
    picture = Image.open(source).convert("RGB")
    for name, size in (("large.jpg", (1352, 900)), ("large.png", (1352, 900)),
                       ("huge.jpg", (2592, 2072))):
        picture.resize(size, Image.Resampling.BICUBIC).save(os.path.join(folder, name), quality=95)
