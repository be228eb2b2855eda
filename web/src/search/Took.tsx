import { useState } from "react";
import type { SearchAnswer } from "../api/types";
import { Bars } from "../shell/Bars";
import { Sheet } from "../shell/Sheet";
import { texts } from "../texts";

/** How long it took; a click says where the time went. */
export function Took({ answer }: { answer: SearchAnswer }) {
  const [open, setOpen] = useState(false);
  const stages = Object.entries(answer.explain?.stages_ms ?? {});
  if (!stages.length) return <bdi className="figures">{texts.search.took(answer.latency_ms)}</bdi>;
  return (
    <>
      <button type="button" className="rounded-inner figures underline decoration-line decoration-2 underline-offset-4 hover:decoration-soft" title={texts.search.where} onClick={() => setOpen(true)}>
        <bdi>{texts.search.took(answer.latency_ms)}</bdi>
      </button>
      <Sheet title={texts.search.where} open={open} onClose={() => setOpen(false)}>
        <Bars rows={stages.map(([name, ms]) => ({ name: texts.health.stages[name] ?? name, value: ms, shown: texts.search.took(ms) }))} />
      </Sheet>
    </>
  );
}
