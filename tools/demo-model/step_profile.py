"""Times one training step by parts on a GPU: as launched kernel by kernel, and as a captured graph; then the kernels that cost most.

  python3 step_profile.py [any flag of train.py]
"""
import sys
import time

import torch

from train import LONG_TOKENS, SHORT_TOKENS, Trainer, arguments


def seconds_of(body, repeats):
    """Median seconds of body()."""
    times = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        begun = time.time()
        body()
        torch.cuda.synchronize()
        times.append(time.time() - begun)
    return sorted(times)[repeats // 2]


def main():
    args = arguments(sys.argv[1:])
    trainer = Trainer(args)
    generator = torch.Generator().manual_seed(1)
    for tokens, rows, select in ((SHORT_TOKENS, args.rows, False), (LONG_TOKENS, args.long_rows, True)):
        ids = torch.randint(0, trainer.model.c.vocab, (rows, tokens), generator=generator).cuda()
        weights = torch.ones(rows, tokens, device="cuda")
        begun = time.time()

        def launched():
            trainer.update(ids, weights, select)
            trainer.clear_gradients()

        launched()
        torch.cuda.synchronize()
        print(f"{rows} x {tokens}: built after {time.time() - begun:.1f}s", flush=True)
        parts = {"forward": lambda: trainer.losses(ids, weights, select), "optimiser": lambda: trainer.optimiser.publish()}
        for name, part in parts.items():
            print(f"  {name}: {1e3 * seconds_of(part, 5):.1f} ms", flush=True)
        trainer.clear_gradients()
        print(f"  launched step: {1e3 * seconds_of(launched, 5):.1f} ms", flush=True)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]) as profile:
            launched()
            torch.cuda.synchronize()
        print(profile.key_averages().table(sort_by="self_cuda_time_total", row_limit=45, max_name_column_width=70), flush=True)
        print(f"  captured step: {1e3 * seconds_of(lambda: trainer.captured(ids, weights, select), 9):.1f} ms, peak {torch.cuda.max_memory_allocated() / 2 ** 30:.1f} GiB", flush=True)


if __name__ == "__main__":
    main()
