"""Writes a repository of test models, and for each model the calls to make with it.

    repository/<name>/1/model.*     as docs/format-repository.md says
    cases/<name>.toml, <name>.bin   the calls: tensors by index, with their names where those are
                                    known, and their values in the .bin

Values lie in the .bin as Pocket carries them: row-major, strings as count + 1 offsets and then their
bytes. An output may have wanted values, with a tolerance; one of 0 means bit for bit.
"""
import os
import shutil
import zlib

import ml_dtypes
import numpy as np

ALIGNMENT = 64
# One runner for all of them; two threads, so that a wrong division of work shows.
ENTRY = "threads = 2\nconcurrency = 1\ngroup = 'test-models'\n"

NUMPY_NAMES = {np.dtype(ml_dtypes.bfloat16): "bfloat16", np.dtype(object): "str"}


def random_of(name):
    """A generator of random numbers that depends on the model's name alone."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def dtype_name(values):
    return NUMPY_NAMES.get(values.dtype, values.dtype.name)


def pack(values):
    if values.dtype != object:
        return np.ascontiguousarray(values).tobytes()
    strings = [text if isinstance(text, bytes) else text.encode() for text in values.reshape(-1)]
    offsets = np.cumsum([0] + [len(text) for text in strings], dtype=np.uint64)
    return offsets.tobytes() + b"".join(strings)


class Wanted:
    """Values that an output must have."""

    def __init__(self, values, relative=0.0, absolute=0.0):
        self.values, self.relative, self.absolute = values, relative, absolute


class Case:
    """The calls of one model, collected and then saved."""

    def __init__(self, root, name):
        self.root, self.name = root, name
        self.folder = os.path.join(root, "repository", name, "1")
        self.lines, self.data = [], bytearray()
        os.makedirs(self.folder, exist_ok=True)
        os.makedirs(os.path.join(root, "cases"), exist_ok=True)

    def path(self, file):
        return os.path.join(self.folder, file)

    def take_file(self, source, file):
        (shutil.copytree if os.path.isdir(source) else shutil.copyfile)(source, self.path(file))
        return self

    def _tensor(self, table, index, values, name=""):
        values = np.asarray(values)
        packed = pack(values)
        self.data += bytes(-len(self.data) % ALIGNMENT)
        self.lines += [f"[[calls.{table}]]", f"index = {index}", f"name = '{name}'",
                       f"dtype = '{dtype_name(values)}'",
                       f"shape = {list(values.shape)}", f"offset = {len(self.data)}",
                       f"bytes = {len(packed)}"]
        self.data += packed

    def call(self, inputs, wanted=()):
        """inputs: {name: array}, or arrays in the model's order; wanted: {name: Wanted}, or Wanted, in
        the order of outputs."""
        self.lines.append("[[calls]]")
        named = inputs if isinstance(inputs, dict) else {}
        for index, values in enumerate(named.values() or inputs):
            self._tensor("inputs", index, values, list(named)[index] if named else "")
        named = wanted if isinstance(wanted, dict) else {}
        for index, output in enumerate(named.values() or wanted):
            self._tensor("wanted", index, output.values, list(named)[index] if named else "")
            self.lines += [f"relative = {float(output.relative)}",
                           f"absolute = {float(output.absolute)}"]
        return self

    def save(self, entry=""):
        with open(os.path.join(self.root, "repository", self.name, "model.toml"), "w",
                  encoding="utf-8") as file:
            file.write(ENTRY + entry)
        base = os.path.join(self.root, "cases", self.name)
        with open(base + ".bin", "wb") as file:
            file.write(self.data)
        with open(base + ".toml", "w", encoding="utf-8") as file:
            file.write("\n".join(self.lines) + "\n")
