"""Reads PyTorch's older .pth format without PyTorch.

The file is a sequence of pickles (magic number, protocol, system information, the state with its
tensors as references to storages, the storages' keys) followed, for each key, by a 64-bit count and
that many raw little-endian elements. Only the four classes a plain state needs are let in.
"""
import pickle
from collections import OrderedDict

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Reference:
    """A tensor whose storage has not been read yet."""

    def __init__(self, storage, offset, size, stride, *_):
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def resolve(self, storages):
        values = storages[self.storage]
        strides = [step * values.itemsize for step in self.stride]
        last = self.offset + sum((count - 1) * step for count, step in zip(self.size, self.stride))
        if min(self.size, default=1) > 0 and not 0 <= self.offset <= last < values.size:
            raise ValueError("a tensor lies outside its storage")
        return np.lib.stride_tricks.as_strided(values[self.offset:], self.size, strides).copy()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Reference
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a plain checkpoint")

    def persistent_load(self, reference):
        kind, dtype, key, _, count, _ = reference
        if kind != "storage":
            raise pickle.UnpicklingError(f"reference of kind {kind!r}")
        self.storages[key] = (dtype, count)
        return key


def read_checkpoint(path):
    """{name: array} of a state dictionary."""
    with open(path, "rb") as file:
        if _Unpickler(file).load() != MAGIC:
            raise ValueError(f"{path} is not a checkpoint of the older format")
        _Unpickler(file).load()  # protocol
        _Unpickler(file).load()  # sizes of types on the machine that wrote it
        unpickler = _Unpickler(file)
        unpickler.storages = {}
        state = unpickler.load()
        storages = {}
        for key in _Unpickler(file).load():
            dtype, count = unpickler.storages[key]
            if np.fromfile(file, "<i8", 1)[0] != count:
                raise ValueError(f"{path}: storage {key} has another size than announced")
            storages[key] = np.fromfile(file, dtype, count)
    return {name: reference.resolve(storages) for name, reference in state.items()}
