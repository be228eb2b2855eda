import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { type Asked, readAsked, writeAsked } from "./search/asked";
import { Failed } from "./shell/Failed";
import { Shell } from "./shell/Shell";
import { texts } from "./texts";
import { Search } from "./views/Search";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => <Failed title={texts.notFound} />,
  errorComponent: ({ error, reset }) => <Failed title={texts.failed.view} error={error} again={reset} />,
});

const search = createRoute({ getParentRoute: () => root, path: "/", validateSearch: (given): Asked => given as Asked, component: Search });
const picture = createRoute({
  getParentRoute: () => root,
  path: "/ui/picture/$id",
  component: lazyRouteComponent(() => import("./views/Picture"), "Picture"),
});
const add = createRoute({ getParentRoute: () => root, path: "/ui/add", component: lazyRouteComponent(() => import("./views/Add"), "Add") });
const health = createRoute({
  getParentRoute: () => root,
  path: "/ui/health",
  component: lazyRouteComponent(() => import("./views/Health"), "Health"),
});
const duplicates = createRoute({
  getParentRoute: () => root,
  path: "/ui/duplicates",
  component: lazyRouteComponent(() => import("./views/Duplicates"), "Duplicates"),
});
const anomalies = createRoute({
  getParentRoute: () => root,
  path: "/ui/anomalies",
  component: lazyRouteComponent(() => import("./views/Anomalies"), "Anomalies"),
});
const rollouts = createRoute({
  getParentRoute: () => root,
  path: "/ui/rollouts",
  validateSearch: (given): Asked => given as Asked,
  component: lazyRouteComponent(() => import("./views/Rollouts"), "Rollouts"),
});

export const router = createRouter({
  routeTree: root.addChildren([search, picture, add, duplicates, anomalies, rollouts, health]),
  scrollRestoration: true,
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
