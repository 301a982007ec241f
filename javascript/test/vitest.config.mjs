import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { globalSetup: "bedrock-invoke-api/global-setup", include: ["vitest.test.mjs"], testTimeout: 60_000 },
});
