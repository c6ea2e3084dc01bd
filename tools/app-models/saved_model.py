"""Writes an ONNX model of a picture app as a SavedModel of the same weights, for the tensorflow engine.

TensorFlow wants pictures with their channels last, ONNX has them first: between the transpositions that
each of our models begins and ends with, tensors stay channels-last here. Known are the operators that
tools/models and the parts of this folder write; another one is an error.
"""
import os
import shutil

import onnx
import references
import tensorflow as tf
from onnx import numpy_helper


class _Node:
    def __init__(self, node):
        self.operator, self.inputs, self.outputs = node.op_type, list(node.input), list(node.output)
        self.attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}

    def get(self, name, otherwise=None):
        value = self.attributes.get(name, otherwise)
        return value.decode() if isinstance(value, bytes) else value


class _Network:
    """Runs the nodes of an ONNX graph one after another; its weights are the module's."""

    def __init__(self, graph):
        self.nodes = [_Node(node) for node in graph.node]
        self.arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        kernels = {node.inputs[1]: node.get("group", 1) for node in self.nodes if node.operator == "Conv"}
        self.weights = {}
        for name, values in self.arrays.items():
            if values.dtype != "float32" or values.ndim == 0:
                continue  # sizes and bounds: part of the graph
            if name in kernels:  # [out, in / groups, height, width]
                values = values.transpose((2, 3, 0, 1) if kernels[name] > 1 else (2, 3, 1, 0))
            self.weights[name] = tf.Variable(values, trainable=False, name=name.replace(".", "_"))
        self.module = tf.Module()
        self.module.weights = self.weights

    def answer(self, inputs, outputs):
        values, last = dict(inputs), set()  # the names of those that are channels-last
        for node in self.nodes:
            given = [self.weights.get(name, self.arrays.get(name)) if name not in values
                     else values[name] for name in node.inputs]
            are_last = [name in last for name in node.inputs if name in values]
            result = getattr(self, f"_{node.operator.lower()}")(node, *given)
            if node.operator == "Transpose":
                keeps = node.get("perm") == [0, 3, 1, 2]
                if are_last != [not keeps]:
                    raise ValueError(f"{node.outputs[0]}: not a transposition of our models")
            elif len(set(are_last)) > 1:
                raise ValueError(f"{node.outputs[0]}: channels first and last at once")
            else:
                keeps = bool(are_last[:1] == [True]) and len(result[0].shape) == 4
            for name, value in zip(node.outputs, result):
                values[name] = value
                if keeps:
                    last.add(name)
        return {name: values[name] for name in outputs}

    # Each takes its node and the inputs' values, and returns the outputs' values.

    def _transpose(self, _, x):
        return [x]

    def _conv(self, node, x, kernel, bias=None):
        height, width = node.get("strides", [1, 1])
        if "pads" in node.attributes:
            top, left, bottom, right = node.get("pads")
            x = tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]])
            padding = "VALID"
        else:
            padding = {"SAME_UPPER": "SAME"}[node.get("auto_pad")]
        strides = [1, height, width, 1]
        if node.get("group", 1) > 1:
            x = tf.nn.depthwise_conv2d(x, kernel, strides, padding)
        else:
            x = tf.nn.conv2d(x, kernel, strides, padding)
        return [x if bias is None else x + bias]

    def _batchnormalization(self, node, x, scale, offset, mean, variance):
        return [tf.nn.batch_normalization(x, mean, variance, offset, scale, node.get("epsilon"))]

    def _maxpool(self, node, x):
        padding = "SAME"
        if "pads" in node.attributes:
            top, left, bottom, right = node.get("pads")
            padding = [[0, 0], [top, bottom], [left, right], [0, 0]]
        return [tf.nn.max_pool2d(x, node.get("kernel_shape"), node.get("strides"), padding)]

    def _globalaveragepool(self, _, x):
        return [tf.reduce_mean(x, [1, 2], keepdims=True)]

    def _flatten(self, _, x):
        if x.shape[1:3] != [1, 1]:
            raise ValueError("only what was averaged is the same in both orders")
        return [tf.reshape(x, [x.shape[0], -1])]

    def _resize(self, node, x, *_):
        _, _, down, across = self.arrays[node.inputs[2]].astype(int)
        return [tf.repeat(tf.repeat(x, down, 1), across, 2)]

    def _gemm(self, _, x, kernel, bias):
        return [tf.matmul(x, kernel) + bias]

    def _topk(self, _, x, count):
        return tf.math.top_k(x, int(count[0]))

    def _slice(self, _, x, first, end, axis):
        begin, size = [0] * len(x.shape), [-1] * len(x.shape)
        begin[axis[0]], size[axis[0]] = first[0], end[0] - first[0]
        return [tf.slice(x, begin, size)]

    def _reducemax(self, node, x):
        return [tf.reduce_max(x, node.get("axes"), keepdims=bool(node.get("keepdims")))]

    def _gather(self, node, x, indices):
        return [tf.gather(x, indices, axis=node.get("axis"))]

    def _clip(self, _, x, low, high):
        return [tf.clip_by_value(x, low, high)]

    def _softmax(self, node, x):
        return [tf.nn.softmax(x, node.get("axis"))]

    def _concat(self, node, *parts):
        return [tf.concat(parts, node.get("axis"))]

    def _reshape(self, _, x, shape):
        return [tf.reshape(x, shape)]

    def _cast(self, node, x):
        return [tf.cast(x, {onnx.TensorProto.FLOAT: tf.float32}[node.get("to")])]

    def _relu(self, _, x):
        return [tf.nn.relu(x)]

    def _sigmoid(self, _, x):
        return [tf.sigmoid(x)]

    def _add(self, _, x, y):
        return [x + y]

    def _mul(self, _, x, y):
        return [x * y]

    def _identity(self, _, x):
        return [tf.identity(x)]


def write(models, name):
    """Writes NAME_tf beside NAME; its signature's inputs and outputs are called as the ONNX model's.
    Returns a function from a picture to what TensorFlow answers, having loaded it again."""
    source, target = os.path.join(models, name), os.path.join(models, f"{name}_tf")
    graph = onnx.load(os.path.join(source, "1", "model.onnx")).graph
    network = _Network(graph)
    outputs = [each.name for each in graph.output]
    given = graph.input[0]  # a picture
    kind = given.type.tensor_type
    signature = tf.TensorSpec([each.dim_value for each in kind.shape.dim],
                              onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type), given.name)
    answer = tf.function(lambda picture: network.answer({given.name: picture}, outputs),
                         input_signature=[signature], autograph=False)
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(os.path.join(target, "1"))
    path = os.path.join(target, "1", "model.savedmodel")
    tf.saved_model.save(network.module, path, signatures={"serving_default": answer})
    for file in os.listdir(source):
        if file != "1":
            shutil.copy(os.path.join(source, file), target)
    with open(os.path.join(source, "model.toml"), encoding="utf-8") as file:
        entry = file.read()
    with open(os.path.join(target, "model.toml"), "w", encoding="utf-8") as file:
        file.write("engine = 'tensorflow'\n" + entry)
    print(f"app models: {name}_tf, a SavedModel of the same weights", flush=True)
    ask = references.ask_saved_model(path)
    return lambda picture: ask({given.name: picture})
