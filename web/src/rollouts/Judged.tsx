import { Table } from "../health/Table";
import { texts } from "../texts";
import type { Rollout } from "./useRollouts";

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });
const shown = (value: number | null | undefined) => (value === null || value === undefined ? "–" : number.format(value));

/** What the judge knows, as it comes: of the shadow, or of both arms with its verdict. */
export function Judged({ rollout }: { rollout: Rollout }) {
  const { canary, shadow } = rollout;
  const names = texts.rollouts.figures;
  if (rollout.state === "shadow" && shadow)
    return (
      <Table
        label={texts.rollouts.judge}
        columns={["", texts.rollouts.candidate, texts.rollouts.live]}
        rows={[
          [names.searches, shown(shadow.searches), ""],
          [names.errors, shown(shadow.error_share), ""],
          [names.p95, shown(shadow.p95_ms?.candidate), shown(shadow.p95_ms?.live)],
          [names.overlap, shown(shadow.overlap_at_10), ""],
          [names.zero, shown(shadow.zero_hits), ""],
        ]}
      />
    );
  if (!canary) return <p className="text-small text-soft">{rollout.reasons.join("; ") || texts.rollouts.judgeNone}</p>;
  const bounds = canary.ctr_ratio ?? canary.win_rate;
  return (
    <div className="flex flex-col gap-3">
      <p className="text-small">
        <strong>{texts.rollouts.verdicts[rollout.verdict] ?? rollout.verdict}</strong> {rollout.reasons.join("; ")}
      </p>
      <Table
        label={texts.rollouts.judge}
        columns={["", texts.rollouts.candidate, texts.rollouts.live]}
        rows={[
          [names.searches, shown(canary.arms?.candidate?.searches), shown(canary.arms?.control?.searches)],
          [names.failed, shown(canary.arms?.candidate?.errors), shown(canary.arms?.control?.errors)],
          [names.callers, shown(canary.callers?.candidate), shown(canary.callers?.control)],
          [names.clicks, shown(canary.clicks?.candidate), shown(canary.clicks?.control)],
          [names.ctr, shown(canary.ctr?.candidate), shown(canary.ctr?.control)],
        ]}
      />
      {bounds && bounds.low !== null && bounds.high !== null && (
        <p className="text-small text-soft figures">{(canary.ctr_ratio ? texts.rollouts.ratio : texts.rollouts.wins)(shown(bounds.value), shown(bounds.low), shown(bounds.high))}</p>
      )}
    </div>
  );
}
