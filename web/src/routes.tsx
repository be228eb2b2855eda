import { createRootRoute, createRoute, createRouter, type ErrorComponentProps, useLoaderData, useRouter } from "@tanstack/react-router";
import type { ComponentType } from "react";
import { type Asked, readAsked, writeAsked } from "./search/asked";
import { arrived } from "./shell/arriving";
import { Failed } from "./shell/Failed";
import { Shell } from "./shell/Shell";
import { texts } from "./texts";
import { Search } from "./views/Search";

const root = createRootRoute({ component: Shell, notFoundComponent: () => <Failed title={texts.notFound} /> });

/** A view whose script comes when it is opened. */
const later = <Path extends string>(path: Path, load: () => Promise<ComponentType>, more = {}) =>
  createRoute({ getParentRoute: () => root, path, loader: () => arrived(load), staleTime: Infinity, component: Arrived, ...more });

function Arrived() {
  const View = useLoaderData({ strict: false }) as unknown as ComponentType;
  return <View />;
}

function Broken({ error }: ErrorComponentProps) {
  const router = useRouter();
  return <Failed title={texts.failed.view} error={error} again={() => void router.invalidate()} />;
}

const search = createRoute({ getParentRoute: () => root, path: "/", validateSearch: (given): Asked => given as Asked, component: Search });
const picture = later("/ui/picture/$id", () => import("./views/Picture").then((view) => view.Picture));
const add = later("/ui/add", () => import("./views/Add").then((view) => view.Add));
const health = later("/ui/health", () => import("./views/Health").then((view) => view.Health));
const duplicates = later("/ui/duplicates", () => import("./views/Duplicates").then((view) => view.Duplicates));
const anomalies = later("/ui/anomalies", () => import("./views/Anomalies").then((view) => view.Anomalies));
const rollouts = later("/ui/rollouts", () => import("./views/Rollouts").then((view) => view.Rollouts), { validateSearch: (given: unknown): Asked => given as Asked });

export const router = createRouter({
  routeTree: root.addChildren([search, picture, add, duplicates, anomalies, rollouts, health]),
  scrollRestoration: true,
  defaultErrorComponent: Broken,
  // A search's address is for people, too: plain parameters, nothing quoted.
  parseSearch: (text) => readAsked(new URLSearchParams(text)),
  stringifySearch: (asked) => {
    const params = writeAsked(asked as Asked).toString();
    return params && `?${params}`;
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
