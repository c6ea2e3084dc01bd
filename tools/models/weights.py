"""Where the weights of the two architectures come from: a downloaded file or a seed."""
import numpy as np


class SeededWeights:
    """Random weights with sensible scales: the same at every build, and as costly to run."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def kernel(self, _, shape):
        """shape: [height, width, in, out], or [in, out]."""
        scale = np.sqrt(2.0 / np.prod(shape[:-1]))
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def depthwise(self, _, shape):
        """shape: [height, width, channels, 1]."""
        scale = np.sqrt(2.0 / (shape[0] * shape[1]))
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def bias(self, _, size):
        return np.zeros(size, np.float32)

    def norm(self, name, size):
        """scale, offset, mean, variance: such that the scores stay spread over the classes."""
        scale = 0.5 if name.endswith("_3_bn") else 1.0  # what is added to a shortcut
        variance = 1e4 if name == "conv1_bn" else 1.0  # ResNet50's input is not normalized
        return (np.full(size, scale, np.float32), np.zeros(size, np.float32),
                np.zeros(size, np.float32), np.full(size, variance, np.float32))


class KerasWeights:
    """A Keras weight file (HDF5), read layer by layer in the order in which it was written, or by
    the layer's name where the file has it."""

    def __init__(self, path):
        import h5py
        self.layers = {}
        with h5py.File(path, "r") as file:
            root = file["model_weights"] if "model_weights" in file else file
            for layer in root.attrs["layer_names"]:
                names = root[layer].attrs["weight_names"]
                if len(names):
                    text = layer.decode() if isinstance(layer, bytes) else layer
                    self.layers[text] = [np.asarray(root[layer][name], np.float32)
                                         for name in names]
        self.order = iter(list(self.layers))
        self.taken = {}

    def _layer(self, name):
        if name not in self.taken:
            key = name if name in self.layers else next(self.order)
            self.taken[name] = self.layers[key]
        return self.taken[name]

    def _checked(self, name, values, shape):
        if list(values.shape) != list(shape):
            raise ValueError(f"layer {name} has shape {values.shape}, expected {tuple(shape)}")
        return values

    def kernel(self, name, shape):
        return self._checked(name, self._layer(name)[0], shape)

    depthwise = kernel

    def bias(self, name, size):
        return self._checked(name, self._layer(name)[1], [size])

    def norm(self, name, size):
        return tuple(self._checked(name, values, [size]) for values in self._layer(name))
