"""Models whose shapes, counts of tensors or indices are the point; ONNX, each a few nodes."""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cases import Case, Wanted, random_of
from dtypes import save_model

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
BOOL = TensorProto.BOOL
node = helper.make_node


def floats(random, *shape):
    return random.standard_normal(shape).astype(np.float32)


def text(*values):
    return np.array([value.encode() for value in values], dtype=object)


def scalar(root):
    case = Case(root, "scalar")
    save_model(case.path("model.onnx"), [node("Add", ["x", "y"], ["z"])],
               [("x", FLOAT, []), ("y", FLOAT, [])], [("z", FLOAT, [])])
    case.call([np.float32(2), np.float32(0.5)], [Wanted(np.float32(2.5))]).save()


def unknown_rank(root):
    case = Case(root, "unknown_rank")
    save_model(case.path("model.onnx"), [node("Neg", ["x"], ["y"])], [("x", FLOAT, None)],
               [("y", FLOAT, None)])
    for shape in [(), (3,), (2, 3), (1, 2, 1, 2, 1, 2, 1, 2)]:
        x = floats(random_of("unknown_rank"), *shape)
        case.call([x], [Wanted(-x)])
    case.save()


def high_rank(root, rank):
    case = Case(root, f"rank_{rank}")
    shape = [2] * rank
    save_model(case.path("model.onnx"), [node("Transpose", ["x"], ["y"])], [("x", FLOAT, shape)],
               [("y", FLOAT, shape)])
    x = floats(random_of("rank"), *shape)
    if rank <= 8:
        case.call([x], [Wanted(x.T)])
    case.save()


def dynamic_convolution(root):
    """Batch and picture size are dynamic; sums of many terms, over two threads."""
    random, case = random_of("dynamic_convolution"), Case(root, "dynamic_convolution")
    weights = [numpy_helper.from_array(floats(random, 16, 3, 3, 3), "w"),
               numpy_helper.from_array(floats(random, 16), "b")]
    nodes = [node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
             node("Relu", ["c"], ["r"]), node("GlobalAveragePool", ["r"], ["y"])]
    save_model(case.path("model.onnx"), nodes, [("x", FLOAT, ["n", 3, "h", "w"])],
               [("y", FLOAT, ["n", 16, 1, 1])], weights)
    for shape in [(1, 3, 32, 32), (3, 3, 17, 40), (1, 3, 1, 1), (2, 3, 96, 96)]:
        case.call([floats(random, *shape)])
    case.save()


def gather(root):
    """Indices from the client: in range, negative, and far out of range."""
    random, case = random_of("gather"), Case(root, "gather")
    data = floats(random, 5, 3)
    save_model(case.path("model.onnx"), [node("Gather", ["data", "indices"], ["y"], axis=0)],
               [("data", FLOAT, ["rows", 3]), ("indices", INT64, ["count"])],
               [("y", FLOAT, ["count", 3])])
    for indices in ([0, 4, 2], [-1, -5], []):
        indices = np.array(indices, np.int64)
        case.call([data, indices], [Wanted(data[indices])])
    for index in (5, -6, 1 << 40, -(1 << 62)):
        case.call([data, np.array([1, index], np.int64)])
    case.call([data, np.array([3], np.int64)], [Wanted(data[[3]])])  # what came before left nothing
    case.save()


def several(root):
    """Three inputs and four outputs of different types."""
    random, case = random_of("several"), Case(root, "several")
    nodes = [node("Add", ["x", "y"], ["sum"]), node("Greater", ["x", "y"], ["greater"]),
             node("Mul", ["count", "count"], ["square"]), node("Shape", ["x"], ["shape"])]
    save_model(case.path("model.onnx"), nodes,
               [("x", FLOAT, ["n", 2]), ("y", FLOAT, [1, 2]), ("count", INT64, ["m"])],
               [("sum", FLOAT, ["n", 2]), ("greater", BOOL, ["n", 2]), ("square", INT64, ["m"]),
                ("shape", INT64, [2])])
    for n, m in ((3, 2), (1, 0), (100, 7)):
        x, y = floats(random, n, 2), floats(random, 1, 2)
        count = random.integers(-1000, 1000, m)
        case.call([x, y, count], [Wanted(x + y), Wanted(x > y), Wanted(count * count),
                                  Wanted(np.array([n, 2], np.int64))])
    case.save()


def top_k(root):
    random, case = random_of("top_k"), Case(root, "top_k")
    save_model(case.path("model.onnx"), [node("TopK", ["x", "k"], ["values", "indices"])],
               [("x", FLOAT, ["n", "m"]), ("k", INT64, [1])],
               [("values", FLOAT, ["n", "k"]), ("indices", INT64, ["n", "k"])])
    for rows, columns, count in ((3, 10, 4), (1, 5, 5), (2, 6, 0)):
        x = floats(random, rows, columns)
        order = np.argsort(-x, axis=1)[:, :count].astype(np.int64)
        case.call([x, np.array([count], np.int64)],
                  [Wanted(np.take_along_axis(x, order, 1)), Wanted(order)])
    case.call([floats(random, 2, 3), np.array([9], np.int64)])
    case.save()


def data_dependent(root):
    """How large the output is depends on the values."""
    case = Case(root, "non_zero")
    save_model(case.path("model.onnx"), [node("NonZero", ["x"], ["y"])], [("x", FLOAT, ["n"])],
               [("y", INT64, [1, "count"])])
    for values in ([0, 1, 0, 2], [0, 0], [], [1] * 3000):
        x = np.array(values, np.float32)
        case.call([x], [Wanted(np.array(np.nonzero(x), np.int64))])
    case.save()

    case = Case(root, "expand")
    save_model(case.path("model.onnx"), [node("Expand", ["x", "shape"], ["y"])],
               [("x", FLOAT, [1]), ("shape", INT64, ["rank"])], [("y", FLOAT, None)])
    for shape in ([4], [1024, 1500], [3, 0], [2, 2]):  # 6 MB out of 4 bytes, then little again
        x = np.array([1.5], np.float32)
        case.call([x, np.array(shape, np.int64)], [Wanted(np.broadcast_to(x, shape))])
    case.call([np.array([1], np.float32), np.array([-2], np.int64)])
    case.save()


def strings(root):
    case = Case(root, "string_normalizer")
    save_model(case.path("model.onnx"),
               [node("StringNormalizer", ["x"], ["y"], case_change_action="UPPER",
                     is_case_sensitive=1, locale="C", stopwords=["monday"])],
               [("x", STRING, ["n"])], [("y", STRING, ["m"])])
    case.call([text("monday", "tuesday", "")], [Wanted(text("TUESDAY", ""))])
    case.call([text("monday")], [Wanted(text(""))])
    case.save()


def external_data(root):
    """Weights in a file of their own."""
    random, case = random_of("external_data"), Case(root, "external_data")
    weight = floats(random, 64, 32)
    save_model(case.path("model.onnx"), [node("MatMul", ["x", "w"], ["y"])],
               [("x", FLOAT, ["n", 64])], [("y", FLOAT, ["n", 32])],
               [numpy_helper.from_array(weight, "w")], save_as_external_data=True,
               location="weights.data", size_threshold=0, convert_attribute=False)
    os.chmod(case.path("weights.data"), 0o644)  # written for its owner alone, who no runner is
    for rows in (1, 40):
        x = floats(random, rows, 64)
        case.call([x], [Wanted(x @ weight, 1e-4, 1e-4)])
    case.save()


def handed_on(root):
    """An output that is an input, once alone and once beside one that is computed; and an output that
    is a constant."""
    random = random_of("handed_on")
    for name, more in (("handed_on", []), ("handed_on_and_computed", ["sum"])):
        case = Case(root, name)
        nodes = [node("Max", ["x"], ["y"])] + [node("Add", ["x", "x"], ["sum"]) for _ in more]
        save_model(case.path("model.onnx"), nodes, [("x", FLOAT, [3, 4])],
                   [(each, FLOAT, [3, 4]) for each in ["y"] + more])
        for _ in range(3):
            x = floats(random, 3, 4)
            case.call({"x": x}, {"y": Wanted(x), **{each: Wanted(x + x) for each in more}})
        case.save()

    case = Case(root, "constant")
    value = numpy_helper.from_array(floats(random, 5), "c")
    save_model(case.path("model.onnx"), [node("Constant", [], ["y"], value=value)], [],
               [("y", FLOAT, [5])])
    case.call([], [Wanted(numpy_helper.to_array(value))]).save()


def unsupported_types(root):
    """Element types that Pocket does not carry must be refused by name."""
    for name in ("FLOAT8E4M3FN", "INT4"):
        case = Case(root, f"identity_{name.lower()}")
        kind = getattr(onnx.TensorProto, name)
        save_model(case.path("model.onnx"), [node("Identity", ["x"], ["y"])], [("x", kind, [4])],
                   [("y", kind, [4])], opset=21)
        case.save()


def build(root):
    scalar(root)
    unknown_rank(root)
    high_rank(root, 8)
    high_rank(root, 9)
    dynamic_convolution(root)
    gather(root)
    several(root)
    top_k(root)
    data_dependent(root)
    strings(root)
    external_data(root)
    handed_on(root)
    unsupported_types(root)
