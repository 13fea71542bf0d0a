import { expect, test } from "bun:test"
import { helpOf } from "./help.ts"

const help = helpOf({
  command: "serve",
  usage: "ds4 serve [FLAGS]",
  summary: "serves",
  details: "More about it.",
  examples: ["ds4 serve"],
})

test("help has usage, a line or more for each option, and examples, in 100 columns", () => {
  expect(help).toStartWith("usage: ds4 serve [FLAGS]\n\nserves\n\nMore about it.\n\nflags:\n")
  expect(help).toContain(
    "  -p, --port N              port; 0 takes a free one and prints it [8000]\n",
  )
  expect(help.split("\n").filter((line) => line.length > 100)).toEqual([])
})

test("an option reads as its command states it", () => {
  expect(help).toContain("clients must send this key")
  expect(help).toContain("[393216]")
  const chat = helpOf({ command: "chat", usage: "", summary: "", examples: [] })
  expect(chat).toContain("key for --url")
  expect(chat).not.toContain("[393216]")
})
