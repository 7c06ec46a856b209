"""Inputs for the students of one shrink: tokens, and data flow if they read it; each is computed once."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

from lilliput.batching import FlowTokenIds, TokenIds
from lilliput.bpe import truncate_tokenizer
from lilliput.data.dataflow.layout import TextGraph
from lilliput.data.dataset import Dataset
from lilliput.encoder import PAD_ID
from lilliput.progress import Progress
from lilliput.runtime.flow import FlowTokenizer, Input, reader_for
from lilliput.runtime.tokens import CodeTokenizer
from lilliput.verbs.latency import reading_ms
from lilliput.verbs.shrink.plan import StudentPlan

TIMED_AMONG = 400
"""Number of training functions searched for long ones, to time finding their data flow."""


class StudentInputs:
    """Computes a student's inputs.

    Args:
        plan: the student's plan.
        tokenizer: tokenizer of the largest vocabulary; its prefixes are the smaller ones.
        progress: shown while data flow is found.
    """

    def __init__(self, plan: StudentPlan, tokenizer: Tokenizer, progress: Progress) -> None:
        self.plan, self.tokenizer, self.progress = plan, tokenizer, progress
        self._tokens: dict[tuple[int, str], TokenIds] = {}
        self._graphs: dict[str, list[TextGraph]] = {}

    def reader(self, vocabulary: int) -> CodeTokenizer | FlowTokenizer:
        """The tokenizer that turns texts into inputs of a student with that vocabulary."""
        plan = self.plan
        tokenizer = CodeTokenizer(truncate_tokenizer(self.tokenizer, vocabulary), plan.max_tokens)
        return reader_for(plan.data_flow, tokenizer, plan.positions)

    def tokens(self, dataset: Dataset, key: str, vocabulary: int) -> TokenIds:
        """The inputs of a dataset's functions; ``key`` identifies the dataset."""
        if (vocabulary, key) not in self._tokens:
            self._tokens[vocabulary, key] = self._made(dataset, key, self.reader(vocabulary))
        return self._tokens[vocabulary, key]

    def _made(self, dataset: Dataset, key: str, reader: CodeTokenizer | FlowTokenizer) -> TokenIds:
        longest = self.plan.max_tokens
        if not isinstance(reader, FlowTokenizer):
            return TokenIds(reader.encode(dataset.texts), PAD_ID, longest)
        inputs = reader.encode(dataset.texts, self._graphs_of(dataset, key, reader))
        return FlowTokenIds([item.tokens for item in inputs], PAD_ID, longest, inputs)

    def _graphs_of(self, dataset: Dataset, key: str, reader: FlowTokenizer) -> list[TextGraph]:
        """The data flow of a dataset's functions, the same for all vocabularies."""
        if key not in self._graphs:
            found = []
            with self.progress.track("finding data flow", len(dataset.texts)) as advance:
                for text in dataset.texts:
                    found.append(reader.graph(text))
                    advance(1)
            self._graphs[key] = found
        return self._graphs[key]

    def reading_ms(self, dataset: Dataset) -> float:
        """Milliseconds that finding data flow adds to preparing a long function's input; 0 without data flow."""
        reader = self.reader(self.tokenizer.get_vocab_size())
        if not isinstance(reader, FlowTokenizer):
            return 0.0
        found = reading_ms(reader, dataset.texts[:TIMED_AMONG])
        self.progress.note(
            f"finding the data flow of a long function takes {found:.2f} ms, which count towards its latency"
        )
        return found


def model_inputs(tokens: TokenIds) -> Sequence[Input]:
    """The engine's inputs for the same functions."""
    return tokens.inputs if isinstance(tokens, FlowTokenIds) else tokens.ids
