"""One network, one file: MINDIR without what varies from one export to the next.

MindSpore names nodes and operators in the order of a hash table, and notes the phase of its compiler with a time and an
address. Here they are numbered along the computation, depth first from the answer back to the picture; parameters and
attributes are sorted by name. What the network computes stays as it is.
"""

GRAPH = "effnet"  # MindSpore's own name of the graph begins every name in it
VARYING = ("phase", "compile_phase")  # attributes


def canonical(model):
    """Bring a ModelProto of a flat graph into canonical form, in place.

    Two exports of one network, by different processes and in different folders, are then the same bytes with
    SerializeToString(deterministic=True).
    """
    graph, given = model.graph, f"{model.graph.name}:"
    nodes = _in_order(graph)
    names = {entry.name: f"{GRAPH}:{entry.name.removeprefix(given)}" for entry in [*graph.input, *graph.parameter]}
    names |= {node.output[0]: f"{GRAPH}:{number}" for number, node in enumerate(nodes)}
    operators = {}
    for node in nodes:
        if node.op_type.startswith("REF::"):
            old = node.op_type.removeprefix("REF::")
            operators.setdefault(old, f"{old.split(':')[0]}:{len(operators)}")
            node.op_type = f"REF::{operators[old]}"
        node.name = node.output[0] = names[node.output[0]]
        _replace(node.input, [names[name] for name in node.input])
        for field in (node.attribute, node.node_attr):
            _replace(field, sorted(_copies(field), key=lambda attribute: attribute.name))
    for entry in [*graph.input, *graph.parameter, *graph.output]:
        entry.name = names[entry.name]
    _replace(graph.node, nodes)
    _replace(graph.parameter, sorted(_copies(graph.parameter), key=lambda parameter: parameter.name))
    kept = [attribute for attribute in _copies(graph.attribute) if attribute.name not in VARYING]
    _replace(graph.attribute, sorted(kept, key=lambda attribute: attribute.name))
    graph.name = GRAPH
    used = [primitive for primitive in _copies(model.primitives) if primitive.name in operators]
    for primitive in used:
        primitive.name = operators[primitive.name]
        _replace(primitive.attribute, sorted(_copies(primitive.attribute), key=lambda attribute: attribute.name))
    _replace(model.primitives, sorted(used, key=lambda primitive: int(primitive.name.rsplit(":", 1)[1])))
    model.ClearField("user_info")


def _in_order(graph):
    """Copies of the nodes that the answer needs: each after those it reads, its first input's first."""
    makers = {node.output[0]: node for node in graph.node}
    order, waiting = {}, [graph.output[0].name]
    while waiting:
        name = waiting[-1]
        ahead = (
            [source for source in makers[name].input if source in makers and source not in order]
            if name in makers
            else []
        )
        if ahead and name not in order:
            waiting.append(ahead[0])
        else:
            waiting.pop()
            if name in makers:
                order.setdefault(name, makers[name])
    return _copies(order.values())


def _copies(messages):
    found = []
    for message in messages:
        copy = type(message)()
        copy.CopyFrom(message)
        found.append(copy)
    return found


def _replace(field, values):
    del field[:]
    field.extend(values)
