// Gemini CLI runs with its folder trusted, else it refuses to work by itself. It would then take settings and variables
// from files of the repository, and with them commands: hooks, servers, BASH_ENV. To its own start those files are empty;
// the agent's tools read them by other calls, as all files.
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const empty = new Map([[path.resolve(".gemini/settings.json"), "{}"], [path.resolve(".gemini/.env"), ""]]);
for (let folder = process.cwd(); ; folder = path.dirname(folder)) {
  empty.set(path.join(folder, ".env"), "");
  if (folder === path.dirname(folder)) break;
}
const read = fs.readFileSync;
fs.readFileSync = function readFileSync(file, ...rest) {
  const told = typeof file === "string" ? empty.get(path.resolve(file)) : undefined;
  return told === undefined ? read.call(fs, file, ...rest) : rest.length ? told : Buffer.from(told);
};
require("node:module").syncBuiltinESMExports();
delete process.env.NODE_OPTIONS; // no business of what the agent starts
