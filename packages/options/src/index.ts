export { COMMAND_NAMES, type CommandName } from "./command-name.ts"
export { type ConfigFile, defaultConfigPath } from "./config-file.ts"
export {
  defaultOptions,
  type EffectiveOption,
  effectiveOption,
  effectiveOptions,
  type OptionOrigin,
  type OptionSources,
  withConfigFile,
} from "./effective-options.ts"
export { type Environment, xdgFolder } from "./folders.ts"
export { helpOf, type HelpText } from "./help.ts"
export { nearestName } from "./nearest-name.ts"
export { impliedCommand } from "./old-spellings.ts"
export { OptionError } from "./option-error.ts"
export type { OptionKind, OptionSpec, OptionValue, RawValue } from "./option-spec.ts"
export {
  type CommandOptions,
  isCommandName,
  isOptionName,
  type ModelOptionName,
  OPTION_NAMES,
  OPTION_SUBJECTS,
  type OptionName,
  type OptionNameOf,
  OPTIONS,
  type OptionValues,
  specOf,
  spelledOptions,
  variableOf,
} from "./option-table.ts"
export { parseArguments, type ParsedArguments } from "./parse-arguments.ts"
export { readValue } from "./read-value.ts"
