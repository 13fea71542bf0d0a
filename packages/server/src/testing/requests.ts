/** A chat body that every endpoint with messages accepts. */
export const CHAT = {
  messages: [{ role: "user", content: "hi" }],
  thinking: { type: "disabled" },
}
