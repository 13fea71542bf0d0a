import type { ScriptedAnswer } from "./chat-server.ts"

const PIECES = ["one ", "two ", "three ", "four ", "five "]

/** The answers of a scripted server: words of the question choose pace and shape. */
export function chatScript(text: string): ScriptedAnswer {
  if (text.includes("slow start")) return { content: PIECES, firstMs: 10_000 }
  if (text.includes("slow")) return { content: PIECES, pieceMs: 400 }
  if (text.includes("ponder"))
    return { reasoning: ["hm, ", "let me see"], content: ["42"], pieceMs: 5 }
  if (text.includes("cut")) return { content: ["half"], finish: "length" }
  return { content: ["You said: ", text], pieceMs: 5 }
}
