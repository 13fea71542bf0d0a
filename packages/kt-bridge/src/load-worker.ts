// Loading blocks for as long as the disk takes; this worker is where it blocks.
import { runLoad, type LoadRequest } from "./load.ts"

declare const self: Worker

self.onmessage = (event: MessageEvent<LoadRequest>) => {
  self.postMessage(runLoad(event.data))
}
