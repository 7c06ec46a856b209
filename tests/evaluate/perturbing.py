"""Problems for the tests of perturbations: together, they contain everything that any perturbation looks for."""

from lilliput.data.humaneval import Problem

COUNT_VOWELS = Problem(
    task_id="Test/0",
    prompt='''from typing import List


def count_vowels(words: List[str], limit: int) -> int:
    """ Return the number of vowels in the given words, but only "aeiou" and never `y`.
    It checks whether the total is larger than limit, and then returns limit instead.

    >>> count_vowels(["sky", "sea"], 5)
    2
    >>> count_vowels(["aaa"], 2)
    2
    """
''',
    entry_point="count_vowels",
    canonical_solution="""    total = 0
    seen = []
    for word in words:
        seen.append(word)
        for position in range(len(word)):
            letter = word[position]
            if letter in 'aeiou':
                total += 1
            elif letter == 'y' and position > 0:
                total += 0

    if total > limit:
        return limit
    return total
""",
    test="""def check(candidate):
    assert candidate(["sky", "sea"], 5) == 2
    assert candidate(["aaa"], 2) == 2
    assert candidate([], 3) == 0
""",
)

UNIQUE = Problem(
    task_id="Test/1",
    prompt="""def flatten(nested):
    ''' Helps unique to see every item. '''
    return [item for part in nested for item in part]


def unique(nested):
    '''
    Find the unique items of a nested list.
    unique([]) is the empty list, and the order of the Mercury items is kept.
    Examples:
        unique([[1, 2], [2]]) => [1, 2]
        Return it sorted for sorted parts.
    Note: you can assume that the parts are short.
    '''
""",
    entry_point="unique",
    canonical_solution="""    # naïve — but short
    items = flatten(nested)
    if len(items) < 2:
        return items
    rest = unique([items[1:]])
    return [items[0]] + [item for item in rest if item != items[0]]
""",
    test="""def check(candidate):
    assert candidate([[1, 2], [2]]) == [1, 2]
    assert unique([]) == []
""",
)

LATE_DOCSTRING = Problem(
    task_id="Test/2",
    prompt='''def area(sides, unit="cm"):
    import math
    """Calculate the area of a triangle from its three sides.
    If the sides are impossible, give back -1.
    Example: area([3, 4, 5]) gives "6.0 cm"
    """
''',
    entry_point="area",
    canonical_solution='''    a, b, c = sides
    half = (a
            + b + c) / 2
    text = """kept
      as it is"""
    square = half * (half - a) * (half - b) * (half - c)
    for side in range(2, 0, -1):
        if square < 0:
            continue
        assert side and text
    return -1 if square < 0 else f"{math.sqrt(square)} {unit}"
''',
    test="""def check(candidate):
    assert candidate([3, 4, 5]) == "6.0 cm"
    assert candidate([3, 4, 5], unit="m") == "6.0 m"
    assert candidate([1, 1, 9]) == -1
""",
)

SHORT = Problem(
    task_id="Test/3",
    prompt='def sum_to_n(n: int):\n    """sum_to_n sums the whole numbers from 1 to n."""\n',
    entry_point="sum_to_n",
    canonical_solution="    return sum(range(n + 1))\n",
    test="def check(candidate):\n    assert candidate(4) == 10\n",
)

DIGITS = Problem(
    task_id="Test/4",
    prompt='''def digit_sums(limit: int) -> list:
    """You are given a limit, and you have to return the digit sums of the numbers below it."""
''',
    entry_point="digit_sums",
    canonical_solution="""    result = []
    offset = 0
    for number in range(0, limit, 1):
        rest = number + offset
        total = 0
        while rest > 0:
            total += rest % 10
            rest //= 10
        result.append(total)
    return result
""",
    test="def check(candidate):\n    assert candidate(12) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2]\n",
)

PROBLEMS = (COUNT_VOWELS, UNIQUE, LATE_DOCSTRING, SHORT, DIGITS)
