/** What the scripts read from the READMEs. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./workspace.mjs"

/** The README of the workspace and those of its packages: `{ path, text }`. */
export const readmes = () =>
  ["README.md", ...readdirSync(join(root, "packages")).map((name) => `packages/${name}/README.md`)]
    .filter((path) => existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }))

/** The contents of the fenced blocks whose opening line `opens`. */
const fenced = (text, opens) =>
  text.split(/^```/m).flatMap((part, index) => (index % 2 === 1 && opens.test(part) ? [part.replace(opens, "")] : []))

/** The lines for a shell that install packages by name; `npm install` alone is for a clone of the workspace. */
export const installLines = (text) =>
  fenced(text, /^sh\n/).flatMap((block) => block.match(/^npm (?:install|i|add) +(?:-\S+ +)*[@\w].*$/gm) ?? [])

/** The import statements of each block of TypeScript, without what is a type, and without files beside it. */
export const valueImports = (text) =>
  fenced(text, /^ts( no-check)?\n/).flatMap((block) => {
    const statements = block.match(/^import (?!type\b)[^"]*"(?!\.)[^"]+"/gm) ?? []
    return statements.length === 0 ? [] : [statements.map((text) => text.replace(/\btype \w+,?/g, "")).join("\n")]
  })
