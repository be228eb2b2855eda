import { texts } from "../texts";
import type { Rollout } from "./useRollouts";

const WALK = ["building", "shadow", "canary", "promoted", "retired"] as const;
const AT: Record<string, number> = { building: 0, paused: 0, shadow: 1, aborted: 1, canary: 2, rolled_back: 2, promoted: 3, retired: 4 };
const OVER = new Set(["aborted", "rolled_back"]);

/** How far it is: what lies behind is filled, where it stands is marked. */
export function Walk({ rollout }: { rollout: Rollout }) {
  const at = AT[rollout.state] ?? 0;
  return (
    <ol aria-label={texts.rollouts.walk} className="grid grid-cols-5 gap-1">
      {WALK.map((state, place) => (
        <li key={state} aria-current={place === at ? "step" : undefined} className="flex min-w-0 flex-col gap-1.5">
          <span className={`h-1.5 rounded-full ${place < at ? "bg-ink" : place > at ? "bg-line" : OVER.has(rollout.state) ? "bg-bad" : "bg-mark"}`} />
          <span className={`text-tiny break-words sm:text-small ${place === at ? "font-semibold" : "text-soft"}`}>{texts.rollouts.states[place === at ? rollout.state : state]}</span>
        </li>
      ))}
    </ol>
  );
}
