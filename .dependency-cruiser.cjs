/**
 * The arrows between packages, as data. `npm run check:arrows` fails on a cycle and on an arrow that is not drawn here.
 *
 * The rules see the sources: a package of ours resolves through the export condition `@effect-marketo/source`, so what its
 * exports map hides (`internal/`) does not resolve, and that fails too.
 */

/** What the source of each package that others use may import of ours. Tests may import everything. */
const arrows = {
  core: [],
  kafka: [],
  "kafka-broker": [],
  simulator: [],
  "sink-kafka": ["core", "kafka"],
  "sink-ndjson": ["core"],
  "sink-stdout": ["core"],
  "sink-testing": ["core"],
  "source-kafka": ["core", "kafka"],
}

/** Private packages may import everything of ours, and nobody imports them. */
const programs = ["packages/benchmarks", "examples"]

const nodeHttp = "^packages/core/src/NodeHttp\\.ts$"

const anyPackage = "^(packages/[^/]+|examples)/"

/** Every file of ours outside the given package folders. */
const outside = (folders) => ({ path: anyPackage, pathNot: `^(${folders.join("|")})/` })

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      comment:
        "Modules that need each other load in an order nobody chose. Cycles of `import type` vanish at run time.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "no-cycles-of-types",
      comment:
        "A port that names its adapters, if only in types, cannot be read, or replaced, alone; nor can a part of a server.",
      severity: "error",
      from: { path: "^packages/(kafka|simulator)/src/" },
      to: { circular: true },
    },
    {
      name: "resolves",
      comment: "A missing module, or one that another package keeps to itself.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "packages-by-name",
      comment: "Another package is imported by its name; a path would reach what its exports map hides.",
      severity: "error",
      from: { path: anyPackage },
      to: { path: anyPackage, pathNot: "^$1/", dependencyTypes: ["local"] },
    },
    {
      name: "package-in-table",
      comment: "A new package needs a line in `arrows` or `programs`.",
      severity: "error",
      from: outside([...Object.keys(arrows).map((name) => `packages/${name}`), ...programs]),
      to: {},
    },
    ...Object.entries(arrows).map(([name, mayImport]) => ({
      name: `arrows-of-${name}`,
      comment: `The source of ${name} may import of ours: ${mayImport.join(", ") || "nothing"}.`,
      severity: "error",
      from: { path: `^packages/${name}/src/` },
      to: outside([name, ...mayImport].map((allowed) => `packages/${allowed}/src`)),
    })),
    {
      name: "simulator-stands-for-marketo",
      comment: "Its tests import nothing of ours either: a mistake in core must not be repeated by what checks it.",
      severity: "error",
      from: { path: "^packages/simulator/" },
      to: outside(["packages/simulator"]),
    },
    {
      name: "programs-are-private",
      comment: "Nobody imports an example or a benchmark.",
      severity: "error",
      from: { path: anyPackage },
      to: { path: `^(${programs.join("|")})/`, pathNot: "^$1/" },
    },
    {
      name: "declared",
      comment: "What a published source imports is its dependency or its peer, never a test's dependency.",
      severity: "error",
      from: { path: "^packages/[^/]+/src/", pathNot: `^(${programs.join("|")})/` },
      to: { path: "node_modules/", dependencyTypesNot: ["npm", "npm-peer"] },
    },
    {
      name: "core-without-platform",
      comment: "Core leaves the platform to the user. The subpath NodeHttp is the one that brings its own.",
      severity: "error",
      from: { path: "^packages/core/src/", pathNot: nodeHttp },
      to: { path: "node_modules/(@effect/platform-[^/]+|undici)/" },
    },
    {
      name: "core-without-node",
      comment: "Core runs wherever an HttpClient does.",
      severity: "error",
      from: { path: "^packages/core/src/", pathNot: nodeHttp },
      to: { dependencyTypes: ["core"], pathNot: "^crypto$" },
    },
    {
      name: "core-crypto",
      comment: "Only identities and file names that need a hash; every runtime has node:crypto.",
      severity: "error",
      from: {
        path: "^packages/core/src/",
        pathNot: [nodeHttp, "^packages/core/src/(ActivityRecord|CheckpointStore)\\.ts$"],
      },
      to: { path: "^crypto$" },
    },
    {
      name: "kafkajs-behind-the-port",
      comment: "Its names and types stay in one folder, so that a second client could stand beside it.",
      severity: "error",
      from: { path: "^packages/[^/]+/src/", pathNot: "^packages/(kafka/src/internal/kafkajs|benchmarks/src)/" },
      to: { path: "node_modules/kafkajs/" },
    },
    {
      name: "kafkajs-imported-once",
      comment: "One module makes its clients and sets what it would leave to defaults; the others know its types.",
      severity: "error",
      from: {
        path: "^packages/kafka/src/internal/kafkajs/",
        pathNot: "^packages/kafka/src/internal/kafkajs/connection\\.ts$",
      },
      to: { path: "node_modules/kafkajs/", dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    doNotFollow: { path: "node_modules" },
    exclude: { path: `${anyPackage}(dist|\\.tsbuild)/` },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["@effect-marketo/source", "import", "node", "default", "types"],
    },
  },
}
