"""MobileNetV2 (width 1.0, 224 x 224) as keras.applications builds it, as ONNX.

Architecture: arXiv:1801.04381, table 2; layer names and numbers as in keras.applications
(3,538,984 parameters). Input: NHWC, RGB, value / 127.5 - 1.
"""
from onnx_graph import Graph

URL = ("https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
       "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5")
SEED = 2018
# expansion, channels out, repeats, stride of the first
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
          (6, 320, 1, 1)]
EPSILON = 1e-3


def build(weights, path, description):
    """Writes the model; returns how many parameters it has."""
    graph = Graph("mobilenetv2")

    def norm(x, name, channels):
        return graph.batch_norm(x, name, *weights.norm(name, channels), EPSILON)

    def conv(x, name, norm_name, size, channels_in, channels_out, stride=1):
        kernel = weights.kernel(name, [size, size, channels_in, channels_out])
        return norm(graph.conv(x, name, kernel.transpose(3, 2, 0, 1), stride=stride), norm_name,
                    channels_out)

    def depthwise(x, name, channels, stride):
        kernel = weights.depthwise(name, [3, 3, channels, 1])
        x = graph.conv(x, name, kernel.transpose(2, 3, 0, 1), stride=stride, groups=channels)
        return norm(x, f"{name}_BN", channels)

    x = graph.add("Transpose", ["image"], perm=[0, 3, 1, 2])
    x = graph.relu6(conv(x, "Conv1", "bn_Conv1", 3, 3, 32, stride=2))
    channels, index = 32, 0
    for expansion, channels_out, repeats, first_stride in STAGES:
        for repeat in range(repeats):
            prefix = f"block_{index}" if index else "expanded_conv"
            stride, before, wide = first_stride if repeat == 0 else 1, x, channels * expansion
            if index:
                x = graph.relu6(conv(x, f"{prefix}_expand", f"{prefix}_expand_BN", 1, channels,
                                     wide))
            x = graph.relu6(depthwise(x, f"{prefix}_depthwise", wide, stride))
            x = conv(x, f"{prefix}_project", f"{prefix}_project_BN", 1, wide, channels_out)
            if stride == 1 and channels == channels_out:
                x = graph.add("Add", [before, x])
            channels = channels_out
            index += 1
    x = graph.relu6(conv(x, "Conv_1", "Conv_1_bn", 1, 320, 1280))
    x = graph.classifier(x, weights.kernel("predictions", [1280, 1000]),
                         weights.bias("predictions", 1000))
    graph.save(path, {"image": [1, 224, 224, 3]}, x, [1, 1000], description)
    return graph.parameters
