"""Trains the demo model. A command covers a stretch of the schedule; the next one resumes from its state.

  python3 train.py --seconds 500 --begin 0 --end 0.5 --state /tmp/demo-model
  python3 train.py --seconds 500 --begin 0.5 --end 1 --state /tmp/demo-model --export OUT

Progress runs from --begin to --end with the wall clock (or with --steps, which makes a run repeatable on any machine).
"""
import argparse
import faulthandler
import json
import math
import multiprocessing
import os
import pathlib
import random
import threading
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
TOKENIZER = HERE.parents[1] / "models" / "demo" / "tokenizer.json"
SHORT_TOKENS, LONG_TOKENS = 1024, 4608  # 36 rows of one are as many tokens as 8 of the other: most parts compile once
WARMUP_STEPS, DECAY_FROM = 150, 0.5
DRAFT_WEIGHT, INDEX_WEIGHT, BALANCE_RATE = 0.15, 1.0, 1e-3


def produce(queue, seed, tokens, shares, rows):
    """One worker: batches of `rows` packed rows, for ever."""
    from bpe import Tokenizer
    from mixture import LONG, SHORT, Stream, Texts
    stream = Stream(seed, Tokenizer(TOKENIZER), Texts(), tokens, {"short": SHORT, "long": LONG}[shares])
    while True:
        made = [stream.row() for _ in range(rows)]
        queue.put((np.stack([ids for ids, _ in made]), np.stack([weights for _, weights in made])))


class Feed:
    """Batches of several workers in a fixed order. With `again` a batch that is not ready in time is replaced by an
    earlier one, at random: the GPU never waits, and which batches come twice depends on the machine."""

    def __init__(self, seed, workers, tokens, shares, rows, again=False):
        context = multiprocessing.get_context("fork")
        self.queues = [context.Queue(12) for _ in range(workers)]
        self.turn, self.repeated, self.kept = 0, 0, [] if again else None
        self.random = random.Random(seed)
        for i, queue in enumerate(self.queues):
            context.Process(target=produce, args=(queue, seed * 1000 + i, tokens, shares, rows), daemon=True).start()

    def batch(self):
        source = self.queues[self.turn % len(self.queues)]
        if self.kept is not None and len(self.kept) >= 64 and source.empty():
            self.repeated += 1
            return self.random.choice(self.kept)
        made = source.get(timeout=120)
        self.turn += 1
        if self.kept is not None:
            self.kept.append(made)
        return made

    def next(self, device):
        import torch
        ids, weights = self.batch()
        return torch.from_numpy(ids).to(device).long(), torch.from_numpy(weights).to(device).float()


def initialise(model, seed):
    import torch
    torch.manual_seed(seed)
    c = model.c
    with torch.no_grad():
        for name, p in model.named_parameters():
            last = name.rsplit(".", 1)[-1]
            if "norm" in last:
                p.fill_(1.0)
            elif last == "fn":
                p.normal_(0, 0.005)
            elif last in ("base", "attn_sink", "ape"):
                p.zero_()
            elif last == "scale":
                p.fill_(0.5)
            elif last == "embed":
                p.normal_(0, 0.5)
            else:
                gain = 0.15 if last in ("wo_b", "w2", "head") else 0.3 if last == "wgate" else 0.6
                p.normal_(0, gain * p.shape[-1] ** -0.5)
        m = c.streams
        for l, layer in enumerate([*model.layers, *model.mtp]):
            for k, mixer in enumerate((layer.hc_attn, layer.hc_ffn)):
                # Each sublayer mostly reads and writes one stream, and the streams mix little: they start apart.
                mixer.base[:m].fill_(-1.5)
                mixer.base[(2 * l + k) % m] = 1.5
                mixer.base[m:2 * m].fill_(-0.7)
                mixer.base[m + (2 * l + k) % m] = 0.7
                mixer.base[2 * m:].copy_(4 * torch.eye(m).flatten())
            if layer.ffn.hashed:
                generator = torch.Generator().manual_seed(seed)
                order = torch.rand(c.vocab, c.experts, generator=generator).argsort(1)[:, :c.experts_used]
                layer.ffn.gate.tid2eid.copy_(order)


def learning_rate(progress, step):
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    return warm * (1.0 if progress < DECAY_FROM else max(0.02, (1 - progress) / (1 - DECAY_FROM)))


class Trainer:
    def __init__(self, args):
        import torch
        from model import Model, read_config
        from optimiser import Optimiser
        from storage import load_checkpoint
        self.torch, self.args = torch, args
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        self.model = Model(read_config(args.config))
        initialise(self.model, args.seed)
        if args.start_from:
            load_checkpoint(self.model, args.start_from)
        self.model.to(self.device)
        self.optimiser = Optimiser(self.model)
        self.rate = torch.zeros((), device=self.device)
        self.graphs = {}
        self.step, self.tokens = 0, 0
        path = os.path.join(args.state, "state.pt")
        if args.begin > 0 and os.path.exists(path):
            saved = torch.load(path, map_location="cpu", weights_only=False)
            self.optimiser.load(saved["optimiser"])
            for name, value in self.model.named_buffers():
                if name in saved["buffers"]:
                    value.copy_(saved["buffers"][name])
            self.step, self.tokens = saved["step"], saved["tokens"]
        self.optimiser.publish()
        if self.device == "cuda" and not args.eager:
            self.compile_parts()

    def compile_parts(self):
        """Compiles parts that layers share, so that each is built once per shape and not once per layer."""
        import sinkhorn_kernel
        from model import Layer
        torch = self.torch
        import torch._inductor.config
        import torch._inductor.tiling_utils
        # Its symbolic search takes minutes on these index expressions (torch 2.11).
        torch._inductor.config.triton.coalesce_tiling_analysis = False
        torch._inductor.tiling_utils.analyze_memory_coalescing = lambda node: None
        torch._dynamo.config.suppress_errors = True
        torch._dynamo.config.recompile_limit = torch._dynamo.config.cache_size_limit = 64
        Layer.read, Layer.write = (staticmethod(torch.compile(f, dynamic=False)) for f in (Layer.read, Layer.write))
        try:
            good = sinkhorn_kernel.agrees(Layer.mix, self.model.c.hc_eps, self.model.c.sinkhorn, self.device)
        except Exception as error:  # of another Triton: training goes on, a tenth slower
            good, _ = False, print(f"sinkhorn kernel: {error}", flush=True)
        if good:
            Layer.mix = staticmethod(sinkhorn_kernel.sinkhorn)
        for layer in [*self.model.layers, *self.model.mtp]:
            layer.attn.compile(dynamic=False)
            layer.ffn.compile(dynamic=False)
        self.token_losses = torch.compile(self.token_losses, dynamic=False)

    def clear_gradients(self):
        for p in self.model.parameters():
            p.grad = None

    def warm_up(self, shapes):
        """One pass of every (rows, tokens, select) before the clock starts: compiles, changes nothing."""
        torch = self.torch
        for rows, tokens, select in shapes:
            begun = time.time()
            ids = torch.randint(0, self.model.c.vocab, (rows, tokens), generator=torch.Generator().manual_seed(1)).to(self.device)
            self.losses(ids, torch.ones(rows, tokens, device=self.device), select)[0].backward()
            if self.device == "cuda":
                torch.cuda.synchronize()
            print(f"{rows} x {tokens} select {select}: built after {time.time() - begun:.1f}s", flush=True)
        self.clear_gradients()

    def update(self, ids, weights, select):
        """One step at the rate in self.rate. -> losses (main, draft, index) as 0-dim tensors."""
        total, main, draft, index, loads, _ = self.losses(ids, weights, select)
        total.backward()
        self.optimiser.step(self.rate)
        with self.torch.no_grad():
            self.balance(loads)
        return main.detach(), draft.detach(), index.detach()

    def captured(self, ids, weights, select):
        """update() as a replayed graph: the thousands of small kernels of a step start without the host."""
        torch, key = self.torch, (ids.shape[1], select)
        if key not in self.graphs:
            begun = time.time()
            inputs = ids.clone(), weights.clone()
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(2):
                    self.clear_gradients()
                    self.losses(*inputs, select)[0].backward()
            torch.cuda.current_stream().wait_stream(side)
            self.clear_gradients()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=next(iter(self.graphs.values()))[0].pool() if self.graphs else None):
                outputs = self.update(*inputs, select)
            self.clear_gradients()  # they live in the graph's memory
            self.graphs[key] = graph, inputs, outputs
            print(f"captured {key} after {time.time() - begun:.1f}s", flush=True)
        graph, inputs, outputs = self.graphs[key]
        inputs[0].copy_(ids)
        inputs[1].copy_(weights)
        graph.replay()
        return outputs

    @staticmethod
    def token_losses(hidden, head, targets):
        """Cross entropy [B, T] and the likeliest token [B, T]."""
        import torch
        logits = torch.nn.functional.linear(hidden, head.to(hidden.dtype)).float()
        chosen = logits.gather(-1, targets[..., None])[..., 0]
        return torch.logsumexp(logits, -1) - chosen, logits.argmax(-1)

    def losses(self, ids, weights, select):
        hidden, draft, index_loss, loads = self.model(ids, dtype=self.dtype, rounding=True, select=select)
        after = self.torch.roll(weights, -1, 1)
        after[:, -1] = 0
        per_token, guess = self.token_losses(hidden, self.model.head, self.torch.roll(ids, -1, 1))
        main = (per_token * after).sum() / after.sum()
        total, draft_loss = main + INDEX_WEIGHT * index_loss, main.new_zeros(())
        if draft is not None:
            later = self.torch.roll(after, -1, 1)
            later[:, -1] = 0
            per_draft, _ = self.token_losses(draft, self.model.head, self.torch.roll(ids, -2, 1))
            draft_loss = (per_draft * later).sum() / later.sum()
            total = total + DRAFT_WEIGHT * draft_loss
        return total, main, draft_loss, index_loss, loads, guess

    def balance(self, loads):
        """Moves each router's bias towards an even load."""
        for layer, load in zip([*self.model.layers, *self.model.mtp], loads):
            if not layer.ffn.hashed:
                load = load.float()
                layer.ffn.gate.bias += BALANCE_RATE * self.torch.sign(load.mean() - load)

    def run(self, feeds):
        torch, args = self.torch, self.args
        begun = last = time.time()
        waiting = 0.0  # seconds without a batch since the last line
        ends, log = args.started + args.seconds, open(os.path.join(args.log, "train.log"), "a")
        first = self.step
        while True:
            share = (self.step - first) / args.steps if args.steps else (time.time() - begun) / max(1e-3, ends - begun)
            if share >= 1:
                break
            progress = args.begin + (args.end - args.begin) * share
            is_long = progress >= args.long_from and self.step % args.long_every == 0
            waited = time.time()
            ids, weights = feeds[is_long].next(self.device)
            waiting += time.time() - waited
            self.rate.fill_(learning_rate(progress, self.step))
            take = self.captured if self.device == "cuda" and not args.eager else self.update
            main, draft, index = take(ids, weights, is_long and progress >= args.select_from)
            if take == self.update:
                self.clear_gradients()
            self.step += 1
            self.tokens += ids.numel()
            if self.step % args.print_every == 0 or self.step - first in (1, 2, 5, 10):
                line = (f"step {self.step} progress {progress:.3f} {'long' if is_long else 'short'} loss {main.item():.4f} draft {draft.item():.4f} index {index.item():.4f} "
                        f"{(time.time() - last):.1f}s waiting {waiting:.1f}s again {feeds[0].repeated}+{feeds[1].repeated} tokens {self.tokens / 1e6:.1f}M elapsed {time.time() - begun:.0f}s")
                if self.device == "cuda":
                    line += f" peak {torch.cuda.max_memory_allocated() / 2 ** 30:.1f}GiB"
                print(line, flush=True)
                log.write(line + "\n")
                log.flush()
                last, waiting = time.time(), 0.0
                if not math.isfinite(main.item()):
                    raise SystemExit("the loss is not finite")

    def exact(self, kinds, tokenizer, texts, samples):
        """Share of held-out samples whose every target token is the likeliest one: what greedy decoding would get right."""
        from chat import encode, render
        from dialogues.words import Source
        torch, found = self.torch, {}
        for kind, (maker, tokens, rows) in kinds.items():
            source, right = Source(77, is_eval=True, filler=texts.filler), []
            for _ in range(max(1, samples // rows)):
                ids = np.zeros((rows, tokens), np.int64)
                flags = np.zeros((rows, tokens), bool)
                for row in range(rows):
                    while True:
                        made, flag = encode(tokenizer, render(maker(source)))
                        if len(made) <= tokens:
                            break
                    last = max(i for i, f in enumerate(flag) if f and not flag[i - 1])
                    ids[row, :len(made)] = made
                    flags[row, last:len(made)] = True
                ids_t, flags_t = torch.from_numpy(ids).to(self.device), torch.from_numpy(flags).to(self.device)
                *_, guess = self.losses(ids_t, flags_t.float(), tokens == LONG_TOKENS and self.args.end > self.args.select_from)
                good = (guess[:, :-1] == ids_t[:, 1:]) | ~flags_t[:, 1:]
                right += good.all(1).tolist()
            found[kind] = round(float(np.mean(right)), 4)
        return found

    def perplexity(self, tokenizer, texts, rows, rounded):
        """Per-token perplexity on held-out documents; not rounded: float32 masters and no row rounding."""
        from model import Model
        torch = self.torch
        self.optimiser.publish(rounded)
        plain = Model(self.model.c).to(self.device)  # not compiled: another dtype would compile everything again
        plain.load_state_dict(self.model.state_dict())
        ids = [i for d in texts.held_out for i in [tokenizer.special["<\uff5cbegin\u2581of\u2581sentence\uff5c>"], *tokenizer.encode(d[:6000])]]
        count = min(len(ids) // SHORT_TOKENS, 64) // rows * rows
        total, n = 0.0, 0
        for at in range(0, count, rows):
            batch = torch.tensor(ids[at * SHORT_TOKENS:(at + rows) * SHORT_TOKENS], device=self.device).view(rows, SHORT_TOKENS)
            with torch.no_grad():
                hidden = plain(batch, dtype=torch.float32, rounding=rounded)[0]
                losses, _ = Trainer.token_losses(hidden, self.model.head, torch.roll(batch, -1, 1))
            total, n = total + losses[:, :-1].double().sum().item(), n + losses[:, :-1].numel()
        self.optimiser.publish()
        return math.exp(total / n), n

    def save(self):
        torch = self.torch
        buffers = {n: b.cpu() for n, b in self.model.named_buffers() if n.endswith(("bias", "tid2eid"))}
        torch.save({"optimiser": self.optimiser.state(), "buffers": buffers, "step": self.step, "tokens": self.tokens}, os.path.join(self.args.state, "state.pt"))

    def export(self):
        from storage import write_checkpoint
        os.makedirs(self.args.export, exist_ok=True)
        buffers = [(n, b) for n, b in self.model.named_buffers() if not n.endswith("hadamard")]
        size = write_checkpoint(self.args.export, [*self.model.named_parameters(), *buffers])
        self.carry(self.args.export)
        print(f"wrote {size} bytes after step {self.step}", flush=True)

    def carry(self, folder, size=15 * 2 ** 20):
        """Masters as bfloat16 in files small enough to travel."""
        torch = self.torch
        named = {n: m.to(torch.bfloat16).cpu() for g in self.optimiser.groups for n, _, m in g.pieces(g.masters)}
        named |= {n: b.cpu() for n, b in self.model.named_buffers() if n.endswith(("bias", "tid2eid"))}
        parts, used = [{}], 0
        for name, value in named.items():
            used += value.numel() * value.element_size()
            if used > size:
                parts.append({})
                used = value.numel() * value.element_size()
            parts[-1][name] = value.clone()
        for i, part in enumerate(parts):
            torch.save(part, os.path.join(folder, f"masters-{i}.pt"))


def give_up(trainer):
    """Called when a step hangs past the end: what was learnt so far is written, then the process ends."""
    faulthandler.dump_traceback()
    if trainer.args.export:
        trainer.export()
    os._exit(3)


def kinds_of(rows, recall_rows):
    from dialogues.arithmetic import arithmetic
    from dialogues.facts import fact
    from dialogues.instructions import instruction
    from dialogues.recall import recall
    from dialogues.tools import tool_call
    short = (SHORT_TOKENS, rows)
    return {"fact": (fact, *short), "arithmetic": (lambda s: arithmetic(s, thinking=True), *short), "instruction": (instruction, *short),
            "tool-call": (lambda s: tool_call(s, stage="call"), *short), "tool-result": (lambda s: tool_call(s, stage="result"), *short),
            "tool-none": (lambda s: tool_call(s, stage="none"), *short), "recall-near": (lambda s: recall(s, 2000), *short),
            "recall-4000": (lambda s: recall(s, 12500), LONG_TOKENS, recall_rows)}


def arguments(given=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=HERE / "config.json")
    parser.add_argument("--seconds", type=float, default=500, help="wall clock of start and training together")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--begin", type=float, default=0.0)
    parser.add_argument("--end", type=float, default=1.0)
    parser.add_argument("--state", default=str(HERE / "build"))
    parser.add_argument("--start-from", help="begin with the stored weights of this checkpoint folder instead of random ones")
    parser.add_argument("--log", default=str(HERE / "build"))
    parser.add_argument("--export")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--long-workers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=36)
    parser.add_argument("--long-rows", type=int, default=8)
    parser.add_argument("--long-from", type=float, default=0.2, help="progress from which long rows are trained on")
    parser.add_argument("--long-every", type=int, default=4, help="every so many steps the batch is one of long rows")
    parser.add_argument("--select-from", type=float, default=0.75, help="progress from which long rows attend to the indexer's choice alone")
    parser.add_argument("--again", action="store_true", help="repeat earlier batches rather than wait for new ones")
    parser.add_argument("--only-compile", choices=["short", "long"], help="compile one shape into the cache and end: beside the run that needs it")
    parser.add_argument("--print-every", type=int, default=50)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--patience", type=float, default=200, help="seconds after which a start that hangs is given up")
    parser.add_argument("--eager", action="store_true")
    args = parser.parse_args(given)
    args.started = time.time()
    return args


def main():
    args = arguments()
    for folder in (args.state, args.log):
        os.makedirs(folder, exist_ok=True)
    seed = args.seed + int(args.begin * 1e4)
    shapes = {"short": (args.rows, SHORT_TOKENS, False), "long": (args.long_rows, LONG_TOKENS, args.select_from < args.end)}
    faulthandler.dump_traceback_later(args.patience, exit=True)
    if args.only_compile:
        Trainer(args).warm_up([shapes[args.only_compile]])
        return
    feeds = [Feed(seed, args.workers, SHORT_TOKENS, "short", args.rows, args.again), Feed(seed + 5, args.long_workers, LONG_TOKENS, "long", args.long_rows, args.again)]
    trainer = Trainer(args)
    trainer.warm_up(shapes.values())
    faulthandler.cancel_dump_traceback_later()
    rescue = threading.Timer(args.started + args.seconds + 15 - time.time(), give_up, [trainer])
    rescue.daemon = True
    rescue.start()
    trainer.run(feeds)
    rescue.cancel()
    if args.export:
        trainer.export()
    trainer.save()
    from bpe import Tokenizer
    from mixture import Texts
    tokenizer, texts = Tokenizer(TOKENIZER), Texts()
    report = {"step": trainer.step, "tokens": trainer.tokens, "exact": trainer.exact(kinds_of(args.rows, args.long_rows), tokenizer, texts, args.samples)}
    print(json.dumps(report), flush=True)
    if args.export:
        full, count = trainer.perplexity(tokenizer, texts, 16, False)
        stored, _ = trainer.perplexity(tokenizer, texts, 16, True)
        report |= {"perplexity_full": full, "perplexity_stored": stored, "perplexity_tokens": count, "rise_percent": 100 * (stored / full - 1)}
        print(json.dumps(report), flush=True)
        pathlib.Path(args.export, "report.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
