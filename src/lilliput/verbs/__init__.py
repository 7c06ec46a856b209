"""The verbs, one module or package each: the functions that ``import lilliput`` offers and the command line calls."""
