"""The study: what many ways to quantize one generator cost and keep, and the recipe that follows from it.

Source of the experiment: Wei et al., "Greener yet Powerful: Taming Large Code Generation Models with Quantization",
FSE 2023. A study is a list of pure jobs, one a point of a grid. This room has the points, the grids, what runs jobs,
and how a recipe is chosen; what a job does is in :mod:`lilliput.verbs.study.job`, for it uses the other verbs.
"""
