"""For each element type: a model that hands its input on, once with a dynamic and once with a fixed
shape, and a model that computes."""
import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

from cases import Case, Wanted, random_of

OPSET, IR_VERSION = 17, 8
DTYPES = {
    "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16, "int8": TensorProto.INT8, "int16": TensorProto.INT16,
    "int32": TensorProto.INT32, "int64": TensorProto.INT64, "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16, "uint32": TensorProto.UINT32, "uint64": TensorProto.UINT64,
    "bool": TensorProto.BOOL, "str": TensorProto.STRING, "complex64": TensorProto.COMPLEX64,
    "complex128": TensorProto.COMPLEX128,
}


def numpy_dtype(name):
    return {"bfloat16": np.dtype(ml_dtypes.bfloat16), "str": np.dtype(object)}.get(
        name) or np.dtype(name)


def save_model(path, nodes, inputs, outputs, weights=(), opset=OPSET, domains=(), **options):
    """inputs and outputs: [(name, element type, shape)]; a shape of None is not known at all."""
    values = [[helper.make_tensor_value_info(*value) for value in side]
              for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "test", values[0], values[1], list(weights))
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(*each) for each in domains]
    model = helper.make_model(graph, producer_name="pocket", ir_version=IR_VERSION,
                              opset_imports=opsets)
    onnx.save(model, path, **options)


def any_bits(random, name, shape):
    """Every bit pattern of the type: infinities, denormals and NaNs with a payload among them."""
    dtype, count = numpy_dtype(name), int(np.prod(shape))
    if name == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if name == "str":
        texts = [b"", b"pocket", "\u00e9t\u00e9".encode(), b"with\0zero", b"\xff\xfe not UTF-8",
                 b"x" * 5000]
        return np.array([texts[index % len(texts)] for index in range(count)],
                        dtype=object).reshape(shape)
    values = np.frombuffer(random.bytes(count * dtype.itemsize), dtype).reshape(shape).copy()
    if dtype.kind == "f" or name == "bfloat16":
        special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], np.float32).astype(dtype)
        values.reshape(-1)[:5] = special[:min(count, 5)]
    return values


def small_values(random, name, shape):
    """Values whose sums and products are exact in every type."""
    if name == "bool":
        return random.integers(0, 2, shape).astype(bool)
    low = 0 if name.startswith("u") else -7
    return random.integers(low, 8, shape).astype(numpy_dtype(name))


def identity(root, dtype, fixed):
    name = f"identity_{'fixed_' if fixed else ''}{dtype}"
    random, case = random_of(name), Case(root, name)
    shape = [6, 7] if fixed else ["rows", "columns"]
    save_model(case.path("model.onnx"), [helper.make_node("Identity", ["x"], ["y"])],
               [("x", DTYPES[dtype], shape)], [("y", DTYPES[dtype], shape)])
    for concrete in [(6, 7)] if fixed else [(6, 7), (0, 3), (1, 1), (3, 0), (64, 100)]:
        values = any_bits(random, dtype, concrete)
        case.call([values], [Wanted(values)])
    case.save()


def arithmetic(root, dtype):
    """Add; Xor for bool, StringConcat for strings."""
    name = f"arithmetic_{dtype}"
    random, case = random_of(name), Case(root, name)
    operator = {"bool": "Xor", "str": "StringConcat"}.get(dtype, "Add")
    kind, shape = DTYPES[dtype], ["rows", 5]
    save_model(case.path("model.onnx"), [helper.make_node(operator, ["x", "y"], ["z"])],
               [("x", kind, shape), ("y", kind, shape)], [("z", kind, shape)],
               opset=20 if dtype == "str" else OPSET)
    for rows in (4, 0, 257):
        make = any_bits if dtype == "str" else small_values
        x, y = make(random, dtype, (rows, 5)), make(random, dtype, (rows, 5))
        total = x ^ y if dtype == "bool" else x + y
        case.call([x, y], [Wanted(np.asarray(total, numpy_dtype(dtype)).reshape(rows, 5))])
    if dtype not in ("bool", "str"):
        case.call([any_bits(random, dtype, (9, 5)), any_bits(random, dtype, (9, 5))])
    case.save()


def echo(root, dtype):
    """The null engine carries every type there is."""
    name = f"echo_{dtype}"
    random, case = random_of(name), Case(root, name)
    with open(case.path("model.null"), "w", encoding="utf-8") as file:
        file.write("mode = 'echo'\n")
        for table, tensor in (("inputs", "x"), ("outputs", "y")):
            file.write(f"[[{table}]]\nname = '{tensor}'\ndtype = '{dtype}'\nshape = [-1, -1]\n")
    for shape in [(6, 7), (0, 3), (1, 1), (64, 100)]:
        values = any_bits(random, dtype, shape)
        case.call([values], [Wanted(values)])
    case.save()


def build(root):
    for dtype in DTYPES:
        identity(root, dtype, fixed=False)
        identity(root, dtype, fixed=True)
        arithmetic(root, dtype)
        echo(root, dtype)
