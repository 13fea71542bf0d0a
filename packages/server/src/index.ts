export { createApp, type App, type AppDependencies } from "./app.ts"
export { main } from "./main.ts"
export {
  parseServeOptions,
  SERVE_FLAGS,
  serveHelp,
  type ServeFlag,
  type ServeFlagName,
  type ServeOptions,
} from "./flags.ts"
