// Gemini CLI runs with its folder trusted, else it refuses to work by itself. It would then take settings and variables
// from files of the repository, and with them commands: hooks, servers, BASH_ENV. To its own start those files are empty;
// the agent's tools read them by other calls, as all files. Where Heddle serves the session tools, the person's settings
// name their server besides: in what is read, never in the file.
"use strict";
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const told = new Map([[path.resolve(".gemini/settings.json"), "{}"], [path.resolve(".gemini/.env"), ""]]);
for (let folder = process.cwd(); ; folder = path.dirname(folder)) {
  told.set(path.join(folder, ".env"), "");
  if (folder === path.dirname(folder)) break;
}
const { existsSync, readFileSync, writeFileSync } = fs;
const settings = path.join(os.homedir(), ".gemini", "settings.json");
const url = process.env.HEDDLE_TOOLS_URL;

if (url && !told.has(settings)) {
  const headers = { Authorization: `Bearer ${process.env.HEDDLE_TOOLS_TOKEN}` };
  const served = { heddle: { httpUrl: url, headers, trust: true, timeout: 120000 } };
  try {
    const own = existsSync(settings) ? JSON.parse(readFileSync(settings, "utf-8")) : {};
    told.set(settings, JSON.stringify({ ...own, mcpServers: { ...own.mcpServers, ...served } }));
    fs.existsSync = (file) => file === settings || existsSync(file);
    fs.writeFileSync = (file, ...rest) => (file === settings ? undefined : writeFileSync(file, ...rest));
  } catch {
    // settings that are no plain JSON are the person's as they are, and the session is without its tools
  }
}

fs.readFileSync = function (file, ...rest) {
  const text = typeof file === "string" ? told.get(path.resolve(file)) : undefined;
  return text === undefined ? readFileSync(file, ...rest) : rest.length ? text : Buffer.from(text);
};
require("node:module").syncBuiltinESMExports();
delete process.env.NODE_OPTIONS; // no business of what the agent starts
