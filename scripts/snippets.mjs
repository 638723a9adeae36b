/**
 * Compiles what readers copy: every block of TypeScript in a README and every `@example` in a source, each as a program of its
 * own, with the options of the workspace. A fragment in a README that cannot be one is fenced as "ts no-check".
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { root } from "./workspace.mjs"

const folder = ".tsbuild/snippets"

const filesOf = (start) =>
  readdirSync(join(root, start), { withFileTypes: true })
    .filter((entry) => !["node_modules", "dist", "docs"].includes(entry.name) && !entry.name.startsWith("."))
    .flatMap((entry) => {
      const path = join(start, entry.name)
      return entry.isDirectory() ? filesOf(path) : [path]
    })

/** The blocks of a text as `{ line, code }`: the lines after one that `opens`, up to one that `closes`. */
const blocks = (text, opens, closes) => {
  const lines = text.split("\n")
  return lines.flatMap((line, index) => {
    if (!opens.test(line)) return []
    const rest = lines.slice(index + 1)
    return [
      {
        line: index + 1,
        code: rest.slice(
          0,
          rest.findIndex((next) => closes.test(next)),
        ),
      },
    ]
  })
}

const readmeBlocks = (text) => blocks(text, /^```ts$/, /^```$/)

const examples = (text) =>
  blocks(text, /^\s*\* @example$/, /^\s*\*(\/| @)/).map(({ line, code }) => ({
    line,
    code: code.map((text) => text.replace(/^\s*\* ?(```(ts)?$)?/, "")),
  }))

const snippets = filesOf(".").flatMap((path) => {
  const read = /(^|\/)README\.md$/.test(path) ? readmeBlocks : /\/src\/.*\.ts$/.test(path) ? examples : () => []
  return read(readFileSync(join(root, path), "utf8")).map((block) => ({ path, ...block }))
})

rmSync(join(root, folder), { recursive: true, force: true })
for (const { path, line, code } of snippets) {
  const file = join(root, folder, `${path}.${line}.ts`)
  mkdirSync(dirname(file), { recursive: true })
  // Empty lines before the code: the compiler's line numbers are those of the README or source.
  writeFileSync(file, "\n".repeat(line) + code.join("\n"))
}
writeFileSync(
  join(root, folder, "tsconfig.json"),
  JSON.stringify({
    extends: "../../tsconfig.base.json",
    include: ["**/*.ts"],
    compilerOptions: { noEmit: true, composite: false, noUnusedLocals: false, moduleDetection: "force" },
  }),
)

const tsc = spawnSync("npx", ["tsc", "--pretty", "false", "-p", folder], { cwd: root, encoding: "utf8" })
process.stdout.write(tsc.stdout.replaceAll(new RegExp(`^${folder}/(.*?)\\.\\d+\\.ts\\(`, "gm"), "$1("))
console.log(`${snippets.length} snippets ${tsc.status === 0 ? "compile" : "were compiled, with errors"}`)
process.exitCode = tsc.status ?? 1
