"""The verbs: a file or a package each, the functions that ``import lilliput`` offers and the command line calls."""
