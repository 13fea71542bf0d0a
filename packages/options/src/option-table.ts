// Every option of every command. Parsers, help, the DS4_ variables, ds4.toml and
// docs/environment.md come from this table.
import type { CommandName } from "./command-name.ts"
import type { CommandDifference, OptionSpec, OptionValue } from "./option-spec.ts"
import { CONVERSATION_OPTIONS } from "./table/conversation.ts"
import { EXPERT_OPTIONS } from "./table/experts.ts"
import { GENERAL_OPTIONS } from "./table/general.ts"
import { INPUT_OUTPUT_OPTIONS } from "./table/input-output.ts"
import { MEASUREMENT_OPTIONS } from "./table/measurement.ts"
import { MODEL_OPTIONS } from "./table/model.ts"
import { NETWORK_OPTIONS } from "./table/network.ts"
import { QUANTIZE_OPTIONS } from "./table/quantize.ts"
import { SAMPLING_OPTIONS } from "./table/sampling.ts"
import { SERVING_OPTIONS } from "./table/serving.ts"

export const OPTIONS = {
  ...MODEL_OPTIONS,
  ...EXPERT_OPTIONS,
  ...SAMPLING_OPTIONS,
  ...CONVERSATION_OPTIONS,
  ...SERVING_OPTIONS,
  ...NETWORK_OPTIONS,
  ...INPUT_OUTPUT_OPTIONS,
  ...MEASUREMENT_OPTIONS,
  ...QUANTIZE_OPTIONS,
  ...GENERAL_OPTIONS,
} as const satisfies Record<string, OptionSpec>

type Table = typeof OPTIONS
export type OptionName = keyof Table

/** Options that choose the model, the engine's settings and the place of experts. */
export type ModelOptionName = keyof typeof MODEL_OPTIONS | keyof typeof EXPERT_OPTIONS

/** Values of some options, without what a single command states differently. */
export type OptionValues<N extends OptionName> = { readonly [K in N]: OptionValue<Table[K]> }

/** The options that a command takes. */
type OptionNameOf<C extends CommandName> = {
  [N in OptionName]: C extends Table[N]["commands"][number] ? N : never
}[OptionName]

type DifferenceOf<N extends OptionName, C extends CommandName> = Table[N] extends {
  perCommand: Readonly<Partial<Record<C, infer D>>>
}
  ? D
  : unknown
type SpecOf<N extends OptionName, C extends CommandName> = Omit<
  Table[N],
  keyof DifferenceOf<N, C>
> &
  DifferenceOf<N, C>

/** Values of all options that a command takes. */
export type CommandOptions<C extends CommandName> = {
  readonly [N in OptionNameOf<C>]: SpecOf<N, C> extends OptionSpec
    ? OptionValue<SpecOf<N, C>>
    : OptionValue<Table[N]>
}

/** The table by subject, for lists that people read. */
export const OPTION_SUBJECTS: readonly {
  readonly title: string
  readonly names: readonly OptionName[]
}[] = [
  { title: "Model and engine", names: namesOf(MODEL_OPTIONS) },
  { title: "Routed experts", names: namesOf(EXPERT_OPTIONS) },
  { title: "Sampling", names: namesOf(SAMPLING_OPTIONS) },
  { title: "Conversation", names: namesOf(CONVERSATION_OPTIONS) },
  { title: "Serving", names: namesOf(SERVING_OPTIONS) },
  { title: "Network", names: namesOf(NETWORK_OPTIONS) },
  { title: "Input and output", names: namesOf(INPUT_OUTPUT_OPTIONS) },
  { title: "Measurement", names: namesOf(MEASUREMENT_OPTIONS) },
  { title: "Quantisation", names: namesOf(QUANTIZE_OPTIONS) },
  { title: "General", names: namesOf(GENERAL_OPTIONS) },
]

function namesOf(part: Partial<Table>): OptionName[] {
  return Object.keys(part).filter(isOptionName)
}

export const OPTION_NAMES: readonly OptionName[] = namesOf(OPTIONS)

export function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name)
}

/** The variable of an option: DS4_MAX_TOKENS for max-tokens. */
export function variableOf(name: OptionName): string {
  return `DS4_${name.toUpperCase().replaceAll("-", "_")}`
}

/** Whether the option's variable is read: of all but `help`. */
export function hasVariable(name: OptionName): boolean {
  return name !== "help"
}

/** Whether ds4.toml may set the option: all but `help` and `config`, which names the file. */
export function hasKey(name: OptionName): boolean {
  return name !== "help" && name !== "config"
}

/** The facts of an option that one command states differently, if any. */
function differenceOf(name: OptionName, command: CommandName): CommandDifference | undefined {
  const spec: OptionSpec = OPTIONS[name]
  return spec.perCommand?.[command]
}

/** One option's declaration, as a command sees it or, without one, in general. */
export function specOf(name: OptionName, command?: CommandName): OptionSpec {
  const spec: OptionSpec = OPTIONS[name]
  return command === undefined ? spec : { ...spec, ...differenceOf(name, command) }
}

/** The options of a command under their names on its line, in the table's order. */
export function spelledOptions(command: CommandName): ReadonlyMap<string, OptionName> {
  const taken = OPTION_NAMES.filter((name) => specOf(name).commands.includes(command))
  return new Map(taken.map((name) => [differenceOf(name, command)?.spelling ?? name, name]))
}
