"""Goes a share of the way that a last stretch of training went: start + share * (end - start), float32, then stored.
What the stretch taught is kept, and less is lost of what it did not train.

  python3 blend.py --start-from E --state S --share 0.3 --export G

Prints perplexities on held-out text of the blend: stored weights and float32 ones, with and without rounded rows.
"""
import argparse
import json
import os

import torch

from bpe import Tokenizer
from feed import SHORT_TOKENS, TOKENIZER
from mixture import Texts
from report import perplexity
from train import Trainer, arguments


def blend(trainer, state, share):
    """Between the trainer's weights and those of state.pt."""
    saved = torch.load(os.path.join(state, "state.pt"), map_location="cpu")
    starts = [group.masters.clone() for group in trainer.optimiser.groups]
    trainer.optimiser.load(saved["optimiser"])
    for group, start in zip(trainer.optimiser.groups, starts):
        group.masters.copy_(torch.lerp(start, group.masters, share))
    for name, value in trainer.model.named_buffers():
        if name in saved["buffers"] and value.is_floating_point():
            value.lerp_(saved["buffers"][name], share)
    trainer.optimiser.publish()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start-from", required=True, help="checkpoint folder that the stretch began with")
    parser.add_argument("--state", required=True, help="--state of the stretch")
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--export", required=True)
    args = parser.parse_args()
    trainer = Trainer(arguments(["--eager", "--start-from", args.start_from, "--export", args.export]))
    blend(trainer, args.state, args.share)
    trainer.export()
    tokenizer, texts = Tokenizer(TOKENIZER), Texts()
    found = {}
    for stored in (False, True):
        for rounded in (False, True):
            name = f"{'stored' if stored else 'float32'} weights, rows {'rounded' if rounded else 'as they are'}"
            found[name], found["tokens"] = perplexity(trainer, tokenizer, texts, 4, SHORT_TOKENS, stored, rounded)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
