"""Studies: the cost and quality of many ways to quantize one generator, and the recipe chosen from them.

Source of the experiment: Wei et al., "Greener yet Powerful: Taming Large Code Generation Models with Quantization",
FSE 2023. A study is a list of pure jobs, one per point of a grid. This package holds the points, the grids, the
executors of jobs, and the choice of a recipe; the job itself is in :mod:`lilliput.verbs.study.job`, because it uses the
other verbs.
"""
