// Loaded into opencode before anything else (BUN_INSPECT_PRELOAD): it runs no program text but what it came with.
//
// It looks for plugins in the folder that it works on, also where it was told to leave the project's configuration alone.
import { plugin } from "bun"

delete process.env.BUN_INSPECT_PRELOAD // its commands may be programs of the same runtime

plugin({
  name: "heddle-guard",
  setup(build) {
    build.onLoad({ filter: /^(?!\/\$bunfs\/).*\.(?:[cm]?[jt]sx?|node|wasm)$/ }, ({ path }) => {
      if (path === import.meta.path) return { contents: "", loader: "js" }
      throw new Error(`not loaded, because nobody approved of it: ${path}`)
    })
  },
})

// its own screen has its server in a worker, which does not inherit what is loaded here
globalThis.Worker = class extends Worker {
  constructor(script, options = {}) {
    super(script, { ...options, preload: [import.meta.path, ...[options.preload ?? []].flat()] })
  }
}
