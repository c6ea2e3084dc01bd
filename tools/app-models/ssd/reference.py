"""What the detectors should find: ONNX Runtime and NumPy, written apart from the apps.

The tests compare the apps' answers with the file this leaves."""
import json
import os

import numpy as np
import onnxruntime
from PIL import Image

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


def detect(session, anchors, side, path):
    pixels = np.asarray(Image.open(path).convert("RGB"))
    names = [output.name for output in session.get_outputs()]
    answer = dict(zip(names, session.run(None, {"image": bilinear(pixels, side)[None]})))
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


def write(model, anchors, side, pictures, path):
    """pictures: files. Leaves {"least_score", "pictures": {file name: detections}}."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = {os.path.basename(picture): detect(session, anchors, side, picture)
             for picture in pictures}
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"least_score": LEAST_SCORE, "pictures": found}, file, indent=1)


def enlarge(source, folder):
    """The same picture as large as photographs are: JPEG of 1352 x 900 and of 2592 x 2072 pixels, and
    the smaller one as PNG."""
    os.makedirs(folder, exist_ok=True)
    picture = Image.open(source).convert("RGB")
    for name, size in (("large.jpg", (1352, 900)), ("large.png", (1352, 900)),
                       ("huge.jpg", (2592, 2072))):
        picture.resize(size, Image.Resampling.BICUBIC).save(os.path.join(folder, name), quality=95)
