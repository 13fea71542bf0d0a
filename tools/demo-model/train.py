"""Trains the demo model. A command covers a stretch of the schedule; the next one resumes from its state.

  python3 train.py --seconds 500 --begin 0 --end 0.5 --state /tmp/demo-model
  python3 train.py --seconds 500 --begin 0.5 --end 1 --state /tmp/demo-model --export OUT

Under `torchrun --nproc-per-node N` N GPUs share the work; --rows and --workers are then those of each.
Progress runs from --begin to --end with the wall clock (or with --steps, which makes a run repeatable on any machine).
"""
import argparse
import faulthandler
import json
import math
import os
import pathlib
import threading
import time

from feed import LONG_TOKENS, SHORT_TOKENS, TOKENIZER, Feed

HERE = pathlib.Path(__file__).resolve().parent
WARMUP_STEPS, DECAY_FROM = 150, 0.5
DRAFT_WEIGHT, INDEX_WEIGHT, BALANCE_RATE = 0.15, 1.0, 1e-3


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
        from replicas import Replicas, SharedGradients
        from storage import load_checkpoint
        self.torch, self.args, self.replicas = torch, args, Replicas()
        self.device, self.on_gpu = self.replicas.device, self.replicas.device != "cpu"
        self.dtype = torch.bfloat16 if self.on_gpu else torch.float32
        self.model = Model(read_config(args.config))
        initialise(self.model, args.seed)
        if args.start_from:
            load_checkpoint(self.model, args.start_from)
        self.model.to(self.device)
        self.optimiser = Optimiser(self.model)
        self.blocks = [*self.model.layers, *self.model.mtp]
        self.shared = SharedGradients(self.replicas, self.model.parameters(), len(self.blocks) * self.model.c.experts)
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
        if self.on_gpu and not args.eager:
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
        for layer in self.blocks:
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
            if self.on_gpu:
                torch.cuda.synchronize()
            print(f"{rows} x {tokens} select {select}: built after {time.time() - begun:.1f}s", flush=True)
        self.clear_gradients()

    def differentiate(self, ids, weights, select):
        """-> losses (main, draft, index) as 0-dim tensors; gradients and expert loads go into self.shared."""
        total, main, draft, index, loads, _ = self.losses(ids, weights, select)
        total.backward()
        self.shared.collect(self.torch.cat([load.float().flatten() for load in loads]))
        return main.detach(), draft.detach(), index.detach()

    def apply(self):
        """One step along the shared gradients at the rate in self.rate."""
        self.shared.spread()
        self.optimiser.step(self.rate)
        with self.torch.no_grad():
            self.balance(self.shared.extra.view(len(self.blocks), -1))
        self.clear_gradients()

    def update(self, ids, weights, select):
        losses = self.differentiate(ids, weights, select)
        self.shared.average()
        self.apply()
        return losses

    def graph_of(self, body):
        """body() as a graph to replay, and what it returned. Other threads (those of the exchange) may go on meanwhile."""
        torch = self.torch
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self.graphs.values()))[0].pool() if self.graphs else None
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local" if self.replicas.count > 1 else "global"):
            made = body()
        return graph, made

    def captured(self, ids, weights, select):
        """update() as two replayed graphs: the thousands of small kernels of a step start without the host. The exchange
        between processes is launched by itself, between them."""
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
            graph, outputs = self.graph_of(lambda: self.differentiate(*inputs, select))
            self.graphs[key] = graph, inputs, outputs
            if "apply" not in self.graphs:
                self.graphs["apply"] = self.graph_of(self.apply)
            print(f"captured {key} after {time.time() - begun:.1f}s", flush=True)
        graph, inputs, outputs = self.graphs[key]
        inputs[0].copy_(ids)
        inputs[1].copy_(weights)
        graph.replay()
        self.shared.average()
        self.graphs["apply"][0].replay()
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
        """Moves each router's bias towards an even load. loads [blocks, experts]."""
        for layer, load in zip(self.blocks, loads):
            if not layer.ffn.hashed:
                layer.ffn.gate.bias += BALANCE_RATE * self.torch.sign(load.mean() - load)

    def run(self, feeds):
        torch, args = self.torch, self.args
        begun = last = time.time()
        waiting = 0.0  # seconds without a batch since the last line
        ends, log = args.started + args.seconds, open(os.path.join(args.log, "train.log"), "a")
        first = self.step
        while True:
            share = self.replicas.agree((self.step - first) / args.steps if args.steps else (time.time() - begun) / max(1e-3, ends - begun))
            if share >= 1:
                break
            progress = args.begin + (args.end - args.begin) * share
            is_long = progress >= args.long_from and self.step % args.long_every == 0
            waited = time.time()
            ids, weights = feeds[is_long].next(self.device)
            waiting += time.time() - waited
            self.rate.fill_(args.rate * learning_rate(progress, self.step))
            take = self.captured if self.on_gpu and not args.eager else self.update
            main, draft, index = take(ids, weights, is_long and progress >= args.select_from)
            self.step += 1
            self.tokens += ids.numel() * self.replicas.count
            if self.replicas.rank == 0 and (self.step % args.print_every == 0 or self.step - first in (1, 2, 5, 10)):
                line = (f"step {self.step} progress {progress:.3f} {'long' if is_long else 'short'} loss {main.item():.4f} draft {draft.item():.4f} index {index.item():.4f} "
                        f"{(time.time() - last):.1f}s waiting {waiting:.1f}s again {feeds[0].repeated}+{feeds[1].repeated} tokens {self.tokens / 1e6:.1f}M elapsed {time.time() - begun:.0f}s")
                if self.on_gpu:
                    line += f" peak {torch.cuda.max_memory_allocated() / 2 ** 30:.1f}GiB"
                print(line, flush=True)
                log.write(line + "\n")
                log.flush()
                last, waiting = time.time(), 0.0
                if not math.isfinite(main.item()):
                    raise SystemExit("the loss is not finite")

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
    if trainer.args.export and trainer.replicas.rank == 0:
        trainer.export()
    os._exit(3)


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
    parser.add_argument("--rate", type=float, default=1.0, help="times the usual learning rate")
    parser.add_argument("--short-shares", choices=["short", "endings"], default="short", help="of mixture.py, for the short rows")
    parser.add_argument("--rows", type=int, default=36)
    parser.add_argument("--long-rows", type=int, default=8)
    parser.add_argument("--long-from", type=float, default=0.2, help="progress from which long rows are trained on")
    parser.add_argument("--long-every", type=int, default=4, help="every so many steps the batch is one of long rows")
    parser.add_argument("--select-from", type=float, default=0.75, help="progress from which long rows attend to the indexer's choice alone")
    parser.add_argument("--again", action="store_true", help="repeat earlier batches rather than wait for new ones")
    parser.add_argument("--only-compile", choices=["short", "long"], help="compile one shape into the cache and end: beside the run that needs it")
    parser.add_argument("--print-every", type=int, default=50)
    parser.add_argument("--samples", type=int, default=128, help="of each kind in the report; 0: none")
    parser.add_argument("--patience", type=float, default=200, help="seconds after which a start that hangs is given up")
    parser.add_argument("--eager", action="store_true")
    args = parser.parse_args(given)
    args.started = time.time()
    return args


def main():
    args = arguments()
    for folder in (args.state, args.log):
        os.makedirs(folder, exist_ok=True)
    rank = int(os.environ.get("RANK", 0))
    seed = args.seed + int(args.begin * 1e4) + 50 * rank
    shapes = {"short": (args.rows, SHORT_TOKENS, False), "long": (args.long_rows, LONG_TOKENS, args.select_from < args.end)}
    faulthandler.dump_traceback_later(args.patience, exit=True)
    if args.only_compile:
        Trainer(args).warm_up([shapes[args.only_compile]])
        return
    feeds = [Feed(seed, args.workers, SHORT_TOKENS, args.short_shares, args.rows, args.again), Feed(seed + 5, args.long_workers, LONG_TOKENS, "long", args.long_rows, args.again)]
    trainer = Trainer(args)
    if not args.eager:
        trainer.warm_up(shapes.values())
    faulthandler.cancel_dump_traceback_later()
    rescue = threading.Timer(args.started + args.seconds + 15 - time.time(), give_up, [trainer])
    rescue.daemon = True
    rescue.start()
    trainer.run(feeds)
    rescue.cancel()
    if rank == 0:
        finish(trainer, args, shapes)


def finish(trainer, args, shapes):
    """Writes what was learnt, then what it gets right."""
    from bpe import Tokenizer
    from mixture import Texts
    from report import exact, kinds_of, perplexity
    if args.export:
        trainer.export()
    trainer.save()
    tokenizer, texts = Tokenizer(TOKENIZER), Texts()
    short, long = (shape[:2] for shape in shapes.values())
    report = {"step": trainer.step, "tokens": trainer.tokens}
    if args.samples:
        report["exact"] = exact(trainer, kinds_of(short, long), tokenizer, texts, args.samples, shapes["long"][2])
    print(json.dumps(report), flush=True)
    if args.export:
        full, count = perplexity(trainer, tokenizer, texts, 4, SHORT_TOKENS, False, False)
        stored, _ = perplexity(trainer, tokenizer, texts, 4, SHORT_TOKENS, True, True)
        report |= {"perplexity_full": full, "perplexity_stored": stored, "perplexity_tokens": count, "rise_percent": 100 * (stored / full - 1)}
        print(json.dumps(report), flush=True)
        pathlib.Path(args.export, "report.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
