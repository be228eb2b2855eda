import { texts } from "../texts";
import type { Audit } from "./useRollouts";

const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

/** Every step that was taken: by whom, when and why; the newest first. */
export function AuditList({ audit }: { audit: readonly Audit[] }) {
  return (
    <ol className="flex flex-col divide-y divide-line text-small">
      {[...audit].reverse().map((entry) => (
        <li key={`${entry.at_ms} ${entry.step}`} className="flex flex-wrap items-baseline gap-x-3 py-1.5">
          <span className="font-medium">{texts.rollouts.took[entry.step] ?? entry.step}</span>
          <span className="text-soft">
            <bdi>{entry.by}</bdi> · {moment.format(entry.at_ms)}
          </span>
          {entry.reason && <bdi className="w-full break-words">{entry.reason}</bdi>}
        </li>
      ))}
    </ol>
  );
}
