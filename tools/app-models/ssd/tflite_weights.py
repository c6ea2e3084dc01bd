"""The weights of a float16 TFLite model, layer by layer in the order of execution."""
import numpy as np
import tflite

DTYPES = {tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.FLOAT16: np.float16}


def read_convolutions(data):
    """[(kind, kernel, bias)] with kind 'conv' or 'depthwise'; the kernels as ONNX has them:
    [out, in / groups, height, width], float32."""
    model = tflite.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    stored_as = {}  # what a float16 constant is unpacked to -> the constant
    layers = []

    def values(index):
        tensor = graph.Tensors(stored_as.get(index, index))
        raw = model.Buffers(tensor.Buffer()).DataAsNumpy()
        array = np.frombuffer(raw.tobytes(), DTYPES[tensor.Type()])
        return array.reshape(tensor.ShapeAsNumpy()).astype(np.float32)

    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        inputs = operator.InputsAsNumpy()
        if kind == tflite.BuiltinOperator.DEQUANTIZE:
            stored_as[operator.Outputs(0)] = inputs[0]
        elif kind == tflite.BuiltinOperator.CONV_2D:
            layers.append(("conv", values(inputs[1]).transpose(0, 3, 1, 2), values(inputs[2])))
        elif kind == tflite.BuiltinOperator.DEPTHWISE_CONV_2D:
            layers.append(("depthwise", values(inputs[1]).transpose(3, 0, 1, 2),
                           values(inputs[2])))
    return layers
