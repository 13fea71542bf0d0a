// The thread that makes blocking calls of the library for the main one. It gets a function's name
// and plain arguments, pointers included, and answers with the status and the text that belong to
// its own thread.
import { engineLibrary } from "./library.ts"
import type { BackgroundAnswer, BackgroundCall } from "./native/background.ts"

declare const self: Worker

self.onmessage = ({ data }: MessageEvent<BackgroundCall>) => {
  self.postMessage(answer(data))
}

function answer({ id, symbol, args }: BackgroundCall): BackgroundAnswer {
  try {
    const { symbols } = engineLibrary()
    // the table types each function by its own arguments; here they come as data, from
    // callInBackground alone
    const call = symbols[symbol] as (...values: readonly unknown[]) => number
    const status = call(...args)
    return { id, status, text: status === 0 ? "" : String(symbols.ds4_last_error()) }
  } catch (error) {
    return { id, status: -1, text: error instanceof Error ? error.message : String(error) }
  }
}
