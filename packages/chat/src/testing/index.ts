export { fixture } from "./fixtures.ts"
