"""A BERT encoder as ONNX, from a table of weights.

Architecture: arXiv:1810.04805. Dense kernels are [in, out]. Variants that one of our models uses: linear
projections over the heads before and after the softmax (talking heads, arXiv:2003.02436), a gated
feed-forward layer (arXiv:2002.05202).
"""
import numpy as np
from onnx import TensorProto, helper
import onnx

from onnx_graph import Graph, IR_VERSION, OPSET

EPSILON = 1e-12
MASKED = -1e9  # added to the logits of padding
INPUTS = ["input_word_ids", "input_mask", "input_type_ids"]


class Encoder(Graph):
    """weights(name, shape) gives each array; its names: embeddings.word, layer0.attention.query.kernel ..."""

    def __init__(self, name, sizes, weights):
        super().__init__(name)
        self.sizes, self.source = sizes, weights

    def weight(self, name, *shape):
        values = self.source(name, shape)
        if values.shape != shape:
            raise ValueError(f"{name} has shape {values.shape}, expected {shape}")
        return self.constant(name, values.astype(np.float32))

    def number(self, value, dtype=np.float32):
        """A constant vector that is no parameter."""
        array = np.asarray(value, dtype).reshape(-1)
        name = f"constant_{array.dtype}_{'_'.join(map(str, array))}"
        if not any(weight.name == name for weight in self.weights):
            self.constant(name, array, parameter=False)
        return name

    def ints(self, *values):
        return self.number(values, np.int64)

    def dense(self, x, name, size_in, size_out):
        product = self.add("MatMul", [x, self.weight(f"{name}.kernel", size_in, size_out)])
        return self.add("Add", [product, self.weight(f"{name}.bias", size_out)])

    def norm(self, x, name):
        size = self.sizes.hidden
        return self.add("LayerNormalization",
                        [x, self.weight(f"{name}.scale", size), self.weight(f"{name}.offset", size)],
                        axis=-1, epsilon=EPSILON)

    def gelu(self, x):
        def times(a, b):
            return self.add("Mul", [a, b])
        if self.sizes.tanh_gelu:
            cube = times(times(x, x), times(x, self.number(0.044715)))
            inner = self.add("Tanh", [times(self.add("Add", [x, cube]),
                                            self.number(np.sqrt(2 / np.pi)))])
        else:
            inner = self.add("Erf", [times(x, self.number(np.sqrt(0.5)))])
        return times(times(x, self.add("Add", [inner, self.number(1)])), self.number(0.5))

    def embeddings(self):
        sizes = self.sizes
        words = self.add("Gather", [self.weight("embeddings.word", sizes.vocabulary, sizes.hidden),
                                    INPUTS[0]])
        types = self.add("Gather", [self.weight("embeddings.type", sizes.types, sizes.hidden),
                                    INPUTS[2]])
        length = self.add("Slice", [self.add("Shape", [INPUTS[0]]), self.ints(1), self.ints(2)])
        places = self.add("Slice", [
            self.weight("embeddings.position", sizes.positions, sizes.hidden), self.ints(0), length])
        x = self.add("Add", [self.add("Add", [words, types]), places])
        return self.norm(x, "embeddings.norm")

    def across_heads(self, x, name):
        """x: [batch, heads, from, to]; a linear map over the heads."""
        heads = self.sizes.heads
        last = self.add("Transpose", [x], perm=[0, 2, 3, 1])
        mixed = self.add("MatMul", [last, self.weight(name, heads, heads)])
        return self.add("Transpose", [mixed], perm=[0, 3, 1, 2])

    def attention(self, x, name, bias):
        hidden, heads = self.sizes.hidden, self.sizes.heads

        def split(part, order):
            y = self.dense(x, f"{name}.{part}", hidden, hidden)
            y = self.add("Reshape", [y, self.ints(0, 0, heads, hidden // heads)])
            return self.add("Transpose", [y], perm=order)

        query = split("query", [0, 2, 1, 3])
        key = split("key", [0, 2, 3, 1])
        value = split("value", [0, 2, 1, 3])
        scaled = self.add("Mul", [query, self.number(1 / np.sqrt(hidden // heads))])
        logits = self.add("MatMul", [scaled, key])
        if self.sizes.talking:
            logits = self.across_heads(logits, f"{name}.before_softmax")
        share = self.add("Softmax", [self.add("Add", [logits, bias])], axis=-1)
        if self.sizes.talking:
            share = self.across_heads(share, f"{name}.after_softmax")
        y = self.add("Transpose", [self.add("MatMul", [share, value])], perm=[0, 2, 1, 3])
        y = self.add("Reshape", [y, self.ints(0, 0, hidden)])
        return self.dense(y, f"{name}.output", hidden, hidden)

    def feed_forward(self, x, name):
        hidden, inside = self.sizes.hidden, self.sizes.inside
        y = self.gelu(self.dense(x, f"{name}.inside", hidden, inside))
        if self.sizes.gated:
            y = self.add("Mul", [y, self.dense(x, f"{name}.gate", hidden, inside)])
        return self.dense(y, f"{name}.output", inside, hidden)

    def encode(self):
        """The sequence output: [batch, length, hidden]."""
        mask = self.add("Cast", [INPUTS[1]], to=TensorProto.FLOAT)
        bias = self.add("Mul", [self.add("Sub", [self.number(1), mask]), self.number(MASKED)])
        bias = self.add("Unsqueeze", [bias, self.ints(1, 2)])
        x = self.embeddings()
        for layer in range(self.sizes.layers):
            name = f"layer{layer}"
            y = self.attention(x, f"{name}.attention", bias)
            x = self.norm(self.add("Add", [x, y]), f"{name}.attention.norm")
            y = self.feed_forward(x, f"{name}.feed_forward")
            x = self.norm(self.add("Add", [x, y]), f"{name}.feed_forward.norm")
        return x

    def mean_embedding(self, x):
        """The mean over the tokens of a text, scaled to length one: [batch, hidden]."""
        mask = self.add("Unsqueeze", [self.add("Cast", [INPUTS[1]], to=TensorProto.FLOAT),
                                      self.ints(2)])
        total = self.add("ReduceSum", [self.add("Mul", [x, mask]), self.ints(1)], keepdims=0)
        count = self.add("ReduceSum", [mask, self.ints(1)], keepdims=0)
        mean = self.add("Div", [total, self.add("Max", [count, self.number(1e-9)])])
        length = self.add("ReduceL2", [mean], axes=[1], keepdims=1)
        return self.add("Div", [mean, self.add("Max", [length, self.number(1e-12)])])

    def pooled(self, x):
        """The first token's vector through a dense layer with tanh: [batch, hidden]."""
        first = self.add("Squeeze", [self.add("Gather", [x, self.ints(0)], axis=1), self.ints(1)])
        return self.add("Tanh", [self.dense(first, "pooler", self.sizes.hidden, self.sizes.hidden)])

    def write(self, path, tensor, output, width, description):
        """Saves the graph with `tensor` as its output, named `output`, [batch, width]."""
        self.nodes.append(helper.make_node("Identity", [tensor], [output], name=output))
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "length"])
                  for name in INPUTS]
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width])
        graph = helper.make_graph(self.nodes, self.name, inputs, [result], self.weights)
        model = helper.make_model(graph, producer_name="pocket", doc_string=description,
                                  ir_version=IR_VERSION,
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
