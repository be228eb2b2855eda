import { type FormEvent, useState } from "react";
import { Sheet } from "../shell/Sheet";
import { texts } from "../texts";
import { type Start, useStart } from "./useRollouts";

const WHAT = ["model", "shards", "codebook", "factory"] as const;
type What = (typeof WHAT)[number];

/** Another model, or what the live one's vectors are kept in. */
export function StartForm({ open, onClose }: { open: boolean; onClose: () => void }) {
  const start = useStart();
  const [what, setWhat] = useState<What>("model");
  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const said = (name: string) => String(fields.get(name) ?? "").trim();
    const body: Start = { reason: said("reason"), auto_promote: fields.has("auto") };
    if (what === "model") body.model = said("model");
    else body.index = said("index");
    if (what === "shards") body.shards = Number(said("shards"));
    if (what === "codebook") body.codebook = "retrain";
    if (what === "factory") body.factory = said("factory");
    start.mutate(body, { onSuccess: onClose });
  };
  const words = texts.rollouts.begin;
  return (
    <Sheet title={words.title} open={open} onClose={onClose}>
      <form className="flex flex-col gap-4" onSubmit={send}>
        <p className="text-small text-soft">{words.about}</p>
        <label className="flex flex-col gap-1 text-small">
          {words.what}
          <select className="field" value={what} onChange={(event) => setWhat(event.target.value as What)}>
            {WHAT.map((one) => (
              <option key={one} value={one}>
                {words.of[one]}
              </option>
            ))}
          </select>
        </label>
        {what === "model" ? <Field name="model" label={words.model} placeholder="name@1.0.0" /> : <Field name="index" label={words.index} placeholder="wide" />}
        {what === "shards" && <Field name="shards" label={words.of.shards} type="number" />}
        {what === "factory" && <Field name="factory" label={words.of.factory} placeholder="OPQ32_128,IVF{nlist},PQ32x8" />}
        <Field name="reason" label={texts.rollouts.reason} required={false} />
        <label className="flex items-center gap-2 text-small">
          <input type="checkbox" name="auto" className="size-4 accent-ink" />
          {words.auto}
        </label>
        {start.error && (
          <p role="alert" className="text-small break-words text-bad">
            {start.error.message}
          </p>
        )}
        <button type="submit" className="button button-strong self-start" disabled={start.isPending}>
          {words.go}
        </button>
      </form>
    </Sheet>
  );
}

function Field({ name, label, placeholder, type = "text", required = true }: { name: string; label: string; placeholder?: string; type?: string; required?: boolean }) {
  return (
    <label className="flex flex-col gap-1 text-small">
      {label}
      <input className="field" name={name} type={type} dir="auto" min={1} max={64} maxLength={200} placeholder={placeholder} required={required} autoComplete="off" />
    </label>
  );
}
