"""Reads the safetensors format: a 64-bit length, a JSON header of that length, then raw tensors.

Format: https://github.com/huggingface/safetensors#format
"""
import json
import math
import struct

import numpy as np

DTYPES = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}


def read_safetensors(file):
    """{name: array} of an open binary file. ValueError where the header does not fit the file."""
    data = file.read()
    if len(data) < 8:
        raise ValueError("shorter than a safetensors header")
    length = struct.unpack("<Q", data[:8])[0]
    if length > len(data) - 8:
        raise ValueError("the safetensors header is longer than the file")
    body = memoryview(data)[8 + length:]
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        dtype, (start, end) = DTYPES[entry["dtype"]], entry["data_offsets"]
        count = math.prod(entry["shape"])
        if not 0 <= start <= end <= len(body) or end - start != count * dtype.itemsize:
            raise ValueError(f"{name} lies outside the file")
        tensors[name] = np.frombuffer(body[start:end], dtype).reshape(entry["shape"])
    return tensors
