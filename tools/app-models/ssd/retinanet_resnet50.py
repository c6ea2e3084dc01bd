"""RetinaNet (SSD with ResNet50 version 1, feature pyramid and shared predictors), 640 x 640, as ONNX.

Architecture: ssd_resnet50_v1_fpn_640x640_coco17_tpu-8.config of github.com/tensorflow/models
(research/object_detection/configs/tf2), which is tensorflow/retinanet/resnet50_v1_fpn_640x640/1, and
arXiv:1708.02002: levels 3 to 7 of 256 channels, towers of four 3 x 3 convolutions whose kernels all
levels share while each level has its own normalization, 6 anchors for each cell (51,150), 90 classes
of COCO and the background, sigmoid scores. Convolutions followed by a normalization have no bias; ReLU6
throughout. Pixels: RGB, each channel's ImageNet mean taken off.

The published model ends with non-maximum suppression; this one ends where its answer is small: the
1,000 anchors with the best class (the paper keeps as many for each level), with their numbers. What is
left out has lower scores than everything kept.
"""
import numpy as np
from coco_labels import SLOTS
from detector_graph import DetectorGraph
from onnx import TensorProto, helper

SIDE = 640
ANCHORS = 51150
KEPT = 1000
SEED = 2017
# Counted as a converted model counts them, normalization folded and the shared towers once for each
# level: Open Model Zoo gives 56.9326 million for ssd_resnet50_v1_fpn_coco.
PARAMETERS_UNSHARED = 56932514
PARAMETERS = 32916218
CONVOLUTIONS = 70  # 53 of ResNet50, 7 of the pyramid, 10 shared by the levels
MEANS = [123.68, 116.779, 103.939]
STAGES = [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]
LEVELS = 5
EPSILON = 1e-3
PRIOR = -4.6  # bias of the class predictor: a score of 0.01


class _Builder:
    def __init__(self, weights):
        self.weights = weights
        self.graph = DetectorGraph("retinanet_resnet50", SIDE)
        self.convolutions = 0
        self.unshared = 0

    def conv(self, x, name, size, channels, channels_out, stride=1, pads=None, norm=True):
        """A convolution with its normalization, or with a bias."""
        kernel = self.weights.kernel(name, [size, size, channels, channels_out])
        bias = None if norm else np.zeros(channels_out, np.float32)
        self.convolutions += 1
        self.unshared += kernel.size + channels_out
        x = self.graph.conv(x, name, kernel.transpose(3, 2, 0, 1), bias, stride=stride, pads=pads)
        return self.normalize(x, f"{name}_bn", channels_out) if norm else x

    def normalize(self, x, name, channels):
        return self.graph.batch_norm(x, name, *self.weights.norm(name, channels), EPSILON)

    def shared_conv(self, levels, name, channels_out, bias=None, scale=1.0, norm=True):
        """One 3 x 3 kernel over all levels; each level has its own normalization."""
        kernel = self.weights.kernel(name, [3, 3, 256, channels_out]) * np.float32(scale)
        parts = [self.graph.constant(f"{name}.weight", kernel.transpose(3, 2, 0, 1))]
        if bias is not None:
            parts.append(self.graph.constant(f"{name}.bias", bias))
        self.convolutions += 1
        self.unshared += LEVELS * (kernel.size + channels_out)
        results = []
        for number, x in enumerate(levels):
            x = self.graph.add("Conv", [x] + parts, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            if norm:
                x = self.graph.relu6(self.normalize(x, f"{name}_bn_{number}", channels_out))
            results.append(x)
        return results

    def backbone(self):
        """The outputs of stages 3, 4 and 5 of ResNet50."""
        graph = self.graph
        x = graph.pixels(1, [-mean for mean in MEANS])
        x = graph.relu6(self.conv(x, "conv1", 7, 3, 64, stride=2, pads=[3] * 4))
        x = graph.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
        channels, outputs = 64, []
        for stage, (inside, blocks, first_stride) in enumerate(STAGES, 2):
            for block in range(1, blocks + 1):
                name = f"conv{stage}_block{block}"
                stride, shortcut = first_stride if block == 1 else 1, x
                if block == 1:
                    shortcut = self.conv(x, f"{name}_0", 1, channels, inside * 4, stride)
                x = graph.relu6(self.conv(x, f"{name}_1", 1, channels, inside, stride))
                x = graph.relu6(self.conv(x, f"{name}_2", 3, inside, inside))
                x = self.conv(x, f"{name}_3", 1, inside, inside * 4)
                x = graph.relu6(graph.add("Add", [shortcut, x]))
                channels = inside * 4
            outputs.append(x)
        return outputs[1:]

    def pyramid(self, features):
        """Levels 3 to 7. As the Keras version does it, a smoothed level feeds the one below, and
        level 6 follows from level 5."""
        graph = self.graph
        graph.constant("twice", np.asarray([1, 1, 2, 2], np.float32), parameter=False)
        x = self.conv(features[2], "projection_3", 1, 2048, 256, norm=False)
        levels = [x]
        for number, channels in ((2, 1024), (1, 512)):
            side = self.conv(features[number - 1], f"projection_{number}", 1, channels, 256,
                             norm=False)
            x = graph.add("Resize", [x, "", "twice"], mode="nearest", nearest_mode="floor",
                          coordinate_transformation_mode="asymmetric")
            x = graph.add("Add", [x, side])
            x = graph.relu6(self.conv(x, f"smoothing_{number}", 3, 256, 256))
            levels.insert(0, x)
        x = levels[-1]
        for number in (5, 6):
            x = graph.relu6(self.conv(x, f"bottom_up_{number}", 3, 256, 256, stride=2))
            levels.append(x)
        return levels

    def predict(self, levels, name, channels_out, size, bias, scale):
        tower = levels
        for number in range(4):
            tower = self.shared_conv(tower, f"{name}_tower_{number}", 256)
        outputs = self.shared_conv(tower, f"{name}_predictor", channels_out, bias, scale, norm=False)
        return self.graph.add("Concat", [self.graph.rows(x, size) for x in outputs], axis=1)


def build(weights, path, description):
    """Writes the model; returns its parameters, those counted unshared, and its convolutions."""
    builder = _Builder(weights)
    graph = builder.graph
    levels = builder.pyramid(builder.backbone())
    # Seeded predictors: scaled so that boxes stay near their anchors and few classes answer.
    boxes = builder.predict(levels, "box", 24, 4, np.zeros(24, np.float32), 0.3)
    logits = builder.predict(levels, "class", 6 * SLOTS, SLOTS,
                             np.full(6 * SLOTS, PRIOR, np.float32), 0.4)
    for name, value in (("first", 1), ("last", SLOTS), ("classes_axis", 2), ("kept", KEPT)):
        graph.constant(name, np.asarray([value], np.int64), parameter=False)
    best = graph.add("ReduceMax", [graph.add("Slice", [logits, "first", "last", "classes_axis"])],
                     axes=[2], keepdims=0)
    graph.nodes.append(_top(best))
    order = graph.reshape("best_anchors", [KEPT])
    outputs = {
        "boxes": (graph.add("Gather", [boxes, order], axis=1), [1, KEPT, 4]),
        "scores": (graph.add("Sigmoid", [graph.add("Gather", [logits, order], axis=1)]),
                   [1, KEPT, SLOTS]),
        "anchors": (graph.add("Cast", ["best_anchors"], to=TensorProto.FLOAT), [1, KEPT]),
    }
    graph.save_outputs(path, outputs, description)
    return graph.parameters, builder.unshared, builder.convolutions


def _top(scores):
    return helper.make_node("TopK", [scores, "kept"], ["best_scores", "best_anchors"], name="top",
                            axis=1, largest=1, sorted=1)
