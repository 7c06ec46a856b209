"""Turn all layers of the graph that reads one more token into one operation.

The engine spends some 30 microseconds around each custom operation, and a decoder of 24 layers has 121 of them per
token, with some hundred of the engine's in between. Here they become the steps of a program, which ``native/chain.hpp``
runs. A graph that contains an unknown step stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import openvino as ov

from lilliput.kernels.library import ATTENTION, PRODUCTS, SOURCE_ATTENTION, Library
from lilliput.kernels.steps import Step, name_of, seen_through, shape_of, step_at


@dataclass
class Program:
    """Steps over numbered values.

    Attributes:
        inputs: values that the graph provides.
        places: names of the inputs -> their indices.
        steps: each step with the numbers of the values it reads and writes, in order.
        own: name of a value that a step computes -> its number, not counting the inputs.
        sizes: sizes of the values that the steps compute.
    """

    inputs: list[ov.Output] = field(default_factory=list)
    places: dict[tuple[str, int], int] = field(default_factory=dict)
    steps: list[tuple[Step, list[int], list[int]]] = field(default_factory=list)
    own: dict[tuple[str, int], int] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Append a step."""
        read = [self._number(value) for value in step.inputs]
        for value in step.outputs:
            self.own[name_of(value)] = len(self.sizes)
            self.sizes.append(prod(shape_of(value)))
        self.steps.append((step, read, [self.own[name_of(value)] for value in step.outputs]))

    def _number(self, value: ov.Output) -> int:
        """A value's number: not negative if a step computes it, ``-1 - place`` if it is an input."""
        value = seen_through(value)
        own = self.own.get(name_of(value))
        if own is not None:
            return own
        name = name_of(value)
        if name not in self.places:
            self.places[name] = len(self.inputs)
            self.inputs.append(value)
        return -1 - self.places[name]

    def written(self) -> list[int]:
        """Serialize the program as ``native/chain_operation.hpp`` reads it."""
        count = len(self.inputs)
        sizes = [prod(shape_of(value)) for value in self.inputs] + self.sizes

        def listed(values: Sequence[int]) -> Iterator[int]:
            yield len(values)
            yield from values

        numbers = list(listed(sizes))
        for step, read, given in self.steps:
            numbers.append(int(step.kind))
            numbers += listed([-1 - place if place < 0 else place + count for place in read])
            numbers += listed([place + count for place in given])
            numbers += listed([int(number) for number in step.numbers])
        return numbers


def in_a_chain(model: ov.Model, library: Library, threads: int) -> ov.Model | None:
    """Return the same graph with its layers as one operation.

    Args:
        model: reads one token; all its shapes are static (:func:`lilliput.kernels.attention.one_more_token`).
        library: the kernels.
        threads: processor threads.

    Returns:
        The graph, or ``None`` if it contains an unknown step, or no step.
    """
    program, after = Program(), set[str]()  # names of the nodes that depend on an operation of ours
    for node in model.get_ordered_ops():
        step = step_at(node)
        if step is not None:
            program.add(step)
        ours = node.get_type_name() in (PRODUCTS, ATTENTION, SOURCE_ATTENTION)
        if ours or any(value.get_node().get_name() in after for value in node.input_values()):
            after.add(node.get_name())
    if not program.steps or len(model.outputs) != 1:
        return None
    result = model.outputs[0].get_node().input_value(0)
    foreign = any(value.get_node().get_name() in after for value in program.inputs)
    if foreign or program.own.get(name_of(result)) != len(program.sizes) - 1:
        return None
    node = library.chain(program.inputs, program.written(), threads)
    node.output(0).set_names(set(model.outputs[0].get_names()))
    return ov.Model([node], model.get_parameters(), "one more token")
