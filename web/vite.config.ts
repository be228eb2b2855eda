import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "/ui/",
  plugins: [react(), tailwindcss()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { "^/(?!ui/|src/|@|node_modules/).+": "http://127.0.0.1:8080", "/ui/session": "http://127.0.0.1:8080" } },
  test: { include: ["src/**/*.test.ts"] },
});
