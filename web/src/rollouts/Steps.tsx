import { type FormEvent, useState } from "react";
import { Sheet } from "../shell/Sheet";
import { Slider } from "../shell/Slider";
import { texts } from "../texts";
import { type Rollout, type Step, useStep } from "./useRollouts";

const FORWARD = new Set<Step>(["canary", "promote", "resume"]);
const MAX_REASON = 1_000;

/** The steps that are allowed now; each asks for its reason first. */
export function Steps({ rollout }: { rollout: Rollout }) {
  const [asked, setAsked] = useState<Step | undefined>();
  return (
    <div className="flex flex-wrap gap-2">
      {rollout.allowed.map((step) => (
        <button key={step} type="button" className={`button ${FORWARD.has(step) && step !== rollout.state ? "button-strong" : ""} ${step === "abort" || step === "retire" ? "text-bad" : ""}`} onClick={() => setAsked(step)}>
          {step === "canary" && rollout.state === "canary" ? texts.rollouts.share : texts.rollouts.steps[step]}
        </button>
      ))}
      {asked && <Asked key={asked} step={asked} rollout={rollout} onClose={() => setAsked(undefined)} />}
    </div>
  );
}

function Asked({ step, rollout, onClose }: { step: Step; rollout: Rollout; onClose: () => void }) {
  const take = useStep(rollout.id);
  const [reason, setReason] = useState("");
  const [share, setShare] = useState(rollout.share || 5);
  const [anyway, setAnyway] = useState(false);
  const send = (event: FormEvent) => {
    event.preventDefault();
    const more = step === "canary" ? { share, force: anyway } : step === "retire" ? { yes: anyway } : {};
    take.mutate({ step, reason: reason.trim(), ...more }, { onSuccess: onClose });
  };
  return (
    <Sheet title={texts.rollouts.steps[step]} open onClose={onClose}>
      <form className="flex flex-col gap-4" onSubmit={send}>
        <p className="text-small text-soft">{texts.rollouts.means[step]}</p>
        {step === "canary" && <Slider label={texts.rollouts.shareOf} shown={`${share} %`} min={1} max={100} step={1} value={share} onChange={setShare} />}
        <label className="flex flex-col gap-1 text-small">
          {texts.rollouts.reason}
          <input className="field" dir="auto" maxLength={MAX_REASON} value={reason} onChange={(event) => setReason(event.target.value)} />
        </label>
        {(step === "canary" || step === "retire") && (
          <label className="flex items-center gap-2 text-small">
            <input type="checkbox" className="size-4 accent-ink" checked={anyway} onChange={(event) => setAnyway(event.target.checked)} />
            {step === "canary" ? texts.rollouts.force : texts.rollouts.yes}
          </label>
        )}
        {take.error && (
          <p role="alert" className="text-small break-words text-bad">
            {take.error.message}
          </p>
        )}
        <button type="submit" className="button button-strong self-start" disabled={take.isPending}>
          {texts.rollouts.steps[step]}
        </button>
      </form>
    </Sheet>
  );
}
