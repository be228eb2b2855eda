import { Link, Outlet } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useMay } from "../api/session";
import type { Role } from "../api/types";
import { texts } from "../texts";
import { Account } from "./Account";
import { Help } from "./Help";
import { Icon, type IconName } from "./Icon";
import { isTyping } from "./keys";
import { SignIn } from "./SignIn";

const VIEWS: readonly { to: string; label: string; icon: IconName; role: Role }[] = [
  { to: "/", label: texts.nav.search, icon: "search", role: "read" },
  { to: "/ui/add", label: texts.nav.add, icon: "plus", role: "write" },
  { to: "/ui/duplicates", label: texts.nav.duplicates, icon: "copies", role: "write" },
  { to: "/ui/anomalies", label: texts.nav.anomalies, icon: "odd", role: "write" },
  { to: "/ui/rollouts", label: texts.nav.rollouts, icon: "steps", role: "admin" },
  { to: "/ui/health", label: texts.nav.health, icon: "pulse", role: "read" },
];

export function Shell() {
  const [help, setHelp] = useState(false);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key === "?" && !isTyping(event.target)) setHelp(true);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  return (
    <div className="flex min-h-dvh flex-col pb-16 sm:pb-0">
      <a href="#content" className="button sr-only z-50 focus:not-sr-only focus:fixed focus:start-3 focus:top-3">
        {texts.skip}
      </a>
      <header className="flex items-center justify-between gap-4 px-4 pt-3 sm:px-6">
        <Link to="/" search={{}} className="flex items-center gap-2 rounded-control text-lead font-semibold tracking-tight" aria-label={texts.name}>
          <Eye />
          <span>omma</span>
        </Link>
        <nav aria-label={texts.nav.label} className="fixed inset-x-0 bottom-0 z-30 flex justify-around border-t border-line bg-ground px-2 pb-[env(safe-area-inset-bottom)] sm:static sm:ms-auto sm:justify-end sm:gap-1 sm:border-0 sm:px-0">
          {VIEWS.map((view) => (
            <View key={view.to} {...view} />
          ))}
        </nav>
        <Account onHelp={() => setHelp(true)} />
      </header>
      <main id="content" tabIndex={-1} className="flex-1 outline-none">
        <Outlet />
      </main>
      <Help open={help} onClose={() => setHelp(false)} />
      <SignIn />
    </div>
  );
}

function View({ to, label, icon, role }: (typeof VIEWS)[number]) {
  if (!useMay(role)) return null;
  return (
    <Link
      to={to}
      activeOptions={{ exact: to === "/" , includeSearch: false }}
      className="flex min-h-14 flex-col items-center justify-center gap-0.5 rounded-control px-1 text-tiny font-medium whitespace-nowrap sm:px-3 text-soft hover:text-ink sm:min-h-9 sm:flex-row sm:text-small [&.active]:text-ink [&.active]:underline [&.active]:decoration-mark [&.active]:decoration-2 [&.active]:underline-offset-8"
    >
      <span className="sm:hidden">
        <Icon name={icon} />
      </span>
      {label}
    </Link>
  );
}

function Eye() {
  return (
    <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
      <circle cx="16" cy="16" r="14" fill="var(--ink)" />
      <circle cx="16" cy="16" r="9" fill="var(--ground)" />
      <circle cx="19" cy="14" r="4.500" fill="var(--mark)" />
    </svg>
  );
}
