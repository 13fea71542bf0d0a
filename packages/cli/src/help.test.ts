import { expect, test } from "bun:test"
import { COMMANDS } from "./commands/index.ts"
import { commandHelp, programHelp } from "./help.ts"

test("help of the program", () => {
  expect(programHelp(COMMANDS)).toMatchSnapshot()
})

for (const command of COMMANDS) {
  test(`help of ${command.name}: every line fits, every command has an example`, () => {
    const help = commandHelp(command)
    expect(help.split("\n").filter((line) => line.length > 130)).toEqual([])
    expect(command.examples.length).toBeGreaterThan(0)
    expect(help).toMatchSnapshot()
  })
}
