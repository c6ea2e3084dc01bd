"""ResNet50 (version 1) as keras.applications builds it, as ONNX.

Architecture: arXiv:1512.03385, table 1, with the stride in the first 1 x 1 convolution of a block;
layer names and numbers as in keras.applications (25,636,712 parameters). Input: NHWC, BGR, each
channel's ImageNet mean (103.939, 116.779, 123.68) taken off.
"""
from onnx_graph import Graph

URL = ("https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
       "resnet50_weights_tf_dim_ordering_tf_kernels.h5")
SEED = 2015
# channels inside, blocks, stride of the first
STAGES = [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]
EPSILON = 1.001e-5


def build(weights, path, description):
    """Writes the model; returns how many parameters it has."""
    graph = Graph("resnet50")

    def conv(x, name, size, channels_in, channels_out, stride=1, pad=0):
        layer, norm = f"{name}_conv", f"{name}_bn"
        kernel = weights.kernel(layer, [size, size, channels_in, channels_out])
        x = graph.conv(x, layer, kernel.transpose(3, 2, 0, 1), weights.bias(layer, channels_out),
                       stride=stride, pads=[pad] * 4)
        return graph.batch_norm(x, norm, *weights.norm(norm, channels_out), EPSILON)

    def relu(x):
        return graph.add("Relu", [x])

    x = graph.add("Transpose", ["image"], perm=[0, 3, 1, 2])
    x = relu(conv(x, "conv1", 7, 3, 64, stride=2, pad=3))
    x = graph.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, (inside, blocks, first_stride) in enumerate(STAGES, 2):
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            stride, shortcut = first_stride if block == 1 else 1, x
            if block == 1:
                shortcut = conv(x, f"{name}_0", 1, channels, inside * 4, stride)
            x = relu(conv(x, f"{name}_1", 1, channels, inside, stride))
            x = relu(conv(x, f"{name}_2", 3, inside, inside, pad=1))
            x = relu(graph.add("Add", [shortcut, conv(x, f"{name}_3", 1, inside, inside * 4)]))
            channels = inside * 4
    x = graph.classifier(x, weights.kernel("predictions", [2048, 1000]),
                         weights.bias("predictions", 1000))
    graph.save(path, {"image": [1, 224, 224, 3]}, x, [1, 1000], description)
    return graph.parameters
