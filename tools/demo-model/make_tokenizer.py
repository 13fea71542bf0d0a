"""Trains the vocabulary on the corpus and on sample dialogues; writes models/demo/tokenizer.json."""
import collections
import json
import pathlib

from bpe import MARK, SPECIALS, pieces_of, train, write_tokenizer
from chat import render
from dialogues.words import Source
from mixture import SHORT, Texts

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "models" / "demo"


def main():
    vocab = json.loads((HERE / "config.json").read_text())["vocab_size"]
    texts, counts = Texts(), collections.Counter()
    for document in texts.train:
        counts.update(pieces_of(document))
    source = Source(1, filler=texts.filler)
    for _ in range(9000):
        maker = source.random.choices([m for _, m in SHORT], [w for w, _ in SHORT])[0]
        if maker is None:
            continue
        text = "".join(t for t, _ in render(maker(source)))
        for special in SPECIALS:
            text = text.replace(special, "\n")
        counts.update(pieces_of(text))
    merges = train(counts, vocab - 256 - len(SPECIALS))
    MODEL.mkdir(parents=True, exist_ok=True)
    write_tokenizer(MODEL / "tokenizer.json", merges)
    print(f"{len(merges)} merges")


if __name__ == "__main__":
    main()
