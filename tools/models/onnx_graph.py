"""A thin builder over the `onnx` package: one method for each layer our models use."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # old enough for every engine of the last years


class Graph:
    """Collects nodes and weights; tensors are named by strings. Weights are float32."""

    def __init__(self, name):
        self.name = name
        self.nodes = []
        self.weights = []
        self.parameters = 0

    def add(self, operator, inputs, **attributes):
        """Appends a node with one output and returns that output's name."""
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name, values, parameter=True):
        values = np.ascontiguousarray(values)
        self.weights.append(numpy_helper.from_array(values, name))
        self.parameters += values.size if parameter else 0
        return name

    def conv(self, x, name, kernel, bias=None, stride=1, groups=1, pads=None):
        """kernel: [out, in / groups, height, width]. Without pads: as TensorFlow's SAME."""
        inputs = [x, self.constant(f"{name}.weight", kernel)]
        if bias is not None:
            inputs.append(self.constant(f"{name}.bias", bias))
        size = list(kernel.shape[2:])
        padding = {"auto_pad": "SAME_UPPER"} if pads is None else {"pads": pads}
        return self.add("Conv", inputs, kernel_shape=size, strides=[stride, stride], group=groups,
                        **padding)

    def batch_norm(self, x, name, scale, offset, mean, variance, epsilon):
        parts = zip(("scale", "offset", "mean", "variance"), (scale, offset, mean, variance))
        return self.add("BatchNormalization",
                        [x] + [self.constant(f"{name}.{part}", value) for part, value in parts],
                        epsilon=epsilon)

    def relu6(self, x):
        if not any(weight.name == "six" for weight in self.weights):
            self.constant("zero", np.float32(0), parameter=False)
            self.constant("six", np.float32(6), parameter=False)
        return self.add("Clip", [x, "zero", "six"])

    def classifier(self, x, kernel, bias):
        """Global average, then a dense layer (kernel: [features, classes]) with softmax."""
        x = self.add("Flatten", [self.add("GlobalAveragePool", [x])])
        x = self.add("Gemm", [x, self.constant("classifier.weight", kernel),
                              self.constant("classifier.bias", bias)])
        return self.add("Softmax", [x], axis=1)

    def save(self, path, inputs, output, shape, description):
        """inputs: {name: shape}. The tensor `output` becomes the graph's "scores"."""
        self.nodes.append(helper.make_node("Identity", [output], ["scores"], name="scores"))
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dimensions)
                  for name, dimensions in inputs.items()]
        result = helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, self.name, values, [result], self.weights)
        model = helper.make_model(graph, producer_name="pocket", doc_string=description,
                                  ir_version=IR_VERSION,
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
