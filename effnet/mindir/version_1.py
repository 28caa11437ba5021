"""MINDIR version 3, as MindSpore 2.10 writes it, rewritten as version 1, which MindSpore Lite 2.0 reads.

In version 3 every argument of an operator is an input of its node, scalars too; in version 1 only tensors and shapes
are inputs and the rest are attributes of the operator. Lite is asked for no operator but those it was seen to answer as
MindSpore does (tests/mindir/test_version_1.py compares each): others it may answer wrongly with a success status, SiLU
and the pooling layers among them.
"""

from collections import namedtuple

import numpy as np
from google.protobuf.message import DecodeError
from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto, NodeProto, PrimitiveProto

from effnet.errors import InputError
from effnet.files import whole

FROM, TO = 3, 1

# name: the operator in version 1; inputs: those that stay; attributes: what the arguments after them become, "" where
# one is dropped
Rule = namedtuple("Rule", "name inputs attributes outputs")

OPERATORS = {
    "Add": Rule("Add", ("x", "y"), (), ("output",)),
    "BatchNorm": Rule(
        "BatchNorm",
        ("x", "scale", "offset", "mean", "variance"),
        ("is_training", "epsilon", "momentum", "format"),
        ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"),
    ),
    "BiasAdd": Rule("BiasAdd", ("x", "b"), ("format",), ("output",)),
    "Conv2D": Rule("Conv2D", ("x", "w"), (), ("output",)),
    "Flatten": Rule("Flatten", ("x",), (), ("output",)),
    "MatMul": Rule("MatMul", ("x1", "x2"), ("transpose_a", "transpose_b"), ("output",)),
    "Mul": Rule("Mul", ("x", "y"), (), ("output",)),
    "Muls": Rule("Mul", ("x", "y"), (), ("output",)),
    "ReLU": Rule("ReLU", ("x",), (), ("output",)),
    "ReLU6": Rule("ReLU6", ("x",), (), ("output",)),
    "ReduceMean": Rule("ReduceMean", ("input_x", "axis"), ("keep_dims",), ("y",)),
    "ReduceSum": Rule("ReduceSum", ("input_x", "axis"), ("keep_dims", "skip_mode"), ("y",)),
    "Reshape": Rule("Reshape", ("tensor", "shape"), (), ("output",)),
    "Sigmoid": Rule("Sigmoid", ("x",), (), ("output",)),
    "Softmax": Rule("Softmax", ("x",), ("axis",), ("output",)),
    "Sub": Rule("Sub", ("x", "y"), (), ("output",)),
    "SumExt": Rule("ReduceSum", ("input_x", "axis"), ("keep_dims", ""), ("y",)),
    "TupleGetItem": Rule("TupleGetItem", ("input", "index"), (), ("output",)),
}
ORDERING = ("Load", "Depend")  # hand their first input on; what they order, reads of weights, has no order in inference
NOTHING = ("UpdateState", "MakeTuple")  # feed only those


def to_version_1(source, target):
    """Rewrite the MINDIR file `source` (version 3) as version 1 at `target`. A dynamic batch stays dynamic; the input
    is named `image`.

    Raises InputError where `source` is not a MINDIR, has another version, or holds an operator that MindSpore Lite 2.0
    does not answer as MindSpore does; the operators are named.
    """
    model = _read(source)
    try:
        _convert(source, model)
    except (KeyError, IndexError, TypeError, ValueError) as problem:  # what refers to nothing, or to what it is not
        raise InputError(
            f"{source}: damaged ({type(problem).__name__}: {problem}); `dvc repro export` makes it anew"
        ) from None
    with whole(target) as file:
        file.write(model.SerializeToString(deterministic=True))


def _convert(source, model):
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    constants = {node.output[0]: node for node in model.graph.node if node.op_type == "Constant"}
    primitives = {primitive.name: primitive for primitive in model.primitives}
    kinds = {node.output[0]: primitives[node.op_type.removeprefix("REF::")] for node in nodes}
    _refuse_unknown(source, {kind.op_type for kind in kinds.values()})

    image = model.graph.input[0]
    kept, stands_for, made = [], {image.name: "image"}, {}
    image.name = "image"  # as in the ONNX file: converters ask for it
    for node in nodes:
        kind = kinds[node.output[0]]
        inputs = [stands_for.get(name, name) for name in node.input]
        if kind.op_type in ORDERING:
            stands_for[node.output[0]] = inputs[0]
        elif kind.op_type not in NOTHING:
            kept.append(_rewrite(node, kind, inputs, constants, made))
    used = {name for node in kept for name in node.input}
    result = model.graph.output[0]
    result.name = stands_for.get(result.name, result.name)
    if result.name not in {node.output[0] for node in kept}:
        raise InputError(
            f"{source}: answers with a tuple or with nothing computed; export a network whose only output is the logits"
        )
    _replace(model.graph.node, [node for name, node in constants.items() if name in used] + kept)
    _replace(model.primitives, made.values())
    model.mind_ir_version = TO


def _read(source):
    model = ModelProto()
    try:
        with open(source, "rb") as file:
            model.ParseFromString(file.read())
    except (DecodeError, RuntimeError, ValueError):  # ValueError: text that is not UTF-8
        model.Clear()
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}; export the model first") from None
    if not (model.graph.node and model.graph.input and model.graph.output):
        raise InputError(f"{source}: not a MINDIR file; export it with MindSpore 2.10 (format: mindir)")
    if model.mind_ir_version != FROM:
        raise InputError(
            f"{source}: MINDIR version {model.mind_ir_version}, expected {FROM}; export it again with MindSpore 2.10"
        )
    if len(model.graph.input) > 1:
        raise InputError(f"{source}: takes {len(model.graph.input)} inputs; export the network with pictures alone")
    if model.functions:
        raise InputError(
            f"{source}: has {len(model.functions)} sub-graphs (control flow); MindSpore Lite takes a flat graph only"
        )
    return model


def _refuse_unknown(source, found):
    unknown = sorted(found - set(OPERATORS) - set(ORDERING) - set(NOTHING))
    if unknown:
        raise InputError(
            f"{source}: holds {', '.join(unknown)}, "
            "which MindSpore Lite 2.0 answers wrongly or was never seen to answer rightly; "
            f"write the network with {', '.join(name for name in OPERATORS if name != 'TupleGetItem')}"
        )


def _rewrite(node, kind, inputs, constants, made):
    """`node` in version 1. Its operator goes into `made`, {(operator, attributes): primitive}, once for all nodes
    that share it.
    """
    rule = OPERATORS[kind.op_type]
    stay, become = inputs[: len(rule.inputs)], inputs[len(rule.inputs) :]
    attributes = [
        _attribute(name, constants[value]) for name, value in zip(rule.attributes, become, strict=True) if name
    ]
    key = (kind.name, *(attribute.SerializeToString(deterministic=True) for attribute in attributes))
    if key not in made:
        primitive = made[key] = PrimitiveProto()
        primitive.CopyFrom(kind)
        primitive.name, primitive.op_type = f"{rule.name}:{len(made)}", rule.name
        primitive.instance_name = kind.instance_name or rule.name
        primitive.prim_type = PrimitiveProto.PRIMITIVE
        names = [_strings("input_names", rule.inputs), _strings("output_names", rule.outputs)]
        present = {attribute.name for attribute in kind.attribute}
        primitive.attribute.extend(attribute for attribute in attributes + names if attribute.name not in present)
    if kind.op_type == "Muls":
        stay[1] = _scalar_tensor(stay[1], constants)
    new = NodeProto()
    new.CopyFrom(node)
    new.op_type = f"REF::{made[key].name}"
    _replace(new.input, stay)
    return new


def _attribute(name, constant):
    attribute = AttributeProto()
    attribute.CopyFrom(constant.attribute[0])
    if name == "format":  # a number in version 3
        attribute = AttributeProto(type=AttributeProto.STRING, s=(b"NCHW", b"NHWC")[attribute.i])
    attribute.name = name
    return attribute


def _strings(name, values):
    items = [AttributeProto(type=AttributeProto.STRING, strings=[value.encode()]) for value in values]
    return AttributeProto(name=name, type=AttributeProto.LIST, values=items)


def _scalar_tensor(name, constants):
    """Version 1 has no tensor-times-scalar: the number becomes a tensor without dimensions, a new constant whose
    name is returned.
    """
    value = constants[name].attribute[0]
    tensor = f"{name}:tensor"
    if tensor not in constants:
        constant = constants[tensor] = NodeProto(name=tensor, output=[tensor], op_type="Constant")
        number = np.float32(value.f if value.type == AttributeProto.FLOAT else value.i)
        attribute = constant.attribute.add(name="value", type=AttributeProto.TENSORS)
        attribute.tensors.add(name=tensor, data_type=1, raw_data=number.tobytes())
    return tensor


def _replace(field, values):
    values = list(values)
    del field[:]
    field.extend(values)
