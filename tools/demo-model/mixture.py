"""Which samples in which shares, packed into rows of token ids with loss weights."""
import pathlib
import re
import zlib

import numpy as np

from bpe import BOS, EOS
from chat import encode, render
from dialogues.arithmetic import arithmetic
from dialogues.facts import conversation, fact
from dialogues.instructions import instruction
from dialogues.recall import dense_recall, recall
from dialogues.smalltalk import smalltalk
from dialogues.tools import tool_call
from dialogues.words import Source

HERE = pathlib.Path(__file__).resolve().parent
PROMPT_WEIGHT, TEXT_WEIGHT = 0.04, 0.3
# Thousands of tokens of filler would outweigh the few tokens of the answers.
RECALL_PROMPT_WEIGHT = 0.005
SENTENCE = re.compile(r"[A-Z][a-z][^\n.!?]{30,200}[.!?]")


class Texts:
    """The corpus, split by document: every 16th CRC-32 is held out."""

    def __init__(self, path=HERE / "build" / "corpus.txt"):
        documents = path.read_text("utf-8").split("\x00")
        sides = [[d for d in documents if (zlib.crc32(d.encode()) % 16 == 0) == side] for side in (False, True)]
        self.train, self.held_out = sides
        self.sentences = [[s for d in side for s in SENTENCE.findall(d)] for side in sides]
        known = set(self.sentences[False])  # some sentences stand in documents of both sides
        self.sentences[True] = [s for s in self.sentences[True] if s not in known]

    def filler(self, source):
        """A sentence of the source's side; now and then one of made-up words."""
        if source.chance(0.25):
            return f"The {source.word()} of {source.name()} {source.pick(['was', 'is', 'became', 'stays'])} {source.word()}, and {source.name()} {source.pick(['saw', 'took', 'left', 'found'])} the {source.word()}."
        return source.pick(self.sentences[source.is_eval])


def text_sample(source, texts, characters=2400):
    document = source.pick(texts.train)
    at = source.whole(0, max(0, len(document) - characters))
    return document[at:at + characters]


CHARACTERS_PER_TOKEN = 2.9  # of filler
FACT_TOKENS, TURN_TOKENS = 15, 28  # a fact in the text; a question and its answer


def dense(source, tokens, count, asked, thinking=False):
    """A recall sample of about so many tokens, all told."""
    return dense_recall(source, max(300, CHARACTERS_PER_TOKEN * (tokens - FACT_TOKENS * count - TURN_TOKENS * asked)), count, asked, thinking)


def short_dense(source):
    """Text of 150 to 800 tokens and questions about all of it: much of it is just beyond the sliding window."""
    count = source.whole(4, 14)
    return dense(source, source.whole(430 + 30 * count, 950), count, count, source.chance(0.08))


def middle_dense(source):
    """A text of 1,000 to 2,000 tokens and questions about all of it."""
    count = source.whole(10, 20)
    return dense(source, source.whole(1500, 2400), count, count)


def long_dense(source):
    """A row full of one text with 16 to 32 facts and the questions about 12 to 24 of them."""
    count = source.whole(16, 32)
    return dense(source, source.whole(4000, 4450), count, min(count, source.whole(12, 24)))


# share of samples, maker
SHORT = [(54, tool_call), (24, arithmetic), (34, fact), (38, instruction), (4, smalltalk), (5, conversation),
         (22, short_dense), (12, lambda s: recall(s, s.whole(600, 2300))), (2, None)]
# Long texts are asked about many times: one question to 4,000 tokens would be little to learn from.
LONG = [(40, long_dense), (16, middle_dense), (8, lambda s: recall(s, s.whole(9000, 12700))), (30, lambda s: tool_call(s, size=s.whole(4, 14))),
        (6, arithmetic), (10, instruction), (10, fact)]


# Short texts that end in a question, and some of all the rest: for a last stretch at a low rate.
ENDINGS = [(30, lambda s: recall(s, s.whole(300, 2300))), (10, short_dense), (18, tool_call), (6, arithmetic), (9, fact), (10, instruction), (2, smalltalk)]


class Stream:
    """Endless packed rows for one worker."""

    def __init__(self, seed, tokenizer, texts, tokens, shares):
        self.source = Source(seed, filler=texts.filler)
        self.texts, self.tokenizer, self.tokens, self.waiting = texts, tokenizer, tokens, []
        self.weights, self.makers = zip(*shares)

    def draw(self):
        """-> ids, weights of the tokens as targets."""
        maker = self.source.random.choices(self.makers, self.weights)[0]
        if maker is None:
            ids = [self.tokenizer.special[BOS], *self.tokenizer.encode(text_sample(self.source, self.texts))]
            return np.array(ids, np.int16), np.full(len(ids), TEXT_WEIGHT, np.float16)
        made = maker(self.source)
        ids, weights = encode(self.tokenizer, render(made))
        weights, floor = np.array(weights, np.float16), RECALL_PROMPT_WEIGHT if made["kind"] == "recall" else PROMPT_WEIGHT
        return np.array(ids, np.int16), np.where(weights > 0, weights, np.float16(floor))

    def row(self):
        """First fit of waiting samples into one row; what does not fit waits for a later row. Long samples wait most and
        would begin every row, and short ones would never be seen without a text before them: the order is shuffled."""
        while len(self.waiting) < 32:
            ids, weights = self.draw()
            if len(ids) <= self.tokens:
                self.waiting.append((ids, weights))
        chosen, left, used = [], [], 0
        for made in self.waiting:
            fits = used + len(made[0]) <= self.tokens
            (chosen if fits else left).append(made)
            used += len(made[0]) if fits else 0
        self.waiting = left
        self.source.random.shuffle(chosen)
        out = np.full(self.tokens, self.tokenizer.special[EOS], np.int16)
        out_weights = np.zeros(self.tokens, np.float16)
        at = 0
        for ids, weights in chosen:
            out[at:at + len(ids)], out_weights[at:at + len(ids)] = ids, weights
            out_weights[at] = 0  # the first token of a sample follows another sample
            at += len(ids)
        return out, out_weights
