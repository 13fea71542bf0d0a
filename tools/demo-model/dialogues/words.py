"""Words that do not exist, numbers, and the split between training and held-out material.

A generated word, name or number pair belongs to the held-out side when its CRC-32 is a multiple of 8. Training
material never contains a held-out one, whatever the seed.
"""
import random
import zlib

ONSETS = ["b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pl", "qu", "r", "s", "sh", "sk", "st", "t", "tr", "v", "w", "z"]
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "oo", "ou"]
CODAS = ["", "", "", "l", "m", "n", "r", "s", "t", "x", "nd", "rk", "sh", "ck"]


def held_out(key):
    return zlib.crc32(key.encode()) % 8 == 0


class Source:
    """Random choices for one split; is_eval picks the held-out side."""

    def __init__(self, seed, is_eval=False, filler=None):
        self.random, self.is_eval, self.filler = random.Random(seed), is_eval, filler
        self.pick, self.chance = self.random.choice, lambda p: self.random.random() < p

    def on_side(self, key):
        return held_out(key) == self.is_eval

    def word(self, syllables=None):
        while True:
            count = syllables or self.pick([2, 2, 3])
            text = "".join(self.pick(ONSETS) + self.pick(VOWELS) for _ in range(count)) + self.pick(CODAS)
            if self.on_side(text):
                return text

    def name(self):
        return self.word().capitalize()

    def whole(self, low, high):
        return self.random.randint(low, high)

    def few(self, items, count):
        return self.random.sample(items, count)

    def template(self, known, unseen):
        """A wording: held-out ones are used by the suite alone, mixed with known ones."""
        return self.pick(unseen) if self.is_eval and unseen and self.chance(0.5) else self.pick(known)


def sample(kind, user, answer, *, reasoning="", system=None, thinking=False, tools=None, expect=None, history=()):
    """One conversation whose last turn is the answer. expect is what the suite checks."""
    messages = ([{"role": "system", "content": system}] if system else []) + list(history)
    messages.append({"role": "user", "content": user})
    messages.append({"role": "assistant", "content": answer, **({"reasoning": reasoning} if thinking else {})})
    return {"kind": kind, "messages": messages, "tools": tools, "thinking": thinking, "expect": expect or {"contains": [answer]}}
