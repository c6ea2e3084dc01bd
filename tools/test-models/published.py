"""Models that others made and published, with their makers' own test data where there is some.

The packages and their licences: docs/engines.md.
"""
import glob
import os
import re

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

from cases import Case, Wanted, random_of
from dtypes import DTYPES

RELATIVE, ABSOLUTE = 1e-3, 1e-4  # what onnx's own runner of these tests allows
# Of onnx's tests: each pattern a family. "--all-onnx-tests" takes every one of them.
NODE_TESTS = [
    "add", "and2d", "argmax_default_axis_example", "basic_conv_with_padding",
    "bitshift_left_uint(8|64)", "bitwise_(and_i16_3d|or_ui64_bcast_3v1d)",
    "cast_(FLOAT16_to_DOUBLE|BFLOAT16_to_FLOAT|FLOAT_to_BFLOAT16|FLOAT_to_STRING|STRING_to_FLOAT)",
    "cast_FLOAT16_to_(INT4|FLOAT8E4M3FN)", "clip_default_int8_(max|min)", "compress_.*",
    "concat_3d_axis_negative_1", "constantofshape_.*", "cumsum_2d_axis_0",
    "dequantizelinear(_axis|_uint16)?", "dynamicquantizelinear", "einsum_batch_matmul", "equal.*",
    "expand_dim_changed", "eyelike_with_dtype", "gather_.*", "gathernd_example_int32", "gru_.*",
    "identity", "if", "isnan.*", "layer_normalization_default_axis",
    "layer_normalization_2d_axis1_expanded_ver18", "lstm_.*", "matmul_3d", "matmulinteger",
    "max_(one_input|float16|int8|int64|uint16|uint64)", "maxpool_2d_(default|uint8)",
    "maxpool_with_argmax_.*", "min_one_input", "mod_.*", "nonmaxsuppression_.*", "onehot_.*",
    "pow_types_float32_.*", "qlinearconv", "qlinearmatmul_2D_uint8_float32",
    "quantizelinear(_axis|_int16|_blocked_symmetric)?", "range_.*",
    "reduce_(l2|sum)_default_axes_keepdims_example", "reduce_sum_empty_axes_input_noop",
    "regex.*", "reshape_(zero_dim|allowzero_reordered|extended_dims)",
    "resize_upsample_scales_(linear|nearest)", "resize_downsample_sizes_(linear|cubic)",
    "reversesequence_batch", "scatter_elements_with_negative_indices", "scatternd_add",
    "shape(_start_1)?", "size_example", "slice(_neg_steps)?", "softmax_example",
    "split_(equal_parts_1d|zero_size_splits)_opset18", "string.*", "tfidf.*_skip0", "tile.*",
    "top_k.*", "tril_zero", "unique_.*", "unsqueeze_two_axes", "where_long_example", "xor2d",
    "ai_onnx_ml.*",
]
TORCH_TESTS = ["add_broadcast", "chunk", "concat2", "params", "non_float_params"]
LIGHT = ["squeezenet", "shufflenet"]
# Their answers are random numbers, or depend on the time.
# Upper case needs a locale that bare machines lack.
LOCALE = {"StringNormalizer"}
RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial",
          "Bernoulli"}


def read_tensor(path, value):
    """The values in a file; some of type bfloat16 were written as uint16."""
    with open(path, "rb") as file:
        values = numpy_helper.to_array(onnx.TensorProto.FromString(file.read()))
    bfloat16 = value.type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16
    return values.view(ml_dtypes.bfloat16) if bfloat16 and values.dtype == np.uint16 else values


def is_plain(model):
    """True when every input and output is a tensor."""
    values = list(model.graph.input) + list(model.graph.output)
    return all(value.type.HasField("tensor_type") for value in values)


def is_carried(model):
    """True when Pocket has the element types of all inputs and outputs."""
    values = list(model.graph.input) + list(model.graph.output)
    return all(value.type.tensor_type.elem_type in DTYPES.values() for value in values)


def onnx_test(root, folder, name):
    model = onnx.load(os.path.join(folder, "model.onnx"))
    operators = {each.op_type for each in model.graph.node}
    weights = {each.name for each in model.graph.initializer}
    data = sorted(glob.glob(os.path.join(folder, "test_data_set_*")))
    if not is_plain(model) or operators & (RANDOM | LOCALE) or not data:
        return 0
    if weights & {each.name for each in model.graph.input}:
        return 0  # older than the rule that a weight is no input
    case = Case(root, name).take_file(os.path.join(folder, "model.onnx"), "model.onnx")
    for folder in data if is_carried(model) else []:
        # By name: an engine may leave out an input that the model does not use.
        inputs = {each.name: read_tensor(os.path.join(folder, f"input_{index}.pb"), each)
                  for index, each in enumerate(model.graph.input)}
        wanted = {each.name: Wanted(read_tensor(os.path.join(folder, f"output_{index}.pb"), each),
                                    RELATIVE, ABSOLUTE)
                  for index, each in enumerate(model.graph.output)}
        case.call(inputs, wanted)
    case.save()
    return 1


def onnx_tests(root, packages, take_all):
    data = os.path.join(packages, "onnx/backend/test/data")
    patterns = [".*"] if take_all else NODE_TESTS
    chosen = {"node": re.compile("test_(" + "|".join(patterns) + r")(?<!_expanded)$"),
              "simple": re.compile(""),
              "pytorch-operator": re.compile("test_operator_(" + "|".join(
                  [".*"] if take_all else TORCH_TESTS) + ")$")}
    count = 0
    for kind, prefix in (("node", "onnx"), ("simple", "onnx_simple"), ("pytorch-operator", "torch")):
        for folder in sorted(glob.glob(os.path.join(data, kind, "test_*"))):
            name = os.path.basename(folder)
            if not chosen[kind].match(name):
                continue
            count += onnx_test(root, folder, prefix + name.removeprefix("test"))
    for name in LIGHT:
        case = Case(root, f"onnx_{name}")
        case.take_file(os.path.join(data, f"light/light_{name}.onnx"), "model.onnx")
        shape = [1, 3, 224, 224]
        case.call([random_of(name).standard_normal(shape).astype(np.float32)])
        case.save()
    return count + len(LIGHT)


def basic_pitch(root, packages):
    """Spotify's note transcription: one model in three formats; dynamic batch, three outputs."""
    folder = os.path.join(packages, "basic_pitch/saved_models/icassp_2022")
    for source, format_name, file in (("nmp.onnx", "onnx", "model.onnx"),
                                      ("nmp.tflite", "tflite", "model.tflite"),
                                      ("nmp", "savedmodel", "model.savedmodel")):
        case = Case(root, f"basic_pitch_{format_name}")
        case.take_file(os.path.join(folder, source), file)
        for batch in (1, 2):
            sound = random_of("basic_pitch").uniform(-0.5, 0.5, (batch, 43844, 1))
            case.call([sound.astype(np.float32)])
        case.save()


def silero_vad(root, packages):
    """Voice detection: dynamic batch and length, an int64 scalar as input, state in and out."""
    random = random_of("silero_vad")
    sound = random.uniform(-0.5, 0.5, (2, 576)).astype(np.float32)
    state = np.zeros((2, 2, 128), np.float32)
    for file, inputs in (("silero_vad.onnx", [sound, state, np.int64(16000)]),
                         ("silero_vad_op18_ifless.onnx", [sound, np.int64(16000), state]),
                         ("silero_vad_16k_sequence.onnx",
                          [sound, state[:1, :1], state[:1, :1]])):
        case = Case(root, file.removesuffix(".onnx"))
        source = os.path.join(packages, "silero_vad/data", file)
        case.take_file(source, "model.onnx")
        names = [each.name for each in onnx.load(source, load_external_data=False).graph.input]
        assert len(names) == len(inputs), names
        case.call(inputs).save()


# name: input shape
MEDIAPIPE = {
    "face_detection/face_detection_short_range": (1, 128, 128, 3),
    "face_landmark/face_landmark": (1, 192, 192, 3),
    "face_landmark/face_landmark_with_attention": (1, 192, 192, 3),
    "hand_landmark/hand_landmark_lite": (1, 224, 224, 3),
    "iris_landmark/iris_landmark": (1, 64, 64, 3),
    "palm_detection/palm_detection_lite": (1, 192, 192, 3),
    "pose_detection/pose_detection": (1, 224, 224, 3),
    "selfie_segmentation/selfie_segmentation": (1, 256, 256, 3),
}


def mediapipe(root, packages):
    for path, shape in MEDIAPIPE.items():
        name = os.path.basename(path)
        case = Case(root, f"mediapipe_{name}")
        case.take_file(os.path.join(packages, "mediapipe/modules", path + ".tflite"),
                       "model.tflite")
        case.call([random_of(name).uniform(0, 1, shape).astype(np.float32)]).save()


def build(root, packages, all_onnx_tests):
    count = onnx_tests(root, packages, all_onnx_tests)
    basic_pitch(root, packages)
    silero_vad(root, packages)
    mediapipe(root, packages)
    return count
