import type { Command } from "../command.ts"
import { bench } from "./bench.ts"
import { chat } from "./chat.ts"
import { completionCommand } from "./completion.ts"
import { config } from "./config.ts"
import { detokenize } from "./detokenize.ts"
import { doctor } from "./doctor.ts"
import { evaluate } from "./eval.ts"
import { inspect } from "./inspect.ts"
import { kv } from "./kv.ts"
import { logits } from "./logits.ts"
import { quantize } from "./quantize.ts"
import { render } from "./render.ts"
import { run } from "./run.ts"
import { serve } from "./serve.ts"
import { tokenize } from "./tokenize.ts"
import { verify } from "./verify.ts"
import { version } from "./version.ts"

/** Every command, in the order of the program's help. */
export const COMMANDS: readonly Command[] = [
  chat,
  run,
  serve,
  tokenize,
  detokenize,
  render,
  inspect,
  verify,
  logits,
  quantize,
  bench,
  evaluate,
  kv,
  doctor,
  config,
  version,
  completionCommand(() => COMMANDS),
]
