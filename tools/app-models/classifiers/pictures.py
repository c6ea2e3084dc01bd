"""A picture as the classifiers' models want it, written apart from the apps: the largest square in the
middle, made smaller with Mitchell's filter (B = C = 1/3) over all of its pixels."""
import numpy as np
from PIL import Image

SIDE = 224


def mitchell(x):
    x = np.abs(x)
    return np.where(x < 1, 7 * x**3 - 12 * x**2 + 16 / 3,
                    np.where(x < 2, -7 / 3 * x**3 + 12 * x**2 - 20 * x + 32 / 3, 0)) / 6


def shares(source, side):
    """[side, source]: what each pixel of the source gives to each new one; beyond its edge the last one goes on."""
    ratio = side / source
    margin = int(np.ceil(2 / ratio)) + 1
    places = np.arange(-margin, source + margin)
    each = mitchell((places + 0.5) * ratio - np.arange(side)[:, None] - 0.5)
    each /= each.sum(1, keepdims=True)
    result = np.zeros((side, source))
    for column, place in enumerate(places.clip(0, source - 1)):
        result[:, place] += each[:, column]
    return result


def square(path):
    """[1, 224, 224, 3], RGB, whole numbers."""
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float64)
    height, width = pixels.shape[:2]
    side = min(height, width)
    if side < SIDE:
        raise ValueError(f"{path} is smaller than the model's input, which wants another filter")
    top, left = (height - side) // 2, (width - side) // 2
    pixels = pixels[top:top + side, left:left + side]
    share = shares(side, SIDE)
    pixels = np.einsum("ys,sxc->yxc", share, pixels)
    pixels = np.einsum("xs,ysc->yxc", share, pixels)
    return np.floor(pixels.clip(0, 255) + 0.5)[None]


def input_of(model, path):
    if model == "mobilenetv2":
        return (square(path) / 127.5 - 1).astype(np.float32)
    return (square(path)[..., ::-1] - [103.939, 116.779, 123.68]).astype(np.float32)
