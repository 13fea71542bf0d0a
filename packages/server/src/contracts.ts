// Temporary: interface types of the neighbours until their packages export them.
export type OutputEvent =
  | { type: "reasoning"; text: string } | { type: "content"; text: string }
  | { type: "call-start"; index: number; id: string; name: string }
  | { type: "call-args"; index: number; text: string } | { type: "call-end"; index: number } | { type: "block-end" }
