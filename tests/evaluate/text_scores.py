"""Pairs of texts with scores from other programs, and random texts."""

from hypothesis import strategies as st

PAIRS = [
    ("Returns the sum of two numbers.", "Return the sum of a and b.", 30.7394076476, 46.1538461538, 41.4319518234),
    ("Returns the sum of two numbers.", "returns the sum of two numbers", 86.6877899750, 100.0, 92.2329370234),
    (
        "Test whether find can be found at position startPos in the string src .",
        "Check if the string starts with find_at(startPos).",
        14.1794412697,
        27.2727272727,
        34.2303598203,
    ),
    ("Removes the element.", "", 1.8315638889, 0.0, 0.0),
    (
        "customize cache",
        "Customize the memory cache, in kB (e.g. 0.5), of <b>Rectangle2D</b>.",
        4.5325987813,
        25.0,
        39.4888828537,
    ),
    ("the cat the cat the cat", "the the the the the the the the", 18.2777611427, 42.8571428571, 18.8185997908),
    ("Größe der Datei", "größe einer datei", 57.7350269190, 75.0, 32.1441816185),
    ("根据给定的字节数组 dump", "dump 字节数组", 70.7106781187, 100.0, 30.5882211361),
    (
        "How many Celery tasks should be sent to each worker process .",
        "Number of tasks sent to each worker, 1-based: don't use.",
        21.3458450185,
        43.4782608696,
        41.7861424728,
    ),
    ("{", "get token", 0.0, 0.0, 0.0),
]
"""Reference, hypothesis; BLEU-4 by CodeXGLUE's evaluator.py, ROUGE-L by rouge-score 0.1.2, chrF2 by sacrebleu 2.6.0."""

TEXTS = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(["the", "cat", "a_b", "2.5", ".", "Cat", "é"]), max_size=12).map(" ".join),
)
