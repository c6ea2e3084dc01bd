"""OpenVINO's own format: written by OpenVINO from other models, and one that remembers."""
import os

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from cases import Case, Wanted, random_of


def converted(root, packages):
    source = os.path.join(packages, "silero_vad/data/silero_vad_openvino_16k.onnx")
    case = Case(root, "silero_vad_ir")
    ov.save_model(ov.Core().read_model(source), case.path("model.xml"), compress_to_fp16=False)
    random = random_of("silero_vad_ir")
    case.call([random.uniform(-0.5, 0.5, (1, 576)).astype(np.float32),
               random.standard_normal((2, 1, 128)).astype(np.float32)]).save()


def remembering(root):
    """Adds its input to a variable inside the model. A call must not see what others left there."""
    case = Case(root, "remembering_ir")
    x = ops.parameter([4], np.float32, name="x")
    before = ops.read_value(ops.constant(np.zeros(4, np.float32)), "total")
    total = ops.add(before, x)
    kept = ops.assign(total, "total")
    result = ops.result(total, name="y")
    model = ov.Model([result], [kept], [x], "remembering")
    ov.save_model(model, case.path("model.xml"), compress_to_fp16=False)
    values = np.array([1, 2, 3, 4], np.float32)
    for factor in (1, 10, 1):
        case.call([values * factor], [Wanted(values * factor)])
    case.save()


def strings(root):
    """The operations on strings that are safe, see docs/engines.md."""
    case = Case(root, "strings_ir")
    x = ops.parameter(ov.PartialShape([-1]), ov.Type.string, name="x")
    pick = ops.parameter(ov.PartialShape([-1]), np.int64, name="pick")
    whole = lambda values: ops.constant(np.array(values, np.int64))
    twice = ops.concat([x, x], 0)
    results = [ops.result(x, name="same"),
               ops.result(ops.gather(x, pick, whole(0)), name="picked"),
               ops.result(ops.reshape(twice, whole([2, -1]), False), name="twice"),
               ops.result(ops.squeeze(ops.unsqueeze(x, whole([0])), whole([0])), name="again"),
               ops.result(ops.shape_of(x), name="shape")]
    ov.save_model(ov.Model(results, [x, pick], "strings"), case.path("model.xml"))
    for texts in ([b"", b"pocket" * 20, "\u00e9t\u00e9".encode(), b"d"], [b"one"]):
        values = np.array(texts, dtype=object)
        chosen = np.array([len(texts) - 1, 0], np.int64)
        case.call([values, chosen],
                  [Wanted(values), Wanted(values[chosen]), Wanted(np.stack([values, values])),
                   Wanted(values), Wanted(np.array([len(texts)], np.int64))])
    case.save()


def build(root, packages):
    converted(root, packages)
    remembering(root)
    strings(root)
