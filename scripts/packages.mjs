/**
 * Checks what a user installs. Packs every published package, looks into the tarballs and lints them (publint, attw). Runs
 * the install lines of each README in an empty project and imports there what its examples import. Installs all tarballs
 * into one project, compiles and runs there what is in the folder consumer, and starts the simulator's command. Needs a
 * build.
 */
import assert from "node:assert/strict"
import { execFile, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { promisify } from "node:util"
import { installLines, readmes, valueImports } from "./readmes.mjs"
import { publishedPackages, root } from "./workspace.mjs"

/** Runs a command; what it printed is shown if it fails. */
const run = (command, args, cwd) => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" })
  assert.equal(status, 0, `${[command, ...args].join(" ")}\n${stdout}${stderr}`)
  return stdout
}

/** Packs a package; its files are looked at and its tarball is linted. Gives the tarball's path and what npm says of it. */
const pack = ({ name, folder }, destination) => {
  const args = ["pack", "--json", "--pack-destination", destination]
  const [{ filename, files, integrity, shasum }] = JSON.parse(run("npm", args, folder))
  const paths = files.map(({ path }) => path)
  for (const needed of ["LICENSE", "README.md", "dist/index.js", "dist/index.d.ts", "src/index.ts"]) {
    assert.ok(paths.includes(needed), `${name}: the tarball has no ${needed}`)
  }
  for (const path of paths) {
    assert.match(
      path,
      /^(LICENSE|README\.md|package\.json|src\/.*\.ts|dist\/.*\.(js|d\.ts)(\.map)?)$/,
      `${name}: ${path} does not belong into the tarball`,
    )
    const source = path.replace(/^dist\/(.*?)(\.d\.ts|\.js)(\.map)?$/, "src/$1.ts")
    assert.ok(paths.includes(source), `${name}: ${path} is left from a source that is gone; npm run clean, then build`)
  }

  const tarball = join(destination, filename)
  const modules = paths.flatMap((path) => /^src\/([A-Z]\w*)\.ts$/.exec(path)?.[1] ?? [])
  run("npx", ["publint", "run", "--strict", tarball], root)
  run("npx", ["attw", tarball, "--profile", "esm-only", "--format", "ascii", "--include-entrypoints", ...modules], root)
  console.log(`✔ ${filename}`)
  return { tarball, integrity, shasum }
}

/** A registry of the packed packages and nothing else. Every answer is forgotten by npm's cache. */
const startRegistry = async (packages, packed) => {
  const server = createServer(({ url = "" }, response) => {
    const { origin } = server
    const index = packages.findIndex(({ name }) =>
      [`/${name}`, `/${name}/${name}.tgz`].includes(decodeURIComponent(url)),
    )
    response.setHeader("cache-control", "no-store")
    if (index === -1) return response.writeHead(404).end()
    const { manifest, name } = packages[index]
    const { integrity, shasum, tarball } = packed[index]
    if (url.endsWith(".tgz")) return response.end(readFileSync(tarball))
    const dist = { integrity, shasum, tarball: `${origin}/${name}/${name}.tgz` }
    const { version } = manifest
    response.end(
      JSON.stringify({ name, "dist-tags": { latest: version }, versions: { [version]: { ...manifest, dist } } }),
    )
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  server.origin = `http://127.0.0.1:${server.address().port}`
  return server
}

const runShell = promisify(execFile)

/**
 * Runs the install lines of a README as they stand, in an empty project whose scope points to our registry, and there
 * imports what each example imports. In vitest if the lines install it: its helpers load nowhere else. Gives what went
 * wrong, or nothing.
 */
const followReadme = async (readme, origin, folder) => {
  const lines = installLines(readme.text)
  if (lines.length === 0) return []
  const project = join(folder, "readmes", readme.path.replaceAll("/", "-"))
  mkdirSync(project, { recursive: true })
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }))
  writeFileSync(
    join(project, ".npmrc"),
    `@effect-marketo:registry=${origin}\nprefer-offline=true\naudit=false\nfund=false\n`,
  )
  const sh = (command) => runShell("sh", ["-ec", command], { cwd: project, encoding: "utf8" })
  const inVitest = lines.some((line) => / vitest@/.test(line))
  const files = valueImports(readme.text).map((imports, index) => {
    const file = `block-${index}.${inVitest ? "test." : ""}mjs`
    const test = inVitest ? '\nimport * as vitest from "vitest"\nvitest.test("imports", () => {})' : ""
    writeFileSync(join(project, file), `${imports}${test}\n`)
    return file
  })
  try {
    for (const line of lines) await sh(line)
    await sh(inVitest ? "npx vitest run" : files.map((file) => `node ${file}`).join("\n"))
    console.log(`✔ ${readme.path}: ${lines.length} install lines, imports of ${files.length} examples`)
    return []
  } catch ({ cmd, stderr, stdout }) {
    return [`${readme.path}: ${cmd}\n${stdout}${stderr}`]
  }
}

/** An empty project with the tarballs, and with the peers at the versions of this workspace. */
const install = (packages, packed, project) => {
  const dependencies = {}
  for (const { manifest } of packages) {
    for (const peer of Object.keys(manifest.peerDependencies ?? {})) dependencies[peer] = manifest.devDependencies[peer]
  }
  packages.forEach(({ name }, index) => {
    dependencies[name] = `file:${packed[index].tarball}`
  })
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, dependencies }, null, 2))
  run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"], project)
}

/** Starts the installed command, reads the line of JSON that it prints first, and stops it as a process manager does. */
const simulator = async (project) => {
  const child = spawn(join(project, "node_modules/.bin/marketo-simulator"), ["--port", "0", "--seed", "7"], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const exited = once(child, "exit")
  const limit = setTimeout(() => child.kill("SIGKILL"), 20_000)
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    exited.then(() => assert.fail("marketo-simulator ended before its first line")),
  ])
  const { url, clientId, clientSecret } = JSON.parse(line)
  const query = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: clientSecret,
  })
  const answer = await fetch(`${url}/identity/oauth/token?${query}`)
  assert.equal(answer.status, 200, "marketo-simulator gives no token")
  child.kill("SIGTERM")
  const [, signal] = await exited
  clearTimeout(limit)
  assert.notEqual(signal, "SIGKILL", "marketo-simulator did not stop within 20 seconds")
  console.log("✔ marketo-simulator: starts, answers, stops")
}

const folder = mkdtempSync(join(tmpdir(), "effect-marketo-"))
try {
  const packages = publishedPackages()
  const packed = packages.map((each) => pack(each, folder))
  const registry = await startRegistry(packages, packed)
  const failures = []
  for (const readme of readmes()) failures.push(...(await followReadme(readme, registry.origin, folder)))
  registry.close()
  assert.equal(failures.length, 0, failures.join("\n"))
  install(packages, packed, folder)
  cpSync(join(root, "scripts/consumer"), folder, { recursive: true })
  const strict = ["--noEmit", "--checkJs", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
  const types = ["--typeRoots", join(root, "node_modules/@types")]
  run(join(root, "node_modules/.bin/tsc"), [...strict, ...types, "program.mjs", "sink.test.mjs"], folder)
  console.log(`✔ ${run("node", ["program.mjs"], folder).trimEnd()}`)
  console.log(`✔ ${run("node", ["program.cjs"], folder).trimEnd()}`)
  run("npx", ["vitest", "run"], folder)
  console.log("✔ sink-testing: passes over a sink of the project's own")
  await simulator(folder)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
