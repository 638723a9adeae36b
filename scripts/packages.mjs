/**
 * Checks what a user installs: packs every published package, looks into the tarballs, lints them (publint, attw), installs them
 * into an empty project, and there compiles and runs what is in the folder consumer and starts the simulator's command. Needs a
 * build.
 */
import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { publishedPackages, root } from "./workspace.mjs"

/** Runs a command; what it printed is shown if it fails. */
const run = (command, args, cwd) => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" })
  assert.equal(status, 0, `${[command, ...args].join(" ")}\n${stdout}${stderr}`)
  return stdout
}

/** Packs a package; its files are looked at and its tarball is linted. Gives the tarball's path. */
const pack = ({ name, folder }, destination) => {
  const args = ["pack", "--json", "--pack-destination", destination]
  const [{ filename, files }] = JSON.parse(run("npm", args, folder))
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
  return tarball
}

/** An empty project with the tarballs, and with the peers at the versions of this workspace. */
const install = (packages, tarballs, project) => {
  const dependencies = {}
  for (const { manifest } of packages) {
    for (const peer of Object.keys(manifest.peerDependencies ?? {})) dependencies[peer] = manifest.devDependencies[peer]
  }
  packages.forEach(({ name }, index) => {
    dependencies[name] = `file:${tarballs[index]}`
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
  const tarballs = packages.map((each) => pack(each, folder))
  install(packages, tarballs, folder)
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
