import { useId, useState } from "react";
import { Slider } from "../shell/Slider";
import { texts } from "../texts";
import { type Asked, hasPicture } from "./asked";

/** How it is searched, beyond what is asked; what stands out from the defaults opens it. */
export function Options({ asked, onChange }: { asked: Asked; onChange: (asked: Asked, replace?: boolean) => void }) {
  const [wanted, setWanted] = useState<boolean | undefined>();
  const open = wanted ?? (asked.near !== undefined || asked.score !== undefined || asked.phash !== undefined || asked.parts === true);
  const panel = useId();
  return (
    <>
      <button type="button" aria-expanded={open} aria-controls={panel} className={`chip ${open ? "border-soft" : "text-soft"}`} onClick={() => setWanted(!open)}>
        {texts.asked.options}
      </button>
      <div id={panel} hidden={!open} className="order-last mt-1 grid w-full max-w-3xl items-start gap-x-8 gap-y-4 border-y border-line py-4 sm:grid-cols-2">
        <fieldset>
          <legend className="eyebrow mb-1.5">{texts.asked.near}</legend>
          <div className="flex rounded-control border border-line p-0.5">
            {(["collapse", "drop", "keep"] as const).map((one) => (
              <label key={one} className="flex-1 rounded-inner py-1 text-center text-small has-checked:bg-ink has-checked:text-ground has-focus-visible:outline-2 has-focus-visible:outline-mark">
                <input
                  type="radio"
                  name="near"
                  className="sr-only"
                  checked={(asked.near ?? "collapse") === one}
                  onChange={() => onChange({ ...asked, near: one === "collapse" ? undefined : one }, true)}
                />
                {texts.asked.nearOf[one]}
              </label>
            ))}
          </div>
        </fieldset>
        <Slider
          label={texts.asked.score}
          shown={asked.score === undefined ? texts.asked.off : asked.score.toFixed(2)}
          min={0}
          max={1}
          step={0.01}
          value={asked.score ?? 0}
          onChange={(score) => onChange({ ...asked, score: score > 0 ? score : undefined }, true)}
        />
        {hasPicture(asked) && (
          <Slider
            label={texts.asked.phash}
            shown={asked.phash === undefined ? texts.asked.off : String(asked.phash)}
            min={0}
            max={33}
            step={1}
            value={asked.phash ?? 33}
            onChange={(phash) => onChange({ ...asked, phash: phash > 32 ? undefined : phash }, true)}
          />
        )}
        <label className="flex items-center gap-2 text-small">
          <input type="checkbox" className="size-4 accent-ink" checked={asked.parts ?? false} onChange={(event) => onChange({ ...asked, parts: event.target.checked || undefined }, true)} />
          {texts.asked.parts}
        </label>
      </div>
    </>
  );
}
