"""What the two detectors have in common: pixels in, boxes and scores out."""
import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx_graph import IR_VERSION, OPSET, Graph


class DetectorGraph(Graph):
    """Input `image`: uint8, [1, side, side, 3], RGB, as the published models have it."""

    def __init__(self, name, side):
        super().__init__(name)
        self.side = side

    def pixels(self, scale, offset):
        """value * scale + offset (numbers, or one for each channel) as NCHW."""
        x = self.add("Cast", ["image"], to=TensorProto.FLOAT)
        for operator, name, value in (("Mul", "pixel_scale", scale), ("Add", "pixel_offset",
                                                                      offset)):
            value = np.asarray(value, np.float32)
            if np.any(value != (1 if operator == "Mul" else 0)):
                x = self.add(operator, [x, self.constant(name, value, parameter=False)])
        return self.add("Transpose", [x], perm=[0, 3, 1, 2])

    def reshape(self, x, shape):
        name = "shape_" + "_".join(str(size) for size in shape).replace("-1", "rest")
        if not any(weight.name == name for weight in self.weights):
            self.constant(name, np.asarray(shape, np.int64), parameter=False)
        return self.add("Reshape", [x, name])

    def rows(self, x, size):
        """A predictor's [1, anchors * size, height, width] as [1, height * width * anchors, size]:
        the anchors of one cell beside each other, cells by row, as the anchors are numbered."""
        return self.reshape(self.add("Transpose", [x], perm=[0, 2, 3, 1]), [1, -1, size])

    def save_outputs(self, path, outputs, description):
        """outputs: {name: (tensor, shape)}, all float32."""
        for name, (tensor, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [tensor], [name], name=name))
        image = helper.make_tensor_value_info("image", TensorProto.UINT8,
                                              [1, self.side, self.side, 3])
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                   for name, (_, shape) in outputs.items()]
        graph = helper.make_graph(self.nodes, self.name, [image], results, self.weights)
        model = helper.make_model(graph, producer_name="pocket", doc_string=description,
                                  ir_version=IR_VERSION,
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
