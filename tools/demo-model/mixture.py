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
from dialogues.recall import recall
from dialogues.smalltalk import smalltalk
from dialogues.tools import tool_call
from dialogues.words import Source

HERE = pathlib.Path(__file__).resolve().parent
PROMPT_WEIGHT, TEXT_WEIGHT = 0.04, 0.3
SENTENCE = re.compile(r"[A-Z][a-z][^\n.!?]{30,200}[.!?]")


class Texts:
    """The corpus, split by document: every 16th CRC-32 is held out."""

    def __init__(self, path=HERE / "build" / "corpus.txt"):
        documents = path.read_text("utf-8").split("\x00")
        sides = [[d for d in documents if (zlib.crc32(d.encode()) % 16 == 0) == side] for side in (False, True)]
        self.train, self.held_out = sides
        self.sentences = [[s for d in side for s in SENTENCE.findall(d)] for side in sides]

    def filler(self, source):
        """A sentence of the source's side; now and then one of made-up words."""
        if source.chance(0.25):
            return f"The {source.word()} of {source.name()} {source.pick(['was', 'is', 'became', 'stays'])} {source.word()}, and {source.name()} {source.pick(['saw', 'took', 'left', 'found'])} the {source.word()}."
        return source.pick(self.sentences[source.is_eval])


def text_sample(source, texts, characters=2400):
    document = source.pick(texts.train)
    at = source.whole(0, max(0, len(document) - characters))
    return document[at:at + characters]


# share of samples, maker
SHORT = [(26, tool_call), (40, arithmetic), (28, fact), (40, instruction), (6, smalltalk), (8, conversation),
         (13, lambda s: recall(s, s.whole(0, 2200))), (4, None)]
# Long texts are asked about many times: one question to 4,000 tokens would be little to learn from.
LONG = [(40, lambda s: recall(s, s.whole(5000, 12000), thinking=False, counts=range(6, 17))), (30, lambda s: recall(s, s.whole(9000, 14000))),
        (14, tool_call), (10, arithmetic), (10, instruction), (8, fact)]


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
        ids, flags = encode(self.tokenizer, render(maker(self.source)))
        return np.array(ids, np.int16), np.where(flags, 1.0, PROMPT_WEIGHT).astype(np.float16)

    def row(self):
        """First fit of waiting samples into one row; what does not fit waits for a later row."""
        while len(self.waiting) < 24:
            ids, weights = self.draw()
            if len(ids) <= self.tokens:
                self.waiting.append((ids, weights))
        out = np.full(self.tokens, self.tokenizer.special[EOS], np.int16)
        out_weights = np.zeros(self.tokens, np.float16)
        at, index = 0, 0
        while index < len(self.waiting):
            ids, weights = self.waiting[index]
            if at + len(ids) <= self.tokens:
                out[at:at + len(ids)], out_weights[at:at + len(ids)] = ids, weights
                out_weights[at] = 0  # the first token of a sample follows another sample
                at += len(ids)
                self.waiting.pop(index)
            else:
                index += 1
        return out, out_weights
