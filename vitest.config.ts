import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

// two files at a time at least, because most of them wait for a broker, a process or a file most of the time
const workers = Math.max(2, availableParallelism() - 1)

export default defineConfig({ test: { minWorkers: workers, maxWorkers: workers } })
