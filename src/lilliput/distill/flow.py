"""Data flow in a student: positions and attention mask.

The mask M of GraphCodeBERT (Guo et al., ICLR 2021, section 4.2) lets one position attend to another if

- both are code;
- the first is ``<s>`` or ``</s>``;
- both are nodes, and the value of the first comes from the second (``<q, k>`` in E);
- one is a node, and the other a piece of that node's token (in E').
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lilliput.batching import Nodes
from lilliput.encoder import FRAME_IDS


@dataclass(frozen=True)
class Attention:
    """Attention over T positions of code, then N of nodes.

    Attributes:
        means: ``[functions, N, T]`` float: averages the code's embeddings over each node's token.
        real: ``[functions, T + N]`` bool: false at padding.
        attends: ``[functions, T + N, T + N]`` bool: whether the row's position attends to the column's.
    """

    means: Tensor
    real: Tensor
    attends: Tensor


def attention_with(nodes: Nodes, ids: Tensor, mask: Tensor) -> Attention:
    """The attention of code ``ids [functions, T]``, real at ``mask``, with its nodes.

    :mod:`lilliput.graph.onnx_flow` has the same for the inference graph.
    """
    places = torch.arange(ids.shape[1], device=ids.device)
    own = (nodes.spans[..., :1] <= places) & (places < nodes.spans[..., 1:])
    count = own.sum(2, keepdim=True)
    real = count[..., 0] > 0
    frame = torch.isin(ids, ids.new_tensor(FRAME_IDS))
    code_to_code = mask[:, None, :].expand(-1, ids.shape[1], -1)
    code_to_nodes = own.transpose(1, 2) | (frame[:, :, None] & real[:, None, :])
    rows = (torch.cat((code_to_code, code_to_nodes), 2), torch.cat((own, nodes.edges), 2))
    return Attention(own / count.clamp(min=1), torch.cat((mask, real), 1), torch.cat(rows, 1))
