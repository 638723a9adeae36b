import { fileURLToPath } from "node:url"
import type { ViteUserConfig } from "vitest/config"

const config: ViteUserConfig = {
  resolve: { conditions: ["@effect-marketo/source"] },
  ssr: { resolve: { conditions: ["@effect-marketo/source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: [fileURLToPath(new URL("./vitest.setup.ts", import.meta.url))],
    // generous: the limit is there to end a hang, not to time anything
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
}
export default config
