"""The verbs: one file each, the functions that ``import lilliput`` offers and the command line calls."""
