/**
 * Variables that are read somewhere in the tree and belong to no flag. A test finds undeclared
 * ones.
 */
export const OTHER_VARIABLES: readonly { readonly name: string; readonly meaning: string }[] = [
  {
    name: "DS4_LIBRARY",
    meaning: "path of a `libds4.so` to load instead of the built one; nothing is built then",
  },
  { name: "DS4_TEST_VECTORS", meaning: "native tests: folder of the recorded vectors" },
  { name: "CUDA_VISIBLE_DEVICES", meaning: "the GPUs that CUDA shows to the process" },
  { name: "CUDACXX", meaning: "nvcc for the native build, where it is not on PATH" },
  {
    name: "DS4_CUDA",
    meaning:
      "ON or OFF: the native build has the CUDA backend; default: where nvcc and a driver are",
  },
  {
    name: "DS4_CUDA_ARCHITECTURES",
    meaning:
      'GPUs that the native build is for, as nvcc names them ("80;90a"); default: present ones',
  },
  { name: "CI", meaning: "`true`: the test command also tries mutations of what changed" },
  { name: "CC", meaning: "build time: C compiler" },
  { name: "CXX", meaning: "build time: C++ compiler" },
  {
    name: "CMAKE_CXX_COMPILER_LAUNCHER",
    meaning:
      "build time: a compiler cache such as `ccache`; files are then compiled one by one instead " +
      "of folder by folder",
  },
  {
    name: "XDG_CONFIG_HOME",
    meaning:
      "base of the configuration folder, default `~/.config`; settings are in `ds4/ds4.toml` " +
      "below it",
  },
  {
    name: "XDG_STATE_HOME",
    meaning:
      "base of the state folder, default `~/.local/state`; history and saved conversations are " +
      "in `ds4/` below it",
  },
  {
    name: "XDG_CACHE_HOME",
    meaning:
      "base of the cache folder, default `~/.cache`; `./ds4` lets bun cache compiled sources in " +
      "`ds4/bun` below it",
  },
  {
    name: "BUN_RUNTIME_TRANSPILER_CACHE_PATH",
    meaning: "where bun caches compiled sources; `./ds4` sets it unless it is set",
  },
  { name: "HOME", meaning: "base of the folders above" },
  { name: "PATH", meaning: "where bun, npx, cmake and the compilers are found" },
  { name: "NO_COLOR", meaning: "set and not empty: no colours and no markdown rendering" },
  { name: "TERM", meaning: "`dumb`: the same as NO_COLOR" },
  { name: "VISUAL", meaning: "editor for Ctrl+X Ctrl+E in chat, before EDITOR" },
  { name: "EDITOR", meaning: "editor for Ctrl+X Ctrl+E in chat; default `vi`" },
]
