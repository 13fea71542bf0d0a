// Faults of the TypeScript packages: answers' parser, template, tokenizer, limits and cancelling.
import type { Mutation } from "./mutation.ts"

const CHAT = "packages/chat/src"
const TOKENIZER = "packages/tokenizer/src"

export const PACKAGE_ROWS: readonly Mutation[] = [
  {
    name: "the first value of a repeated argument counts",
    file: `${CHAT}/parser/call-stream.ts`,
    find: "    this.members.set(key, member)",
    replace: "    else this.members.set(key, member)",
    tests: [`${CHAT}/parser/output-parser.test.ts`],
  },
  {
    name: "arguments of a streamed call lack the comma between them",
    file: `${CHAT}/parser/call-stream.ts`,
    find: 'const comma = this.hasStreamedMember ? "," : ""',
    replace: 'const comma = ""',
    tests: [`${CHAT}/parser/call-shapes.test.ts`],
  },
  {
    name: "an escaped closing tag in a value is not undone",
    file: `${CHAT}/parser/closing-tag-escape.ts`,
    find: "text.replaceAll(ESCAPED, PARAMETER_CLOSE) : text",
    replace: "text : text",
    tests: [`${CHAT}/template/string-values.test.ts`],
  },
  {
    name: "control strings count in what users write",
    file: `${CHAT}/template/segment-writer.ts`,
    find: "return this.add(text, false)",
    replace: "return this.add(text, true)",
    tests: [`${CHAT}/template/chat-template.test.ts`],
  },
  {
    name: "finished assistant turns have no end token",
    file: `${CHAT}/template/turn-writer.ts`,
    find: "if (!isOpen) this.out.control(EOS)",
    replace: "if (isOpen) this.out.control(EOS)",
    tests: [`${CHAT}/template/vendor-golden.test.ts`],
  },
  {
    name: "an answer without thinking begins inside thinking",
    file: `${CHAT}/template/turn-writer.ts`,
    find: "this.options.thinking ? THINK_OPEN : THINK_CLOSE",
    replace: "this.options.thinking ? THINK_OPEN : THINK_OPEN",
    tests: [`${CHAT}/template/vendor-golden.test.ts`],
  },
  {
    name: "of equal pairs the rightmost is merged first",
    file: `${TOKENIZER}/bpe/merge-symbols.ts`,
    find: "if (rank >= 0 && rank < bestRank) {",
    replace: "if (rank >= 0 && rank <= bestRank) {",
    tests: [`${TOKENIZER}/tokenizer.test.ts`],
  },
  {
    name: "the pair before a merge keeps its old rank",
    file: `${TOKENIZER}/bpe/merge-symbols.ts`,
    find: "      if (best > 0)\n        ranks[best - 1] =",
    replace: "      if (best > 1e9)\n        ranks[best - 1] =",
    tests: [`${TOKENIZER}/agreement.test.ts`],
  },
  {
    name: "long pieces are merged from the right on a tie",
    file: `${TOKENIZER}/bpe/merge-symbols.ts`,
    find: "      if (rank >= 0) this.heap[this.heapSize++] = rank * POSITION_SPAN + i",
    replace: "      if (rank >= 0) this.heap[this.heapSize++] = rank * POSITION_SPAN - i",
    tests: [`${TOKENIZER}/agreement.test.ts`],
  },
  {
    name: "a character cut after two of four bytes is given out as broken",
    file: `${TOKENIZER}/bpe/stream-decoder.ts`,
    find: "const limit = Math.min(3, bytes.length)",
    replace: "const limit = Math.min(1, bytes.length)",
    tests: [`${TOKENIZER}/tokenizer.test.ts`],
  },
  {
    name: "bodies that are being read give no room back",
    file: "packages/server/src/http/body-budget.ts",
    find: "this.usedBytes -= share",
    replace: "this.usedBytes -= 0",
    tests: ["packages/server/src/http/large-body.test.ts"],
  },
  {
    name: "all bodies together may be as large as they like",
    file: "packages/server/src/http/body-budget.ts",
    find: "if (this.usedBytes + bytes > this.limitBytes) throw this.refusal()",
    replace: "if (bytes > this.limitBytes) throw this.refusal()",
    tests: ["packages/server/src/http/large-body.test.ts"],
  },
  {
    name: "a web page with a name of its own may call a server without a key",
    file: "packages/server/src/http/guards.ts",
    find: 'name === "localhost" ||',
    replace: "name.length > 0 ||",
    tests: ["packages/server/src/http/guards.test.ts"],
  },
  {
    name: "one request more than allowed waits for a session",
    file: "packages/engine/src/session-pool.ts",
    find: "if (this.queue.length >= this.options.maxQueue) {",
    replace: "if (this.queue.length > this.options.maxQueue) {",
    tests: ["packages/engine/src/session-pool.test.ts"],
  },
  {
    name: "an answer that the caller no longer wants runs to its end",
    file: "packages/chat/src/answer/answer-stream.ts",
    find: "options.signal === undefined ? ending : AbortSignal.any([options.signal, ending])",
    replace: "ending",
    tests: ["packages/chat/src/open.test.ts"],
  },
  {
    name: "of equal merges in a table the last one counts",
    file: `${TOKENIZER}/bpe/merge-table.ts`,
    find: "    if (this.slots[slot] !== EMPTY) return\n",
    replace: "",
    tests: [`${TOKENIZER}/bpe/merge-table.test.ts`],
  },
  {
    name: "a prompt one token longer than the context is taken",
    file: "packages/engine/src/check-request.ts",
    find: "if (promptTokens.length > model.contextTokens) {",
    replace: "if (promptTokens.length > model.contextTokens + 1) {",
    tests: ["packages/engine/src/check-request.test.ts"],
  },
  {
    name: "a request that leaves the queue does not let the next one in",
    file: "packages/engine/src/session-pool.ts",
    find: "      resolve(undefined)\n      this.serveQueue()",
    replace: "      resolve(undefined)",
    tests: ["packages/engine/src/session-pool.test.ts"],
  },
]
