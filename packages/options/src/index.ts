export { COMMAND_NAMES, type CommandName } from "./command-name.ts"
export { defaultConfigPath } from "./config-file.ts"
export {
  defaultOptions,
  type EffectiveOption,
  effectiveOption,
  effectiveOptions,
  type OptionSources,
  withConfigFile,
} from "./effective-options.ts"
export { type Environment, kvFolder, xdgFolder } from "./folders.ts"
export { helpOf } from "./help.ts"
export { nearestName } from "./nearest-name.ts"
export { impliedCommand } from "./old-spellings.ts"
export { OptionError } from "./option-error.ts"
export type { OptionSpec } from "./option-spec.ts"
export {
  type CommandOptions,
  type ModelOptionName,
  OPTION_NAMES,
  OPTION_SUBJECTS,
  type OptionName,
  OPTIONS,
  type OptionValues,
  specOf,
  spelledOptions,
  variableOf,
} from "./option-table.ts"
export { parseArguments } from "./parse-arguments.ts"
export { readValue } from "./read-value.ts"
