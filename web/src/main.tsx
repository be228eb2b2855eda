import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { mayPass, Problem } from "./api/client";
import { router } from "./routes";
import { Toasts } from "./shell/toasts";
import "./styles.css";

setNonce(document.querySelector<HTMLMetaElement>("meta[name=csp-nonce]")?.content ?? "");

const TRIES = 3;
const queries = new QueryClient({
  defaultOptions: {
    // Asked also where the browser knows of no network: a server on this machine answers, another one is said not to.
    mutations: { networkMode: "always" },
    queries: {
      networkMode: "always",
      refetchOnReconnect: true,
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (failed, error) => mayPass(error) && failed < TRIES,
      retryDelay: (failed, error) => (error instanceof Problem && error.retryAfterSeconds ? error.retryAfterSeconds * 1000 : 400 * 2 ** failed),
    },
  },
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <Toasts>
        <RouterProvider router={router} />
      </Toasts>
    </QueryClientProvider>
  </StrictMode>,
);
