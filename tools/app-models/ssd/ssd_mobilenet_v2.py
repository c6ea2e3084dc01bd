"""SSD MobileNetV2 as the TensorFlow detection models publish it under the name 320x320, as ONNX.

Architecture: ssd_mobilenet_v2_320x320_coco17_tpu-8.config of github.com/tensorflow/models
(research/object_detection/configs/tf2), which is tensorflow/ssd_mobilenet_v2/2: in spite of the name
fixed_shape_resizer says 300 x 300; MobileNetV2 with the expansion of block 13 and the last
convolution as feature maps, four more maps of 512, 256, 256 and 128 channels, predictors of kernel
size 1, 3 anchors for each cell of the first map and 6 for the others (1,917), 90 classes of COCO and
the background, sigmoid scores. Pixels: value * 2 / 255 - 1.

Weights: those of MediaPipe's detector for Open Images V4 (object_detection_ssd_mobilenetv2_oidv4,
Apache-2.0), which is the same network with 24 classes, its normalization folded into the
convolutions. Its boxes are used as they are, and its classes where COCO has the same one; a class it
does not know never answers.
"""
import numpy as np
from coco_labels import SLOTS
from detector_graph import DetectorGraph

SIDE = 300
ANCHORS = 1917
OWN_CLASSES = 24
# 4,951,996 weights with 24 classes are what the package's file holds; its predictors with 91:
PARAMETERS = 6047647
CONVOLUTIONS = 72  # 52 of MobileNetV2, 8 of the further maps, 12 predictors
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
          (6, 320, 1, 1)]
FURTHER_MAPS = [(256, 512), (128, 256), (128, 256), (64, 128)]
NEVER = -12.0  # the logit of a class without weights: a score of 6e-6

# COCO's number: the class of Open Images, as the package's label map numbers them from 0 ("???").
KNOWN = {0: 0, 1: 4, 2: 1, 3: 23, 17: 8, 18: 20, 21: 6, 44: 16, 47: 13, 62: 5, 67: 15, 72: 10, 73: 3,
         74: 9, 84: 21}


def to_coco(kernel, bias, anchors):
    """A class predictor of 24 classes for each anchor becomes one of 91."""
    own = kernel.reshape(anchors, OWN_CLASSES, -1)
    own_bias = bias.reshape(anchors, OWN_CLASSES)
    result = np.zeros((anchors, SLOTS, own.shape[2]), np.float32)
    result_bias = np.full((anchors, SLOTS), NEVER, np.float32)
    for slot, index in KNOWN.items():
        result[:, slot] = own[:, index]
        result_bias[:, slot] = own_bias[:, index]
    return result.reshape(anchors * SLOTS, -1, 1, 1), result_bias.reshape(-1)


def build(layers, path, description):
    """layers: what read_convolutions() gives. Writes the model; returns how many parameters and
    convolutions it has."""
    graph = DetectorGraph("ssd_mobilenet_v2", SIDE)
    remaining = iter(layers)
    count = 0

    def conv(x, name, shape, stride=1, relu=True, groups=1, change=lambda *weights: weights):
        """shape: of the kernel as it is read, [out, in / groups, size, size]."""
        nonlocal count
        kind, kernel, bias = next(remaining)
        if list(kernel.shape) != shape or (kind == "depthwise") != (groups > 1):
            raise ValueError(f"{name}: the file has a {kind} kernel {kernel.shape}")
        count += 1
        kernel, bias = change(kernel, bias)
        x = graph.conv(x, name, kernel, bias, stride=stride, groups=groups)
        return graph.relu6(x) if relu else x

    boxes, scores = [], []

    def predict(x, channels, anchors):
        number = len(boxes)
        box = conv(x, f"box_{number}", [4 * anchors, channels, 1, 1], relu=False)
        boxes.append(graph.rows(box, 4))
        score = conv(x, f"class_{number}", [OWN_CLASSES * anchors, channels, 1, 1], relu=False,
                     change=lambda kernel, bias: to_coco(kernel, bias, anchors))
        scores.append(graph.rows(score, SLOTS))

    x = conv(graph.pixels(2 / 255, -1), "conv", [32, 3, 3, 3], stride=2)
    channels, block = 32, 0
    for expansion, channels_out, repeats, first_stride in STAGES:
        for repeat in range(repeats):
            stride, before, wide = first_stride if repeat == 0 else 1, x, channels * expansion
            if block:
                x = conv(x, f"block_{block}_expand", [wide, channels, 1, 1])
            if block == 13:
                predict(x, wide, 3)
            x = conv(x, f"block_{block}_depthwise", [wide, 1, 3, 3], stride=stride, groups=wide)
            x = conv(x, f"block_{block}_project", [channels_out, wide, 1, 1], relu=False)
            if stride == 1 and channels == channels_out:
                x = graph.add("Add", [before, x])
            channels = channels_out
            block += 1
    x = conv(x, "conv_1", [1280, 320, 1, 1])
    predict(x, 1280, 6)
    channels = 1280
    for number, (inside, channels_out) in enumerate(FURTHER_MAPS, 2):
        x = conv(x, f"map_{number}_1x1", [inside, channels, 1, 1])
        x = conv(x, f"map_{number}_3x3", [channels_out, inside, 3, 3], stride=2)
        predict(x, channels_out, 6)
        channels = channels_out
    if next(remaining, None) is not None:
        raise ValueError("the file has more layers than SSD MobileNetV2")
    box = graph.add("Concat", boxes, axis=1)
    score = graph.add("Sigmoid", [graph.add("Concat", scores, axis=1)])
    graph.save_outputs(path, {"boxes": (box, [1, ANCHORS, 4]),
                              "scores": (score, [1, ANCHORS, SLOTS])}, description)
    return graph.parameters, count
