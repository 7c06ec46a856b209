"""Synonyms of common words in programming tasks.

The table is lilliput's own, since general thesauri do not know programming: in WordNet, "string" is also a bowed
instrument, and "return" is a recurrence. Names of types and mathematical concepts (string, list, prime, median) have no
entry, because a synonym would change the task. The synonyms fit in most sentences of a docstring.
"""

from __future__ import annotations

from lilliput.evaluate.perturb.english import FORMS, form, kind, lemmas, like

_VERBS = """
add: insert, append
appear: occur, turn up
assume: suppose, presume
balance: even out
begin: start
build: construct, assemble
calculate: compute, work out
change: alter, modify
check: verify, test
choose: pick, select
combine: join, merge
compare: contrast, match
compute: calculate, work out
concatenate: join, chain
consider: regard, look at
consist: be made up
construct: build, assemble
contain: hold, include
convert: turn, transform
count: tally
create: make, build
decide: determine, settle
delete: remove, erase
describe: specify, set out
determine: find out, establish
display: show, present
divide: split, partition
end: finish, stop
ensure: guarantee, make certain
evaluate: work out, assess
exist: occur, be present
extract: take out, pull out
fill: populate
filter: screen, sift
find: locate, identify
follow: come after
generate: produce, create
get: obtain, retrieve
give: supply, provide
group: bundle, gather
hold: keep, contain
ignore: disregard, skip
implement: realize, program
include: contain, comprise
insert: put, place
join: connect, combine
keep: retain, preserve
locate: find, position
make: build, create
match: fit, correspond to
meet: satisfy, fulfil
merge: combine, unite
move: shift, transfer
need: require
obtain: get, acquire
occur: appear, happen
order: arrange, sequence
output: emit, deliver
pick: choose, select
produce: generate, make
provide: supply, furnish
remove: delete, take out
repeat: iterate, recur
replace: substitute, swap
represent: stand for, denote
require: need, demand
return: give back, hand back
satisfy: meet, fulfil
select: choose, pick
separate: split, divide
shift: move, displace
show: display, present
sort: order, arrange
split: divide, separate
start: begin, commence
store: keep, save
supply: provide, furnish
swap: exchange, switch
take: accept, receive
test: check, examine
transform: convert, turn
use: employ, apply
validate: verify, check
verify: check, confirm
write: compose, author
"""

_NOUNS = """
amount: quantity, total
beginning: start, head
case: instance, situation
change: alteration, modification
character: symbol, letter
collection: set, group
condition: requirement, criterion
difference: gap, discrepancy
element: item, entry
end: tail, close
example: instance, sample
explanation: clarification, account
format: layout, form
function: routine, procedure
goal: aim, objective
group: cluster, bundle
item: element, entry
letter: character
location: position, place
moment: point, instant
object: thing, item
order: sequence, arrangement
pair: couple, twosome
part: portion, piece
person: individual
place: position, spot
position: place, location
problem: task, question
result: outcome, answer
rule: principle, guideline
sentence: phrase
sequence: series, succession
size: extent, magnitude
space: blank
start: beginning, outset
step: stage, move
task: job, assignment
time: occasion
type: kind, sort
value: quantity
way: manner, fashion
word: term
"""

_ADJECTIVES = """
appropriate: suitable, fitting
big: large
close: near
common: shared
complete: full, whole
consecutive: successive, adjacent
correct: right, proper
different: distinct, unlike
empty: vacant, blank
entire: whole, complete
equal: identical, equivalent
following: subsequent, ensuing
given: supplied, provided
large: big
long: lengthy, extended
original: initial, starting
possible: feasible, conceivable
same: identical
separate: distinct, individual
short: brief
similar: alike, comparable
simple: plain, basic
single: sole, lone
special: particular, distinctive
specific: particular, certain
unique: distinct
valid: legitimate, acceptable
whole: entire, complete
"""


def _table(text: str) -> dict[str, tuple[str, ...]]:
    pairs = (line.split(": ") for line in text.strip().splitlines())
    return {word: tuple(others.split(", ")) for word, others in pairs}


SYNONYMS = {"VERB": _table(_VERBS), "NOUN": _table(_NOUNS), "ADJ": _table(_ADJECTIVES)}
"""Kind of word -> base form -> base forms of synonyms; in a synonym of several words, the first is inflected."""


def synonyms(word: str) -> list[str]:
    """Synonyms of ``word`` with its inflection and capitalization; empty where there are none.

    Raises:
        MissingExtra: LemmInflect is not installed.
    """
    text = word.lower()
    if text in SYNONYMS["ADJ"]:
        return [like(word, other) for other in SYNONYMS["ADJ"][text]]
    kinds = [name for name in (kind(word), *SYNONYMS) if name is not None]
    for name in kinds if kind(word) else ():
        for lemma in lemmas(word).get(name, ())[:1]:
            tag = next((tag for tag in FORMS[name] if form(lemma, tag) == text), None)
            if tag is not None and lemma in SYNONYMS[name]:
                found = (_in_form(other, name, tag) for other in SYNONYMS[name][lemma])
                return [like(word, other) for other in found if other is not None]
    return []


def _in_form(synonym: str, name: str, tag: str) -> str | None:
    first, *others = synonym.split(" ")
    changed = first if tag == FORMS[name][0] else form(first, tag)
    return None if changed is None else " ".join([changed, *others])
