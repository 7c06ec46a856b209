"""Where the value of each variable comes from: the data flow of GraphCodeBERT (Guo et al., ICLR 2021, section 3).

>>> from lilliput.data.dataflow import data_flow
>>> flow = data_flow("x = 0\\nif b > a:\\n    x = b\\nelse:\\n    x = a\\nreturn x", "python")
>>> [(node.name, node.sources) for node in flow.nodes if node.name == "x"]
[('x', (1,)), ('x', (5,)), ('x', (7,)), ('x', (4, 6))]

Functions are parsed with tree-sitter, so fragments work too, and code that does not compile yields what is found in it.
One table per language (:mod:`~lilliput.data.dataflow.grammars`) maps its syntax to a few rules
(:mod:`~lilliput.data.dataflow.rules`), which turn the tree into a list of steps
(:mod:`~lilliput.data.dataflow.steps`), over which definitions are tracked. What is and is not covered is in
``docs/dataflow.md``.
"""

from __future__ import annotations

from lilliput.data.dataflow.extract import data_flow
from lilliput.data.dataflow.flow import COMES_FROM, COMPUTED_FROM, Flow, FlowNode
from lilliput.data.dataflow.grammars import GRAMMARS, Grammar, grammar_named

__all__ = ["COMES_FROM", "COMPUTED_FROM", "GRAMMARS", "Flow", "FlowNode", "Grammar", "data_flow", "grammar_named"]
