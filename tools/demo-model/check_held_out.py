"""Shows that training never produces what the suite asks: makes training samples and looks for every question, word,
pair of numbers, system text with its question, and filler sentence of the suite in them.

  python3 check_held_out.py --samples 20000
"""
import argparse
import json
import re
import sys

from bpe import Tokenizer
from dialogues.instructions import COLOURS, PLACES
from dialogues.words import Source, held_out
from mixture import LONG, SHORT, Texts
from suite import OUT, SEED, TOKENIZER, build, item

WORD = re.compile(r"[A-Za-z]+")
LONG_SHARE = 0.02  # of the samples: they are long, and their parts are those of the short ones


class Recording(Source):
    """Keeps the words that it made up."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.made = set()

    def word(self, syllables=None):
        text = super().word(syllables)
        self.made.add(text)
        return text


def questions(made):
    """(system text, user text) of every user turn."""
    system = " ".join(m["content"] for m in made["messages"] if m["role"] == "system")
    return [(system, m["content"]) for m in made["messages"] if m["role"] == "user"]


def all_text(made):
    """What a sample says and declares."""
    said = [f"{m['content']} {m.get('reasoning', '')} {m.get('calls', '')}" for m in made["messages"]]
    return " ".join([*said, str(made.get("tools"))])


def pair(made):
    """"12 + 30" of an arithmetic sample."""
    return made["messages"][-1]["content"].split(" = ")[0].split("\n")[0]


def training(samples, texts):
    """-> samples, the source that made them."""
    source = Recording(424242, filler=texts.filler)
    found = []
    for number in range(samples):
        shares = LONG if number < samples * LONG_SHARE else SHORT
        maker = source.random.choices([m for _, m in shares], [w for w, _ in shares])[0]
        if maker is not None:
            found.append(maker(source))
    return found, source


def problems(suite, suite_words, trained, trained_words, texts):
    asked = {q for made in trained for q in questions(made)}
    texts_asked = {text for _, text in asked}
    pairs = {pair(made) for made in trained if made["kind"] == "arithmetic"}
    # A made-up word may happen to be a real one and stand in a document or a table.
    real = {w.lower() for d in [*texts.train, PLACES, *(word for row in COLOURS for word in row)] for w in WORD.findall(d)}
    names = suite_words - real
    yield from (f"made up for training though held out: {w}" for w in sorted(trained_words) if held_out(w))
    yield from (f"in the suite though not held out: {w}" for w in sorted(suite_words) if not held_out(w))
    seen = {w.lower() for made in trained for w in WORD.findall(all_text(made))}
    yield from (f"word of the suite in training: {w}" for w in sorted(names & seen) if len(w) > 4)
    held = set(texts.sentences[True])
    yield from (f"held-out sentence in training: {s}" for s in sorted(held & set(texts.sentences[False])))
    for kind, number, made in suite:
        system, text = questions(made)[-1]
        if (system, text) in asked if kind == "instruction" else text in texts_asked:
            yield f"{kind}-{number} asked in training: {text}"
        if kind == "arithmetic" and pair(made) in pairs:
            yield f"{kind}-{number}: {pair(made)} in training"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    texts, tokenizer = Texts(), Tokenizer(TOKENIZER)
    source = Recording(args.seed, is_eval=True, filler=texts.filler)
    suite = build(source, tokenizer)
    if args.seed == SEED:
        stored = json.loads(OUT.read_text("utf-8"))["items"]
        if json.loads(json.dumps([item(number, kind, made) for kind, number, made in suite])) != stored:
            sys.exit("the stored suite is not what suite.py makes; run suite.py")
    trained, maker = training(args.samples, texts)
    found = list(problems(suite, source.made, trained, maker.made, texts))
    print("\n".join(found[:50]))
    print(f"{len(suite)} items against {len(trained)} training samples: {len(found)} problems")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
