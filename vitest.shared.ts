import type { ViteUserConfig } from "vitest/config"

const config: ViteUserConfig = {
  resolve: { conditions: ["@effect-marketo/source"] },
  ssr: { resolve: { conditions: ["@effect-marketo/source"] } },
  test: { include: ["test/**/*.test.ts"] },
}
export default config
