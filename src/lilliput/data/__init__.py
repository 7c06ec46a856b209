"""Readers: files of functions and labels become a :class:`~lilliput.data.dataset.Dataset`."""
