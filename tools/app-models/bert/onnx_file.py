"""Reads an ONNX file without the onnx package, which neither the tests nor TensorFlow's package bring: the
operators of its graph and its weights. Protocol buffers' wire format: a field is a number and a type, then its value."""
import math
import mmap

GRAPH, NODE, INITIALIZER = 7, 1, 5  # of ModelProto and GraphProto
OPERATOR = 4                        # of NodeProto
DIMENSIONS, NAME, RAW_DATA = 1, 8, 9  # of TensorProto


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7


def fields(data, at, end):
    """(number, value) of each field; a value is a number or a (start, end) in data."""
    while at < end:
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            size, at = varint(data, at)
            value, at = (at, at + size), at + size
        else:
            size = {1: 8, 5: 4}[kind]
            value, at = (at, at + size), at + size
        yield key >> 3, value


def weight_of(data, start, end):
    """(name, shape, (start, end) of the values) of a TensorProto."""
    name, shape, values = "", [], None
    for number, value in fields(data, start, end):
        if number == DIMENSIONS and isinstance(value, int):
            shape.append(value)
        elif number == DIMENSIONS:
            at = value[0]
            while at < value[1]:
                size, at = varint(data, at)
                shape.append(size)
        elif number == NAME:
            name = data[value[0]:value[1]].decode()
        elif number == RAW_DATA:
            values = value
    return name, shape, values


def graph_fields(data):
    graph = next(value for number, value in fields(data, 0, len(data)) if number == GRAPH)
    return fields(data, *graph)


def mapped(path):
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_summary(path):
    """(operators, {weight: elements}) of a model."""
    with mapped(path) as data:
        operators, weights = [], {}
        for number, value in graph_fields(data):
            if number == NODE:
                operators += [data[part[0]:part[1]].decode()
                              for field, part in fields(data, *value) if field == OPERATOR]
            elif number == INITIALIZER:
                name, shape, _ = weight_of(data, *value)
                weights[name] = math.prod(shape)
        return operators, weights


def read_weights(path):
    """{name: array} of the float32 weights; those whose name starts with constant_ are left out."""
    import numpy as np
    with mapped(path) as data:
        found = (weight_of(data, *value) for number, value in graph_fields(data)
                 if number == INITIALIZER)
        return {name: np.frombuffer(data[values[0]:values[1]], "<f4").reshape(shape)
                for name, shape, values in found if not name.startswith("constant_")}
