export { toolBlock } from "./answers.ts"
export { fixture } from "./fixtures.ts"
