"""From text to model input: control tokens, gaps, spaces, and values that are not text."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from lilliput.errors import ArtifactError, DataError, UserError
from lilliput.generator_manifest import FillMarks
from tests.runtime.tiny_generators import END, MARKS, VOCABULARY, Scripted, Spy, Tiny, tiny_tokenizer


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return Tiny("llama", tmp_path_factory.mktemp("model"))


def scripted(tokens, tiny, tokenizer=None, **changes):
    return tiny.generator(Scripted(tokens), tokenizer, **changes)


def test_empty_prompt_starts_with_the_end_token(llama):
    spy = Spy(Scripted([END]))
    llama.generator(spy).generate("")
    llama.generator(spy, tiny_tokenizer("<|end|> $A")).generate([""])
    assert spy.started == [[[END]], [[END]]]
    with pytest.raises(UserError, match=r"prompt 0: has no tokens. Give at least one character"):
        llama.generator(end=()).generate([""])
    assert llama.generator().generate([]) == []


@pytest.mark.parametrize("prompts", [None, 3, b"def", [None], ["a", 3], ["\ud800"], "a\udfff", [["a"]]])
def test_rejects_invalid_prompts(llama, prompts):
    with pytest.raises(DataError, match="prompt"):
        llama.generator().generate(prompts)


def test_rejects_a_token_that_the_model_does_not_know(llama):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([f"<extra{i}>" for i in range(VOCABULARY)])
    with pytest.raises(UserError, match=r"prompt: holds the token '<extra300>', which the model does not know"):
        llama.generator(tokenizer=tokenizer).generate("a<extra300>")


def test_truncation_of_the_tokenizer_is_turned_off(llama):
    spy, tokenizer = Spy(Scripted([END])), tiny_tokenizer()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    llama.generator(spy, tokenizer).generate("a b c d")
    assert spy.started == [[tiny_tokenizer().encode("a b c d").ids]]


def sentencepiece_like() -> Tokenizer:
    """Prepend a space to a text, as Llama's tokenizer does, and drop it when decoding."""
    letters = ["▁", "<0x0A>", "▁x", "x", "=", "▁=", "1", "▁1", "<0xE6>", "<0xBC>", "<0xA2>"]
    tokenizer = Tokenizer(
        models.BPE(
            {letter: id_ for id_, letter in enumerate(letters)},
            [("▁", "x"), ("▁", "="), ("▁", "1")],
            byte_fallback=True,
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_tokens(["<P>", "<S>", "<M>"])
    return tokenizer


def test_space_between_prompt_and_completion_is_kept(llama):
    tokenizer = sentencepiece_like()
    one = tokenizer.token_to_id("▁1")
    generator = scripted([one, one], llama, tokenizer)
    assert generator.generate("x =", max_new_tokens=2)[0][0].text == " 1 1"
    assert generator.generate("漢", max_new_tokens=2)[0][0].text == " 1 1"  # its last token is a partial character
    assert generator.generate("x漢x", max_new_tokens=2)[0][0].text == " 1 1"


def test_gap_layout(llama):
    spy = Spy(Scripted([END]))
    tokenizer = tiny_tokenizer()
    generator = llama.generator(spy, tokenizer, fill=MARKS)
    before, after = "def f(a):\n<fim_middle>", "<|end|>\nreturn a"
    generator.fill(before, after)
    marks = [tokenizer.token_to_id(mark) for mark in (MARKS.prefix, MARKS.suffix, MARKS.middle)]
    (((first, *rest),),) = spy.started
    assert first == marks[0]
    place = rest.index(marks[1])
    assert rest[-1] == marks[2]
    inner = [rest[:place], rest[place + 1 : -1]]
    assert not {*marks, END} & {id_ for ids in inner for id_ in ids}
    assert [tokenizer.decode(ids) for ids in inner] == [before, after]


def test_template_of_texts_frames_gaps(llama):
    spy = Spy(Scripted([END]))
    tokenizer = tiny_tokenizer("<|end|> $A <|end|>")
    a = tokenizer.token_to_id("a")
    llama.generator(spy, tokenizer, fill=MARKS).fill("a", "")
    marks = [tokenizer.token_to_id(mark) for mark in (MARKS.prefix, MARKS.suffix, MARKS.middle)]
    assert spy.started == [[[END, marks[0], a, marks[1], marks[2]]]]


def test_text_beside_a_gap_gets_no_leading_space(llama):
    spy = Spy(Scripted([7, 7]))
    generator = llama.generator(spy, sentencepiece_like(), fill=FillMarks("<P>", "<S>", "<M>"))
    assert generator.fill("x =", "=1", max_new_tokens=2)[0].text == " 1 1"
    names = [generator.tokenizer.id_to_token(id_) for id_ in spy.started[0][0]]
    assert names == ["<P>", "x", "▁=", "<S>", "=", "1", "<M>"]


def test_fill_mark_ends_a_gap_but_not_a_completion(llama):
    tokenizer = tiny_tokenizer()
    mark, a = tokenizer.token_to_id(MARKS.prefix), tokenizer.token_to_id("a")
    generator = scripted([a, mark, a, END], llama, fill=MARKS)
    assert [(item.text, item.finish) for item in generator.fill("x", "y")] == [("a", "end")]
    assert "".join(generator.stream("x", "y")) == "a"
    assert [item.text for item in generator.generate("x")[0]] == ["aa"]


def test_control_tokens_of_a_plain_prompt_are_parsed(llama):
    spy = Spy(Scripted([END]))
    tokenizer = tiny_tokenizer()
    generator = llama.generator(spy, tokenizer, fill=MARKS)
    generator.fill("a", "a")
    generator.generate("a<fim_suffix><|end|>")
    assert spy.started[-1] == [[tokenizer.token_to_id("a"), tokenizer.token_to_id("<fim_suffix>"), END]]


def test_filling_a_gap_without_fill_marks_is_rejected_with_a_remedy(llama):
    for ask in (lambda generator: generator.fill("a", "b"), lambda generator: generator.stream("a", "b")):
        with pytest.raises(UserError, match=r"cannot fill in the middle.*as a prompt; or choose a model"):
            ask(llama.generator())


def test_rejects_a_fill_mark_that_the_tokenizer_lacks(llama):
    with pytest.raises(ArtifactError, match="fill mark '<none>'"):
        llama.generator(fill=FillMarks("<none>", "<fim_suffix>", "<fim_middle>"))
