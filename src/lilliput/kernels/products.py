"""Replace products with quantized weights in graphs with kernels.

The engine multiplies 4-bit weights by unpacking them to memory first, and keeps two threads busy with what one core's
integer instructions do as fast as memory delivers the codes (measurements: docs/kernels.md). The arithmetic is the
same: inputs rounded to 8 bits, a scale for each group of a token's values (dynamic quantization), and integer sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from lilliput.kernels.following import Addend, Bias, Gate
from lilliput.kernels.library import Layout, Library
from lilliput.kernels.nodes import kind

GRANULE = 16
"""The number of inputs that share a scale is a multiple of this."""

CODE_TYPES = {"i4": (4, True), "u4": (4, False), "i8": (8, True), "u8": (8, False)}
"""The engine's name of a type of codes -> bits of a code, and whether it is signed."""


@dataclass(frozen=True)
class StoredProduct:
    """A product in a graph whose weights are stored as integers.

    Attributes:
        node: the product.
        codes: constant, ``[rows, columns]`` or ``[rows, groups, group]``.
        scales: constant, float16; one per group, per row, or for all.
        zeros: constant, one code per scale; ``None``: the codes' own zero.
    """

    node: ov.Node
    codes: ov.op.Constant
    scales: ov.op.Constant
    zeros: ov.op.Constant | None

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return CODE_TYPES[self.codes.get_element_type().get_type_name()][0]

    @property
    def is_signed(self) -> bool:
        """Whether codes and zeros are in two's complement."""
        return CODE_TYPES[self.codes.get_element_type().get_type_name()][1]

    @property
    def rows(self) -> int:
        """Rows of the weights: the width of the product."""
        return int(self.codes.shape[0])

    @property
    def columns(self) -> int:
        """Columns of the weights: the width of the inputs."""
        return int(np.prod(list(self.codes.shape)[1:]))


@dataclass(frozen=True)
class KernelProduct:
    """A product that the kernels can compute.

    Attributes:
        stored: the product as the graph stores it.
        layout: how its weights are to be packed.
        bias: what is added to it, or ``None``.
    """

    stored: StoredProduct
    layout: Layout
    bias: Bias | None

    @property
    def node(self) -> ov.Node:
        """The product."""
        return self.stored.node

    @property
    def result(self) -> ov.Node:
        """The product, or its sum with the bias."""
        return self.node if self.bias is None else self.bias.result

    @classmethod
    def of(cls, stored: StoredProduct, input_group: int) -> KernelProduct | None:
        """``None`` if the kernels cannot compute it."""
        group = _group(stored, input_group)
        if group is None:
            return None
        bias = Bias.of(stored.node, stored.rows)
        grouped, zeros = _table(stored.scales).shape[1] > 1, stored.zeros is not None
        sizes = stored.rows, stored.columns, group, stored.bits
        return cls(stored, Layout(*sizes, int(grouped), int(zeros), int(bias is not None)), bias)


def use_kernels(
    model: ov.Model, library: Library, input_group: int, threads: int, after_each: Callable[[], object] = lambda: None
) -> list[str]:
    """Replace a graph's products, in place, wherever the kernels can compute them.

    Args:
        model: read, not compiled. Its weights are copied, in another order.
        library: the kernels.
        input_group: maximum number of a token's values that share a scale when rounded; 0: inputs are not to be
            rounded, so nothing is replaced.
        threads: processor threads.
        after_each: called after each replacement.

    Returns:
        Names of the replaced products.
    """
    replaced = []
    for products in _together(model, input_group):
        gate = Gate.between([product.result for product in products])
        if gate is not None and gate.first == products[1].result:
            products.reverse()
        results = [product.result for product in products] if gate is None else [gate.result]
        addend = Addend.of(results[0]) if len(results) == 1 else None
        numbers = _all_packed(products, library, threads)
        source = None if addend is None else addend.source
        node = library.products(products[0].node.input_value(0), numbers, threads, gate is not None, source)
        names = [str(product.node.get_friendly_name()) for product in products]
        node.set_friendly_name(" and ".join(names))
        for index, result in enumerate(results if addend is None else [addend.result]):
            result.output(0).replace(node.output(index))
        replaced += names
        after_each()
    model.validate_nodes_and_infer_types()
    return replaced


def _together(model: ov.Model, input_group: int) -> list[list[KernelProduct]]:
    """The products that the kernels can compute, grouped by those that can share an operation."""
    together: dict[tuple[Any, ...], list[KernelProduct]] = {}
    for stored in stored_products(model) if input_group else ():
        product = KernelProduct.of(stored, input_group)
        if product is not None:
            source, layout = stored.node.input_value(0), product.layout
            key = (source.get_node().get_name(), source.get_index(), layout.columns, layout.group, layout.bits)
            together.setdefault(key, []).append(product)
    return list(together.values())


def _all_packed(products: Sequence[KernelProduct], library: Library, threads: int) -> list[int]:
    """Pack the weights of products that share an operation; if memory is short, none are kept."""
    numbers: list[int] = []
    try:
        for product in products:
            numbers.append(_packed(product, library, threads))
    except MemoryError:
        for number in numbers:
            library.forget(number)
        raise
    return numbers


def _packed(product: KernelProduct, library: Library, threads: int) -> int:
    stored, table = product.stored, _table(product.stored.scales)
    zeros = None if stored.zeros is None else _stored_bytes(stored.zeros)
    bias = None if product.bias is None else product.bias.values.data.reshape(-1)
    scales = np.broadcast_to(table, (stored.rows, table.shape[1]))
    codes = _stored_bytes(stored.codes)
    return library.packed(product.layout, codes, scales, zeros, stored.is_signed, threads, bias)


def _stored_bytes(constant: ov.op.Constant) -> NDArray[np.uint8]:
    stored: NDArray[np.uint8] = constant.data.reshape(-1).view(np.uint8)
    return stored


def stored_products(model: ov.Model) -> list[StoredProduct]:
    """The products of a graph whose weights are a chain that :mod:`lilliput.graph.stored` describes."""
    found = (_stored_product(node) for node in model.get_ordered_ops() if node.get_type_name() == "MatMul")
    return [product for product in found if product is not None]


def _stored_product(node: ov.Node) -> StoredProduct | None:
    attributes = node.get_attributes()
    if attributes["transpose_a"] or not attributes["transpose_b"] or kind(node.input_value(0)) == "FakeQuantize":
        return None
    value = node.input_value(1)
    while kind(value) in ("Convert", "Reshape"):
        value = value.get_node().input_value(0)
    if kind(value) != "Multiply":
        return None
    value, scales = value.get_node().input_values()
    zeros = None
    if kind(value) == "Subtract":
        value, converted = value.get_node().input_values()
        zeros = converted.get_node().input_value(0).get_node() if kind(converted) == "Convert" else None
        if zeros is None:
            return None
    if kind(value) != "Convert" or kind(value.get_node().input_value(0)) != "Constant":
        return None
    codes, table = value.get_node().input_value(0).get_node(), scales.get_node()
    same_kind = zeros is None or (
        kind(zeros.output(0)) == "Constant"
        and zeros.get_element_type() == codes.get_element_type()
        and zeros.get_shape() == table.get_shape()
    )
    known = codes.get_element_type().get_type_name() in CODE_TYPES and kind(scales) == "Constant"
    if not known or not same_kind or table.get_element_type() != ov.Type.f16:
        return None
    product = StoredProduct(node, codes, table, zeros)
    return product if _multiplies_its_weights(product) else None


def _multiplies_its_weights(product: StoredProduct) -> bool:
    """Whether inputs are float, weights ``[rows, columns]``, and scales one per group, per row, or for all.

    A graph comes from a file, so its shapes may be anything.
    """
    inputs, weights = product.node.input_values()
    width = inputs.get_partial_shape()[-1] if inputs.get_partial_shape().rank.is_static else None
    codes, scales = list(product.codes.shape), list(product.scales.shape)
    of_groups = [1] if len(codes) == 2 else [codes[1], 1]
    return (
        len(codes) in (2, 3)
        and scales in ([product.rows, *of_groups], [1] * (1 + len(of_groups)))
        and weights.get_partial_shape() == ov.PartialShape([product.rows, product.columns])
        and width == product.columns
        and inputs.get_element_type() == ov.Type.f32
    )


def _table(scales: ov.op.Constant) -> NDArray[np.float16]:
    """Scales as ``[rows or 1, groups of a row]``."""
    shape = list(scales.shape)
    table: NDArray[np.float16] = scales.data.reshape(shape[0] if shape else 1, -1)
    return table


def _group(product: StoredProduct, input_group: int) -> int | None:
    """Number of a product's columns whose inputs are to share a scale; ``None`` if the kernels cannot compute it."""
    rows_with_scales, groups = _table(product.scales).shape
    zeros_of_all = product.zeros is not None and rows_with_scales != product.rows
    if zeros_of_all:
        return None
    if groups > 1:
        own = product.columns // groups
        group = own if own <= input_group else gcd(own, input_group)
        return None if group % GRANULE else group
    fitting = range(GRANULE, min(input_group, product.columns) + 1, GRANULE)
    return max((size for size in fitting if product.columns % size == 0), default=None)
