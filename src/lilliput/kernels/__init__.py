"""Products with quantized weights, in C++, as an operation of the engine's graphs.

``native/`` is the source; :mod:`~lilliput.kernels.build` compiles it for the processor at hand when it is first needed;
:mod:`~lilliput.kernels.products` puts the operation into graphs. Where it cannot be compiled, the engine's own products
do the work.
"""
