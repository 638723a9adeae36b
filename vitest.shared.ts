import type { ViteUserConfig } from "vitest/config"

const config: ViteUserConfig = {
  resolve: { conditions: ["@effect-marketo/source"] },
  ssr: { resolve: { conditions: ["@effect-marketo/source"] } },
  // generous: the limit is there to end a hang, not to time anything
  test: { include: ["test/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
}
export default config
