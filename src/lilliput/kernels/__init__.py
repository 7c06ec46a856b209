"""Products with quantized weights, and attention, in C++, as operations of the engine's graphs.

``native/`` holds the source, :mod:`~lilliput.kernels.build` compiles it for the processor at hand when it is first
needed, and :mod:`~lilliput.kernels.products` and :mod:`~lilliput.kernels.attention` put the operations into graphs.
Where they cannot be compiled, the engine's own operations do the work.
"""
